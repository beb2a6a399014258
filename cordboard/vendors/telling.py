"""Tells of every request to a vendor in one place: a log line, a span and metrics, all with the same facts.

A line of the logger `cordboard.vendor` holds what a vendor's support asks for: which request id, when, which attempt,
how long. Where spans are exported, the vendor gets the name of the attempt's own span as `traceparent`: so what the
vendor tells of a request hangs below the very attempt that caused it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from urllib.parse import urlsplit

from cordboard.telemetry import Span, Telemetry, current
from cordboard.telemetry.labels import REQUEST, Value, attributes_of
from cordboard.telemetry.metrics import ATTEMPTS, BREAKER, CALLS, METRICS, REQUESTS, WAITED, WAITING
from cordboard.vendors.wire import Operation, Outcome, Verdict

VENDOR_LOG = "cordboard.vendor"
log = logging.getLogger(VENDOR_LOG)
CUT_OFF = "cancelled"


class Attempt:
    """One request on its way, of which nobody wants to be told."""

    def headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        """The headers to send, with the name of the attempt's span where it has one."""
        return headers

    def ended(self, verdict: Verdict, seconds: float) -> None:
        """Takes in what came back, and how long that took."""


def attempting(  # noqa: PLR0913  told by name
    operation: Operation,
    url: str,
    *,
    number: int | None,
    mask: Callable[[str], str],
    after: str = "",
    waited_seconds: float = 0.0,
) -> AbstractContextManager[Attempt]:
    """Tells of one request; entered around the exchange, which ends with `ended` or was cut off.

    Args:
        operation: what is asked for.
        url: where; only host and port are told.
        number: which send of its call it is, from 1; None where that is not known.
        mask: takes known secrets out of what a vendor says.
        after: the kind of failure that it repeats; empty for a first one.
        waited_seconds: for its turn, and since the attempt before.
    """
    telemetry = current()
    if not telemetry.is_on and not log.isEnabledFor(logging.INFO):
        return _UNTOLD
    about = _about(operation, url) | ({} if number is None else {"attempt": number})
    about |= {"retry_reason": after} if after else {}
    about |= {"waited_ms": round(waited_seconds * 1000, 3)} if waited_seconds >= _WORTH_TELLING else {}
    return _attempting(telemetry, f"{operation.method} {operation.route}".strip(), about, mask)


@contextmanager
def _attempting(
    telemetry: Telemetry, name: str, about: Mapping[str, Value], mask: Callable[[str], str]
) -> Iterator[Attempt]:
    with telemetry.span(name, attributes_of(about, REQUEST), client=True) as span:
        told = _Told(telemetry, span, about, mask)
        try:
            yield told
        finally:
            told.conclude()


