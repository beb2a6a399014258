"""Whether a condition holds. Total: every condition has an answer for every input, and nothing raises.

- Values of different types are never equal and have no order: `==` is false, `!=` is true, `<` and its like are false.
- A variable that is missing equals nothing, not even itself. So does one whose value is no text, number or boolean.
- Text is ordered by code points, numbers by size. Booleans have no order.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from cordboard.ivr.conditions.situation import CallerInput, Value
from cordboard.ivr.conditions.tree import (
    CALLER_NAMES,
    And,
    Comparison,
    Condition,
    Constant,
    Default,
    IsTrue,
    Name,
    Not,
    Operand,
    Operator,
    Or,
)

_Order: TypeAlias = Callable[[Any, Any], bool]
_ORDERS: Mapping[str, _Order] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def evaluate(condition: Condition, caller: CallerInput, variables: Mapping[str, Any]) -> bool:  # noqa: PLR0911 - one a kind
    """Whether a condition holds.

    Args:
        condition: what `parse` returned. `default` holds always; that it waits for the others is up to who asks.
        caller: what the caller did.
        variables: values by name; `visits` is among them. A dotted name is looked up as it is written, and then step by
            step through nested objects.
    """
    match condition:
        case Default():
            return True
        case Constant(value):
            return value
        case IsTrue(name):
            return value_of(name, caller, variables) is True
        case Comparison(sign, left, right):
            return compare(sign, value_of(left, caller, variables), value_of(right, caller, variables))
        case Not(inner):
            return not evaluate(inner, caller, variables)
        case And(parts):
            return all(evaluate(part, caller, variables) for part in parts)
        case Or(parts):
            return any(evaluate(part, caller, variables) for part in parts)


def compare(sign: Operator, left: Value, right: Value) -> bool:
    """Compares two values by the rules of this language."""
    kind = kind_of(left)
    if kind == "missing" or kind != kind_of(right):
        return sign == "!="
    if sign == "==":
        return left == right
    if sign == "!=":
        return left != right
    return kind != "boolean" and _ORDERS[sign](left, right)


def kind_of(value: object) -> str:
    """The type of a value in words: `text`, `number`, `boolean`, or `missing` for everything else."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return "number"
    return "missing"


def value_of(operand: Operand, caller: CallerInput, variables: Mapping[str, Any]) -> Any:
    """The value of one side of a comparison."""
    if not isinstance(operand, Name):
        return operand.value
    if operand.name in CALLER_NAMES:
        return getattr(caller, operand.name)
    return _variable(operand.name, variables)


def _variable(name: str, variables: Mapping[str, Any]) -> Any:
    if name in variables or "." not in name:
        return variables.get(name)
    found: Any = variables
    for step in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found
