"""A finding in the making, which still knows the nodes it is about, and the words that messages share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cordboard.findings import Finding
from cordboard.ivr.model import NOWHERE, Place
from cordboard.ivr.topology.rules import RULES

_MOST_NAMES = 5
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, before suppressions are applied.

    Attributes:
        rule: the rule's name, without `ivr/`.
        message: what is wrong, in one sentence.
        about: ids of the nodes for which it can be accepted.
        place: where it is.
        hint: how to mend it.
        proof: ids of the nodes on the way that proves it.
    """

    rule: str
    message: str
    about: tuple[str, ...] = ()
    place: Place = NOWHERE
    hint: str = ""
    proof: tuple[str, ...] = ()

    def finding(self, file: str) -> Finding:
        """The finding that is reported."""
        rule = RULES[f"ivr/{self.rule}"]
        return Finding(
            rule.id, self.message, self.place.path, file, self.place.line, self.hint, rule.severity, self.proof
        )


def quoted(text: str) -> str:
    """A name or a condition as it can stand in a message; what a vendor sent may hold anything."""
    short = text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 3]}..."
    return f"`{short if short.isprintable() else ascii(short)[1:-1]}`"


def listed(names: Sequence[str]) -> str:
    """Some names in a row; of many only the first."""
    shown = [quoted(name) for name in names[:_MOST_NAMES]]
    more = len(names) - len(shown)
    return in_a_row([*shown, f"{more} more"] if more else shown)


def in_a_row(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def where(place: Place) -> str:
    """Where something stands, in a sentence."""
    if place.line is not None:
        return f"on line {place.line}"
    return f"at {place.path}" if place.path else "before it"
