"""Looks for real calls, without looking at every state of a call where that would be too much.

All states of a call are looked at. Where these are too many because nodes count their visits, the search begins with
calls in which hardly anything is counted. There are more of those than of real calls, so that what none of them does,
no call does. What one of them does is tried as a real call; where that goes another way, the nodes at which the counts
were wrong are counted from then on, and the search begins again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cordboard.ivr.paths.graph import Graph, graph_of
from cordboard.ivr.paths.moves import Move, Moves
from cordboard.ivr.paths.searches import Step, Suspect
from cordboard.ivr.paths.telling import Turn
from cordboard.ivr.paths.world import World
from cordboard.ivr.trace import End, Input, Program, State

MOST_STATES = 300_000
#: So many states are looked at with every visit counted, before counts are left out.
FEW_STATES = 10_000
_MOST_ROUNDS = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The answer of a search.

    Attributes:
        answer: a call was found, there is none, or that could not be decided.
        states: how many states of calls were looked at.
        suspect: the call as the search saw it.
        turns: the steps of the real call.
    """

    answer: Literal["found", "none", "undecided"]
    states: int
    suspect: Suspect | None = None
    turns: Sequence[Turn] = ()


class Trials:
    """Searches among the calls of one program; graphs of calls are kept between them."""

    def __init__(self, program: Program, world: World, most: int = MOST_STATES, few: int = FEW_STATES) -> None:
        """Prepares them.

        Args:
            program: the call flow.
            world: what no caller decides.
            most: so many states are looked at, at the most, for one graph.
            few: so many of them with every visit counted, before counts are left out.
        """
        self.program, self.world = program, world
        self.exact = Moves(program, world)
        self._most, self._few = most, min(few, most)
        self._counts = any(station.counter for station in program.stations)
        self._graphs: dict[frozenset[int] | None, Graph] = {}

    @property
    def plain(self) -> Graph:
        """Calls with every visit counted: all of them, or the first ones where there are too many."""
        return self._graph(None, self._few)

    def shortest(self, search: Callable[[Graph], Suspect | None]) -> Found:
        """The real call that a search finds.

        Args:
            search: looks for the call with the fewest inputs in a graph of calls.
        """
        graph = self.plain
        if not graph.complete and not self._counts:
            graph = self._graph(None, self._most)
        if graph.complete or not self._counts:
            return self._tried(graph, search)[0]
        counted: frozenset[int] = frozenset()
        while True:
            graph = self._graph(counted, self._most)
            found, wrong = self._tried(graph, search)
            if not wrong:
                return found
            if wrong <= counted or not graph.complete:
                return Found("undecided", len(graph.states))
            counted |= wrong

    def _graph(self, counted: frozenset[int] | None, most: int) -> Graph:
        known = self._graphs.get(counted)
        if known is not None and (known.complete or len(known.states) >= most):
            return known
        moves = self.exact if counted is None else Moves(self.program, self.world, counted)
        self._graphs[counted] = graph_of(moves, most)
        return self._graphs[counted]

    def _tried(self, graph: Graph, search: Callable[[Graph], Suspect | None]) -> tuple[Found, frozenset[int]]:
        """What a search finds in a graph, or the nodes that must be counted because it is no real call."""
        suspect = search(graph)
        states = len(graph.states)
        if suspect is None:
            sure = graph.complete and self.world.exact
            return Found("none" if sure else "undecided", states), frozenset()
        turns, astray = self._real(suspect)
        if astray is None:
            return Found("found", states, suspect, turns), frozenset()
        return Found("undecided", states), frozenset({astray, *_often_met(suspect, graph)})

    def _real(self, suspect: Suspect) -> tuple[list[Turn], int | None]:
        """The real call for which a suspect stands, and the node at which it goes another way, if it does."""
        state, turns = self.exact.first(), list[Turn]()
        last = [suspect.asked] if suspect.asked else []
        for link, given in (*suspect.steps, *last):
            move = self._like(state, link.move, given)
            if move is None:
                return turns, state.node
            turns.append((state, move, given))
            if isinstance(move.following, State):
                state = move.following
        if suspect.asked:
            return turns[:-1], None
        return self._round(suspect.loop, state, turns)

    def _round(self, loop: Sequence[Step], state: State, turns: list[Turn]) -> tuple[list[Turn], int | None]:
        """Goes round until a state comes back: counts grow until they make no difference any more."""
        seen: set[State] = set()
        while loop and state not in seen and len(seen) < _MOST_ROUNDS:
            seen.add(state)
            for link, given in loop:
                move = self._like(state, link.move, given)
                if move is None or isinstance(move.following, End):
                    return turns, state.node
                turns.append((state, move, given))
                state = move.following
        return turns, None

    def _like(self, state: State, wanted: Move, given: Input | None) -> Move | None:
        """The real move that corresponds to one of the graph."""
        for move in self.exact.of(state):
            done = given in move.inputs if given is not None else not move.inputs
            if done and move.edge == wanted.edge and repr(move.decided) == repr(wanted.decided):  # 1 is not true
                return move
        return None


def _often_met(suspect: Suspect, graph: Graph) -> set[int]:
    """The nodes that a call meets again, and whose visits are not counted yet."""
    met = Counter(graph.states[link.source].node for link, _ in (*suspect.steps, *suspect.loop))
    return {node for node, times in met.items() if times > 1 and node in graph.moves.guessed}
