"""How a call can go on from one of its states, whoever the caller is and whatever nobody knows beforehand.

States are kept small, so that there are few of them. Of the variables only those are kept that can still be read, and
of the counts of visits only those of nodes to which the call can come back.

Counts of some nodes can be left out altogether: such a node may then be at any visit, first or last. There are more
calls then than there really are, so that what none of them does, no real call does; what one of them does must be
tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from cordboard.ivr.conditions import And, CallerInput, Condition, Not, Or, Value, evaluate, reads
from cordboard.ivr.conditions.tree import BUILT_IN_NAMES
from cordboard.ivr.paths.world import Unknown, World
from cordboard.ivr.topology.search import tangles
from cordboard.ivr.trace import (
    NO_INPUT,
    Branch,
    End,
    Input,
    Program,
    State,
    Station,
    Variables,
    first_state,
    step,
    waits,
)
from cordboard.ivr.trace.inputs import caller_of
from cordboard.ivr.trace.states import settled

Decided: TypeAlias = tuple[tuple[str, Value], ...]

#: A node with more visits that matter is always counted.
_MOST_GUESSED = 64
#: So many combinations of values are told apart for one thing that a caller does at a node.
_MOST_COMBINATIONS = 10_000
_NONE = Variables({})


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """One way in which a call can go on.

    Attributes:
        inputs: what the caller may do to go this way; empty where nobody is asked.
        decided: variables on whose values it depends, which were unknown before.
        edge: the number of the transition in the flow; None where no way fits.
        following: the next state, or how the call ends.
        lasting: whether it can be gone this way after any number of visits.
    """

    inputs: tuple[Input, ...]
    decided: Decided
    edge: int | None
    following: State | End
    lasting: bool = True

    @property
    def silent(self) -> bool:
        """Whether the call goes this way without the caller doing anything."""
        return not self.inputs or NO_INPUT in self.inputs


_Way: TypeAlias = tuple[tuple[Input, ...], Decided, Branch | None]


class Moves:
    """The moves of a program's calls.

    Attributes:
        cut: whether some have been left out, because variables that are compared with each other have too many values.
    """

    def __init__(self, program: Program, world: World, counted: frozenset[int] | None = None) -> None:
        """Prepares them.

        Args:
            program: the call flow.
            world: what no caller decides.
            counted: the nodes whose visits are counted; all of them where it is None.
        """
        self.program, self.world, self.cut = program, world, False
        stations = program.stations
        self.guessed = frozenset(
            number
            for number, station in enumerate(stations)
            if station.counter
            and counted is not None
            and number not in counted
            and station.counter.most <= _MOST_GUESSED
        )
        self._masks = _masks(program, self.guessed)
        self._live = _live(program, world)
        self._interned: dict[str, Variables] = {}
        self._callers: dict[int, tuple[Input, ...]] = {}
        self._ways: dict[Any, tuple[_Way, ...]] = {}

    def first(self) -> State:
        """The state in which every call begins."""
        return self._kept(first_state(self.program, self.world.variables))

    def of(self, state: State) -> Iterator[Move]:
        """How a call can go on from a state; nothing where it has come to its end."""
        station = self.program.stations[state.node]
        if station.ends:
            return
        if state.node not in self.guessed or station.counter is None:
            yield from self._from(station, state, lasting=True)
            return
        most, shift = station.counter.most, station.counter.shift
        for visits in range(1, most + 1) if station.reads_visits else (1, most):
            counts = state.counts | visits << shift
            yield from self._from(station, State(state.node, counts, state.variables), visits == most)

    def _from(self, station: Station, state: State, lasting: bool) -> Iterator[Move]:
        returned = self.world.returned.get(state.node)
        for inputs, decided, branch in self._ways_from(station, state, returned):
            outcome = {**(returned or {}), **dict(decided)}
            following = step(self.program, state, inputs[0] if inputs else None, outcome)
            kept = following if isinstance(following, End) else self._kept(following)
            yield Move(inputs, decided, None if branch is None else branch.edge, kept, lasting)

    def _ways_from(self, station: Station, state: State, returned: Mapping[str, Unknown] | None) -> tuple[_Way, ...]:
        visits = station.counter.of(state.counts) if station.counter else 1
        key: Any = state.node, visits, state.variables
        if station.answers is not None:
            key = state.node, station.gives_up_at(visits)
        if key not in self._ways:
            values = settled(station, state.variables, returned).values
            self._ways[key] = tuple(self._found(station, state, visits, values))
        return self._ways[key]

    def _found(self, station: Station, state: State, visits: int, values: Mapping[str, Any]) -> Iterator[_Way]:
        if station.gives_up_at(visits):
            yield (), (), station.gives_up
            return
        asked = waits(self.program, state)
        found: dict[tuple[str, Branch | None], tuple[Decided, list[Input]]] = {}
        for given in self._callers_at(state.node) if asked else (None,):
            ways = list(islice(_resolved(station, given.key if given else "", visits, values), _MOST_COMBINATIONS + 1))
            self.cut = self.cut or len(ways) > _MOST_COMBINATIONS
            for decided, branch in ways:
                _, inputs = found.setdefault((repr(decided), branch), (decided, []))  # 1 is not true
                inputs.extend([given] if given else [])
        for (_, branch), (decided, inputs) in found.items():
            yield tuple(inputs), decided, branch

    def _callers_at(self, node: int) -> tuple[Input, ...]:
        if node not in self._callers:
            self._callers[node] = self.world.callers(self.program.stations[node])
        return self._callers[node]

    def _kept(self, state: State) -> State:
        """A state without what makes no difference any more."""
        names, values = self._live[state.node], state.variables.values
        variables = _NONE
        if names and values:
            found = Variables({name: values[name] for name in names if values.get(name) is not None})
            variables = self._interned.setdefault(found.key, found)
        return State(state.node, state.counts & self._masks[state.node], variables, state.pending)


def _resolved(
    station: Station, key: str, visits: int, values: Mapping[str, Any]
) -> Iterator[tuple[Decided, Branch | None]]:
    """The way for what is heard, for all that unknown variables can be; only what matters is decided."""
    caller, todo = caller_of(key), [dict[str, Value]()]
    while todo:
        decided = todo.pop()
        known = {**values, **decided, "visits": visits}
        name = _first_needed(station, caller, known)
        if name is None:
            yield tuple(decided.items()), station.way(key, visits, known)
        else:
            todo += [{**decided, name: value} for value in reversed(known[name].values)]


def _first_needed(station: Station, caller: CallerInput, known: Mapping[str, Any]) -> str | None:
    """The first unknown variable on which it depends which way is taken."""
    for branch in station.branches:
        unknown = [name for name in sorted(reads(branch.condition)) if isinstance(known.get(name), Unknown)]
        holds = _holds(branch.condition, caller, known) if unknown else evaluate(branch.condition, caller, known)
        if holds is None:
            return unknown[0]
        if holds:
            return None
    return None


def _holds(condition: Condition, caller: CallerInput, known: Mapping[str, Any]) -> bool | None:
    """Whether a condition holds; None where that depends on what is unknown."""
    match condition:
        case Not(inner):
            holds = _holds(inner, caller, known)
            return None if holds is None else not holds
        case And(parts) | Or(parts):
            deciding = isinstance(condition, Or)
            found = [_holds(part, caller, known) for part in parts]
            return deciding if deciding in found else None if None in found else not deciding
        case _:
            unknown = any(isinstance(known.get(name), Unknown) for name in reads(condition))
            return None if unknown else evaluate(condition, caller, known)


def _masks(program: Program, guessed: frozenset[int]) -> Sequence[int]:
    """For each node the bits of the counts that matter there: its own, and those of nodes that lead back to it."""
    stations = program.stations
    own = [
        station.counter.mask << station.counter.shift if station.counter and number not in guessed else 0
        for number, station in enumerate(stations)
    ]
    masks = list(own)
    for group in tangles(range(len(stations)), lambda node: _targets(program, node), len(stations)):
        together = 0
        for node in group:
            together |= own[node]
        for node in group:
            masks[node] = together
    return masks


def _targets(program: Program, node: int) -> list[int]:
    return [branch.target for branch in program.stations[node].branches]


def _live(program: Program, world: World) -> list[tuple[str, ...]]:
    """For each node the variables whose values matter when a call gets there."""
    size = len(program.stations)
    needed: list[frozenset[str]] = [frozenset()] * size
    sources: list[list[int]] = [[] for _ in range(size)]
    for node in range(size):
        for target in _targets(program, node):
            sources[target].append(node)
    todo = list(range(size))
    while todo:
        node = todo.pop()
        station = program.stations[node]
        read = frozenset[str]().union(
            *(reads(branch.condition) for branch in station.branches), *(needed[it] for it in _targets(program, node))
        )
        found = read - BUILT_IN_NAMES - station.node.set.keys() - world.returned.get(node, {}).keys()
        if found != needed[node]:
            needed[node] = found
            todo.extend(sources[node])
    return [tuple(sorted(names)) for names in needed]
