"""Writes a condition in its canonical form: the same tree always gives the same text."""

from __future__ import annotations

from cordboard.ivr.conditions.tree import (
    And,
    Boolean,
    Comparison,
    Condition,
    Constant,
    Default,
    IsTrue,
    Name,
    Not,
    Operand,
    Or,
    Text,
)


def show(condition: Condition) -> str:  # noqa: PLR0911 - one for each kind of condition
    """The canonical text: single spaces, single quotes where they can be, only the brackets that are needed.

    `parse(show(condition))` is the condition again. The depth of a condition that `parse` returns is bounded, and so
    is the depth of this recursion.
    """
    match condition:
        case Default():
            return "default"
        case Constant(value):
            return "true" if value else "false"
        case IsTrue(name):
            return name.name
        case Comparison(operator, left, right):
            return f"{_operand(left)} {operator} {_operand(right)}"
        case Not(inner):
            return f"not {show(inner)}" if isinstance(inner, IsTrue | Constant | Not) else f"not ({show(inner)})"
        case And(parts):
            return " and ".join(f"({show(part)})" if isinstance(part, Or) else show(part) for part in parts)
        case Or(parts):
            return " or ".join(map(show, parts))


def _operand(operand: Operand) -> str:
    match operand:
        case Name(name):
            return name
        case Text(text):
            return f'"{text}"' if "'" in text else f"'{text}'"
        case Boolean(value):
            return "true" if value else "false"
        case _:
            return _number(operand.value)


def _number(value: float) -> str:
    """Plain digits: `repr` writes 0.00001 as 1e-05, which is no number of this language."""
    return repr(value) if "e" not in repr(value) else f"{value:.15f}".rstrip("0")
