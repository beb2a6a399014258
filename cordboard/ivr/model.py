"""A call flow as the rest of the code sees it: nodes, the transitions between them, and where each stands in its file.

How a node is left, whichever vendor serves it:

    transition      is taken when …
    conditional     its condition holds; the conditional ones are tried in order
    default         no conditional one fits
    fallback        no other fits, or the node has been visited more than `max_visits` times and gives up
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

Platform = Literal["cxone", "genesys"]
TransitionType = Literal["conditional", "default", "fallback"]

#: A vendor's word for a node that ends a call, beside the `terminals` that a file names.
TERMINAL_TYPES = frozenset({"terminal", "disconnect", "end", "exit", "hangup", "transfer"})
START_TYPE = "start"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: a dotted path such as `connections[3].when`, and its 1-based line where there is one."""

    path: str = ""
    line: int | None = None


NOWHERE = Place()
#: Names that stand for what a call does at this moment; nothing can be assigned to them.
TAKEN_NAMES = frozenset({"dtmf", "speech", "no_input", "no_match", "visits"})


@dataclass(frozen=True, slots=True)
class Transition:
    """One way out of a node.

    Attributes:
        source: id of the node that is left.
        target: id of the node that is reached.
        condition: as written: `dtmf == '1'`, `true`, `default`, `else`.
        type: when it is tried; `default` also where the condition says `default` or `else`.
        id: the vendor's id; empty where the file states none.
        extra: fields of the vendor that we do not interpret, kept as they are.
        place: where it stands; no part of equality.
    """

    source: str
    target: str
    condition: str = "true"
    type: TransitionType = "conditional"
    id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Node:
    """One step of a call.

    Attributes:
        id: its id at the vendor.
        type: the vendor's word: `start`, `decision`, `menu`, `terminal`, …; empty where nobody said.
        name: for people.
        prompt: what the caller hears.
        max_visits: visits after which it gives up and takes its fallback; None for no limit.
        set: variables it assigns when a call gets to it, before its ways out are tried; plain JSON values.
        extra: fields of the vendor that we do not interpret, kept as they are.
        stated: whether somebody said anything of it; false where only connections name it. No part of equality.
        place: where it stands; no part of equality.
    """

    id: str
    type: str = ""
    name: str = ""
    prompt: str = ""
    max_visits: int | None = None
    set: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    stated: bool = field(default=True, compare=False)
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """What the vendor takes; a file may state other numbers. Source: seed 000, `FlowConnectionBatch`."""

    max_connections_per_node: int = 10
    max_connections: int = 50


@dataclass(frozen=True, slots=True)
class Suppression:
    """A finding that somebody has looked at and accepts, until a day.

    Attributes:
        rule: the rule's id, such as `ivr/unreachable`.
        node: the node it is about; empty for every place.
        reason: why it is accepted.
        until: the last day on which it holds.
    """

    rule: str
    reason: str
    until: date
    node: str = ""
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Flow:
    """A call flow as it was read; it may have faults, which `cordboard.ivr.topology` finds.

    Attributes:
        id: its id at the vendor.
        start: id of the first node; empty where nobody said.
        nodes: in file order. Ids may stand twice (that is a fault, and is found), so this is no mapping.
        transitions: in file order.
        name: for people; empty where nobody said.
        platform: whose words the file speaks.
        terminals: ids of nodes that end a call, beside those whose type says so.
        limits: what the vendor takes.
        existing: what happens to connections of the live flow that are not in this one: `replace` or `keep`.
        suppressions: accepted findings.
        version: the vendor's version number, where it has one.
        extra: fields of the vendor that we do not interpret, kept as they are.
        file: where it was read from; empty for a live flow.
    """

    id: str
    start: str
    nodes: tuple[Node, ...]
    transitions: tuple[Transition, ...]
    name: str = ""
    platform: Platform = "cxone"
    terminals: tuple[str, ...] = ()
    limits: Limits = Limits()
    existing: Literal["replace", "keep"] = "replace"
    suppressions: tuple[Suppression, ...] = ()
    version: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    file: str = field(default="", compare=False)

    def ends_call(self, node: Node) -> bool:
        """Whether a call ends at a node: its type says so, or the file names it among `terminals`."""
        return node.type in TERMINAL_TYPES or node.id in self.terminals


def assignment_faults(values: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with variables and their values, where a node is to assign them."""
    for name, value in values.items():
        if name in TAKEN_NAMES:
            yield f"`{name}` stands for what the caller does, and nothing can be assigned to it"
        elif not name:
            yield "a variable has a name"
        elif not (value is None or isinstance(value, str | int | float)):
            yield f"`{name}` must be text, a number, a truth value or null"
