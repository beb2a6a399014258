"""The patch that makes one flow of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cordboard.errors import BadCall
from cordboard.ivr.canonical import without_bookkeeping
from cordboard.ivr.merge.applying import WAYS, changed, new_node, normal, vendor_form
from cordboard.ivr.merge.patch import NodeChange, Patch, WayChange
from cordboard.ivr.merge.values import same
from cordboard.ivr.model import Flow

#: What of a flow a patch says in words of its own.
_SAID = frozenset({"nodes", "startNodeId"})


def make_patch(old: Flow, new: Flow, *, base_version: int, reason: str = "") -> Patch:
    """The patch that makes `new` of `old`, as small as it can be read.

    Args:
        old: the flow from which the author started.
        new: the flow as it is meant to be.
        base_version: the vendor's version number of `old`.
        reason: why, for the audit.

    Raises:
        BadCall: a flow is none of Genesys, or they differ in what no patch changes, such as their names.
    """
    before, after = (vendor_form(without_bookkeeping(flow)) for flow in (old, new))
    _refuse_others(before, after)
    changes: dict[str, NodeChange | None] = {}
    whole: dict[str, Mapping[str, Any]] = {}
    for name, body in after["nodes"].items():
        was = before["nodes"].get(name)
        if was is None or not same(was, body):
            change = _change(was or new_node(name), body, is_new=was is None)
            if change is None:
                whole[name] = body
            else:
                changes[name] = change
    changes |= {name: None for name in before["nodes"] if name not in after["nodes"]}
    start = "" if old.start == new.start else new.start
    if start and start not in after["nodes"]:
        raise BadCall(f"calls cannot begin at {start!r}: the flow has no such node")
    return Patch(new.id, base_version, reason, start, changes, whole)


def _refuse_others(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    names = sorted((before.keys() | after.keys()) - _SAID)
    other = [name for name in names if not same(before.get(name), after.get(name))]
    if other:
        raise BadCall(f"a patch changes nodes and the start, and the flows differ in: {', '.join(other)}")
    if "startNodeId" in before and "startNodeId" not in after:
        raise BadCall("a patch can move the start of a flow, and not take it away")


def _change(was: Mapping[str, Any], now: Mapping[str, Any], *, is_new: bool) -> NodeChange | None:
    """The change of one node; None where only the whole node can say it, such as a field that is null."""
    fields = _merge_patch(_without_ways(was), _without_ways(now))
    if "id" in fields or (is_new and fields.get("type") is None):
        return None
    listed = tuple(now[WAYS])
    candidates = [NodeChange(fields, all_ways=listed)]
    if same(was[WAYS], now[WAYS]):
        candidates = [NodeChange(fields)]
    elif was[WAYS] and len(single := _single_ways(was[WAYS], now[WAYS])) <= len(listed):
        candidates.insert(0, NodeChange(fields, tuple(single)))
    return next((change for change in candidates if same(changed(was, change), now)), None)


def _without_ways(node: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name != WAYS}


def _merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        was = old.get(name)
        if isinstance(was, dict) and isinstance(value, dict) and not same(was, value):
            made[name] = _merge_patch(was, value)
        elif name not in old or not same(was, value):
            made[name] = value
    return made


def _single_ways(was: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[WayChange]:
    """Changes of single ways; whether they make the one of the other, the caller looks."""
    old = {normal(body["condition"]): body for body in was}
    new = {normal(body["condition"]): body for body in now}
    made = [WayChange(body["condition"], removed=True) for key, body in old.items() if key not in new]
    last_old = max((place for place, key in enumerate(new) if key in old), default=-1)
    behind = ""
    for place, (key, body) in enumerate(new.items()):
        target = body["destinationNodeId"]
        if key not in old:
            made.append(_added(body["condition"], target, behind, at_end=place > last_old))
        elif old[key]["destinationNodeId"] != target:
            made.append(WayChange(body["condition"], target))
        behind = body["condition"]
    return made


def _added(condition: str, target: str, behind: str, *, at_end: bool) -> WayChange:
    if at_end:
        return WayChange(condition, target)
    return (
        WayChange(condition, target, where="after", other=behind)
        if behind
        else WayChange(condition, target, where="first")
    )
