"""W3C trace context, which every call carries along: https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import suppress

from cordboard.errors import BadCall

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent(trace_id: str, span_seed: str) -> str:
    """A W3C `traceparent` whose span id follows from the seed, so that a rerun names the same span.

    Args:
        trace_id: 32 hex digits, or a UUID.
        span_seed: what the span stands for, such as an action's id.

    Raises:
        BadCall: the trace id is not one.
    """
    trace = trace_id.replace("-", "").lower()
    if not _TRACE_ID.fullmatch(trace) or not int(trace, 16):
        raise BadCall("a trace id has 32 hex digits that are not all zero")
    span = hashlib.sha256(f"{trace}:{span_seed}".encode()).hexdigest()[:16]
    return f"00-{trace}-{span}-01"


def trace_id_of(header: str) -> str:
    """The trace that a `traceparent` of others names; empty where it is none, which is no fault of anybody's.

    >>> trace_id_of("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    '0af7651916cd43dd8448eb211c80319c'
    """
    found = _TRACEPARENT.fullmatch(header)
    return found[1] if found and int(found[1], 16) else ""


def traced_on(body: str, span_seed: str) -> dict[str, str]:
    """The header by which a message carries on the trace that its body names; none where it names none.

    Args:
        body: of the message, JSON; `trace_id` is looked for at its top.
        span_seed: what the span stands for, such as the message's id.
    """
    with suppress(ValueError, AttributeError, TypeError, LookupError, BadCall):
        return traced(traceparent(json.loads(body)["trace_id"], span_seed))
    return {}


def traced(traceparent: str | None) -> dict[str, str]:
    """The header that sends it along, where there is one."""
    return {"traceparent": traceparent} if traceparent else {}
