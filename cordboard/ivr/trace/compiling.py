"""Makes a program of a call flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from cordboard.errors import InvalidDocument
from cordboard.findings import Finding, errors_in
from cordboard.ivr.conditions import Condition
from cordboard.ivr.model import START_TYPE, Flow
from cordboard.ivr.topology.branches import unreadable
from cordboard.ivr.topology.passing import Junction, asks, giving_up, junction_of
from cordboard.ivr.topology.references import Guesses, check_references
from cordboard.ivr.topology.search import tangles
from cordboard.ivr.topology.wiring import Wiring, wire
from cordboard.ivr.trace.answers import answers_of, collects_of
from cordboard.ivr.trace.counting import UNBOUNDED, Counter, reads_visits, visits_that_matter
from cordboard.ivr.trace.program import ASKING_MS, END_MS, PASSING_MS, START_MS, Branch, Program, Station

#: Without these a flow has no meaning that calls could follow; all else shows in the calls themselves.
_FATAL = frozenset({"unknown-start", "unknown-source", "unknown-target", "duplicate-node"})

#: So many nodes at which nothing happens are passed at once; the table of long ways would be too large.
_LONGEST_LEAP = 8


def compile_flow(flow: Flow) -> Program:
    """Makes a call flow ready for calls.

    Raises:
        InvalidDocument: conditions cannot be read, or connections name nodes that are not there; all of it is listed.
    """
    wiring = wire(flow)
    findings = sorted(_faults(wiring), key=lambda finding: finding.line or 0)
    if errors_in(findings):
        raise InvalidDocument(tuple(findings))
    plans = [_plan(wiring, number) for number in range(len(wiring.nodes))]
    tangled = {number for group in tangles(range(len(plans)), wiring.successors, len(plans)) for number in group}
    leads = _leads(plans, tangled)
    stations, shift = [], 0
    for plan in plans:
        branches = tuple(_branches(plan, plans, leads))
        stations.append(_station(plan, branches, shift, plan.number in tangled))
        shift += plan.visits.bit_length()
    assigns = any(node.set for node in flow.nodes)
    return Program(flow, tuple(stations), dict(wiring.index), wiring.index[flow.start], assigns)


def _faults(wiring: Wiring) -> Iterator[Finding]:
    file = wiring.flow.file
    for fault in check_references(wiring, Guesses(wiring)):
        if fault.rule in _FATAL:
            yield fault.finding(file)
    if any(way.error is not None for way in wiring.ways):
        for number in range(len(wiring.nodes)):
            for fault in unreadable(junction_of(wiring, number)):
                yield fault.finding(file)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is known about one node before its ways are.

    Attributes:
        number: its number.
        junction: it and its ways out.
        conditions: what the ways ask, in the order in which they are tried.
        targets: the nodes to which they lead.
        edges: the numbers of their transitions.
        visits: beyond how many one more makes no difference.
        asks: whether it waits for the caller.
        answers: the number of the way for each thing that can be heard, see `answers_of`.
        onward: the number of the way it takes in any case.
    """

    number: int
    junction: Junction
    conditions: tuple[Condition, ...]
    targets: tuple[int, ...]
    edges: tuple[int, ...]
    visits: int
    asks: bool
    answers: Mapping[str, int | None] | None
    onward: int | None

    @property
    def plain(self) -> bool:
        """Whether nothing can happen here but to go on."""
        return self.onward is not None and not self.visits and not self.junction.node.set


def _plan(wiring: Wiring, number: int) -> _Plan:
    junction, start = junction_of(wiring, number), wiring.starts[number]
    conditions = tuple(map(junction.condition, junction.order))
    waits = not junction.ends and asks(junction)
    answers = answers_of(conditions)
    decides = junction.ends or waits or junction.node.max_visits is not None
    return _Plan(
        number=number,
        junction=junction,
        conditions=conditions,
        targets=tuple(wiring.targets[start + way] for way in junction.order),
        edges=tuple(wiring.edges[start + way] for way in junction.order),
        visits=0 if junction.ends else visits_that_matter(junction.node.max_visits, conditions),
        asks=waits,
        answers=answers,
        onward=None if decides or answers is None else answers[""],
    )


def _leads(plans: Sequence[_Plan], tangled: Set[int]) -> list[int | None]:
    """For each node at which nothing can happen but to go on, the next one.

    One way round that no other node is part of must be stopped somewhere: there every node is looked at.
    """
    leads = [plan.targets[plan.onward] if plan.plain and plan.onward is not None else None for plan in plans]
    inside = [number for number in tangled if leads[number] is not None]
    for group in tangles(inside, lambda number: [] if (lead := leads[number]) is None else [lead], len(plans)):
        for number in group:
            leads[number] = None
    return leads


def _branches(plan: _Plan, plans: Sequence[_Plan], leads: Sequence[int | None]) -> Iterator[Branch]:
    for condition, target, edge in zip(plan.conditions, plan.targets, plan.edges, strict=True):
        way = [target]
        while len(way) < _LONGEST_LEAP and (following := leads[way[-1]]) is not None:
            way.append(following)
        names = tuple(plans[number].junction.node.id for number in way)
        yield Branch(target, condition, edge, names, way[-1])


def _station(plan: _Plan, branches: tuple[Branch, ...], shift: int, tangled: bool) -> Station:
    junction, node = plan.junction, plan.junction.node
    giving = giving_up(junction)
    return Station(
        node=node,
        ends=junction.ends,
        asks=plan.asks,
        branches=branches,
        gives_up=None if giving is None else branches[junction.order.index(giving)],
        limit=UNBOUNDED if node.max_visits is None else node.max_visits,
        collects=collects_of(plan.conditions),
        counter=Counter(plan.visits, shift) if plan.visits else None,
        reads_visits=reads_visits(plan.conditions),
        answers=None if plan.answers is None else _answers(plan.answers, branches),
        onward=None if plan.onward is None else branches[plan.onward],
        busy=bool(plan.visits or node.set),
        returns=tangled,
        cost_ms=_cost(junction, plan.asks),
    )


def _answers(answers: Mapping[str, int | None], branches: Sequence[Branch]) -> dict[str, Branch | None]:
    return {key: None if number is None else branches[number] for key, number in answers.items()}


def _cost(junction: Junction, waits: bool) -> int:
    if junction.ends:
        return END_MS
    return START_MS if junction.node.type == START_TYPE else ASKING_MS if waits else PASSING_MS
