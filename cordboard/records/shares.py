"""Who gets how many of the slots that are free, among the batches that wait for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row


def affordable(
    wanted: Sequence[tuple[str, str]], has_one: set[str], share: int
) -> tuple[Sequence[tuple[str, str]], int]:
    """The first of those wanted for which the share is enough, and how much of it they take.

    A start is one instance at the most, however often it is sent: the slot that it has is enough for it.

    Args:
        wanted: effect keys, the most urgent first, each with the key of its run.
        has_one: those of the keys that have a slot already.
        share: slots that may be taken.
    """
    new = 0
    for number, (key, _) in enumerate(wanted):
        if key not in has_one:
            if new == share:
                return wanted[:number], new
            new += 1
    return wanted, new


def share(live: Sequence[Row[Any]], batch: str, priority: int, free: int, limit: int) -> int:
    """How many slots the batch may take now.

    More urgent batches come first; those of the same priority get the same number each over time.

    Args:
        live: rows of `waiters` that asked a moment ago.
        batch: who asks.
        priority: of its most urgent start that waits.
        free: slots that are free.
        limit: slots that there are.
    """
    others = [row for row in live if row.batch != batch and row.wants > 0]
    free = max(free - sum(row.wants for row in others if row.priority < priority), 0)
    so_far = served(live)
    equal = [so_far[row.batch] for row in others if row.priority == priority]
    if not equal:
        return free
    # Nobody waits for a batch that asks a moment later: one may be ahead by its share of the limit, not by more.
    batches = len({row.batch for row in others}) + 1
    ahead = max(-(-free // batches), limit // batches)
    return min(free, max(min(equal) - so_far.get(batch, 0) + ahead, 0))


def served(live: Sequence[Row[Any]]) -> dict[str, int]:
    """Slots that each batch got, over all its processes."""
    slots: dict[str, int] = {}
    for row in live:
        slots[row.batch] = slots.get(row.batch, 0) + row.served
    return slots
