"""NICE CXone's simulations of call flows: the request, what its reply must look like, and what a 403 to it means.

The vendor answers 500 for a flow that does not compile, with a `trace` that stops at the failing node. Such a reply is
a result, and its verdict `incomplete`; a 500 without a trace is a server error like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cordboard.errors import BadCall
from cordboard.vendors.evidence import clean
from cordboard.vendors.urls import path_segment
from cordboard.vendors.wire import Operation, Outcome, Request, Safety, Verdict

__all__ = ["CALLS_PER_SECOND", "debug_flow", "why_forbidden"]

#: The vendor's advice for many simulations: one every two seconds. Source: seed 001, on 429.
CALLS_PER_SECOND = 0.5
_DEBUG = "/api/v2/flows/debug"


def debug_flow(  # noqa: PLR0913  the vendor's own parameters
    flow_id: str,
    dtmf: str = "",
    speech: str = "",
    variables: Mapping[str, Any] | None = None,
    max_loops: int = 50,
    *,
    traceparent: str | None = None,
) -> Request:
    """The request that simulates one call; its result is the vendor's reply as it came.

    A simulation changes nothing, so it may be repeated.

    Args:
        flow_id: the flow's id at the vendor.
        dtmf: the digits that the caller presses, in order.
        speech: what the caller says.
        variables: values that the flow starts with, JSON.
        max_loops: bound on the rounds of a loop, 1 or more.
        traceparent: W3C trace context to send along.

    Raises:
        BadCall: the id could not stand in a URL, as the look-up after a 403 needs it, or the bound is none.
    """
    if isinstance(max_loops, bool) or not isinstance(max_loops, int) or max_loops < 1:
        raise BadCall("max_loops is a whole number from 1")
    body: dict[str, Any] = {
        "flowId": path_segment(flow_id, "flow id"),
        "input": {"dtmf": dtmf, "speech": speech},
        "options": {"trace": True, "includeVariables": True, "maxLoops": max_loops},
    }
    if variables:
        body["variables"] = dict(variables)
    return Request(_SIMULATE, _DEBUG, body, {"traceparent": traceparent} if traceparent else {})


def why_forbidden(flow_id: str, looked_up: Verdict) -> str:
    """Why a simulation was answered 403, in one sentence that says how to mend it.

    Args:
        flow_id: the flow that was to be simulated.
        looked_up: what became of `read_flow` for it, with the same credentials.
    """
    flow = f"the flow {clean(flow_id, 128)!r}"
    if looked_up.outcome is Outcome.ACCEPTED:
        return (
            f"{flow} can be read but not simulated: the scope flow:debug is missing; "
            "give it to the OAuth client, and ask for it where CXONE_SCOPES is set"
        )
    if looked_up.kind == "not_found":
        return (
            f"{flow} is not there for this client: it belongs to another organisation or is not published; "
            "check the flow's id, and that the credentials are of its organisation"
        )
    if looked_up.kind == "forbidden":
        return (
            f"{flow} can be neither simulated nor read: the client has neither flow:debug nor flow:read for it; "
            "give it both scopes, and check that the flow is of its organisation"
        )
    return (
        f"{flow} may not be simulated, and why could not be found out: {looked_up.message or looked_up.kind}; "
        "check that the OAuth client has the scope flow:debug and is of the flow's organisation"
    )


def _simulated(reply: Any) -> dict[str, Any]:
    """The reply, where it is a whole simulation: one that says nothing about the way must not pass for one."""
    if not isinstance(reply, dict):
        raise TypeError("the reply is no simulation: it is no object")
    _refuse_unless_shaped(reply, _SHAPE)
    return reply


def _stopped(reply: Any) -> dict[str, Any]:
    """The body of a 500, where its trace says how far the vendor came. The rest of the result may be missing."""
    if not isinstance(reply, dict) or not reply.get("trace"):
        raise TypeError("the reply has no trace")
    _refuse_unless_shaped(reply, [name for name in _SHAPE if name in reply])
    return reply


def _refuse_unless_shaped(reply: Mapping[str, Any], names: Iterable[str]) -> None:
    wrong = [f"`{name}` {_SHAPE[name][1]}" for name in names if not _SHAPE[name][0](reply.get(name, _MISSING))]
    if wrong:
        raise TypeError(f"the reply is no simulation: {', '.join(wrong)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(isinstance(item, kind) for item in value)


_MISSING = object()  # null is an exit node: that of a call which did not end
_SHAPE: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "path": (_is_list_of(str), "is no list of texts"),
    "variables": (lambda value: isinstance(value, dict), "is no object"),
    "exitNode": (lambda value: value is None or isinstance(value, str), "is neither text nor null"),
    "duration": (_is_number, "is no number"),
    "trace": (_is_list_of(dict), "is no list of objects"),
}
_SIMULATE = Operation("cxone.flow.debug", "POST", Safety.NATURAL, _simulated, results={500: _stopped}, route=_DEBUG)
