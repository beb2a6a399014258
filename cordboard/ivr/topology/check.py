"""All rules, applied to one flow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date

from cordboard.findings import Finding
from cordboard.ivr.model import Flow
from cordboard.ivr.topology.accepting import Acceptances
from cordboard.ivr.topology.answers import faults_at
from cordboard.ivr.topology.ends import dead_ends, no_exits, no_terminal
from cordboard.ivr.topology.fault import Fault
from cordboard.ivr.topology.loops import Accepted, Loops
from cordboard.ivr.topology.passing import Junction, Passing, junction_of, passing_of
from cordboard.ivr.topology.reach import reach_of
from cordboard.ivr.topology.references import Guesses, check_references, meant_sources
from cordboard.ivr.topology.search import tangles
from cordboard.ivr.topology.wiring import Wiring, wire


def check_flow(flow: Flow, *, today: date) -> tuple[Finding, ...]:
    """Every finding about a flow, errors and warnings, in the order of its lines.

    Args:
        flow: the flow, with whatever faults it has.
        today: the day on which its suppressions are looked at.

    Returns:
        The findings that nobody has accepted; `proof` names the nodes on the way that proves one, the first of them
        again at the end where it is a loop.
    """
    acceptances = Acceptances(flow.suppressions, today)
    left = acceptances.left(faults_in(flow, acceptances))
    findings = [fault.finding(flow.file) for fault in left]
    return tuple(sorted(findings, key=lambda finding: finding.line or 0))


def faults_in(flow: Flow, acceptances: Acceptances) -> Iterator[Fault]:
    """Every fault of a flow, accepted or not; what is accepted only opens the view on loops behind it."""
    wiring = wire(flow)
    guesses = Guesses(wiring)
    yield from check_references(wiring, guesses)
    passings, faulty = _examined(wiring)
    for node in faulty:
        yield from faults_at(junction_of(wiring, node))
    reach, unreachable = reach_of(wiring, guesses)
    yield from unreachable
    meant = meant_sources(wiring, guesses)
    yield from dead_ends(reach, meant)
    yield from no_terminal(wiring)
    tangled = list(tangles(reach.order, wiring.successors, wiring.elsewhere + 1))
    yield from no_exits(reach, tangled, meant)
    accepted = Accepted(acceptances.nodes("silent-loop"), acceptances.nodes("unbounded-retry"))
    yield from Loops(reach, passings, tangled).faults(accepted)


def _examined(wiring: Wiring) -> tuple[Sequence[Passing], Sequence[int]]:
    """How each node passes a call on, and which nodes have faults of their own.

    Most nodes of a large flow are alike but for their targets: each kind is looked at once.
    """
    known: dict[tuple[object, ...], tuple[Passing, bool]] = {}
    passings: list[Passing] = []
    faulty: list[int] = []
    starts, codes, ends = wiring.starts, wiring.codes, wiring.ends
    for number, node in enumerate(wiring.nodes):
        ways = codes[starts[number] : starts[number + 1]]
        kind = (ends[number], node.type, node.prompt == "", node.max_visits is None, *ways)
        found = known.get(kind)
        if found is None:
            junction = junction_of(wiring, number)
            found = known[kind] = passing_of(junction), _may_be_faulty(junction)
        passings.append(found[0])
        if found[1]:
            faulty.append(number)
    return passings, faulty


def _may_be_faulty(junction: Junction) -> bool:
    """Whether a node of this kind has a fault, wherever its ways lead.

    Ways to different nodes show most: what is merely twice the same with equal targets contradicts itself with others.
    """
    apart = tuple(replace(way, target=str(number)) for number, way in enumerate(junction.transitions))
    return next(faults_at(replace(junction, transitions=apart)), None) is not None
