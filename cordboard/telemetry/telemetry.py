"""What is told: spans and measurements; and who is told of them, which is nobody unless somebody collects."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from cordboard.telemetry.labels import Value, labelled

_NONE: Mapping[str, Value] = {}


class Span:
    """A part of a run that takes time. Nobody is told of this one.

    Attributes:
        trace_id: 32 hex digits; empty where nobody is told.
        span_id: 16 hex digits, likewise.
        traceparent: how it is named to others, as W3C has it, likewise.
    """

    trace_id = span_id = traceparent = ""

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Adds attributes; never parameters, bodies or secrets."""

    def fail(self, kind: str) -> None:
        """Says that it did not end well, by the kind of failure."""

    def ended(self, result: str, error: Mapping[str, Any] | None = None) -> None:
        """Says how it ended: in a word, and the `kind` of an error where there is one."""
        self.note({"cordboard.result": str(result)})
        if error:
            self.fail(str(error.get("kind", "")))


_UNSEEN = Span()
_UNTOLD = nullcontext(_UNSEEN)


class Telemetry:
    """Takes spans and measurements; this one drops them.

    Attributes:
        is_on: whether anybody is told, so that a caller can spare itself the making of attributes.
    """

    is_on = False

    def span(
        self, name: str, attributes: Mapping[str, Value] = _NONE, *, client: bool = False
    ) -> AbstractContextManager[Span]:
        """A span for as long as it is entered; it becomes the parent of those inside.

        Args:
            name: of few values, such as `action fetch`.
            attributes: beside the ids of where we are.
            client: whether it is a request to another system.
        """
        return _UNTOLD

    def measure(self, metric: str, value: float, attributes: Mapping[str, Value] = _NONE) -> None:
        """Adds to a counter or a level, or takes a value into a histogram.

        Args:
            metric: a name of `METRICS`.
            value: in its unit.
            attributes: those of `METRICS`.
        """

    def timed(self, metric: str, attributes: Mapping[str, Value] = _NONE) -> AbstractContextManager[object]:
        """Takes how long it was entered into a histogram, in seconds."""
        return self._timed(metric, attributes) if self.is_on else _UNTOLD

    @contextmanager
    def _timed(self, metric: str, attributes: Mapping[str, Value]) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.measure(metric, time.perf_counter() - started, attributes)

    async def close(self) -> None:
        """Sends what is left. It never raises, and never takes longer than a few seconds."""


NOBODY = Telemetry()
_CURRENT: ContextVar[Telemetry] = ContextVar("cordboard_telemetry", default=NOBODY)


def current() -> Telemetry:
    """Who is told, here and now."""
    return _CURRENT.get()


@contextmanager
def telling(telemetry: Telemetry) -> Iterator[Telemetry]:
    """Makes it the current one for as long as it is entered."""
    token = _CURRENT.set(telemetry)
    try:
        yield telemetry
    finally:
        _CURRENT.reset(token)


class step:  # noqa: N801  as `labelled`
    """A part of a run: a span, and ids for the log lines and spans inside.

    Args:
        name: of the span, of few values.
        **ids: names of `LABELS`.
    """

    __slots__ = ("_labels", "_name", "_span")

    def __init__(self, name: str, **ids: Value | None) -> None:
        self._name, self._labels = name, labelled(**ids)

    def __enter__(self) -> Span:
        self._labels.__enter__()
        self._span = current().span(self._name)
        return self._span.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._span.__exit__(kind, error, trace)
        self._labels.__exit__()
