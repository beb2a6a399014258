"""So many calls are needed at least, whatever anybody tries.

A suite of `n` calls is a stream of `n` units through the flow: it begins at the start, runs through each transition at
least once, and may stop anywhere. A node that gives up after three visits lets no more than `3 n` units through by its
other ways. The smallest `n` for which there is such a stream is a bound: real calls can do less than a stream, in which
no condition decides and loops may even stand alone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from cordboard.ivr.paths.tours import Item
from cordboard.ivr.trace import Program

_Pipe = tuple[Hashable, Hashable, int, int | None]
_SOURCE, _SINK, _ALL, _NOTHING = "source", "sink", "all", "nothing"


@dataclass(frozen=True, slots=True)
class Passage:
    """What a call can take, as part of the stream.

    Attributes:
        source: what it leaves.
        target: where it leads.
        needed: whether a call has to take it.
        narrow: the node and its number of visits, where only so many units of each call get through it.
    """

    source: Hashable
    target: Hashable
    needed: bool
    narrow: tuple[int, int] | None = None


class Passages:
    """Makes parts of the stream out of what calls can take."""

    def __init__(self, program: Program) -> None:
        self._ways = {way.edge: (number, way) for number, it in enumerate(program.stations) for way in it.branches}
        self._stations = program.stations

    def of(self, item: Item, needed: bool) -> Passage:
        """A transition leads from node to node; two of them lead from the first to the second."""
        before, edge = item
        number, branch = self._ways[edge]
        station = self._stations[number]
        narrow = None if station.node.max_visits is None or station.gives_up is branch else (number, station.limit)
        if before is None:
            return Passage(number, branch.target, needed, narrow)
        return Passage(("edge", before), ("edge", edge), needed, narrow)


def fewest_calls(start: Hashable, passages: list[Passage], most: int) -> int:
    """The smallest number of calls for which there is such a stream.

    Args:
        start: where calls begin.
        passages: the transitions.
        most: how many calls are known to be enough.
    """
    if not any(passage.needed for passage in passages):
        return 0
    low = max(1, *_visits_needed(passages))
    high = max(most, low)
    while low < high:
        middle = (low + high) // 2
        if _flows(start, passages, middle):
            high = middle
        else:
            low = middle + 1
    return low


def _visits_needed(passages: list[Passage]) -> Iterator[int]:
    """How many calls it takes to get often enough through each node that gives up."""
    counts = Counter(passage.narrow for passage in passages if passage.needed and passage.narrow)
    for (_, visits), needed in counts.items():
        yield -(-needed // visits)
    yield 1


def _flows(start: Hashable, passages: list[Passage], calls: int) -> bool:
    """Whether there is such a stream for so many calls: one that brings each passage the unit it needs."""
    import networkx as nx  # noqa: PLC0415  takes long to import, and small flows do without

    capacities: dict[tuple[Hashable, Hashable], float] = {}
    demanded = 0
    for source, target, least, more in _pipes(start, passages, calls):
        demanded += least
        pipes = ((source, target, math.inf if more is None else more), (source, _NOTHING, least), (_ALL, target, least))
        for one, other, capacity in pipes:
            capacities[one, other] = capacities.get((one, other), 0) + capacity
    graph: nx.DiGraph[Hashable] = nx.DiGraph()
    for (one, other), capacity in capacities.items():
        graph.add_edge(one, other, **({} if capacity == math.inf else {"capacity": capacity}))
    return bool(nx.maximum_flow_value(graph, _ALL, _NOTHING) == demanded)


def _pipes(start: Hashable, passages: list[Passage], calls: int) -> Iterator[_Pipe]:
    """Everything through which units run: from, to, how many at least, and how many more (None for any number)."""
    yield _SINK, _SOURCE, 0, calls
    yield _SOURCE, ("in", start), 0, None
    places = {place for passage in passages for place in (passage.source, passage.target)}
    for place in places:
        yield ("in", place), _SINK, 0, None
    for place, visits in {(passage.source, passage.narrow[1]) for passage in passages if passage.narrow}:
        yield ("in", place), ("through", place), 0, visits * calls
    for passage in passages:
        kind = "through" if passage.narrow else "in"
        yield (kind, passage.source), ("in", passage.target), int(passage.needed), None
