"""What a condition is made of, once it is read. All of it is immutable and can be compared and hashed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

Operator = Literal["==", "!=", "<", "<=", ">", ">="]

#: Names that stand for what the caller did at this visit.
CALLER_NAMES = frozenset({"dtmf", "speech", "no_input", "no_match"})
#: All names that have a meaning of their own; every other name is a variable of the flow.
BUILT_IN_NAMES = CALLER_NAMES | {"visits"}


@dataclass(frozen=True, slots=True)
class Name:
    """Something that has a value only in a call: `dtmf`, `tier`, `customer.tier`."""

    name: str


@dataclass(frozen=True, slots=True)
class Text:
    """A text in quotes."""

    value: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number; a whole one is always an `int`."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Boolean:
    """`true` or `false` as one side of a comparison."""

    value: bool


Operand: TypeAlias = Name | Text | Number | Boolean


@dataclass(frozen=True, slots=True)
class Default:
    """`default` or `else`: taken where nothing else fits, wherever it stands in the list."""


@dataclass(frozen=True, slots=True)
class Constant:
    """`true` or `false` as a condition."""

    value: bool


@dataclass(frozen=True, slots=True)
class IsTrue:
    """A bare name: holds where its value is the boolean true."""

    name: Name


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two operands, compared."""

    operator: Operator
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Not:
    """Holds where the other does not."""

    condition: Condition


@dataclass(frozen=True, slots=True)
class And:
    """Holds where all hold; make it with `all_of`."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Holds where at least one holds; make it with `any_of`."""

    parts: tuple[Condition, ...]


Condition: TypeAlias = Default | Constant | IsTrue | Comparison | Not | And | Or
Atom: TypeAlias = Default | Constant | IsTrue | Comparison


def all_of(parts: list[Condition]) -> Condition:
    """The parts joined by `and`, without an `and` inside an `and`: one meaning, one form."""
    if len(parts) == 1:
        return parts[0]
    return And(tuple(inner for part in parts for inner in (part.parts if isinstance(part, And) else (part,))))


def any_of(parts: list[Condition]) -> Condition:
    """The parts joined by `or`, without an `or` inside an `or`."""
    if len(parts) == 1:
        return parts[0]
    return Or(tuple(inner for part in parts for inner in (part.parts if isinstance(part, Or) else (part,))))


def atoms_of(condition: Condition) -> Iterator[Atom]:
    """What `and`, `or` and `not` join, from left to right."""
    todo = [condition]
    while todo:
        item = todo.pop()
        if isinstance(item, Not):
            todo.append(item.condition)
        elif isinstance(item, And | Or):
            todo.extend(reversed(item.parts))
        else:
            yield item


def operands_of(atom: Atom) -> tuple[Operand, ...]:
    """Both sides of a comparison, the name of a bare name, nothing of the rest."""
    if isinstance(atom, Comparison):
        return atom.left, atom.right
    return (atom.name,) if isinstance(atom, IsTrue) else ()


@lru_cache(maxsize=8192)
def reads(condition: Condition) -> frozenset[str]:
    """The names whose values decide whether a condition holds."""
    return frozenset(
        operand.name for atom in atoms_of(condition) for operand in operands_of(atom) if isinstance(operand, Name)
    )


def reads_caller(condition: Condition) -> bool:
    """Whether it depends on what the caller presses or says, or on silence."""
    return not CALLER_NAMES.isdisjoint(reads(condition))
