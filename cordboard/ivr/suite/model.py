"""A suite of calls as the rest of the code sees it, without placeholders, fragments and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cordboard.ivr.model import NOWHERE, Flow, Place
from cordboard.ivr.trace import EndKind, Input, Then


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a call must be like; None and empty stand for "never mind".

    Attributes:
        path: ids of all nodes, in order.
        visits: ids of some of them, in order.
        exit: id of the node at which the call comes to its end.
        variables: values that some variables have in the end; null also stands for one that is missing.
        visited: ids of nodes that the call gets to.
        never: ids of nodes that it does not get to.
        prompts: parts of what is heard, in order.
        inputs: how many inputs are taken.
        duration_max: milliseconds that it takes at the most.
        end: how it ends; where nothing is said, neither by a fault of the flow nor for want of an input.
    """

    path: tuple[str, ...] | None = None
    visits: tuple[str, ...] = ()
    exit: str | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    visited: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    inputs: int | None = None
    duration_max: int | None = None
    end: EndKind | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One call of a suite.

    Attributes:
        name: unique in the suite.
        inputs: what the caller does.
        variables: their values when the call begins.
        mocks: what actions return, by id of their node.
        then: what the caller does after the last input.
        max_loops: the bound of the engine.
        expect: what the call must be like.
        place: where the case stands; for one of a table the row.
    """

    name: str
    inputs: tuple[Input, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    mocks: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    then: Then = "silence"
    max_loops: int = 50
    expect: Expectation = Expectation()
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite of calls without faults.

    Attributes:
        name: for people; that of the file, without its ending, where the suite has none.
        flow_id: the flow's id at the vendor.
        flow: the call flow, where the suite names its file.
        cases: in the order of the file; names are unique.
        file: where it was read from.
    """

    name: str
    flow_id: str
    cases: tuple[Case, ...]
    flow: Flow | None = None
    file: str = field(default="", compare=False)
