"""For each kind of property the search for the call with the fewest inputs that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from cordboard.ivr.conditions import Comparison, Name, Text
from cordboard.ivr.conditions.tree import atoms_of
from cordboard.ivr.paths.graph import OVER, Graph, Link, Way, inputs_in
from cordboard.ivr.paths.properties import (
    EVERY_MENU,
    DigitReaches,
    EveryCallEnds,
    Never,
    NeverBefore,
    Property,
    ReachesWithin,
)
from cordboard.ivr.topology.search import shortest_loop, tangles
from cordboard.ivr.trace import NO_INPUT, Input, Program, Station, keys

Step: TypeAlias = tuple[Link, Input | None]


@dataclass(frozen=True, slots=True, eq=False)
class Suspect:
    """A call that breaks a property, as far as the graph of calls knows.

    Attributes:
        steps: how it goes, and what the caller does.
        inputs: how many inputs it takes, without the silence at its end.
        loop: how it goes on for ever after that.
        asked: the step at which the caller is asked once too often.
    """

    steps: tuple[Step, ...]
    inputs: int
    loop: tuple[Step, ...] = ()
    asked: Step | None = None


def search(claim: Property, graph: Graph) -> Suspect | None:
    """The call with the fewest inputs that breaks a property; None where no call does."""
    match claim:
        case Never():
            return _at(graph, _at_nodes(graph, claim.node))
        case NeverBefore():
            return _at(graph, _at_nodes(graph, claim.node), _at_nodes(graph, claim.before))
        case ReachesWithin():
            return _too_far(graph, _targets(graph, claim.nodes, claim.types), claim.inputs)
        case DigitReaches():
            return _astray(graph, claim)
        case EveryCallEnds():
            return min(_without_end(graph), key=lambda suspect: suspect.inputs, default=None)


def taking(graph: Graph, item: tuple[int | None, int]) -> Suspect | None:
    """The call with the fewest inputs that takes a transition, or two of them one after the other."""
    first, second = item

    def last(number: int) -> Way | None:
        for link in graph.links[number]:
            if link.target != OVER and first is None and link.move.edge == second:
                return (link,)
            onward = graph.links[link.target] if link.target != OVER and first == link.move.edge else ()
            for following in onward:
                if following.target != OVER and following.move.edge == second:
                    return link, following
        return None

    way = graph.nearest(lambda it: last(it) is not None)
    if way is None:
        return None
    whole = (*way, *(last(way[-1].target if way else 0) or ()))
    return Suspect(_usual(whole), inputs_in(whole))


def menus(program: Program) -> frozenset[int]:
    """The numbers of the nodes at which keys are choices: they ask, and a condition names a single key."""
    return frozenset(number for number, station in enumerate(program.stations) if station.asks and _is_menu(station))


def _is_menu(station: Station) -> bool:
    atoms = [atom for branch in station.branches for atom in atoms_of(branch.condition)]
    compared = [{atom.left, atom.right} for atom in atoms if isinstance(atom, Comparison)]
    return any(
        Name("dtmf") in sides and any(isinstance(side, Text) and len(side.value) == 1 for side in sides)
        for sides in compared
    )


def _at_nodes(graph: Graph, names: Iterable[str]) -> frozenset[int]:
    return frozenset(graph.moves.program.index[name] for name in names)


def _targets(graph: Graph, names: Sequence[str] | None, types: Sequence[str] | None) -> frozenset[int]:
    stations = graph.moves.program.stations
    if not names and not types:
        return frozenset(it for it, station in enumerate(stations) if station.ends or station.node.type == "queue")
    of_type = frozenset(it for it, station in enumerate(stations) if station.node.type in (types or ()))
    return of_type | _at_nodes(graph, names or ())


def _at(graph: Graph, wanted: frozenset[int], blocked: frozenset[int] = frozenset()) -> Suspect | None:
    states = graph.states
    way = graph.nearest(lambda it: states[it].node in wanted, lambda it: states[it].node in blocked)
    return None if way is None else Suspect(_usual(way), inputs_in(way))


def _usual(way: Way) -> tuple[Step, ...]:
    """A way with the simplest inputs that lead along it."""
    return tuple((link, link.move.inputs[0] if link.move.inputs else None) for link in way)


def _silently(way: Iterable[Link]) -> tuple[Step, ...]:
    return tuple((link, NO_INPUT if link.move.inputs else None) for link in way)


def _without_end(graph: Graph) -> Iterator[Suspect]:
    lost = Lost(graph, lambda link: link.move.silent)
    stem = graph.nearest(lambda it: it in lost)
    if stem is not None:
        onward, loop = lost.onward(stem[-1].target if stem else 0)
        yield Suspect((*_usual(stem), *_silently(onward)), inputs_in(stem), _silently(loop))
    for cost in (0, 1):
        way = graph.nearest(lambda it, cost=cost: _hole(graph, it, cost) is not None)  # type: ignore[misc]
        if way is not None:
            hole = _hole(graph, way[-1].target if way else 0, cost)
            assert hole is not None
            yield Suspect(_usual((*way, hole)), inputs_in(way) + cost)


def _hole(graph: Graph, number: int, cost: int) -> Link | None:
    """Where a call at a state is left without a way out."""
    return next((link for link in graph.links[number] if link.target == OVER and link.cost == cost), None)


class Lost:
    """The states from which a call can go on by some links for ever, without getting to a target.

    Where nodes are at any visit, they go round only as they do after very many visits.
    """

    def __init__(
        self,
        graph: Graph,
        links: Callable[[Link], bool],
        targets: frozenset[int] = frozenset(),
        also: Callable[[int], bool] = lambda number: False,
    ) -> None:
        """Finds them.

        Args:
            graph: all calls.
            links: the links by which a call goes on.
            targets: numbers of nodes at which it is saved.
            also: further states at which it is lost at once.
        """
        self._graph, self._links, self._targets = graph, links, targets
        self._rounds: dict[int, list[int]] = {}
        for group in tangles(self._free(), lambda it: self._leads(it, lasting=True), len(graph.states)):
            self._rounds.update(dict.fromkeys(group, group))
        self.ends = {number for number in self._free() if number in self._rounds or also(number)}
        self._all = self._behind()

    def __contains__(self, number: int) -> bool:
        return number in self._all

    def onward(self, number: int) -> tuple[Way, Way]:
        """How a call that is lost goes on to where it is seen, and the loop, if it is one."""
        way = self._graph.nearest(
            self.ends.__contains__, links=lambda link: self._links(link) and link.target in self._all, start=(number,)
        )
        assert way is not None
        last = way[-1].target if way else number
        return way, self._round(last) if last in self._rounds else ()

    def _round(self, number: int) -> Way:
        def leads(it: int) -> list[int]:
            return self._leads(it, lasting=True)

        loop = shortest_loop(number, self._rounds[number], leads)
        return tuple(self._link(source, target) for source, target in pairwise(loop))

    def _link(self, source: int, target: int) -> Link:
        links = self._graph.links[source]
        return next(it for it in links if it.target == target and it.move.lasting and self._links(it))

    def _free(self) -> Iterator[int]:
        states = self._graph.states
        return (number for number in range(len(states)) if states[number].node not in self._targets)

    def _leads(self, number: int, *, lasting: bool = False) -> list[int]:
        states = self._graph.states
        return [
            link.target
            for link in self._graph.links[number]
            if link.target != OVER
            and states[link.target].node not in self._targets
            and (link.move.lasting or not lasting)
            and self._links(link)
        ]

    def _behind(self) -> set[int]:
        """All states from which one of the ends can be got to."""
        sources: dict[int, list[int]] = {}
        for number in self._free():
            for target in self._leads(number):
                sources.setdefault(target, []).append(number)
        found, todo = set(self.ends), list(self.ends)
        while todo:
            new = [number for number in sources.get(todo.pop(), ()) if number not in found]
            found.update(new)
            todo.extend(new)
        return found


def _by_itself(link: Link) -> bool:
    return not link.move.inputs


def _given_up(graph: Graph, number: int) -> bool:
    """Whether a call at a state asks, is over, or can be left without a way out."""
    return graph.station(number).ends or any(link.cost or link.target == OVER for link in graph.links[number])


def _astray(graph: Graph, claim: DigitReaches) -> Suspect | None:
    """The first call in which the key does not lead where it should."""
    program, pressed = graph.moves.program, keys(claim.digit)
    named = None if claim.sources in (None, [EVERY_MENU]) else _at_nodes(graph, claim.sources or ())
    sources = menus(program) if named is None else named
    targets = _targets(graph, claim.target, claim.types)
    lost = Lost(graph, _by_itself, targets, lambda it: _given_up(graph, it))

    def wrong(number: int) -> Link | None:
        if graph.states[number].node not in sources:
            return None
        links = (link for link in graph.links[number] if pressed in link.move.inputs)
        return next((link for link in links if link.target == OVER or link.target in lost), None)

    way = graph.nearest(lambda it: wrong(it) is not None)
    if way is None:
        return None
    link = wrong(way[-1].target if way else 0)
    assert link is not None
    onward, loop = ((), ()) if link.target == OVER else lost.onward(link.target)
    steps = (*_usual(way), (link, pressed), *_silently(onward))
    hole, asked = ((), None) if loop else _given_up_by(graph, steps[-1][0].target)
    return Suspect((*steps, *hole), inputs_in(way) + 1, _silently(loop), asked)


def _given_up_by(graph: Graph, number: int) -> tuple[tuple[Step, ...], Step | None]:
    """What shows that a call has come to nothing: the step at which it is left alone, or at which it is asked."""
    links = () if number == OVER else graph.links[number]
    hole = [link for link in links if link.target == OVER and not link.cost]
    asking = [link for link in links if link.cost]
    return _usual(tuple(hole[:1])), None if hole or not asking else _usual(tuple(asking[:1]))[0]


def _too_far(graph: Graph, targets: frozenset[int], most: int) -> Suspect | None:
    """The first call that is over, goes round, or asks for one input too many, before it gets to a target."""
    search, begun = _Layers(graph, targets), dict[int, Link | None]({0: None})
    for inputs in range(most + 1):
        found, begun = search.next_layer(begun, last=inputs == most)
        if found is not None or not begun:
            return found
    return None


class _Layers:
    """Calls that have not got to a target, by how many inputs they took: longer calls may be worse than short ones."""

    def __init__(self, graph: Graph, targets: frozenset[int]) -> None:
        self._graph, self._targets = graph, targets
        self._lost = Lost(graph, _by_itself, targets)
        self._layers: list[dict[int, Link | None]] = []

    def next_layer(self, begun: dict[int, Link | None], last: bool) -> tuple[Suspect | None, dict[int, Link | None]]:
        """Follows calls until they ask: what is wrong with one of them, and where they are after one more input."""
        layer, later = dict(begun), dict[int, Link | None]()
        self._layers.append(layer)
        todo = list(begun)
        hole: Link | None = None
        for number in todo:  # grows while it is gone through
            if self._graph.states[number].node in self._targets:
                continue
            found = self._wrong(number, last)
            if found is not None:
                return found, {}
            for link in self._graph.links[number]:
                if link.target == OVER:
                    hole = hole or link
                elif link.cost:
                    later.setdefault(link.target, link)
                elif link.target not in layer:
                    layer[link.target] = link
                    todo.append(link.target)
        return None if hole is None else self._suspect(hole.source, _usual((hole,))), later

    def _wrong(self, number: int, last: bool) -> Suspect | None:
        """What is wrong before the caller is asked once more, or because of it."""
        if number in self._lost.ends:
            onward, loop = self._lost.onward(number)
            return self._suspect(number, _silently(onward), _silently(loop))
        if self._graph.station(number).ends:
            return self._suspect(number)
        for link in self._graph.links[number]:
            if link.target == OVER and not link.cost:
                return self._suspect(number, _usual((link,)))
            if link.cost and last:
                return self._suspect(number, asked=_usual((link,))[0])
        return None

    def _suspect(
        self, number: int, steps: tuple[Step, ...] = (), loop: tuple[Step, ...] = (), asked: Step | None = None
    ) -> Suspect:
        way = self._back(number)
        return Suspect((*_usual(way), *steps), inputs_in(way) + sum(link.cost for link, _ in steps), loop, asked)

    def _back(self, number: int) -> Way:
        """The way by which a state of the last layer was got to."""
        way: list[Link] = []
        layer = len(self._layers) - 1
        while (link := self._layers[layer][number]) is not None:
            way.append(link)
            layer, number = layer - link.cost, link.source
        return tuple(reversed(way))
