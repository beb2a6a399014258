"""Which way out of a node is which, between two versions, and where their order has come to count."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, TypeAlias

from cordboard.ivr.canonical import MAX_COMPARED
from cordboard.ivr.conditions import And, ConditionError, overlap, parse, show
from cordboard.jsontext import dump_json


@dataclass(frozen=True, slots=True)
class Way:
    """One way out of a node in canonical form; `extra` is JSON text, so that it can be compared and hashed."""

    to: str
    when: str
    kind: str
    extra: str

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Way:
        """Out of a canonical form."""
        return cls(value["to"], value["when"], value["type"], dump_json(value["extra"]))

    def as_json(self) -> dict[str, str]:
        """Where it leads and when, as a JSON value."""
        return {"to": self.to, "when": self.when, "type": self.kind}


Ways: TypeAlias = tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """The ways out of one node before and after.

    Attributes:
        origin: for each way after the index of the way that it was before; None where it is new.
        gone: indexes of ways before that are no more.
        swapped: pairs of indexes after, first come first, that were tried the other way round before.
        newly_after: for each way after, other ways whose place before it counts now and did not count before.
        newly_before: the same for ways whose place after it counts now.
    """

    origin: tuple[int | None, ...]
    gone: tuple[int, ...]
    swapped: tuple[tuple[int, int], ...]
    newly_after: Mapping[int, list[int]]
    newly_before: Mapping[int, list[int]]


def match_ways(before: Ways, after: Ways) -> Match:
    """Matches ways: the same ones, then those with the same condition, then those with the same target.

    Each step looks keys up, so that the time is linear in the number of ways; only where order can count are ways
    compared in pairs, up to the number to which the canonical form compares them.
    """
    origin, left = _origins(before, after)
    swapped: list[tuple[int, int]] = []
    newly_after: dict[int, list[int]] = {}
    newly_before: dict[int, list[int]] = {}
    for first, second, old in _pairs(before, after, origin):
        if old == "swapped":
            swapped.append((first, second))
        elif _changed(second, before, after, origin):
            newly_after.setdefault(second, []).append(first)
        else:
            newly_before.setdefault(first, []).append(second)
    return Match(tuple(origin), tuple(sorted(left)), tuple(swapped), newly_after, newly_before)


def _origins(before: Ways, after: Ways) -> tuple[list[int | None], set[int]]:
    origin: list[int | None] = [None] * len(after)
    old, new = set(range(len(before))), set(range(len(after)))
    for key in _KEYS:
        waiting: dict[Hashable, deque[int]] = {}
        for index in sorted(old):
            waiting.setdefault(key(before[index]), deque()).append(index)
        for index in sorted(new):
            if found := waiting.get(key(after[index])):
                origin[index] = found.popleft()
        new -= {index for index in new if origin[index] is not None}
        old -= {index for index in origin if index is not None}
    return origin, old


def _head(way: Way) -> str:
    """The first part of a condition: `dtmf == '1'` also where it says `dtmf == '1' and tier == 'gold'`."""
    try:
        condition = parse(way.when)
    except ConditionError:
        return way.when
    return show(condition.parts[0]) if isinstance(condition, And) else way.when


#: What two ways must share to be the same one, strictest first.
_KEYS: tuple[Callable[[Way], Hashable], ...] = (
    lambda way: way,
    lambda way: (way.to, way.when, way.kind),
    lambda way: (way.when, way.kind),
    lambda way: (way.to, way.kind, _head(way)),
    lambda way: (way.to, way.kind),
    lambda way: way.to,
)


def _pairs(before: Ways, after: Ways, origin: Sequence[int | None]) -> Iterator[tuple[int, int, str]]:
    """Pairs of ways after whose order counts and did not count like that before."""
    if max(len(before), len(after)) > MAX_COMPARED:
        yield from ((first, second, "swapped") for first, second in _steps_back(origin))
        return
    for second in range(len(after)):
        for first in range(second):
            if old := _relation(first, second, before, after, origin):
                yield first, second, old


def _steps_back(origin: Sequence[int | None]) -> Iterator[tuple[int, int]]:
    """Neighbours that stood the other way round."""
    known = [(index, old) for index, old in enumerate(origin) if old is not None]
    for (first, before), (second, after) in pairwise(known):
        if before > after:
            yield first, second


def _relation(first: int, second: int, before: Ways, after: Ways, origin: Sequence[int | None]) -> str:
    """`swapped`, `new`, or nothing where the order does not count or is as it was."""
    one, two = origin[first], origin[second]
    same_ways = not _changed(first, before, after, origin) and not _changed(second, before, after, origin)
    if one is None or two is None:
        return "new" if order_counts(after[first], after[second]) else ""
    if same_ways and one < two:
        return ""
    if not order_counts(after[first], after[second]):
        return ""
    counted = order_counts(before[one], before[two])
    return "new" if not counted else "swapped" if one > two else ""


def _changed(index: int, before: Ways, after: Ways, origin: Sequence[int | None]) -> bool:
    old = origin[index]
    return old is None or before[old] != after[index]


def order_counts(one: Way, other: Way) -> bool:
    """Whether it makes a difference which of two ways is tried first."""
    if one.to == other.to or one.kind != other.kind:
        return False
    return one.kind != "conditional" or _may_both_hold(one.when, other.when)


@lru_cache(maxsize=4096)
def _may_both_hold(one: str, other: str) -> bool:
    try:
        return overlap(parse(one), parse(other)) is not None
    except ConditionError:
        return True  # nobody can say, so the order counts
