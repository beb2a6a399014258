"""The vendor's reply to a simulation, in our form.

Whatever is missing or odd in it is left out, never guessed; a reply that says two things of one call is a fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from cordboard.ivr.conditions import CallerInput, reads
from cordboard.ivr.conditions.keypad import can_be_pressed
from cordboard.ivr.conditions.tree import BUILT_IN_NAMES
from cordboard.ivr.topology.fault import quoted
from cordboard.ivr.trace.counting import UNBOUNDED
from cordboard.ivr.trace.ending import End, completed, going_round, hung_up, visible
from cordboard.ivr.trace.inputs import Input, heard
from cordboard.ivr.trace.loops import Loop, loops_in
from cordboard.ivr.trace.program import Branch, Program, Station
from cordboard.ivr.trace.states import Variables
from cordboard.ivr.trace.trace import Entry, Told, Trace

_FAILED = frozenset({"error", "failed", "exception"})
_GONE = frozenset({"disconnected", "hungup", "abandoned"})
#: How a last step is done with; the vendor's own example says `Completed`.
_DONE = frozenset({"", "completed", "complete", "success", "successful", "succeeded", "ok", "exited"})
_NOTHING = frozenset({"", "no_input", "no_match"})


def from_vendor(
    reply: Any,
    program: Program | None = None,
    inputs: Sequence[Input] = (),
    variables: Mapping[str, Any] | None = None,
    *,
    failed: bool = False,
) -> Trace:
    """What the vendor says happened in a call.

    Args:
        reply: the body of the reply, of a 200, or of a 500 with what happened up to the failure.
        program: the call flow, where it is known: then transitions are counted, and retries told from loops.
        inputs: what the caller was to do; rounds in which the caller does something new are no loop.
        variables: what was known when the call began; of ways that others decide nobody says which was taken.
        failed: whether the reply was a 500; the last step is where it failed, unless another one says so.
    """
    body = reply if isinstance(reply, Mapping) else {}
    entries = tuple(_entries(body))
    path = tuple(name for name in _list(body.get("path")) if isinstance(name, str)) or tuple(
        entry.node for entry in entries
    )
    fault = _fault(entries, path, failed) or _contradiction(body, path, entries) or _odd_status(entries)
    exit_node = _exit(body, path, program) if fault is None else None
    loops = _loops(path, entries, program, inputs) if exit_node is None and fault is None else ()
    return Trace(
        path=path,
        variables=_variables(body, entries),
        end=fault or _end(entries, path, exit_node, loops),
        inputs_used=sum(1 for entry in entries if entry.input not in _SILENT),
        record=Told(
            steps=entries,
            edges=() if program is None else tuple(_edges(program, path, entries, variables or {})),
            loops=loops,
            duration_ms=_milliseconds(body.get("duration")),
        ),
    )


_SILENT = frozenset({None, "", "no_input"})


def _entries(body: Mapping[str, Any]) -> Iterator[Entry]:
    known: Mapping[str, Any] = {}
    for value in _list(body.get("trace")):
        if not isinstance(value, Mapping) or not isinstance(value.get("nodeId"), str):
            continue
        stated = value.get("variables")
        before, known = known, {**known, **stated} if isinstance(stated, Mapping) else known
        yield Entry(
            node=value["nodeId"],
            type=_text(value.get("type")),
            timestamp_ms=_milliseconds(value.get("timestamp")),
            input=value["input"] if isinstance(value.get("input"), str) else None,
            target=value["target"] if isinstance(value.get("target"), str) else None,
            before=before,
            after=known,
            status=_stated(value.get("status")),
            exception=_exception(value.get("exception")),
        )


def _exception(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("message") or ", ".join(f"{name}: {item}" for name, item in value.items())
    return _stated(value)


def _stated(value: Any) -> str:
    """What is stated, as text; null and false state nothing."""
    return "" if value is None or value is False else str(value)


def _fault(entries: Sequence[Entry], path: Sequence[str], failed: bool) -> End | None:
    """How a call ended with which the vendor could not go on."""
    for entry in entries:
        if entry.exception or entry.status.lower() in _FAILED:
            reason = visible(entry.exception) or f"the vendor could not go on at {quoted(entry.node)}"
            return End("error", entry.node, reason)
    if not failed and path:
        return None
    node = path[-1] if path else ""
    what = f"the vendor could not go on at {quoted(node)}" if node else "the vendor's reply says nothing about the call"
    return End("error", node, what)


def _contradiction(body: Mapping[str, Any], path: Sequence[str], entries: Sequence[Entry]) -> End | None:
    """Why a reply that passes for a call cannot be believed; nobody knows which of its parts is right."""
    reason = next(_contradictions(body, path, entries), None)
    return None if reason is None else End("error", path[-1], f"the reply contradicts itself: {reason}")


def _contradictions(body: Mapping[str, Any], path: Sequence[str], entries: Sequence[Entry]) -> Iterator[str]:
    status, error, stated = _stated(body.get("status")), _exception(body.get("error")), body.get("exitNode")
    if error:
        yield f"it is a simulated call, and has the error `{visible(error)}`"
    if status.lower() in _FAILED:
        yield f"it is a simulated call, and has the status `{visible(status)}`"
    if isinstance(stated, str) and stated and stated != path[-1]:
        yield f"its exit is {quoted(stated)}, and its path ends at {quoted(path[-1])}"
    for step, (name, entry) in enumerate(zip(path, entries, strict=False), 1):
        if name != entry.node:
            yield f"step {step} is {quoted(name)} in its path, and {quoted(entry.node)} in its trace"
    if entries and len(entries) != len(path):
        yield f"its path has {len(path)} steps, and its trace {len(entries)}"


def _odd_status(entries: Sequence[Entry]) -> End | None:
    """A call is only taken for one that went well if the vendor says so in words that are known."""
    status = entries[-1].status if entries else ""
    if status.lower() in _DONE | _GONE:
        return None
    node = entries[-1].node
    return End("error", node, f"the vendor ends the call at {quoted(node)} with the status `{visible(status)}`")


def _exit(body: Mapping[str, Any], path: Sequence[str], program: Program | None) -> str | None:
    if "exitNode" in body:
        return _text(body["exitNode"]) or None
    station = None if program is None else _station(program, path[-1])
    return path[-1] if station is not None and station.ends else None


def _end(entries: Sequence[Entry], path: Sequence[str], exit_node: str | None, loops: Sequence[Loop]) -> End:
    if entries and entries[-1].status.lower() in _GONE:
        return hung_up(path[-1])
    if exit_node is not None:
        return completed(exit_node)
    if loops:
        return going_round(loops[0], silent=False)
    return End("no_way_out", path[-1], f"the vendor's trace stops at {quoted(path[-1])}, without an end of the call")


def _loops(
    path: Sequence[str], entries: Sequence[Entry], program: Program | None, inputs: Sequence[Input]
) -> tuple[Loop, ...]:
    """The loop with which a trace ends; a menu that has not yet been tried as often as it may be is none."""
    told = len(entries) == len(path) and all(entry.node == name for entry, name in zip(entries, path, strict=True))
    found = loops_in(path, list(_states(entries, inputs)) if told else None)
    return tuple(loop for loop in found if program is None or loop.times > _tries(program, loop))


def _tries(program: Program, loop: Loop) -> int:
    stations = (_station(program, name) for name in loop.nodes)
    most = (station.counter.most for station in stations if station is not None and station.counter is not None)
    return max((tries for tries in most if tries < UNBOUNDED), default=0)


def _states(entries: Sequence[Entry], inputs: Sequence[Input]) -> Iterator[Hashable]:
    """What is known about each step; as long as the caller has something left to do, no two steps are alike."""
    left = sum(len(given.text) if given.kind == "digits" else 1 for given in inputs)
    for entry in entries:
        yield entry.node, entry.input, Variables(entry.after).key, left
        if left and entry.input is not None and entry.input not in _NOTHING:
            left -= 1


def _edges(program: Program, path: Sequence[str], entries: Sequence[Entry], begun: Mapping[str, Any]) -> Iterator[int]:
    """The numbers of the transitions that were taken; of several between two nodes the one that fits, if that is known.

    A node that asked, and of which the trace does not say what it heard, could have taken any of them. So could one
    whose conditions read a variable of which nothing is said.
    """
    visits: Counter[str] = Counter()
    for number, (name, following) in enumerate(pairwise(path)):
        visits[name] += 1
        station, target = _station(program, name), program.index.get(following)
        if station is None:
            continue
        ways = [branch for branch in station.branches if branch.target == target]
        entry = entries[number] if len(ways) > 1 and len(entries) == len(path) else None
        taken = ways[0] if len(ways) == 1 else None if entry is None else _fitting(station, entry, visits[name], begun)
        if taken is not None and taken in ways:
            yield taken.edge


def _fitting(station: Station, entry: Entry, visits: int, begun: Mapping[str, Any]) -> Branch | None:
    if station.gives_up_at(visits):
        return station.gives_up
    if station.asks and not entry.input:
        return None
    known = {**begun, **entry.after}
    needed = frozenset[str]().union(*(reads(branch.condition) for branch in station.branches))
    if needed - BUILT_IN_NAMES - known.keys():
        return None
    return station.way(_key(entry.input), visits, known)


def _key(given: str | None) -> str:
    if given is None or given in _NOTHING:
        return given or ""
    return heard(CallerInput(dtmf=given) if can_be_pressed(given) else CallerInput(speech=given))


def _station(program: Program, name: str) -> Station | None:
    number = program.index.get(name)
    return None if number is None else program.stations[number]


def _variables(body: Mapping[str, Any], entries: Sequence[Entry]) -> Mapping[str, Any]:
    stated = body.get("variables")
    if isinstance(stated, Mapping):
        return dict(stated)
    return dict(entries[-1].after) if entries else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _milliseconds(value: Any) -> int:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return round(value) if number and 0 <= value < 2**53 else 0
