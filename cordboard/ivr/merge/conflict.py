"""What two edits of one flow disagree on, and what came of merging them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cordboard.ivr.diff.wording import excerpts, visible
from cordboard.ivr.model import Flow
from cordboard.jsontext import dump_json

#: The field of a conflict about the order in which the ways out of a node are tried.
ORDER = "order"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that both sides changed, each in its own way.

    Attributes:
        node: id of the node; empty for the flow as a whole.
        field: what of it, such as `prompt`, `properties.audioResource.id`, `transitions[dtmf == '1'].to` or `order`;
            empty for the node as a whole.
        base: the JSON value from which both started; None where it was not there.
        ours: what our side made of it; None where it removed it.
        theirs: what the other side made of it.
    """

    node: str
    field: str
    base: Any
    ours: Any
    theirs: Any

    @property
    def sentence(self) -> str:
        """The conflict for people, in one line."""
        what = ": ".join(filter(None, (self.node or "the flow", f"`{self.field}`" if self.field else "")))
        ours, theirs = excerpts(_text(self.ours), _text(self.theirs))
        was, _ = excerpts(_text(self.base), "")
        return visible(f"{what} was {was or 'not there'}; ours {_made(ours)}, theirs {_made(theirs)}")

    def as_json(self) -> dict[str, Any]:
        """The conflict as a JSON object."""
        return {"node": self.node, "field": self.field, "base": self.base, "ours": self.ours, "theirs": self.theirs}


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of a merge.

    Attributes:
        flow: the flow with the edits of both sides; None where there are conflicts.
        conflicts: what the sides disagree on, all of it, by node and field.
    """

    flow: Flow | None
    conflicts: tuple[Conflict, ...] = ()


def _text(value: Any) -> str:
    return "" if value is None else dump_json(value)


def _made(text: str) -> str:
    return f"makes it {text}" if text else "removes it"
