"""Which nodes and transitions of a flow the calls of a suite took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cordboard.ivr.suite.running import CaseResult
from cordboard.ivr.trace import Program, Trace


@dataclass(frozen=True, slots=True)
class Covered:
    """One node or transition, and how many times it was taken.

    Attributes:
        id: of a transition without an id of its own both ends, with its number where there are several.
        line: where it stands in the flow's file.
        times: how often calls took it.
    """

    id: str
    line: int | None
    times: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Nodes and transitions in file order, each with how often it was taken."""

    nodes: tuple[Covered, ...]
    transitions: tuple[Covered, ...]

    def as_json(self) -> dict[str, Any]:
        """As a JSON object: how many were taken, and which were not."""
        return {"nodes": _counted(self.nodes), "transitions": _counted(self.transitions)}


def coverage(program: Program, results: Iterable[CaseResult | Trace | None]) -> Coverage:
    """Counts what calls took; calls that could not be made count for nothing."""
    tally = Tally()
    for result in results:
        tally.add(result.trace if isinstance(result, CaseResult) else result)
    return tally.coverage(program)


class Tally:
    """Counts calls one after another, so that none of them needs to be kept."""

    def __init__(self) -> None:
        self.nodes: Counter[str] = Counter()
        self.edges: Counter[int] = Counter()

    def add(self, trace: Trace | None) -> None:
        """Counts one call."""
        if trace is not None:
            self.nodes.update(trace.path)
            self.edges.update(trace.edges)

    def merge(self, other: Tally) -> None:
        """Adds what another one has counted."""
        self.nodes.update(other.nodes)
        self.edges.update(other.edges)

    def coverage(self, program: Program) -> Coverage:
        """What has been counted, for each node and transition of the flow."""
        flow, same = program.flow, Counter((way.source, way.target) for way in program.flow.transitions)
        seen: Counter[tuple[str, str]] = Counter()
        ways = []
        for number, way in enumerate(flow.transitions):
            ends = (way.source, way.target)
            seen[ends] += 1
            name = f"{way.source} -> {way.target}" + (f" ({seen[ends]})" if same[ends] > 1 else "")
            ways.append(Covered(way.id or name, way.place.line, self.edges[number]))
        nodes = tuple(Covered(node.id, node.place.line, self.nodes[node.id]) for node in flow.nodes)
        return Coverage(nodes, tuple(ways))


def _counted(parts: tuple[Covered, ...]) -> dict[str, Any]:
    missing = [{"id": part.id, "line": part.line} for part in parts if not part.times]
    return {"taken": len(parts) - len(missing), "total": len(parts), "missing": missing}
