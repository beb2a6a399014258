"""A small suite of calls that together take every transition that can be taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain, count, pairwise
from typing import Any

from cordboard.ivr.paths.bounds import Passage, Passages, fewest_calls
from cordboard.ivr.paths.graph import Graph, Way
from cordboard.ivr.paths.searches import taking
from cordboard.ivr.paths.smallest import smallest
from cordboard.ivr.paths.telling import Turn, case_of, trace_of
from cordboard.ivr.paths.tours import Item, Tours, tours_of
from cordboard.ivr.paths.trying import MOST_STATES, Found, Trials
from cordboard.ivr.paths.untaken import Untaken, transitions_of, untaken_of
from cordboard.ivr.paths.world import Outcomes, world_of
from cordboard.ivr.suite import Case
from cordboard.ivr.trace import Program, Trace

_BEGIN = "the beginning"


@dataclass(frozen=True, slots=True)
class Generated:
    """What is to be added to a suite.

    Attributes:
        cases: the new cases, which expect what happens now.
        impossible: what no caller can take.
        undecided: what was not met although not every call was looked at.
        lower_bound: so many new cases are needed at least.
        takeable: how many transitions, or pairs of them, can be taken.
        before: how many of those the existing cases take.
    """

    cases: tuple[Case, ...]
    impossible: tuple[Untaken, ...]
    undecided: tuple[Untaken, ...]
    lower_bound: int
    takeable: int
    before: int


def generate(  # noqa: PLR0913 - what a suite depends on
    program: Program,
    existing_cases: Iterable[Case] = (),
    pairs: bool = False,
    *,
    variables: Mapping[str, Any] | None = None,
    outcomes: Outcomes | None = None,
    most_states: int = MOST_STATES,
) -> Generated:
    """Makes cases that take, together with those that exist, every transition that can be taken.

    Args:
        program: the call flow.
        existing_cases: cases that stay as they are.
        pairs: whether every two transitions that can be taken one after the other are wanted.
        variables: values that are known when a call begins.
        outcomes: what actions return, where that is known; see `world`.
        most_states: so many states of calls are looked at, at the most.

    Raises:
        BadCall: an outcome, or a mock of a case, is for a node that is not there.
    """
    trials = Trials(program, world_of(program, variables, outcomes), most_states)
    existing = list(existing_cases)
    plan = _Plan(trials, pairs, _taken_by(program, existing, pairs))
    cases = [case_of(program, trials.world, turns, "hangup") for turns in plan.calls]
    return Generated(
        cases=_named_apart(cases, {case.name for case in existing}),
        impossible=tuple(plan.impossible),
        undecided=tuple(plan.undecided),
        lower_bound=plan.bound,
        takeable=len(plan.takeable),
        before=len(plan.takeable & plan.before),
    )


class _Plan:
    """The calls that are to be made.

    Attributes:
        before: what the existing cases take.
        takeable: what can be taken.
        calls: the new calls.
        bound: so many there must be.
        impossible: what no call takes.
        undecided: what was not met, although it might be.
    """

    def __init__(self, trials: Trials, pairs: bool, before: Set[Item]) -> None:
        self._trials, self._pairs, self.before = trials, pairs, before
        self._tours = tours_of(trials.plain, pairs)
        self.takeable = set(self._tours.items)
        self._met = {state.node for state in trials.plain.states}
        self._edges = {arc.link.move.edge for arcs in self._tours.arcs for arc in arcs}
        self.calls: list[Sequence[Turn]] = []
        self.impossible: list[Untaken] = []
        self.undecided: list[Untaken] = []
        far: set[Item] = set()
        for item in _conceivable(trials.program, pairs):
            if item not in self.takeable:
                far |= self._look_for(item, far)
        self.takeable |= far
        self.bound = self._make_calls(far)

    def _look_for(self, item: Item, known: Set[Item]) -> Set[Item]:
        """Looks for something that no call of the graph takes; everything that a call takes which does."""
        if item in known:
            return set()
        complete = self._trials.plain.complete and self._trials.world.exact
        found = Found("none", 0) if complete else self._trials.shortest(lambda graph: taking(graph, item))
        if found.answer == "found":
            self.calls += [] if item in self.before else [found.turns]
            edges = [move.edge for _, move, _ in found.turns if move.edge is not None]
            return set(pairwise(edges) if self._pairs else ((None, edge) for edge in edges))
        program = self._trials.program
        if found.answer == "none":
            self.impossible.append(untaken_of(program, item, self._met, self._edges))
        else:
            self.undecided.append(Untaken(transitions_of(program, item), "not every call could be looked at"))
        return set()

    def _make_calls(self, far: Set[Item]) -> int:
        """Makes the calls, and returns how many there must be."""
        tours, program = self._tours, self._trials.program
        wanted = self.takeable - self.before
        left = sum(1 << number for number, item in enumerate(tours.items) if item in wanted and item not in far)
        ways = _without_spare(list(_greedy(tours, left)))
        passages = list(_passages(program, self.takeable, wanted, self._pairs))
        start = _BEGIN if self._pairs else program.start
        bound = fewest_calls(start, passages, len(self.calls) + len(ways))
        fewest = smallest(tours, left, len(ways)) if len(ways) > bound and not far else None
        if fewest is not None:
            ways, bound = list(fewest.ways), fewest.bound
        self.calls += [_turns(self._trials.plain, way) for way in _shortened(tours, left, ways)]
        return bound


def _conceivable(program: Program, pairs: bool) -> Iterator[Item]:
    """Everything that could be taken if all conditions could hold."""
    for station in program.stations:
        for branch in station.branches:
            if not pairs:
                yield None, branch.edge
            for following in program.stations[branch.target].branches if pairs else ():
                yield branch.edge, following.edge


def _shortened(tours: Tours, left: int, ways: Sequence[tuple[Way, int]]) -> list[Way]:
    """The same number of calls, each as short as can be for what no other one takes."""
    calls = list(ways)
    for place, (_, taken) in enumerate(calls):
        others = 0
        for other, (_, also) in enumerate(calls):
            others |= also if other != place else 0
        calls[place] = tours.shortest(taken & left & ~others) or calls[place]
    return [way for way, _ in calls]


def _taken_by(program: Program, cases: Iterable[Case], pairs: bool) -> set[Item]:
    """What cases take already."""
    found: set[Item] = set()
    for case in cases:
        edges = _edges(trace_of(program, case))
        found.update(pairwise(edges) if pairs else ((None, edge) for edge in edges))
    return found


def _edges(trace: Trace) -> Sequence[int]:
    """The transitions of a call; one that goes round for ever takes the first of its loop once more."""
    again = [trace.edges[loop.start] for loop in trace.loops]
    return (*trace.edges, *again)


def _greedy(tours: Tours, left: int) -> Iterator[tuple[Way, int]]:
    """Calls, each of which takes much of what those before it have left, and what it takes."""
    while left:
        way, taken = tours.longest(left)
        yield way, taken
        left &= ~taken


def _without_spare(ways: Sequence[tuple[Way, int]]) -> list[tuple[Way, int]]:
    """Those without which something would not be taken; later calls often take what earlier ones were made for."""
    kept: list[tuple[Way, int]] = list(ways)
    for one in ways:
        rest = [other for other in kept if other is not one]
        together = 0
        for _, taken in rest:
            together |= taken
        if not one[1] & ~together:
            kept = rest
    return kept


def _passages(program: Program, takeable: Set[Item], wanted: Set[Item], pairs: bool) -> Iterator[Passage]:
    if pairs:
        for branch in program.stations[program.start].branches:
            yield Passage(_BEGIN, ("edge", branch.edge), needed=False)
    passages = Passages(program)
    for item in sorted(takeable, key=str):
        yield passages.of(item, item in wanted)


def _turns(graph: Graph, way: Way) -> list[Turn]:
    return [(graph.states[link.source], link.move, link.move.inputs[0] if link.move.inputs else None) for link in way]


def _named_apart(cases: Sequence[Case], names: set[str]) -> tuple[Case, ...]:
    """The cases under names that the suite does not have yet."""
    found = []
    for case in cases:
        numbered = (f"{case.name} ({number})" for number in count(2))
        name = next(it for it in chain([case.name], numbered) if it not in names)
        names.add(name)
        found.append(replace(case, name=name))
    return tuple(found)
