"""Three orders of the same things merged into one, the same whichever side comes first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, TypeAlias, TypeVar

from cordboard.ivr.canonical import MAX_COMPARED

Key = TypeVar("Key", bound=Hashable)
#: The order from which both sides started, ours and theirs.
Orders: TypeAlias = Sequence[Sequence[Key]]


def woven(sides: Orders[Key], kept: Collection[Key]) -> list[Key]:
    """What is kept, in the order of the side that changed it; where both did, as before, each new thing in its place.

    Args:
        sides: the order from which both started, ours and theirs.
        kept: what is left after the merge.
    """
    decided = _by_one_side(sides)
    order = _in_place(sides, kept) if decided is None else decided
    return [key for key in order if key in kept]


def woven_strictly(sides: Orders[Key], kept: Collection[Key], counts: Callable[[Key, Key], bool]) -> list[Key] | None:
    """The same, where the order of some pairs counts; None where nobody decides it, or both do, differently.

    Args:
        sides: the order from which both started, ours and theirs.
        kept: what is left after the merge.
        counts: whether it makes a difference which of two comes first.
    """
    decided = _by_one_side(sides)
    if decided is not None:
        return [key for key in decided if key in kept]
    if len(kept) > MAX_COMPARED:
        return None
    reading = _in_place(sides, kept)
    places = [{key: place for place, key in enumerate(side)} for side in sides]
    later: dict[Key, list[Key]] = {key: [] for key in reading}
    for index, one in enumerate(reading):
        for other in reading[:index]:
            if counts(one, other):
                first = _first_of(one, other, places)
                if first is None:
                    return None
                later[first].append(one if first == other else other)
    return _sorted(reading, later)


def _by_one_side(sides: Orders[Key]) -> Sequence[Key] | None:
    """The order of one side, where the other added nothing and moved nothing; the old one where neither did."""
    base, ours, theirs = sides
    if ours == theirs:
        return ours
    if _unmoved(base, ours):
        return base if _unmoved(base, theirs) else theirs
    return ours if _unmoved(base, theirs) else None


def _unmoved(base: Sequence[Key], side: Sequence[Key]) -> bool:
    there = set(side)
    return list(side) == [key for key in base if key in there]


def _in_place(sides: Orders[Key], kept: Collection[Key]) -> list[Key]:
    """What was there in its old order, and what is new behind that which it follows on its side."""
    base, ours, theirs = sides
    old = {key: place for place, key in enumerate(base)}
    places: dict[Key, tuple[Any, ...]] = {key: (place,) for key, place in old.items()}
    for side in (ours, theirs):
        behind = -1
        for key in side:
            if key in old:
                behind = old[key]
            else:
                places[key] = min(places.get(key, (behind, key)), (behind, key))
    return sorted((key for key in places if key in kept), key=lambda key: places[key])


def _first_of(one: Key, other: Key, places: Sequence[dict[Key, int]]) -> Key | None:
    """Which of two comes first; None where no side says it, or both say otherwise than before."""
    before, ours, theirs = (side[one] < side[other] if one in side and other in side else None for side in places)
    said = {answer for answer in (ours, theirs) if answer is not None}
    if len(said) == 2:
        said.discard(before)  # whoever says as before has not moved them
    if len(said) != 1:
        return None
    return one if said.pop() else other


def _sorted(reading: Sequence[Key], later: dict[Key, list[Key]]) -> list[Key] | None:
    """The order nearest to that of reading in which everything precedes what comes later; None for a circle."""
    rank = {key: place for place, key in enumerate(reading)}
    waits = dict.fromkeys(reading, 0)
    for followers in later.values():
        for key in followers:
            waits[key] += 1
    ready = [rank[key] for key, count in waits.items() if not count]
    heapq.heapify(ready)
    order: list[Key] = []
    while ready:
        order.append(reading[heapq.heappop(ready)])
        for key in later[order[-1]]:
            waits[key] -= 1
            if not waits[key]:
                heapq.heappush(ready, rank[key])
    return order if len(order) == len(reading) else None
