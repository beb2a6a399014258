"""Names in a suite: those of its cases, of variables, and of nodes, which the flow must have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cordboard.findings import Finding
from cordboard.ivr.conditions.tree import BUILT_IN_NAMES
from cordboard.ivr.model import Flow
from cordboard.ivr.suite.expanding import Written
from cordboard.ivr.suite.faults import Location, fault, unknown
from cordboard.ivr.suite.model import Case


def repeated_names(cases: Sequence[tuple[Written, Case]]) -> Iterator[Finding]:
    """Cases that are called like an earlier one."""
    first: dict[str, Case] = {}
    for written, case in cases:
        earlier = first.setdefault(case.name, case)
        if earlier is not case:
            line = f" on line {earlier.place.line}" if earlier.place.line else ""
            hint = "A row is called after its first column, or by a name with a placeholder." if written.row else ""
            yield fault("duplicate-case", f"a case `{case.name}` stands{line} already", case.place.path, hint)


def unknown_nodes(cases: Sequence[tuple[Written, Case]], flow: Flow) -> Iterator[Finding]:
    """Nodes that the flow does not have; a case that waits for one would pass or fail for no reason."""
    known = {node.id for node in flow.nodes}
    for written, case in cases:
        for place, name in _named(case):
            if name not in known:
                yield unknown("node", name, list(known), written.path(place))


def own_names(cases: Sequence[tuple[Written, Case]]) -> Iterator[Finding]:
    """Variables that no condition can ever read, because the name stands for something else there."""
    hint = "Give the variable another name; what the caller does is said by `dtmf` and `speech`."
    for written, case in cases:
        for place, name in _variables(case):
            if name in BUILT_IN_NAMES:
                message = f"`{name}` cannot be a variable: in conditions the word has a meaning of its own"
                yield fault("own-name", message, written.path(place), hint)


def _variables(case: Case) -> Iterator[tuple[Location, str]]:
    """Every variable that a case names, with its place in the case."""
    for name in case.variables:
        yield ("variables", name), name
    for name in case.expect.variables:
        yield ("expect", "variables", name), name
    for node, outcomes in case.mocks.items():
        for number, outcome in enumerate(outcomes):
            for name in outcome:
                yield ("mocks", node, number, name), name


def _named(case: Case) -> Iterator[tuple[Location, str]]:
    """Every node that a case names, with its place in the case."""
    expect = case.expect
    for field in ("path", "visits", "visited", "never"):
        for number, name in enumerate(getattr(expect, field) or ()):
            yield ("expect", field, number), name
    if expect.exit is not None:
        yield ("expect", "exit"), expect.exit
    for name in case.mocks:
        yield ("mocks", name), name
