"""A patch: what an author wants changed in the nodes of one Genesys flow, and from which version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cordboard.documents import Document

Where = Literal["", "first", "before", "after"]


@dataclass(frozen=True, slots=True)
class WayChange:
    """One way out of a node that is added, changed, moved or removed.

    Attributes:
        condition: its condition, in any spelling.
        to: the node to which it leads now; empty where only its place changes.
        removed: whether it goes.
        where: its place: `first`, or `before` or `after` another way; empty for where it stands, and for the end where
            it is new.
        other: the condition of that other way.
    """

    condition: str
    to: str = ""
    removed: bool = False
    where: Where = ""
    other: str = ""


@dataclass(frozen=True, slots=True)
class NodeChange:
    """What changes about one node; it is made where it is not there.

    Attributes:
        fields: a JSON merge patch of the node: null removes a field, objects are merged by key, lists are replaced.
        ways: single ways out of it, in the order in which they are changed.
        all_ways: the whole new list of `transitionConditions`; None where there is none.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    ways: tuple[WayChange, ...] = ()
    all_ways: tuple[Mapping[str, Any], ...] | None = None


@dataclass(frozen=True, slots=True)
class Patch:
    """Changes to the nodes of one flow.

    Attributes:
        flow_id: the flow's id at the vendor.
        base_version: the version of the flow that the author had in front of them.
        reason: why, for the audit; empty where nobody said.
        start: id of the new start node; empty where it stays.
        nodes: changes by node id; None removes the node.
        replace: whole nodes by id, as the vendor writes them.
        document: where it was read from; None for one that was made. No part of equality.
    """

    flow_id: str
    base_version: int
    reason: str = ""
    start: str = ""
    nodes: Mapping[str, NodeChange | None] = field(default_factory=dict)
    replace: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    document: Document | None = field(default=None, compare=False, repr=False)
