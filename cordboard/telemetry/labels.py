"""The ids that say where in a run something happens: every log line and every span inside carries them.

They travel in a context variable, so that a task that is started inside a part of a run is inside it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Final

Value = str | int | float | bool

#: The name of each id in a log line, and as an attribute of a span.
LABELS: Final[Mapping[str, str]] = {
    "run_key": "cordboard.run.key",
    "kind": "cordboard.run.kind",
    "chain": "cordboard.chain",
    "call_flow": "cordboard.call_flow",
    "workflow": "cordboard.workflow",
    "flow_run_id": "prefect.run.id",
    "action": "cordboard.action",
    "item": "cordboard.item",
    "items": "cordboard.items",
    "piece": "cordboard.piece",
    "line": "cordboard.line",
    "effect": "cordboard.effect",
    "inbox_id": "cordboard.inbox_id",
    "webhook_id": "cordboard.webhook_id",
}
#: The same for what is known of one request to a vendor. How long it took is the span's own duration.
REQUEST: Final[Mapping[str, str]] = {
    "vendor": "cordboard.vendor",
    "operation": "cordboard.operation",
    "method": "http.request.method",
    "host": "server.address",
    "port": "server.port",
    "route": "url.template",
    "attempt": "cordboard.attempt",
    "retry_reason": "cordboard.retry.reason",
    "waited_ms": "cordboard.waited_ms",
    "status": "http.response.status_code",
    "outcome": "cordboard.outcome",
    "error_type": "error.type",
    "request_id": "cordboard.request_id",
    "reference": "cordboard.vendor.reference",
}
_NONE: Mapping[str, Value | None] = {}
_LABELS: ContextVar[Mapping[str, Value | None]] = ContextVar("cordboard_labels", default=_NONE)


class labelled:  # noqa: N801  it reads as a verb, as `contextlib` has its own
    """Adds ids for as long as it is entered; those that are None or empty are left out.

    >>> with labelled(run_key="sync/1"), labelled(action="fetch", item=None):
    ...     labels()
    {'run_key': 'sync/1', 'action': 'fetch'}
    """

    __slots__ = ("_ids", "_token")

    def __init__(self, **ids: Value | None) -> None:
        self._ids = ids

    def __enter__(self) -> None:
        self._token = _LABELS.set({**_LABELS.get(), **self._ids})

    def __exit__(self, *_: object) -> None:
        with suppress(ValueError):  # closed in another context, where it set nothing: a coroutine that nobody awaited
            _LABELS.reset(self._token)


def labels() -> dict[str, Value]:
    """The ids of where we are."""
    return {name: value for name, value in _LABELS.get().items() if value is not None and value != ""}


def attributes_of(known: Mapping[str, Value], names: Mapping[str, str] = LABELS) -> dict[str, Value]:
    """The same as attributes of a span; what is for log lines only is left out."""
    return {names[name]: value for name, value in known.items() if name in names}
