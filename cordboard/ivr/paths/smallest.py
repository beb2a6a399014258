"""The fewest calls that take everything, where there are few enough possibilities to try them all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cordboard.ivr.paths.graph import Way
from cordboard.ivr.paths.tours import Arc, Tours

#: A stop and what has been taken before it.
_Here: TypeAlias = tuple[int, int]

MOST_TOURS = 15_000
#: So often calls are looked at when the fewest of them are chosen.
MOST_LOOKS = 2_000_000


@dataclass(frozen=True, slots=True)
class Smallest:
    """The fewest calls.

    Attributes:
        ways: the calls, and what each takes of what is wanted.
        bound: there cannot be fewer.
    """

    ways: tuple[tuple[Way, int], ...]
    bound: int


def smallest(tours: Tours, left: int, most: int) -> Smallest | None:
    """The fewest calls that take all that is left; None where there are too many possibilities.

    Args:
        tours: all calls.
        left: what is to be taken.
        most: how many calls are known to be enough.
    """
    origin = _tours(tours, left)
    if origin is None:
        return None
    best: dict[int, _Here] = {}
    for here in origin:
        best.setdefault(here[1], here)
    masks = _largest(best)
    chosen = _fewest(masks, left, most)
    if chosen is None:
        return None
    return Smallest(tuple((_way(origin, best[mask]), mask) for mask in chosen), len(chosen))


def _tours(tours: Tours, left: int) -> Mapping[_Here, tuple[_Here, Arc] | None] | None:
    """What calls can have taken when they get to each stop, and how; None where that is too much."""
    origin: dict[_Here, tuple[_Here, Arc] | None] = {(0, 0): None}
    at_stop: dict[int, list[int]] = {}
    todo = list(origin)
    for here in todo:  # grows while it is gone through
        stop, mask = here
        for arc in tours.arcs[stop]:
            after = arc.target, mask | arc.bit & left
            known = at_stop.setdefault(arc.target, [])
            if after in origin or any(after[1] | other == other for other in known):
                continue
            if len(origin) == MOST_TOURS:
                return None
            known.append(after[1])
            origin[after] = here, arc
            todo.append(after)
    return origin


def _largest(masks: Mapping[int, _Here]) -> list[int]:
    """Those that take something that no other one takes along with all the rest of it."""
    found: list[int] = []
    for mask in sorted(masks, key=lambda it: -it.bit_count()):
        if not any(mask | other == other for other in found):
            found.append(mask)
    return found


def _fewest(masks: Sequence[int], left: int, most: int) -> list[int] | None:
    """The fewest masks that together are all that is left; None where it takes too long to be sure."""
    best: list[int] | None = None
    limit, looks = most + 1, 0
    todo: list[tuple[int, list[int]]] = [(left, [])]
    while todo:
        looks += len(masks)
        if looks > MOST_LOOKS:
            return None
        rest, chosen = todo.pop()
        if not rest:
            if len(chosen) < limit:
                best, limit = chosen, len(chosen)
        elif len(chosen) + _at_least(masks, rest) < limit:
            options = min((_with(masks, bit) for bit in _bits(rest)), key=len)
            options = sorted(options, key=lambda mask: (mask & rest).bit_count())
            todo += [(rest & ~mask, [*chosen, mask]) for mask in options]
    return best


def _at_least(masks: Sequence[int], rest: int) -> int:
    """So many masks are needed at least: things of which no mask has two."""
    count, todo = 0, rest
    while todo:
        bit = min(_bits(todo), key=lambda it: len(_with(masks, it)))
        count += 1
        for mask in _with(masks, bit):
            todo &= ~mask
    return count


def _with(masks: Sequence[int], bit: int) -> list[int]:
    return [mask for mask in masks if mask & bit]


def _bits(mask: int) -> Iterator[int]:
    while mask:
        bit = mask & -mask
        yield bit
        mask ^= bit


def _way(origin: Mapping[_Here, tuple[_Here, Arc] | None], here: _Here) -> Way:
    way = []
    while (before := origin[here]) is not None:
        here, arc = before
        way.append(arc.link)
    return tuple(reversed(way))
