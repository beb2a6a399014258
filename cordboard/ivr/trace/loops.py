"""Loops in what has happened: a state that comes back, or, where only node names are known, steps that repeat.

A call whose state comes back goes round for ever. From a vendor's trace only the nodes are known, and a menu that asks
three times looks the same for a while. There a loop is what the trace *ends* with, the same steps again and again: a
call that got out was in none.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cordboard.ivr.topology.fault import quoted

#: So often the same steps must have been made where nobody can look into the vendor's own counters.
LEAST_TIMES = 4
_MOST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Loop:
    """Steps of a call that come again and again.

    Attributes:
        nodes: ids of the nodes on one round.
        start: the number of the first step in the path, from 0.
        times: how many whole rounds are seen.
    """

    nodes: tuple[str, ...]
    start: int
    times: int

    def __str__(self) -> str:
        rounds = "1 round" if self.times == 1 else f"{self.times} rounds"
        return f"{spelt((*self.nodes, self.nodes[0]))}, {rounds} from step {self.start + 1}"

    def as_json(self) -> dict[str, Any]:
        """As a JSON object."""
        end = self.start + len(self.nodes) * self.times
        return {"nodes": list(self.nodes), "occurrences": self.times, "start_index": self.start, "end_index": end}


def spelt(nodes: Sequence[str]) -> str:
    """A way as people read it; of a long one both ends."""
    shown = [quoted(name) for name in nodes]
    if len(shown) > _MOST_SHOWN:
        shown = [*shown[:4], f"… {len(shown) - 7} more …", *shown[-3:]]
    return " → ".join(shown)


def find_loop(states: Iterable[Hashable]) -> tuple[int, int] | None:
    """The first state that comes back: the number of the step at which it was first seen, and the one at which again.

    The states must be all that decides what follows.
    """
    seen: dict[Hashable, int] = {}
    for number, state in enumerate(states):
        first = seen.setdefault(state, number)
        if first != number:
            return first, number
    return None


def loops_in(
    path: Sequence[str], states: Sequence[Hashable] | None = None, least: int = LEAST_TIMES
) -> tuple[Loop, ...]:
    """The loop with which a path ends, if any; in linear time.

    Args:
        path: ids of nodes, of a call that did not come to an end.
        states: what is known about each step, where that is more than the node: rounds that differ in it are no loop.
        least: how many whole rounds there must be.

    Returns:
        The loop with the fewest steps, or nothing.
    """
    numbers = _numbered(path if states is None else states)
    numbers.reverse()
    repeated = _matches(numbers)
    size = len(numbers)
    for period in range(1, size // least + 1):
        length = period + repeated[period] if period < size else period
        if length >= least * period:
            start = size - length
            return (Loop(tuple(path[start : start + period]), start, length // period),)
    return ()


def _numbered(states: Sequence[Hashable]) -> list[int]:
    known: dict[Hashable, int] = {}
    return [known.setdefault(state, len(known)) for state in states]


def _matches(items: Sequence[int]) -> list[int]:
    """For each position how many items from there on are those from the beginning (the Z function)."""
    size = len(items)
    found = [0] * size
    left = right = 0
    for position in range(1, size):
        length = min(right - position, found[position - left]) if position < right else 0
        while position + length < size and items[length] == items[position + length]:
            length += 1
        if position + length > right:
            left, right = position, position + length
        found[position] = length
    return found
