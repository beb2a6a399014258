"""Call flows as short texts: one connection a line, with its condition or its type behind a colon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cordboard.ivr.model import Flow, Node, Place, Transition
from cordboard.ivr.trace import Program, compile_flow

Drawn = Callable[..., Flow]
Compiled = Callable[..., Program]


def draw(text: str, nodes: Mapping[str, Mapping[str, Any]] | None = None, **fields: Any) -> Flow:
    """A flow that starts at `start` and ends at `end`; what `nodes` does not describe is a prompt."""
    lines = [line.strip() for line in text.strip().splitlines()]
    ways = [_transition(line, number) for number, line in enumerate(lines, 1)]
    described = nodes or {}
    names = dict.fromkeys(["start", *described, *(name for way in ways for name in (way.source, way.target))])
    known = fields.pop("known", names)
    shown = [_node(name, described.get(name, {})) for name in known]
    return Flow(id="ivr_test", transitions=tuple(ways), **{"start": "start", "nodes": tuple(shown), **fields})


def _transition(line: str, number: int) -> Transition:
    ends, _, when = line.partition(":")
    source, _, target = ends.partition("->")
    when = when.strip() or "default"
    kind: Any = when if when in {"default", "fallback"} else "conditional"
    place = Place(f"connections[{number - 1}]", number)
    return Transition(source.strip(), target.strip(), "true" if when == kind else when, kind, place=place)


def _node(name: str, described: Mapping[str, Any]) -> Node:
    kind = {"start": "start", "end": "terminal", "menu": "menu"}.get(name, "prompt")
    return Node(**{"id": name, "type": kind, "place": Place(f"nodes.{name}"), **described})


@pytest.fixture
def drawn() -> Drawn:
    return draw


@pytest.fixture
def compiled() -> Compiled:
    """A program of a flow that is drawn."""
    return lambda text, nodes=None, **fields: compile_flow(draw(text, nodes, **fields))
