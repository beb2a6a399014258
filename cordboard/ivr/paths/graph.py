"""All calls of a flow as a graph: its points are states of a call, its links the ways in which the call can go on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from cordboard.ivr.paths.moves import Move, Moves
from cordboard.ivr.trace import State, Station

#: In place of the number of a state where the call is over.
OVER = -1
#: In so many ways calls go on from a state at the most, on the average of all states.
_MOST_WAYS = 20


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A move from one state to the next.

    Attributes:
        source: the number of the state that is left.
        move: the move.
        target: the number of the next state, or `OVER`.
    """

    source: int
    move: Move
    target: int

    @property
    def cost(self) -> int:
        """How many inputs it takes."""
        return 1 if self.move.inputs else 0


Way: TypeAlias = tuple[Link, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """All calls of a flow.

    Attributes:
        moves: how calls go on.
        states: by number; number 0 begins every call.
        links: for each state how calls go on from it; of states that were not looked at, nothing.
        complete: whether every state was looked at, and every way out of it.
    """

    moves: Moves
    states: Sequence[State]
    links: Sequence[Sequence[Link]] = field(repr=False)
    complete: bool

    def station(self, number: int) -> Station:
        """The node at which a state is."""
        return self.moves.program.stations[self.states[number].node]

    def nearest(
        self,
        wanted: Callable[[int], bool],
        blocked: Callable[[int], bool] = lambda number: False,
        links: Callable[[Link], bool] = lambda link: True,
        start: Iterable[int] = (0,),
    ) -> Way | None:
        """The way to a state with the fewest inputs, or None.

        Args:
            wanted: whether a state is what is looked for.
            blocked: whether calls that get to a state are not followed any further.
            links: which links may be used.
            start: where to begin.
        """
        origin: dict[int, Link | None] = {}
        todo = deque[tuple[int, Link | None]]((number, None) for number in start)
        later: list[tuple[int, Link | None]] = []
        while todo:
            number, link = todo.popleft()
            if number not in origin:
                origin[number] = link
                if wanted(number):
                    return _traced(origin, number)
                if not blocked(number):
                    for onward in filter(links, self.links[number]):
                        if onward.target != OVER and onward.target not in origin:
                            (later if onward.cost else todo).append((onward.target, onward))
            if not todo:
                todo, later = deque(later), []
        return None


def graph_of(moves: Moves, most: int) -> Graph:
    """Looks at all calls of a flow, those with few inputs first.

    Args:
        moves: how calls go on.
        most: how many states are looked at; where calls go on in very many ways, fewer of them.
    """
    states, numbers = [moves.first()], {moves.first(): 0}
    links: list[Sequence[Link]] = [()]
    todo, later = deque([0]), list[int]()
    seen = bytearray(1)
    looked = ways = 0
    while todo:
        number = todo.popleft()
        if not seen[number]:
            if looked == most or ways > _MOST_WAYS * most:
                return Graph(moves, states, links, complete=False)
            seen[number] = 1
            looked += 1
            found = list[Link]()
            for move in moves.of(states[number]):
                following, target = move.following, OVER
                if isinstance(following, State):
                    target = numbers.setdefault(following, len(states))
                    if target == len(states):
                        states.append(following)
                        links.append(())
                        seen.append(0)
                    if not seen[target]:
                        (later if move.inputs else todo).append(target)
                found.append(Link(number, move, target))
            links[number] = found
            ways += len(found)
        if not todo:
            todo, later = deque(later), []
    return Graph(moves, states, links, complete=not moves.cut)


def _traced(origin: dict[int, Link | None], number: int) -> Way:
    way: list[Link] = []
    link = origin[number]
    while link is not None:
        way.append(link)
        link = origin[link.source]
    return tuple(reversed(way))


def inputs_in(way: Iterable[Link]) -> int:
    """How many inputs a way takes."""
    return sum(link.cost for link in way)
