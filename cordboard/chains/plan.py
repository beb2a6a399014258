"""In which order the actions of a chain may run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cordboard.chains import graph
from cordboard.chains.model import Chain


@dataclass(frozen=True, slots=True)
class ChainPlan:
    """The order of a chain.

    Attributes:
        order: all actions, each after those it waits for; the order of the file among equals.
        upstream: for each action those it waits for, in file order.
        downstream: for each action those that wait for it, in file order.
        layers: actions that may run at the same time, layer by layer.
    """

    order: tuple[str, ...]
    upstream: Mapping[str, tuple[str, ...]]
    downstream: Mapping[str, tuple[str, ...]]
    layers: tuple[tuple[str, ...], ...]


def plan_chain(chain: Chain) -> ChainPlan:
    """Plans a chain. A loaded chain has no loops, so every chain has a plan.

    >>> from cordboard.chains.model import Action
    >>> actions = {"b": Action("b", "def-b", depends_on=("a",)), "a": Action("a", "def-a")}
    >>> plan_chain(Chain("demo", actions)).layers
    (('a',), ('b',))
    """
    upstream = {name: action.depends_on for name, action in chain.actions.items()}
    waits = graph.graph_of(upstream)
    below: dict[str, list[str]] = {name: [] for name in upstream}
    for name, waited_for in upstream.items():
        for before in waited_for:
            below[before].append(name)
    downstream = {name: tuple(after) for name, after in below.items()}
    return ChainPlan(graph.order(waits), upstream, downstream, graph.layers(waits))
