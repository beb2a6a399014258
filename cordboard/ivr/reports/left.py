"""What a caller did in a call and no node asked for."""

from __future__ import annotations

from cordboard.ivr.suite import CaseResult

_MOST = 20


def not_asked_for(case: CaseResult) -> str:
    """The inputs of a case that no node asked for, as one sentence; empty where there are none."""
    unused = case.trace.unused if case.trace else ()
    if not unused:
        return ""
    more = f", and {len(unused) - _MOST:,} more" if len(unused) > _MOST else ""
    return f"no node asked for {', '.join(map(str, unused[:_MOST]))}{more}"
