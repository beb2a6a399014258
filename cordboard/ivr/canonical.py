"""What a call flow means, in one form: two flows that treat every caller alike have the same form and the same hash.

Left out is what no caller meets: the order of nodes, the order of connections of which only one can hold, ids of
connections, places and names of files, spelling of conditions, layout, and what only our own checks read (limits,
suppressions, `existing`, `terminals`: the vendor knows the end of a call by the type of its node).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from cordboard.ivr.conditions import ConditionError, overlap, parse, show
from cordboard.ivr.dialects.fields import by_source, leads_by_default
from cordboard.ivr.dialects.verification import verify
from cordboard.ivr.model import Flow, Node, Transition
from cordboard.jsontext import digest, dump_json

__all__ = ["canonical", "content_hash", "same", "title", "verify", "way", "without_bookkeeping"]

#: Fields of vendors that say where something is drawn.
LAYOUT = frozenset({"x", "y", "position", "layout", "color", "coordinates"})
#: Fields of a whole flow that a vendor keeps for itself and changes without anybody's edit.
BOOKKEEPING = frozenset(
    {"createdAt", "createdBy", "createdDate", "created_at", "dateCreated", "dateModified", "etag", "lastModified"}
    | {"links", "modifiedAt", "modifiedBy", "registeredAt", "revision", "selfUri", "status", "updatedAt", "updatedBy"}
    | {"updatedDate", "updated_at"}
)
#: The part of it that nodes and connections may have as well.
STAMPS = BOOKKEEPING - {"etag", "links", "revision", "selfUri", "status"}
#: What a connection keeps of its condition is another spelling of what it says already.
_RETOLD = LAYOUT | STAMPS | {"condition"}
#: Pairs are compared for ways out of one node up to this number; beyond it their order is kept as it stands.
MAX_COMPARED = 64

_MayBothHold = Callable[[str, str], bool]


def canonical(flow: Flow) -> dict[str, Any]:
    """The meaning of a flow as a JSON object; equal for flows that mean the same."""
    may_both_hold = cache(_may_both_hold)  # menus repeat the same digits
    ways = by_source(flow.transitions)
    return {
        "id": flow.id,
        "platform": flow.platform,
        "name": title(flow),
        "start": flow.start,
        "nodes": sorted((_node(node) for node in flow.nodes), key=dump_json),
        "ways": {source: _ordered(ways[source], may_both_hold) for source in sorted(ways)},
        "extra": _meant(flow.extra, LAYOUT | BOOKKEEPING),
    }


def content_hash(flow: Flow) -> str:
    """SHA-256, in hex, of what a flow means."""
    return digest(canonical(flow))


def same(one: Flow, other: Flow) -> bool:
    """Whether two flows mean the same."""
    return content_hash(one) == content_hash(other)  # to Python, 1 equals true


def title(flow: Flow) -> str:
    """The name under which the vendor knows a flow."""
    return flow.name or (f"IVR Flow {flow.id}" if flow.platform == "cxone" else "")


def way(transition: Transition) -> tuple[str, str]:
    """The condition of a transition in its normal spelling, and its type.

    A condition that cannot be parsed is kept as it is. What a default or a fallback asks is `true`, however it is said.
    """
    condition = transition.condition.strip()
    if transition.type != "conditional" and (leads_by_default(condition) or condition == "true"):
        return "true", transition.type
    try:
        return show(parse(condition)), transition.type
    except ConditionError:
        return condition, transition.type


def without_bookkeeping(flow: Flow) -> Flow:
    """The flow without what the vendor writes into it by itself: an export can be sent back as it is."""

    def own(extra: Mapping[str, Any], theirs: frozenset[str]) -> dict[str, Any]:
        return {name: value for name, value in extra.items() if name not in theirs}

    return replace(
        flow,
        version=None,
        extra=own(flow.extra, BOOKKEEPING),
        nodes=tuple(replace(node, extra=own(node.extra, STAMPS)) if node.extra else node for node in flow.nodes),
        transitions=tuple(
            replace(each, extra=own(each.extra, STAMPS)) if each.extra else each for each in flow.transitions
        ),
    )


def _node(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "type": node.type,
        "name": node.name,
        "prompt": node.prompt,
        "max_visits": node.max_visits,
        **({"set": dict(node.set)} if node.set else {}),
        "extra": _meant(node.extra, LAYOUT | STAMPS),
    }


def _meant(extra: Mapping[str, Any], ignored: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in extra.items() if name not in ignored and not _says_nothing(name, value)}


def _says_nothing(name: str, value: Any) -> bool:
    return value is None or (value == "" and name in {"id", "name", "prompt", "type"})


def _ordered(transitions: Sequence[Transition], may_both_hold: _MayBothHold) -> list[dict[str, Any]]:
    """The ways out of one node, in an order that depends on nothing but their meaning.

    Of those that no earlier one must precede, the one whose text sorts first is next, again and again.
    """
    ways = [_way_out(transition) for transition in transitions]
    if len(ways) > MAX_COMPARED:
        return ways
    later: list[list[int]] = [[] for _ in ways]
    waits = [0] * len(ways)
    for second in range(len(ways)):
        for first in range(second):
            if _order_matters(ways[first], ways[second], may_both_hold):
                later[first].append(second)
                waits[second] += 1
    return [ways[index] for index in _first_come(list(map(dump_json, ways)), later, waits)]


def _first_come(texts: list[str], later: list[list[int]], waits: list[int]) -> list[int]:
    ready = [(text, index) for index, text in enumerate(texts) if not waits[index]]
    heapq.heapify(ready)
    order = []
    while ready:
        _, index = heapq.heappop(ready)
        order.append(index)
        for follower in later[index]:
            waits[follower] -= 1
            if not waits[follower]:
                heapq.heappush(ready, (texts[follower], follower))
    return order


def _way_out(transition: Transition) -> dict[str, Any]:
    condition, kind = way(transition)
    extra = _meant(transition.extra, _RETOLD)
    if extra.get("type") == "conditional":
        del extra["type"]  # the vendor's word for a connection that its condition makes a default one
    return {"to": transition.target, "when": condition, "type": kind, "extra": extra}


def _order_matters(first: Mapping[str, Any], second: Mapping[str, Any], may_both_hold: _MayBothHold) -> bool:
    if first["to"] == second["to"] or first["type"] != second["type"]:
        return False
    return first["type"] != "conditional" or may_both_hold(first["when"], second["when"])


def _may_both_hold(first: str, second: str) -> bool:
    try:
        return overlap(parse(first), parse(second)) is not None
    except ConditionError:
        return True  # nobody can say, so the order counts
