"""W3C trace context, which every call carries along: https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

import hashlib
import re

from cordboard.errors import BadCall

_TRACE_ID = re.compile(r"[0-9a-f]{32}")


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


def traced(traceparent: str | None) -> dict[str, str]:
    """The header that sends it along, where there is one."""
    return {"traceparent": traceparent} if traceparent else {}
