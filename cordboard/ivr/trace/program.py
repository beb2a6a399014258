"""A call flow made ready for calls: numbers in place of ids, conditions read, answers looked up where they can be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cordboard.ivr.conditions import Condition, evaluate
from cordboard.ivr.model import Flow, Node
from cordboard.ivr.trace.counting import Counter
from cordboard.ivr.trace.inputs import caller_of

#: Milliseconds that a call spends at a node, so that durations are the same on every machine.
START_MS, ASKING_MS, PASSING_MS, END_MS = 45, 45, 55, 0


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """One way out of a node.

    Attributes:
        target: the number of the node that is reached.
        condition: what it asks; `default` for a default or a fallback.
        edge: the number of the transition in the flow.
        names: the id of the node that is reached, and of those behind it at which nothing can happen but to go on.
        lands: the number of the last of them.
    """

    target: int
    condition: Condition
    edge: int
    names: tuple[str, ...]
    lands: int


@dataclass(frozen=True, slots=True, eq=False)
class Station:
    """A node, ready for calls.

    Attributes:
        node: the node.
        ends: whether a call ends here.
        asks: whether it waits for the caller.
        branches: its ways out in the order in which they are tried.
        gives_up: the way it takes once it has been reached too often.
        limit: how often it may be reached before it gives up.
        collects: how many keys of a row it takes; None for all that are left.
        counter: how often it has been reached, where that matters.
        reads_visits: whether a condition asks how often it has been reached.
        answers: the way for each thing that can be heard, where nothing else decides; None where something else does.
        onward: the way it takes in any case; None where something decides, none leads out, or the call ends.
        busy: whether getting to it changes the state of a call: it counts or assigns.
        returns: whether a call that leaves it may get to it again.
        cost_ms: the time a call spends here.
    """

    node: Node
    ends: bool
    asks: bool
    branches: tuple[Branch, ...]
    gives_up: Branch | None
    limit: int
    collects: int | None
    counter: Counter | None
    reads_visits: bool
    answers: Mapping[str, Branch | None] | None
    onward: Branch | None
    busy: bool
    returns: bool
    cost_ms: int

    def gives_up_at(self, visits: int) -> bool:
        """Whether it gives up at such a visit, counted from 1, without asking."""
        return visits > self.limit

    def way(self, key: str, visits: int, variables: Mapping[str, Any]) -> Branch | None:
        """The way out for what is heard; None where there is none.

        Args:
            key: what the caller did, see `caller_of`; empty where the node does not ask.
            visits: how often the node has been reached, from 1.
            variables: their values.
        """
        if self.answers is not None:
            found = self.answers.get(key, _UNLISTED)
            return self.answers[kind_of(key)] if found is _UNLISTED else found
        caller = caller_of(key)
        known = {**variables, "visits": visits} if self.reads_visits else variables
        for branch in self.branches:
            if evaluate(branch.condition, caller, known):
                return branch
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A call flow, ready for calls. It never changes, and calls can share it.

    Attributes:
        flow: what it is made of.
        stations: the nodes, by number.
        index: the number of each id.
        start: the number of the first node.
        assigns: whether a node assigns variables.
    """

    flow: Flow
    stations: Sequence[Station] = field(repr=False)
    index: Mapping[str, int] = field(repr=False)
    start: int = 0
    assigns: bool = False

    def name(self, number: int) -> str:
        """The id of a node."""
        return self.stations[number].node.id


def kind_of(key: str) -> str:
    """Under which word the answer to all that is not listed stands: `digits` or `speech`."""
    return "speech" if key.startswith("speech ") else "digits"


_UNLISTED: Any = object()
