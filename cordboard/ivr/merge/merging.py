"""Two edits of one flow, joined: nobody's edit vanishes, or the conflict is shown.

What is merged, and when both sides may touch it:

    the flow, a node, a connection      field by field, objects of the vendor by key, lists as whole values
    connections of a node               each by its condition, whatever its spelling
    their order                         decided by the side that changed it; it counts where two may both hold
    a node that one side removes        goes, unless the other side edited it or a way out of it

The version and what the vendor notes with every save (`canonical.BOOKKEEPING`) are those of the other side, which is
the live one. In all else it makes no difference which side is ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from cordboard.errors import BadCall
from cordboard.ivr.merge.conflict import Conflict, Merged
from cordboard.ivr.merge.parts import (
    Part,
    alike,
    bare,
    head_of,
    node_body,
    node_of,
    parts_of,
    with_head,
    with_stamps,
)
from cordboard.ivr.merge.sequence import woven
from cordboard.ivr.merge.values import ABSENT, Clash, merge_values, plain, same
from cordboard.ivr.merge.ways import Conditions, merge_ways, way_body
from cordboard.ivr.model import Flow, Transition


def merge(base: Flow, ours: Flow, theirs: Flow) -> Merged:
    """Joins two edits of one flow.

    Args:
        base: the flow from which both started.
        ours: our edit of it.
        theirs: the other edit, usually what is live now.

    Returns:
        The flow with both edits, or every conflict.

    Raises:
        BadCall: the flows are of different platforms, or a node id stands twice in one of them.
    """
    if len({flow.platform for flow in (base, ours, theirs)}) > 1:
        raise BadCall("flows of different vendors cannot be merged")
    merger = _Merger(base, ours, theirs)
    head = merger.head()
    parts = merger.parts()
    if merger.conflicts:
        return Merged(None, tuple(merger.conflicts))
    nodes = woven([[node.id for node in flow.nodes] for flow in merger.flows], parts)
    ways = {name: parts[name].ways for name in [*nodes, *parts]}
    flow = replace(
        with_head(head, theirs),
        nodes=tuple(node for name in nodes if (node := parts[name].node)),
        transitions=tuple(_in_order(merger.flows, ways)),
    )
    return Merged(_with_single_ids(flow, ours, theirs))


class _Merger:
    """Merges three flows part by part, and notes the conflicts."""

    def __init__(self, *flows: Flow) -> None:
        self.flows = flows
        self.conflicts: list[Conflict] = []
        self._conditions = Conditions()
        self._parts = [parts_of(flow) for flow in flows]

    def head(self) -> Any:
        """What the flow says beside its nodes."""
        clashes: list[Clash] = []
        merged = merge_values("", map(head_of, self.flows), clashes)
        self._note("", clashes)
        return merged

    def parts(self) -> dict[str, Part]:
        """The parts of the merged flow."""
        names = sorted(set().union(*self._parts))
        found = ((name, self._part(name)) for name in names)
        return {name: part for name, part in found if part is not None}

    def _part(self, name: str) -> Part | None:
        whole = [side.get(name) for side in self._parts]
        if alike(whole[1], whole[0]):
            return whole[2]
        base, ours, theirs = map(bare, whole)
        if alike(ours, base) or alike(ours, theirs):
            return whole[2]
        if not alike(theirs, base):
            if base is None or ours is None or theirs is None:
                ours = self._added_or_gone(name, base, ours, theirs)
            else:
                ours = self._joined(name, base, ours, theirs)
        if ours is None or whole[2] is None:
            return ours and whole[1]
        return with_stamps(ours, whole[2], self._conditions)

    def _added_or_gone(self, name: str, base: Part | None, ours: Part | None, theirs: Part | None) -> Part | None:
        """A part that one of the three does not have; another spelling of its conditions is no edit."""
        shown = [self._shown(side) for side in (base, ours, theirs)]
        if same(shown[0], shown[1]):
            return theirs
        if same(shown[0], shown[2]):
            return ours
        if ours is not None and theirs is not None and same(shown[1], shown[2]):
            return self._joined(name, Part(None), ours, theirs)
        self._note(name, [Clash("", *shown)])
        return None

    def _joined(self, name: str, base: Part, ours: Part, theirs: Part) -> Part:
        """A part that both sides changed."""
        clashes: list[Clash] = []
        bodies = [ABSENT if side.node is None else node_body(side.node) for side in (base, ours, theirs)]
        body = merge_values("", bodies, clashes)
        ways, more = merge_ways([base.ways, ours.ways, theirs.ways], self._conditions)
        self._note(name, [*clashes, *more])
        either = ours.node or theirs.node
        return Part(None if clashes or body is ABSENT or either is None else node_of(body, either), ways)

    def _shown(self, part: Part | None) -> Any:
        if part is None:
            return ABSENT
        ways = [plain(way_body(self._conditions.normal(way), way)) for way in part.ways]
        node = plain(node_body(part.node)) if part.node else {}
        return node | ({"transitions": ways} if ways else {})

    def _note(self, node: str, clashes: Sequence[Clash]) -> None:
        for clash in clashes:
            base, ours, theirs = (plain(value) for value in (clash.base, clash.ours, clash.theirs))
            self.conflicts.append(Conflict(node, clash.path, base, ours, theirs))


def _in_order(flows: Sequence[Flow], ways: Mapping[str, Sequence[Transition]]) -> Iterator[Transition]:
    """The transitions of all nodes; those of different nodes stand among each other as they did."""
    if flows[0].platform == "genesys":  # which keeps them inside their nodes
        yield from chain.from_iterable(ways.values())
        return
    turns = _turns(*([transition.source for transition in flow.transitions] for flow in flows))
    waiting = {source: iter(left) for source, left in ways.items()}
    last = {source: index for index, source in enumerate(turns)}
    for index, source in enumerate(turns):
        if index == last[source]:
            yield from waiting.pop(source, ())
        else:
            yield from islice(waiting.get(source, ()), 1)
    for left in waiting.values():
        yield from left


def _turns(base: list[str], ours: list[str], theirs: list[str]) -> list[str]:
    """Whose turn it is, one after the other, where each side lists the nodes that its transitions leave."""
    if ours in (base, theirs):
        return theirs
    if theirs == base:
        return ours
    sides = [_numbered(sources) for sources in (base, ours, theirs)]
    return [source for source, _ in woven(sides, set().union(*sides))]


def _numbered(sources: list[str]) -> list[tuple[str, int]]:
    """Each with how often it stood before."""
    seen: Counter[str] = Counter()
    numbered = []
    for source in sources:
        numbered.append((source, seen[source]))
        seen[source] += 1
    return numbered


def _with_single_ids(merged: Flow, *sides: Flow) -> Flow:
    """The flow without ids of connections that both sides gave to new ones; such an id is made from the content."""
    counts, *known = (Counter(each.id for each in flow.transitions if each.id) for flow in (merged, *sides))
    twice = {name for name, count in counts.items() if count > max(1, *(side[name] for side in known))}
    if not twice:
        return merged
    return replace(merged, transitions=tuple(replace(t, id="") if t.id in twice else t for t in merged.transitions))
