"""Calls that are to take every way: what each can still take, and calls that take much at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from cordboard.ivr.paths.graph import OVER, Graph, Link, Way
from cordboard.ivr.topology.search import groups

#: The transitions that are taken one after the other; of a single one the first is left out.
Item = tuple[int | None, int]
#: A stop, and what was taken before it.
_Here = tuple[int, int]

_MOST_LOOKED_AT = 5_000


@dataclass(frozen=True, slots=True, eq=False)
class Arc:
    """One step of a tour.

    Attributes:
        source: the number of the stop that is left.
        link: the step of the call.
        target: the number of the next stop.
        bit: a bit that stands for what is taken; 0 where it is nothing.
    """

    source: int
    link: Link
    target: int
    bit: int


@dataclass(frozen=True, slots=True, eq=False)
class Tours:
    """All calls, with what they take on each step; stop 0 begins every call.

    Attributes:
        arcs: for each stop how a call goes on.
        items: what there is to take; the bit of number `n` is `1 << n`.
        ahead: for each stop everything that can still be taken.
    """

    arcs: Sequence[Sequence[Arc]]
    items: Sequence[Item]
    ahead: Sequence[int] = field(repr=False)

    def longest(self, left: int) -> tuple[Way, int]:
        """A call that takes much of what is left, and what it takes: always that next which leaves the most ahead."""
        way: list[Link] = []
        stop, taken = 0, 0
        while left & ~taken & self.ahead[stop]:
            for arc in self._next(stop, left & ~taken):
                taken |= arc.bit
                way.append(arc.link)
                stop = arc.target
        return tuple(way), taken

    def shortest(self, wanted: int) -> tuple[Way, int] | None:
        """The call with the fewest inputs that takes all that is wanted, and all that it takes; None if it is far."""
        origin: dict[_Here, tuple[_Here, Arc] | None] = {}
        todo: deque[tuple[_Here, tuple[_Here, Arc] | None]] = deque([((0, 0), None)])
        later: list[tuple[_Here, tuple[_Here, Arc] | None]] = []
        while todo and len(origin) < _MOST_LOOKED_AT:
            here, by = todo.popleft()
            if here not in origin:
                origin[here] = by
                if here[1] == wanted:
                    return _call(origin, here)
                for arc in self.arcs[here[0]]:
                    after = here[1] | arc.bit & wanted
                    if not wanted & ~after & ~self.ahead[arc.target]:
                        (later if arc.link.cost else todo).append(((arc.target, after), (here, arc)))
            if not todo:
                todo, later = deque(later), []
        return None

    def _next(self, start: int, left: int) -> list[Arc]:
        """The arcs to the next thing that is taken."""
        origin: dict[int, Arc | None] = {start: None}
        todo, most = deque([start]), (self.ahead[start] & left).bit_count() - 1
        best: Arc | None = None
        kept = -1
        while todo and kept < most:
            for arc in self.arcs[todo.popleft()]:
                if arc.bit & left:
                    rest = (self.ahead[arc.target] & left & ~arc.bit).bit_count()
                    if rest > kept:
                        best, kept = arc, rest
                if arc.target not in origin and self.ahead[arc.target] & left:
                    origin[arc.target] = arc
                    todo.append(arc.target)
        return list(reversed(list(_back(origin, best))))


def _back(origin: dict[int, Arc | None], arc: Arc | None) -> Iterator[Arc]:
    while arc is not None:
        yield arc
        arc = origin[arc.source]


def _call(origin: Mapping[_Here, tuple[_Here, Arc] | None], here: _Here) -> tuple[Way, int]:
    way: list[Link] = []
    taken = 0
    while (before := origin[here]) is not None:
        here, arc = before
        way.append(arc.link)
        taken |= arc.bit
    return tuple(reversed(way)), taken


def tours_of(graph: Graph, pairs: bool = False) -> Tours:
    """All calls of a graph, with what they take.

    Args:
        graph: all calls.
        pairs: whether two transitions one after the other are what is taken.
    """
    numbers: dict[tuple[int, int | None], int] = {(0, None): 0}
    items: dict[Item, int] = {}
    arcs: list[list[Arc]] = []
    stops = list(numbers)
    for stop, (state, before) in enumerate(stops):  # grows while it is gone through
        found = []
        for link in graph.links[state]:
            edge = link.move.edge
            if link.target == OVER or edge is None:
                continue
            key = link.target, edge if pairs else None
            if key not in numbers:
                numbers[key] = len(stops)
                stops.append(key)
            item = (before if pairs else None, edge)
            bit = 0 if pairs and before is None else 1 << items.setdefault(item, len(items))
            found.append(Arc(stop, link, numbers[key], bit))
        arcs.append(found)
    return Tours(arcs, list(items), _ahead(arcs))


def _ahead(arcs: Sequence[Sequence[Arc]]) -> list[int]:
    ahead = [0] * len(arcs)
    targets = [[arc.target for arc in found] for found in arcs]
    for group in groups(range(len(arcs)), targets.__getitem__, len(arcs)):
        together = 0
        for stop in group:
            for arc in arcs[stop]:
                together |= arc.bit | ahead[arc.target]
        for stop in group:
            ahead[stop] = together
    return ahead
