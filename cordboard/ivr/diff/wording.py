"""Words for what stands in a call flow: conditions as callers meet them, nodes by name, texts safe to print."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from cordboard.ivr.conditions import (
    And,
    Comparison,
    Condition,
    ConditionError,
    Constant,
    Default,
    IsTrue,
    Name,
    Or,
    Text,
    parse,
    show,
)
from cordboard.ivr.model import Flow

ANYTHING_ELSE = "anything else"
GIVING_UP = "giving up"
ALWAYS = "always"
LONGEST = 100

#: A variable may be called like one of our words.
_OWN_WORDS = frozenset({"silence", ALWAYS, "never"})
_KEYS = re.compile(r"[0-9*#]+")


def visible(text: str) -> str:
    """A text in one line, in which control characters and those that turn the direction of reading show as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def quoted(text: str) -> str:
    """A text in typographic quotes."""
    return f"“{visible(text)}”"


def excerpts(one: str, other: str) -> tuple[str, str]:
    """Two texts, shortened where they are long, so that the place where they first differ can be seen."""
    if max(len(one), len(other)) <= LONGEST:
        return one, other
    start = max(0, _common(one, other) - LONGEST // 3)
    return _window(one, start), _window(other, start)


def condition_in_words(condition: str, kind: str) -> str:
    """A condition as callers meet it.

    Args:
        condition: its text.
        kind: the type of the transition: `conditional`, `default` or `fallback`.

    Returns:
        `dtmf == '1'` as `1`, `speech == 'billing'` as `“billing” said`, `no_input` as `silence`; what is not so plain
        as its canonical text.
    """
    if kind != "conditional":
        words = GIVING_UP if kind == "fallback" else ANYTHING_ELSE
        return words if condition in {"true", "default", "else"} else f"{words} (written as {visible(condition)})"
    try:
        return words_of(parse(condition))
    except ConditionError:
        return f"`{visible(condition)}`"


def words_of(condition: Condition) -> str:
    """A condition that could be read, in words."""
    match condition:
        case Default():
            return f"{ANYTHING_ELSE} (as a condition)"
        case Constant(value):
            return ALWAYS if value else "never"
        case And(parts):
            first = _caller_words(parts[0])
            return f"{first} when {show(rest_of(parts))}" if first else show(condition)
        case Or(parts):
            words = [_caller_words(part) for part in parts]
            return listed(words, "or") if all(words) else show(condition)
        case IsTrue(name):
            return _caller_words(condition) or (f"{name.name} is true" if name.name in _OWN_WORDS else name.name)
    return _caller_words(condition) or show(condition)


def rest_of(parts: tuple[Condition, ...]) -> Condition:
    """All parts of an `and` but the first."""
    return parts[1] if len(parts) == 2 else And(parts[1:])


def listed(words: list[str], joint: str) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return f" {joint} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _caller_words(condition: Condition) -> str:
    """What the caller does, in words; empty where the condition is about anything else."""
    match condition:
        case IsTrue(Name("no_input")):
            return "silence"
        case IsTrue(Name("no_match")):
            return "something not understood"
        case Comparison("==", Name(name), Text(text)) | Comparison("==", Text(text), Name(name)):
            if name == "dtmf" and _KEYS.fullmatch(text):
                return text
            return f"{quoted(text)} said" if name == "speech" and text else ""
    return ""


@dataclass(frozen=True, slots=True)
class Names:
    """How the nodes of a flow are called in sentences.

    Attributes:
        names: the name of each node that has one, by id.
        shared: names that more than one node has.
    """

    names: dict[str, str]
    shared: frozenset[str]

    @classmethod
    def of(cls, flow: Flow) -> Names:
        """The names in a flow."""
        names = {node.id: node.name for node in reversed(flow.nodes) if node.name}
        counts = Counter(names.values())
        return cls(names, frozenset(name for name, count in counts.items() if count > 1))

    def short(self, node: str) -> str:
        """The name alone where it says which node is meant: `Main menu`."""
        name = self.names.get(node, "")
        return self.full(node) if name in self.shared else visible(name or node)

    def full(self, node: str) -> str:
        """Name and id: `Billing (node_billing_04)`."""
        name = self.names.get(node, "")
        return f"{visible(name)} ({visible(node)})" if name else visible(node)


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (left, right) in pairs if left != right), min(len(one), len(other)))


def _window(text: str, start: int) -> str:
    cut = text[start : start + LONGEST]
    return f"{'…' if start else ''}{cut}{'…' if start + LONGEST < len(text) else ''}"
