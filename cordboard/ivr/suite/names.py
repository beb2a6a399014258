"""Names in a suite: those of its cases, and those of nodes, which the flow must have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cordboard.findings import Finding
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
