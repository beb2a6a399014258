"""The engine with which the sandbox simulates calls: the project's own, speaking as the vendor does."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from cordboard.errors import InvalidDocument
from cordboard.findings import Finding
from cordboard.ivr.dialects.cxone import from_cxone
from cordboard.ivr.model import Flow
from cordboard.ivr.trace import Input, Loop, compile_flow, digits, simulate, speech

_PLACE = re.compile(r"(connections|nodes)\[(\d+)\]")


class LocalEngine:
    """Walks through a stored flow on virtual time.

    A flow that does not compile is not walked through at all, whatever the caller does: the trace is the shortest way
    from the start to the failing node, at time 0. A call that goes round for ever does so as often as `maxLoops` says,
    because all that the vendor shows of a loop is a path that repeats itself.
    """

    def run(self, flow: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        """The vendor's reply; see `DebugEngine`."""
        try:
            read = from_cxone(flow)
        except (TypeError, ValueError) as error:
            return _failed([""], {}, str(error))
        try:
            program = compile_flow(read)
        except InvalidDocument as error:
            return _stopped(read, error.findings[0])
        inputs, rounds = tuple(_inputs(request["input"])), request["options"]["maxLoops"]
        trace = simulate(program, inputs, request["variables"], max_loops=rounds)
        reply = trace.as_json()
        if trace.exit is None:
            reply["trace"][-1] = _without(reply["trace"][-1], "status", "exception")  # those stand for a broken flow
        return _repeated(reply, trace.loops[0], rounds) if trace.loops else reply


def _inputs(given: dict[str, str]) -> Iterator[Input]:
    if given["dtmf"]:
        yield digits(given["dtmf"])
    if given["speech"]:
        yield speech(given["speech"])


def _repeated(reply: dict[str, Any], loop: Loop, rounds: int) -> dict[str, Any]:
    """The reply with the loop at its end gone through so many times; it holds one round, and the first node again."""
    *before, again = reply["trace"]
    head = before[loop.start]
    variables = {"variables": again["variables"]} if "variables" in again else {}
    steps = [{**_without(head, "variables"), **variables}, *before[loop.start + 1 :]]
    length = again["timestamp"] - head["timestamp"]
    more = [{**step, "timestamp": step["timestamp"] + length * number} for number in range(1, rounds) for step in steps]
    return {
        **reply,
        "path": [*reply["path"][: loop.start], *loop.nodes * rounds],
        "duration": head["timestamp"] + length * rounds,
        "trace": [*before, *more],
    }


def _without(entry: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in names}


def _stopped(flow: Flow, finding: Finding) -> dict[str, Any]:
    """The reply for a flow that does not compile: a trace up to the node that the finding is about."""
    way = _way_to(_failing_node(flow, finding.path), flow)
    return _failed(way, {node.id: node.type for node in flow.nodes}, finding.message)


def _failed(way: list[str], types: Mapping[str, str], message: str) -> dict[str, Any]:
    trace: list[dict[str, Any]] = [{"nodeId": node, "type": types.get(node, ""), "timestamp": 0} for node in way]
    trace[-1] |= {"status": "Error", "exception": message}
    return {"path": [node for node in way if node], "variables": {}, "exitNode": None, "duration": 0, "trace": trace}


def _failing_node(flow: Flow, path: str) -> str:
    place = _PLACE.match(path)
    if place is None:
        return flow.start
    index = int(place[2])
    return flow.transitions[index].source if place[1] == "connections" else flow.nodes[index].id


def _way_to(node: str, flow: Flow) -> list[str]:
    """The shortest way from the start, ends included; the node alone where there is none."""
    before: dict[str, str] = {flow.start: ""}
    queue = deque([flow.start])
    while queue and node not in before:
        here = queue.popleft()
        for transition in flow.transitions:
            if transition.source == here and transition.target not in before:
                before[transition.target] = here
                queue.append(transition.target)
    way = [node]
    while before.get(way[-1]):
        way.append(before[way[-1]])
    return way[::-1]
