"""A flow taken apart for merging: each node with its ways out, without what the vendor keeps for itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, TypeVar

from cordboard.errors import BadCall
from cordboard.ivr.canonical import BOOKKEEPING, STAMPS
from cordboard.ivr.dialects.fields import NODE_FIELDS, by_source, split, stated
from cordboard.ivr.merge.values import EXTRA, same
from cordboard.ivr.merge.ways import Conditions, Ways, same_extra, ways_alike
from cordboard.ivr.model import Flow, Limits, Node, Suppression, Transition

#: Of a flow: what its vendor counts up or notes with every save.
_KEPT_BY_VENDOR = BOOKKEEPING | {"version"}
Piece = TypeVar("Piece", Node, Transition)
_HEAD = ("id", "name", "start", "existing")


@dataclass(frozen=True, slots=True)
class Part:
    """A node and its ways out; the node is None where only ways out of it stand in the flow."""

    node: Node | None
    ways: Ways = ()


def parts_of(flow: Flow) -> dict[str, Part]:
    """The parts of a flow by node id.

    Raises:
        BadCall: an id stands twice.
    """
    twice = [name for name, count in Counter(node.id for node in flow.nodes).items() if count > 1]
    if twice:
        raise BadCall(
            f"the node {twice[0]!r} stands twice in the flow {flow.id}: nobody can say which one an edit meant"
        )
    left = by_source(flow.transitions)
    found = {node.id: Part(node, tuple(left.pop(node.id, ()))) for node in flow.nodes}
    return found | {source: Part(None, tuple(others)) for source, others in left.items()}


def bare(part: Part | None) -> Part | None:
    """A part without the vendor's stamps; the same object where there are none."""
    if part is None or ((part.node is None or _clean(part.node)) and all(map(_clean, part.ways))):
        return part
    return Part(part.node and _without(part.node, STAMPS), tuple(_without(each, STAMPS) for each in part.ways))


def with_stamps(part: Part, live: Part, conditions: Conditions) -> Part:
    """A part without stamps, with those that it has in the live flow."""
    if bare(live) is live:
        return part
    node = part.node
    if node is not None and live.node is not None:
        node = _with(node, _stamps(live.node))
    stamps = {key: _stamps(it) for key, it in zip(conditions.keys(live.ways), live.ways, strict=True)}
    keys = conditions.keys(part.ways)
    return Part(node, tuple(_with(it, stamps.get(key, {})) for key, it in zip(keys, part.ways, strict=True)))


def alike(one: Part | None, other: Part | None) -> bool:
    """Whether two parts are the same edit; 1 is not true."""
    if one is None or other is None:
        return one is other
    return _same_node(one.node, other.node) and ways_alike(one.ways, other.ways)


def _same_node(one: Node | None, other: Node | None) -> bool:
    if one is None or other is None:
        return one is other
    return one is other or (one == other and same_extra(one, other) and same(dict(one.set), dict(other.set)))


def node_body(node: Node) -> dict[str, Any]:
    """What a node says, without its ways out; a field is one field, whether we can read its value or not."""
    return {**node.extra, **stated(node, NODE_FIELDS)}


def node_of(body: Mapping[str, Any], either: Node) -> Node:
    """The opposite of `node_body`; what a body does not say is taken from no node."""
    fields, extra = split(body, NODE_FIELDS)
    return Node(either.id, **fields, extra=extra, stated=either.stated, place=either.place)


def head_of(flow: Flow) -> dict[str, Any]:
    """What a flow says, beside its nodes and transitions and what the vendor keeps for itself."""
    return {
        **{name: getattr(flow, name) for name in _HEAD},
        "terminals": list(flow.terminals),
        "limits": asdict(flow.limits),
        "suppress": [_suppression(each) for each in flow.suppressions],
        EXTRA: {name: value for name, value in flow.extra.items() if name not in _KEPT_BY_VENDOR},
    }


def with_head(body: Mapping[str, Any], live: Flow) -> Flow:
    """A flow with this head, and what the vendor keeps for itself as it is in the live one."""
    stamps = {name: value for name, value in live.extra.items() if name in _KEPT_BY_VENDOR}
    return replace(
        live,
        **{name: body[name] for name in _HEAD},
        terminals=tuple(body["terminals"]),
        limits=Limits(**body["limits"]),
        suppressions=tuple(
            Suppression(it["rule"], it["reason"], date.fromisoformat(it["until"]), it["node"])
            for it in body["suppress"]
        ),
        extra=body[EXTRA] | stamps,
        file="",
    )


def _suppression(each: Suppression) -> dict[str, str]:
    return {"rule": each.rule, "node": each.node, "reason": each.reason, "until": each.until.isoformat()}


def _clean(piece: Node | Transition) -> bool:
    return not piece.extra or STAMPS.isdisjoint(piece.extra)


def _stamps(piece: Node | Transition) -> dict[str, Any]:
    return {name: value for name, value in piece.extra.items() if name in STAMPS}


def _without(piece: Piece, names: Set[str]) -> Piece:
    return replace(piece, extra={name: value for name, value in piece.extra.items() if name not in names})


def _with(piece: Piece, fields: Mapping[str, Any]) -> Piece:
    return replace(piece, extra={**piece.extra, **fields}) if fields else piece
