"""Two versions of a call flow, compared in canonical form: what no caller meets is no difference.

What is compared is exactly what `cordboard.ivr.canonical` keeps, so there is a difference if and only if the hashes
differ. `terminals`, `limits`, `existing` and suppressions are not part of it; a node that comes to end a call has
another type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cordboard.ivr.canonical import canonical, title
from cordboard.ivr.diff.difference import Difference, Kind
from cordboard.ivr.diff.fields import extra_changed, node_added, node_changed, node_gone
from cordboard.ivr.diff.matching import Way, Ways
from cordboard.ivr.diff.renames import find_renames, renamed
from cordboard.ivr.diff.ways import Ends
from cordboard.ivr.diff.wording import Names, quoted, visible
from cordboard.ivr.model import Flow
from cordboard.jsontext import dump_json

_Form = Mapping[str, Any]


def differences(before: Flow | None, after: Flow) -> tuple[Difference, ...]:
    """What changed, in the order in which the newer flow lists its nodes; time is linear in the size of the flows.

    Args:
        before: the older flow, such as the live one; None where there is none yet.
        after: the newer flow.

    Returns:
        The changes; empty if and only if both flows mean the same.
    """
    if before is None:
        return (_registered(after),)
    old, new = canonical(before), canonical(after)
    if dump_json(old) == dump_json(new):
        return ()
    renames = find_renames(old, new)
    moved = renamed(before, renames) if renames else before
    if renames:
        old = canonical(moved)
    return tuple(_all(old, new, renames, moved, after))


def _registered(flow: Flow) -> Difference:
    counts = _count(len(flow.nodes), "node"), _count(len(flow.transitions), "connection")
    sentence = f"registers {visible(title(flow) or flow.id)}: {', '.join(counts)}"
    return Difference(Kind.FLOW_ADDED, "", sentence, None, canonical(flow))


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _all(old: _Form, new: _Form, renames: Mapping[str, str], before: Flow, after: Flow) -> Iterator[Difference]:
    was, now = Names.of(before), Names.of(after)
    yield from _flow_changed(old, new, was, now)
    for name, other in renames.items():
        called = f" ({now.short(other)})" if other in now.names else ""
        sentence = f"{visible(name)} now has the id {visible(other)}{called}"
        yield Difference(Kind.NODE_RENAMED, other, sentence, {"id": name}, {"id": other})
    old_nodes, new_nodes = _by_id(old), _by_id(new)
    old_ways, new_ways = _ways(old), _ways(new)
    for node in dict.fromkeys((*(n.id for n in after.nodes), *new_ways, *old_nodes, *old_ways)):
        mine, theirs = old_nodes.get(node, []), new_nodes.get(node, [])
        ends = Ends(node, old_ways.get(node, ()), new_ways.get(node, ()), was, now)
        yield from _node_differences(mine, theirs, ends)
        took_ways_along = mine and not theirs and not ends.after
        if ends.before != ends.after and not took_ways_along:
            yield from ends.tell()


def _flow_changed(old: _Form, new: _Form, was: Names, now: Names) -> Iterator[Difference]:
    for name, called in (("id", "the id of the flow"), ("platform", "the platform")):
        if old[name] != new[name]:
            sentence = f"{called} is now {visible(new[name])}, it was {visible(old[name])}"
            yield Difference(Kind.FLOW, "", sentence, {name: old[name]}, {name: new[name]})
    if old["name"] != new["name"]:
        sentence = f"the flow is now called {quoted(new['name'])}, it was called {quoted(old['name'])}"
        yield Difference(Kind.FLOW, "", sentence, {"name": old["name"]}, {"name": new["name"]})
    if old["start"] != new["start"]:
        sentence = f"a call now begins at {now.full(new['start'])}, it began at {was.full(old['start'])}"
        yield Difference(Kind.START, new["start"], sentence, {"start": old["start"]}, {"start": new["start"]})
    for sentence, before, after in extra_changed(old["extra"], new["extra"]):
        yield Difference(Kind.FLOW, "", f"the flow: {sentence}", before, after)


def _node_differences(old: list[_Form], new: list[_Form], ends: Ends) -> Iterator[Difference]:
    if dump_json(old) == dump_json(new):
        return
    if not old and len(new) == 1:
        yield node_added(new[0], ends.new)
    elif not new and len(old) == 1:
        yield node_gone(old[0], ends.before, ends.old)
    elif len(old) == 1 == len(new):
        yield from node_changed(old[0], new[0], ends.new)
    else:
        before = "and not as before" if len(old) == len(new) else f"it was {_times(len(old))}"
        sentence = f"{visible(ends.node)} is stated {_times(len(new))}, {before}"
        yield Difference(Kind.NODE, ends.node, sentence, [dict(part) for part in old], [dict(part) for part in new])


def _times(count: int) -> str:
    return {0: "nowhere", 1: "once", 2: "twice"}.get(count, f"{count} times")


def _by_id(form: _Form) -> dict[str, list[_Form]]:
    found: dict[str, list[_Form]] = {}
    for node in form["nodes"]:
        found.setdefault(node["id"], []).append(node)
    return found


def _ways(form: _Form) -> dict[str, Ways]:
    return {source: tuple(map(Way.of, ways)) for source, ways in form["ways"].items()}
