"""Which branches of a node can be taken, what none of them takes, and whether two conditions can both hold.

All situations that the conditions can tell apart are tried (see `candidates`), up to about a million. Where there are
more, only what is proven is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, islice

from cordboard.ivr.conditions.keypad import inputs_of, keypad, rank, spoken
from cordboard.ivr.conditions.menus import cover_menu, taken_by
from cordboard.ivr.conditions.situation import Cover, Situation
from cordboard.ivr.conditions.space import Space, part_of_space, space_of
from cordboard.ivr.conditions.tree import Condition, Default, reads_caller

#: Where not everything can be tried together, so many pairs of conditions are looked at on their own,
#: each with this share of the effort.
MAX_PAIRS = 500
SHARE = 256


def cover(conditions: Sequence[Condition]) -> Cover:
    """What a list of conditions does, tried in order, where the first that holds is taken, and `default` waits.

    Args:
        conditions: the conditions of one node, as `parse` returned them; the answer to a tuple seen before is kept.
    """
    return _cover(tuple(conditions))


@lru_cache(maxsize=4096)
def _cover(conditions: tuple[Condition, ...]) -> Cover:
    return cover_menu(conditions, order_of(conditions)) or cover_by_trial(conditions)


def order_of(conditions: Sequence[Condition]) -> list[int]:
    """The indices of conditions in the order in which they are tried: `default` after all others."""
    return sorted(range(len(conditions)), key=lambda index: isinstance(conditions[index], Default))


def cover_by_trial(conditions: Sequence[Condition]) -> Cover:
    """The same as `cover`, for conditions of every kind, by trying all situations that they can tell apart."""
    space = space_of(conditions)
    if space is not None:
        return _tried(conditions, space)
    return _only_proven(conditions, _tried(conditions, part_of_space(conditions)))


@lru_cache(maxsize=16384)
def overlap(first: Condition, second: Condition) -> Situation | None:
    """An example in which both conditions hold, or None where it is proven that they never both do.

    `default` holds whenever it is asked, so that it overlaps with all that can hold. Where there are too many names to
    decide, the answer is a situation with `proven` False: they may overlap.
    """
    mine, other = taken_by(first), taken_by(second)
    if mine is not None and other is not None:
        return Situation(min(mine & other, key=rank)) if mine & other else None
    whole = space_of((first, second))
    space = whole or part_of_space((first, second))
    both = space.mask(first) & space.mask(second)
    if both:
        return space.first(both)
    return None if whole else Situation(proven=False)


def _tried(conditions: Sequence[Condition], space: Space) -> Cover:
    masks = [space.mask(condition) for condition in conditions]
    order, left = order_of(conditions), space.full
    taken = [0] * len(masks)
    for index in order:
        taken[index] = left & masks[index]
        left &= ~masks[index]
    shadowed = [_hider(index, masks, taken, order) for index in range(len(masks))]
    witness = [space.first(mask) if mask else None for mask in taken]
    return Cover(tuple(shadowed), tuple(witness), tuple(not mask for mask in masks), _gaps(conditions, space, left))


def _hider(index: int, masks: Sequence[int], taken: Sequence[int], order: Sequence[int]) -> int | None:
    """The first that alone takes everything of a condition, else the last of those that do so together."""
    if taken[index] or not masks[index]:
        return None
    before = order[: order.index(index)]
    alone = (other for other in before if not masks[index] & ~masks[other])
    together = (other for other in reversed(before) if masks[index] & taken[other])
    return next(chain(alone, together))


def _gaps(conditions: Sequence[Condition], space: Space, left: int) -> tuple[Situation, ...]:
    """An example of what is left for each caller input; for all of them where the conditions do not ask."""
    if not left or any(map(reads_caller, conditions)):
        return tuple(space.first_by_caller(left))
    return tuple(replace(space.first(left), caller=caller) for caller in inputs_of(keypad(()), spoken(())))


def _only_proven(conditions: Sequence[Condition], found: Cover) -> Cover:
    """What was found, with what looking at single conditions and pairs of them can prove."""
    unseen = [index for index, example in enumerate(found.witness) if example is None]
    impossible = {index for index in unseen[:MAX_PAIRS] if _never_holds(conditions[index])}
    order = order_of(conditions)
    pairs = ((index, other) for index in unseen if index not in impossible for other in order[: order.index(index)])
    shadowed: dict[int, int] = {}
    for index, other in islice(pairs, MAX_PAIRS):
        if index not in shadowed and _hides(conditions[other], conditions[index]):
            shadowed[index] = other
    numbers = range(len(conditions))
    return Cover(
        tuple(map(shadowed.get, numbers)), found.witness, tuple(it in impossible for it in numbers), found.gaps, False
    )


def _never_holds(condition: Condition) -> bool:
    space = space_of((condition,), SHARE)
    return space is not None and not space.mask(condition)


def _hides(other: Condition, condition: Condition) -> bool:
    if other == condition:
        return True
    space = space_of((other, condition), SHARE)
    return space is not None and not space.mask(condition) & ~space.mask(other)
