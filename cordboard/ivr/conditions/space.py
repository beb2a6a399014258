"""All situations that conditions can tell apart, as the bits of one integer.

Bit `n` of a condition's mask says whether it holds in situation number `n`, so that `and`, `or` and `not` over a
million situations are one operation each. The numbers count like a clock: the caller's input is the slowest hand, each
variable a faster one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import accumulate
from operator import and_, mul, or_
from typing import Any

from cordboard.ivr.conditions.candidates import Group, groups_of, pressed_in, said_in, values_in, visits_in
from cordboard.ivr.conditions.evaluation import compare, kind_of, value_of
from cordboard.ivr.conditions.keypad import inputs_of
from cordboard.ivr.conditions.situation import CallerInput, Situation, Value
from cordboard.ivr.conditions.tree import (
    CALLER_NAMES,
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
    atoms_of,
    reads,
)

NOBODY = CallerInput()
MAX_SITUATIONS = 1 << 20
#: Situations times comparisons, and single comparisons of two values: together about a tenth of a second.
MAX_BITS = 1 << 27
MAX_COMPARED = 1 << 17
_MAX_VARIABLES = 16


@dataclass(frozen=True, slots=True)
class Axis:
    """One hand of the clock.

    Attributes:
        name: the variable; empty for the caller's input.
        values: the caller's inputs, or the values of the variable.
        stride: how many situations lie between one value and the next.
    """

    name: str
    values: tuple[Any, ...]
    stride: int = 1

    @property
    def period(self) -> int:
        """After how many situations its values start again."""
        return self.stride * len(self.values)

    def values_of(self, operand: Operand) -> list[Value]:
        """What an operand is worth at each value of this axis."""
        if self.name:
            return [value_of(operand, NOBODY, {self.name: value}) for value in self.values]
        return [value_of(operand, caller, {}) for caller in self.values]


def space_of(conditions: Sequence[Condition], share: int = 1) -> Space | None:
    """All situations that some conditions can tell apart; None where there are too many.

    Args:
        conditions: the conditions.
        share: how many such spaces are wanted; each may be so much smaller.
    """
    comparisons = _comparisons_in(conditions)
    groups = groups_of(comparisons)
    axes = _axes(conditions, groups)
    most = _most_situations(len(comparisons), len(conditions)) // share
    whole = all(group.whole for group in groups.values())
    return Space(axes) if whole and _fits(axes, comparisons, most, MAX_COMPARED // share) else None


def part_of_space(conditions: Sequence[Condition]) -> Space:
    """Some of the situations that conditions can tell apart, as many as can be tried."""
    comparisons = _comparisons_in(conditions)
    axes = _axes(conditions, groups_of(comparisons))
    return Space(_thinned(axes, comparisons, _most_situations(len(comparisons), len(conditions)), MAX_COMPARED))


def _most_situations(comparisons: int, conditions: int) -> int:
    """Each comparison and condition works on all situations, and conditions are held against each other."""
    return min(MAX_SITUATIONS, MAX_BITS // (comparisons + conditions + conditions**2 // 64 + 1))


def _comparisons_in(conditions: Sequence[Condition]) -> list[Comparison]:
    """Each comparison once; a bare name is compared with true."""
    atoms = (atom for condition in conditions for atom in atoms_of(condition))
    compared = (_is_true(atom.name) if isinstance(atom, IsTrue) else atom for atom in atoms)
    return list(dict.fromkeys(it for it in compared if isinstance(it, Comparison)))


def _is_true(name: Name) -> Comparison:
    return Comparison("==", name, Boolean(True))


def _axes(conditions: Sequence[Condition], groups: Mapping[str, Group]) -> list[Axis]:
    """An axis for the caller's input, and one for each variable."""
    names = frozenset[str]().union(*map(reads, conditions))
    callers: tuple[CallerInput, ...] = (NOBODY,)
    if names & CALLER_NAMES:
        callers = inputs_of(pressed_in(groups.get("dtmf")), said_in(groups.get("speech")))
    variables = sorted(names - CALLER_NAMES)
    values = {id(groups[name]): values_in(groups[name]) for name in variables}
    return [
        Axis("", callers),
        *(Axis(it, visits_in(groups[it]) if it == "visits" else values[id(groups[it])]) for it in variables),
    ]


def _fits(axes: Sequence[Axis], comparisons: Sequence[Comparison], most: int, most_compared: int) -> bool:
    lengths = {axis.name: len(axis.values) for axis in axes}
    compared = sum(_pairs(comparison, lengths) for comparison in comparisons)
    return _size(axes) <= most and compared <= most_compared


def _pairs(comparison: Comparison, lengths: Mapping[str, int]) -> int:
    if _asks_for_one_value(comparison):
        return 1
    names = {side.name for side in (comparison.left, comparison.right) if isinstance(side, Name)}
    return math.prod(lengths[name] for name in {name if name in lengths else "" for name in names})


def _size(axes: Sequence[Axis]) -> int:
    return math.prod(len(axis.values) for axis in axes)