class _Told(Attempt):
    """One that is told of."""

    def __init__(
        self, telemetry: Telemetry, span: Span, about: Mapping[str, Value], mask: Callable[[str], str]
    ) -> None:
        self._telemetry, self._span, self._about, self._mask = telemetry, span, about, mask
        self._started, self._seconds = time.perf_counter(), -1.0
        self._found: dict[str, Value] = {"outcome": str(Outcome.UNKNOWN), "error_type": CUT_OFF}
        self._message = "it was cut off"

    def headers(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        name, carried = self._span.traceparent, headers.get("traceparent", "")
        if not name or self._span.trace_id not in (carried or name):  # a message of another run stays in its trace
            return headers
        return {**headers, "traceparent": name}

    def ended(self, verdict: Verdict, seconds: float) -> None:
        self._found, self._message, self._seconds = _found(verdict, self._mask), self._mask(verdict.message), seconds

    def conclude(self) -> None:
        """Tells how it ended."""
        seconds = self._seconds if self._seconds >= 0 else time.perf_counter() - self._started
        told = {**self._about, **self._found}
        if self._telemetry.is_on:
            attributes = attributes_of(told, REQUEST)
            self._telemetry.measure(REQUESTS, seconds, _by(REQUESTS, attributes))
            self._telemetry.measure(ATTEMPTS, 1, _by(ATTEMPTS, attributes))
            self._span.note(attributes_of(self._found, REQUEST))
            if "error_type" in self._found:
                self._span.fail(str(self._found["error_type"]))
        told["latency_ms"] = round(seconds * 1000, 3)
        log.info("%s", _in_words(told, self._message), extra={"cordboard": told})


_UNTOLD = nullcontext(Attempt())
_WORTH_TELLING = 0.001


def tell_call(operation: Operation, url: str, verdict: Verdict, *, sends: int, waited_seconds: float) -> None:
    """Tells how a whole call ended, with all its attempts; of one that was never sent, a log line says why.

    Args:
        operation: what was asked for.
        url: where.
        verdict: how it ended, masked.
        sends: requests that left.
        waited_seconds: for its turn and between attempts.
    """
    telemetry = current()
    if telemetry.is_on:
        attributes = attributes_of({**_about(operation, url), "outcome": str(verdict.outcome)}, REQUEST)
        telemetry.measure(CALLS, 1, _by(CALLS, attributes))
        telemetry.measure(WAITED, waited_seconds, _by(WAITED, attributes))
    if not sends and log.isEnabledFor(logging.INFO):
        told = {**_about(operation, url), **_found(verdict, str), "attempt": 0}
        log.info("%s", f"{operation.name} was not sent: {verdict.kind}: {verdict.message}", extra={"cordboard": told})


def waiting(operation: Operation) -> AbstractContextManager[object]:
    """Counts a call among those that wait for their turn, for as long as it is entered."""
    telemetry = current()
    return _waiting(telemetry, operation) if telemetry.is_on else _UNTOLD


@contextmanager
def _waiting(telemetry: Telemetry, operation: Operation) -> Iterator[None]:
    attributes = _by(WAITING, attributes_of({"vendor": _vendor(operation), "operation": operation.name}, REQUEST))
    telemetry.measure(WAITING, 1, attributes)
    try:
        yield
    finally:
        telemetry.measure(WAITING, -1, attributes)


def tell_breaker(url: str, reason: str, *, is_open: bool) -> None:
    """Tells where a vendor that keeps failing is left alone from now on, or no longer.

    Args:
        url: which vendor.
        reason: its last failure, in a sentence, masked.
        is_open: whether it is left alone now.
    """
    host = _place(url)["host"]
    current().measure(BREAKER, 1 if is_open else -1, {"server.address": host})
    said = f"is left alone for a while: {reason}" if is_open else "answers again"
    log.warning("%s", f"{host} {said}", extra={"cordboard": {"host": host, "breaker_open": is_open}})


def _vendor(operation: Operation) -> str:
    return operation.name.partition(".")[0]


@lru_cache(maxsize=64)
def _place(url: str) -> Mapping[str, Value]:
    parts = urlsplit(url)
    return {"host": parts.hostname or "", "port": parts.port or (443 if parts.scheme == "https" else 80)}


def _about(operation: Operation, url: str) -> dict[str, Value]:
    named = {"vendor": _vendor(operation), "operation": operation.name, "method": operation.method}
    return {**named, **_place(url), **({"route": operation.route} if operation.route else {})}


def _found(verdict: Verdict, mask: Callable[[str], str]) -> dict[str, Value]:
    found: dict[str, Value] = {"outcome": str(verdict.outcome)}
    if verdict.status is not None:
        found["status"] = verdict.status
    if verdict.outcome is not Outcome.ACCEPTED:
        found["error_type"] = verdict.kind
    named = {"request_id": verdict.request_id, "reference": verdict.reference}
    return found | {name: mask(value) for name, value in named.items() if value}


def _by(metric: str, attributes: Mapping[str, Value]) -> dict[str, Value]:
    """Those that the metric is told apart by."""
    return {name: attributes[name] for name in METRICS[metric].by if name in attributes}


def _in_words(told: Mapping[str, Value], message: str) -> str:
    status = f"HTTP {told['status']} " if "status" in told else ""
    kind = told.get("error_type", told["outcome"])
    request = f", request id {told['request_id']}" if told.get("request_id") else ""
    cause = f": {message}" if message else ""
    number = f" attempt {told['attempt']}" if "attempt" in told else ""
    took = f"{told['operation']}{number}: {status}{kind} in {told['latency_ms']:.0f} ms"
    return f"{took}{request}{cause}"
