"""One change of a call flow, and a list of them for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What sort of change it is."""

    FLOW_ADDED = "flow_added"
    FLOW = "flow"
    START = "start"
    NODE_ADDED = "node_added"
    NODE_GONE = "node_gone"
    NODE_RENAMED = "node_renamed"
    NODE = "node"
    WAY_ADDED = "way_added"
    WAY_GONE = "way_gone"
    REROUTED = "rerouted"
    CONDITION = "condition"
    ORDER = "order"
    WAY = "way"


@dataclass(frozen=True, slots=True)
class Difference:
    """One change, as a reviewer would say it.

    Attributes:
        kind: what sort of change it is.
        node: id of the node at which it happens, in the newer flow where it is there; empty for the flow itself.
        sentence: the change in words, in one line, safe to print.
        before: what stood there, as a JSON value; None where nothing did.
        after: what stands there now, as a JSON value; None where nothing does.
    """

    kind: Kind
    node: str
    sentence: str
    before: Any = None
    after: Any = None

    def __str__(self) -> str:
        return self.sentence


def in_words(differences: Iterable[Difference]) -> str:
    """The changes as text, one a line: `+` for what is new, `-` for what is gone, `~` for what is other than before."""
    lines = [f"{_mark(difference.kind)} {difference.sentence}\n" for difference in differences]
    return "".join(lines) or "no difference\n"


def as_json(differences: Iterable[Difference]) -> list[dict[str, Any]]:
    """The changes as a JSON value."""
    return [asdict(difference) | {"kind": str(difference.kind)} for difference in differences]


def _mark(kind: Kind) -> str:
    return "+" if kind.endswith("_added") else "-" if kind.endswith("_gone") else "~"
