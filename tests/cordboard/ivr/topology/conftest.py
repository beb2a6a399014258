"""Call flows as short texts: one connection a line, with its condition or its type behind a colon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import pytest

from cordboard.findings import Finding
from cordboard.ivr.model import Flow, Node, Place, Transition
from cordboard.ivr.topology import check_flow

Drawn = Callable[..., Flow]
TODAY = date(2026, 5, 1)


def draw(text: str, nodes: Mapping[str, Mapping[str, Any]] | None = None, **fields: Any) -> Flow:
    """A flow that starts at `node_start` and ends at `node_end`; what `nodes` does not describe is a decision."""
    lines = [line.strip() for line in text.strip().splitlines()]
    ways = [_transition(line, number) for number, line in enumerate(lines, 1) if "->" in line]
    alone = [line for line in lines if line and "->" not in line]
    known = fields.pop("known", None)
    names = dict.fromkeys(["node_start", *alone, *(name for way in ways for name in (way.source, way.target))])
    described = nodes or {}
    shown = [_node(name, described.get(name, {})) for name in known or names]
    return Flow(id="ivr_test", transitions=tuple(ways), **{"start": "node_start", "nodes": tuple(shown), **fields})


def _transition(line: str, number: int) -> Transition:
    ends, _, when = line.partition(":")
    source, _, target = ends.partition("->")
    when = when.strip() or "default"
    kind: Any = when if when in {"default", "fallback"} else "conditional"
    condition = "true" if when == kind else when
    return Transition(
        source.strip(), target.strip(), condition, kind, place=Place(f"connections[{number - 1}]", number)
    )


def _node(name: str, described: Mapping[str, Any]) -> Node:
    kind = {"node_start": "start", "node_end": "terminal"}.get(name, "decision")
    return Node(**{"id": name, "type": kind, "place": Place(f"nodes.{name}"), **described})


@pytest.fixture
def drawn() -> Drawn:
    return draw


@pytest.fixture
def found() -> Callable[..., tuple[Finding, ...]]:
    """What is found in a flow that is drawn, on a day in May 2026."""

    def check(text: str, nodes: Mapping[str, Mapping[str, Any]] | None = None, **fields: Any) -> tuple[Finding, ...]:
        today = fields.pop("today", TODAY)
        return check_flow(draw(text, nodes, **fields), today=today)

    return check