def _thinned(axes: Sequence[Axis], comparisons: Sequence[Comparison], most: int, most_compared: int) -> list[Axis]:
    """The axes with fewer values, so that they fit."""
    thin = [
        axis if place <= _MAX_VARIABLES else replace(axis, values=axis.values[:1]) for place, axis in enumerate(axes)
    ]
    while not _fits(thin, comparisons, most, most_compared):
        longest = max(range(len(thin)), key=lambda place: len(thin[place].values))
        values = thin[longest].values
        if len(values) == 1:
            break
        thin[longest] = replace(thin[longest], values=values[: len(values) // 2])
    return thin


class Space:
    """All situations of some axes, of which the caller's comes first."""

    __slots__ = ("_indices", "_masks", "_places", "axes", "full", "size")

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.size = _size(axes)
        self.full = (1 << self.size) - 1
        strides = list(accumulate((len(axis.values) for axis in reversed(axes)), mul, initial=1))[-2::-1]
        self.axes = [replace(axis, stride=stride) for axis, stride in zip(axes, strides, strict=True)]
        self._places = {axis.name: place for place, axis in enumerate(axes)}
        self._masks: dict[Comparison, int] = {}
        self._indices: dict[Operand, dict[tuple[str, Value], int]] = {}

    def mask(self, condition: Condition) -> int:  # noqa: PLR0911 - one for each kind of condition
        """The situations in which a condition holds."""
        match condition:
            case Default():
                return self.full
            case Constant(value):
                return self.full if value else 0
            case Not(inner):
                return self.full ^ self.mask(inner)
            case And(parts):
                return reduce(and_, map(self.mask, parts))
            case Or(parts):
                return reduce(or_, map(self.mask, parts))
            case IsTrue(name):
                return self._atom(_is_true(name))
            case _:
                return self._atom(condition)

    def first(self, mask: int) -> Situation:
        """The first of some situations."""
        number = (mask & -mask).bit_length() - 1
        caller, *values = (axis.values[number // axis.stride % len(axis.values)] for axis in self.axes)
        names = (axis.name for axis in self.axes[1:])
        return Situation(caller, tuple(zip(names, values, strict=True)))

    def first_by_caller(self, mask: int) -> list[Situation]:
        """The first of some situations for each input of the caller that has one."""
        caller = self.axes[0]
        block = (1 << caller.stride) - 1
        parts = (mask & (block << caller.stride * index) for index in range(len(caller.values)))
        return [self.first(part) for part in parts if part]

    def _atom(self, atom: Comparison) -> int:
        if atom not in self._masks:
            self._masks[atom] = self._compared(atom)
        return self._masks[atom]

    def _compared(self, atom: Comparison) -> int:
        places = sorted({self._place(side) for side in (atom.left, atom.right) if isinstance(side, Name)})
        if len(places) == 2:
            return self._compared_on_two(atom, self.axes[places[0]], self.axes[places[1]])
        axis = self.axes[places[0] if places else 0]
        if _asks_for_one_value(atom):
            return self._equal_to_literal(atom, axis)
        pairs = zip(axis.values_of(atom.left), axis.values_of(atom.right), strict=True)
        pattern = _bits([compare(atom.operator, left, right) for left, right in pairs], axis.stride)
        return _repeated(pattern, axis.period, self.size)

    def _equal_to_literal(self, atom: Comparison, axis: Axis) -> int:
        """By looking the value up: a long menu would otherwise compare each literal with each."""
        if atom.left not in self._indices:
            indices: dict[tuple[str, Value], int] = {}
            for index, value in enumerate(axis.values_of(atom.left)):
                key = kind_of(value), value
                indices[key] = indices.get(key, 0) | _block(index, axis.stride)
            self._indices[atom.left] = indices
        literal = value_of(atom.right, NOBODY, {})
        pattern = self._indices[atom.left].get((kind_of(literal), literal), 0)
        equal = _repeated(pattern, axis.period, self.size)
        return equal if atom.operator == "==" else self.full ^ equal

    def _compared_on_two(self, atom: Comparison, slow: Axis, fast: Axis) -> int:
        mirrored = self.axes[self._place(atom.left)] is fast
        mine, other = (atom.right, atom.left) if mirrored else (atom.left, atom.right)
        inner = fast.values_of(other)
        pattern = 0
        for index, outer in enumerate(slow.values_of(mine)):
            holds = [compare(atom.operator, *((it, outer) if mirrored else (outer, it))) for it in inner]
            pattern |= _repeated(_bits(holds, fast.stride), fast.period, slow.stride) << index * slow.stride
        return _repeated(pattern, slow.period, self.size)

    def _place(self, operand: Operand) -> int:
        """Which axis a name belongs to."""
        return self._places.get(operand.name, 0) if isinstance(operand, Name) else 0


def _bits(holds: Sequence[bool], stride: int) -> int:
    """A block of `stride` bits for each entry."""
    return reduce(or_, (_block(index, stride) for index, yes in enumerate(holds) if yes), 0)


def _block(index: int, stride: int) -> int:
    return ((1 << stride) - 1) << index * stride


def _asks_for_one_value(atom: Comparison) -> bool:
    return atom.operator in {"==", "!="} and isinstance(atom.left, Name) and not isinstance(atom.right, Name)


def _repeated(pattern: int, period: int, length: int) -> int:
    """The pattern over and over again, until there are `length` bits."""
    while period < length:
        pattern |= pattern << period
        period *= 2
    return pattern & ((1 << length) - 1)
