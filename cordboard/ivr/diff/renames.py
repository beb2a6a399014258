"""Nodes that are the same as before under another id, so that a rename is one change and no storm of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from cordboard.ivr.model import Flow
from cordboard.jsontext import dump_json

#: Renamed nodes that are known through nothing but renamed neighbours are found step by step, so far and no farther.
_STEPS = 10


@dataclass(slots=True)
class _Side:
    """One version of a flow, by node.

    Attributes:
        start: id of the first node.
        nodes: the canonical forms of the nodes, by id.
        ways: for each id the ways that touch it: `>` or `<`, the id at the other end, and the rest as JSON text.
        known: what to call a renamed node on both sides, as far as it has been found.
    """

    start: str
    nodes: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    ways: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    known: dict[str, str] = field(default_factory=dict)


def find_renames(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """New ids by old ones, between two canonical forms.

    A node counts as renamed where exactly one that is gone and one that is new are alike: in content and all ways, or,
    where they have a name or a prompt, in content alone. What else changed about them is then said of the new id.
    """
    old, new = _side(before), _side(after)
    gone, added = _singles(old, new), _singles(new, old)
    found: dict[str, str] = {}
    for _ in range(_STEPS):
        pairs = _alike(gone, added, partial(_around, unknown=gone.keys() | added.keys()))
        if not pairs:
            break
        _note(pairs, found, old, new)
        gone, added = ({i: s for i, s in part.items() if i not in s.known} for part in (gone, added))
    _note(_alike(gone, added, _speaking), found, old, new)
    return found


def renamed(flow: Flow, renames: Mapping[str, str]) -> Flow:
    """The flow with other ids of nodes."""
    return replace(
        flow,
        start=renames.get(flow.start, flow.start),
        nodes=tuple(replace(node, id=renames.get(node.id, node.id)) for node in flow.nodes),
        transitions=tuple(
            replace(way, source=renames.get(way.source, way.source), target=renames.get(way.target, way.target))
            for way in flow.transitions
        ),
        terminals=tuple(renames.get(node, node) for node in flow.terminals),
    )


def _side(form: Mapping[str, Any]) -> _Side:
    side = _Side(form["start"])
    for node in form["nodes"]:
        side.nodes.setdefault(node["id"], []).append(node)
    for source, ways in form["ways"].items():
        for way in ways:
            rest = dump_json([way["when"], way["type"], way["extra"]])
            side.ways.setdefault(source, []).append((">", way["to"], rest))
            side.ways.setdefault(way["to"], []).append(("<", source, rest))
    return side


def _singles(here: _Side, there: _Side) -> dict[str, _Side]:
    """Ids that stand once on this side and nowhere on the other, each with its side."""
    return {
        name: here
        for name, nodes in here.nodes.items()
        if len(nodes) == 1 and name not in there.nodes and name not in there.ways
    }


def _alike(
    gone: Mapping[str, _Side], added: Mapping[str, _Side], signature: Callable[[str, _Side], str]
) -> list[tuple[str, str]]:
    """Pairs of nodes that have the same signature, which no other node on their side has."""
    old, new = _by_signature(gone, signature), _by_signature(added, signature)
    return [(names[0], new[sign][0]) for sign, names in old.items() if len(names) == 1 == len(new.get(sign, ()))]


def _by_signature(nodes: Mapping[str, _Side], signature: Callable[[str, _Side], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, side in nodes.items():
        if sign := signature(name, side):
            found.setdefault(sign, []).append(name)
    return found


def _around(node: str, side: _Side, *, unknown: Set[str]) -> str:
    """Content and all ways of a node; neighbours of which nobody knows yet who they are have no name in it."""
    ways = [
        (arrow, "" if end in unknown else "=" + side.known.get(end, end), rest)
        for arrow, end, rest in side.ways.get(node, ())
    ]
    return dump_json([_content(node, side), node == side.start, sorted(ways)])


def _speaking(node: str, side: _Side) -> str:
    content = _content(node, side)
    return dump_json(content) if content["name"] or content["prompt"] else ""


def _content(node: str, side: _Side) -> dict[str, Any]:
    return {name: value for name, value in side.nodes[node][0].items() if name != "id"}


def _note(pairs: Iterable[tuple[str, str]], found: dict[str, str], old: _Side, new: _Side) -> None:
    for before, after in pairs:
        found[before] = after
        old.known[before] = new.known[after] = after
