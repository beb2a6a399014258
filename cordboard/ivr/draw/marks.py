"""Which nodes and connections the findings are about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from cordboard.findings import Finding, Severity
from cordboard.ivr.model import Flow

_LAST_STEP = re.compile(r"(?:^|\.)[^.\[\]]*$|\[\d+\]$")


@dataclass(frozen=True, slots=True)
class Marks:
    """How bad it is where.

    Attributes:
        nodes: the worst severity at a node, by id.
        ways: the worst severity of a transition, by its index in the flow.
        node_of: for each finding, in order, the id of the node it is about; empty where it is about none.
    """

    nodes: dict[str, Severity] = field(default_factory=dict)
    ways: dict[int, Severity] = field(default_factory=dict)
    node_of: list[str] = field(default_factory=list)


def marks_of(flow: Flow, findings: Iterable[Finding]) -> Marks:
    """Finds the place of each finding: by its path in the document, else by the end of the way that proves it.

    Where the way that proves a finding ends in a circle, all of the circle is marked.
    """
    marks = Marks()
    nodes = {node.place.path: node.id for node in flow.nodes if node.place.path}
    ways = {way.place.path: index for index, way in enumerate(flow.transitions) if way.place.path}
    between: dict[tuple[str, str], list[int]] = {}
    for index, way in enumerate(flow.transitions):
        between.setdefault((way.source, way.target), []).append(index)
    for finding in findings:
        marks.node_of.append(_mark_place(finding, flow, marks, nodes, ways))
        _mark_circle(finding, marks, between)
    return marks


def worse(one: Severity | None, other: Severity | None) -> Severity | None:
    """The worse of two severities, of which None is none at all."""
    return Severity.ERROR if Severity.ERROR in {one, other} else one or other


def _mark_place(finding: Finding, flow: Flow, marks: Marks, nodes: Mapping[str, str], ways: Mapping[str, int]) -> str:
    path = finding.path
    while path and path not in nodes and path not in ways:
        shorter = _LAST_STEP.sub("", path)
        path = shorter if shorter != path else ""
    if path in ways:
        _worsen(marks.ways, ways[path], finding.severity)
        return flow.transitions[ways[path]].source
    node = nodes.get(path) or (finding.proof[-1] if finding.proof else "")
    if node:
        _worsen(marks.nodes, node, finding.severity)
    return node


def _mark_circle(finding: Finding, marks: Marks, between: Mapping[tuple[str, str], list[int]]) -> None:
    circle = finding.proof[finding.proof.index(finding.proof[-1]) :] if finding.proof else ()
    for step in pairwise(circle):
        _worsen(marks.nodes, step[0], finding.severity)
        for index in between.get(step, ()):
            _worsen(marks.ways, index, finding.severity)


def _worsen(marks: dict[Any, Severity], key: Any, severity: Severity) -> None:
    marks[key] = worse(marks.get(key), severity) or severity
