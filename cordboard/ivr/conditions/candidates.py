"""Few values that stand for all: whatever a condition can tell apart, it tells apart on these.

A name that is only compared with literals by `==` and `!=` sees each literal and "something else", for which a missing
value serves. Where an order is asked for, there are values in every gap between the literals. Names that are compared
with each other form a group and share their values: as many new ones (in every gap) as the group has names, so that
each pattern of equal, smaller and greater can occur.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, pairwise

from cordboard.ivr.conditions.keypad import KEYS, TONES, keypad, others, spoken
from cordboard.ivr.conditions.situation import Value
from cordboard.ivr.conditions.tree import Boolean, Comparison, Name, Number, Text

#: A group of more names, or of several names and more literals, is not given all the values that it needs.
MAX_NAMES = 20
MAX_LITERALS = 4096


@dataclass(slots=True)
class Group:
    """Names that are compared with each other, and the literals that they are compared with.

    Attributes:
        names: the names.
        joined: whether names are compared with names.
        ordered: whether an order is asked for.
        texts: the texts among the literals; `numbers` and `booleans` likewise.
    """

    names: set[str]
    joined: bool = False
    ordered: bool = False
    texts: set[str] = field(default_factory=set)
    numbers: set[int | float] = field(default_factory=set)
    booleans: set[bool] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        """Whether it is small enough for all the values that it needs."""
        literals = len(self.texts) + len(self.numbers) + 1
        return len(self.names) <= MAX_NAMES and (len(self.names) - 1) * literals <= MAX_LITERALS

    @property
    def new(self) -> int:
        """How many values it needs in every gap, that none of the literals is."""
        return len(self.names) if self.whole else 1

    def take(self, other: Group) -> None:
        """Takes everything of another group in."""
        self.names |= other.names
        self.texts |= other.texts
        self.numbers |= other.numbers
        self.booleans |= other.booleans
        self.joined |= other.joined
        self.ordered |= other.ordered


def groups_of(comparisons: Iterable[Comparison]) -> dict[str, Group]:
    """The group of every name that is compared."""
    groups: dict[str, Group] = {}
    for comparison in comparisons:
        names = [side.name for side in (comparison.left, comparison.right) if isinstance(side, Name)]
        if not names:
            continue
        group = _merged([groups.get(name) or Group({name}) for name in names])
        group.joined |= len(names) == 2
        group.ordered |= comparison.operator not in {"==", "!="}
        _note_literals(group, comparison)
        groups.update(dict.fromkeys(group.names, group))
    return groups


def _merged(groups: list[Group]) -> Group:
    first = groups[0]
    for other in groups[1:]:
        if other is not first:
            first.take(other)
    return first


def _note_literals(group: Group, comparison: Comparison) -> None:
    for side in (comparison.left, comparison.right):
        match side:
            case Text(text):
                group.texts.add(text)
            case Number(number):
                group.numbers.add(number)
            case Boolean(value):
                group.booleans.add(value)
            case _:
                pass


def pressed_in(group: Group | None) -> frozenset[str]:
    """What stands for all that a caller can press."""
    if group is None:
        return keypad(())
    texts = set(group.texts)
    if group.ordered:
        texts.update(filter(None, map(next_keys, {"", *group.texts})))
    return keypad(texts)


def said_in(group: Group | None) -> frozenset[str]:
    """What stands for all that a caller can say."""
    texts = _texts(group) if group else frozenset[str]()
    return texts if group and group.joined else spoken(texts)


def visits_in(group: Group) -> tuple[int, ...]:
    """What stands for all numbers of visits: whole and from 1."""
    above = {max(1, math.floor(number) + 1) for number in {0, *group.numbers}}
    return tuple(sorted(above | {int(number) for number in group.numbers if number == int(number) and number >= 1}))


def values_in(group: Group) -> tuple[Value, ...]:
    """What stands for all values of a variable; missing first, then what is simple."""
    booleans = {True, False} if _needs_booleans(group) else group.booleans
    texts = sorted(_texts(group), key=lambda text: (text not in group.texts, text))
    numbers = sorted(_numbers(group), key=lambda number: (number not in group.numbers, number))
    return (None, *sorted(booleans, reverse=True), *texts, *numbers)


def _needs_booleans(group: Group) -> bool:
    """Booleans are equal without an order, unlike all else; and what the caller did may be compared with a variable."""
    return group.joined and (group.ordered or not group.names.isdisjoint({"no_input", "no_match"}))


def _texts(group: Group) -> frozenset[str]:
    texts = frozenset(group.texts)
    if group.joined:
        texts |= {""}
        texts |= pressed_in(group) if "dtmf" in group.names else frozenset()
    if group.ordered:
        return frozenset(text_points(texts | {""}, group.new)) if texts else texts
    return texts.union(others(texts, group.new)) if group.joined else texts


def _numbers(group: Group) -> set[int | float]:
    numbers = group.numbers.union(visits_in(group) if "visits" in group.names else ())
    if group.ordered and (numbers or group.joined):
        return set(number_points(numbers or {0}, group.new))
    return numbers


def next_keys(text: str) -> str | None:
    """The smallest sequence of keys that comes after a text in the order of texts; None where there is none."""
    known = next((index for index, char in enumerate(text) if char not in TONES), len(text))
    if known == len(text):
        return text + min(TONES)
    for index in range(known, -1, -1):
        larger = min((tone for tone in TONES if tone > text[index]), default=None)
        if larger:
            return text[:index] + larger
    return None


def text_points(texts: Iterable[str], number: int) -> Iterator[str]:
    """The texts, and in each gap above one of them as many more as asked for, or all there are."""
    ordered = sorted(texts)
    yield from ordered
    for low, high in pairwise([*ordered, None]):
        if low is not None:
            yield from _texts_between(low, high, number)


def _texts_between(low: str, high: str | None, number: int) -> list[str]:
    for filler in f"a{KEYS[0]} ":
        run = [low + filler * length for length in range(1, number + 1)]
        if high is None or run[-1] < high:
            return run
    smallest = [low + "\x00" * length for length in range(1, number + 1)]  # nothing lies between two of these
    return [text for text in smallest if high is None or text < high]


def number_points(numbers: Iterable[int | float], number: int) -> Iterator[int | float]:
    """The numbers, and as many more as asked for, or all there are, below, above and in each gap."""
    ordered = sorted(numbers)
    first, last = math.floor(ordered[0]), math.floor(ordered[-1])
    gaps = (_numbers_between(low, high, number) for low, high in pairwise(ordered))
    yield from chain(ordered, *gaps)
    yield from (first - step for step in range(1, number + 1))
    yield from (last + step for step in range(1, number + 1))


def _numbers_between(low: float, high: float, number: int) -> list[int | float]:
    whole: list[int | float] = [math.floor(low) + step for step in range(1, number + 1)]
    if whole[-1] < high:
        return whole
    parts = [low + (high - low) * step / (number + 1) for step in range(1, number + 1)]
    if len({low, *parts, high}) == number + 2:
        return list(parts)
    return _next_floats(low, high, number)


def _next_floats(low: float, high: float, number: int) -> list[int | float]:
    found: list[int | float] = []
    following = math.nextafter(low, math.inf)
    while following < high and len(found) < number:
        found.append(following)
        following = math.nextafter(following, math.inf)
    return found
