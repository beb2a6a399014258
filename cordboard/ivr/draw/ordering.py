"""Who stands above whom in a column, so that few arrows cross: barycentres, column by column, there and back."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

from cordboard.ivr.draw.grid import Grid

_ROUNDS, _ROUNDS_OF_LARGE, _LARGE = 12, 2, 3000


def ordered(grid: Grid) -> list[list[int]]:
    """The items of each column from top to bottom; the best of some rounds, the earlier one where two are as good."""
    lefts, rights = neighbours(grid)
    columns = grid.columns()
    place = [0.0] * len(grid.items)
    for column in columns:
        _sort(column, lefts, place)
    best, fewest = [list(column) for column in columns], _crossings(columns, rights, place)
    for _ in range(_ROUNDS if len(grid.items) < _LARGE else _ROUNDS_OF_LARGE):
        for column in reversed(columns):
            _sort(column, rights, place)
        for column in columns:
            _sort(column, lefts, place)
        if (crossings := _crossings(columns, rights, place)) < fewest:
            best, fewest = [list(column) for column in columns], crossings
        if not fewest:
            break
    return best


def neighbours(grid: Grid) -> tuple[list[list[int]], list[list[int]]]:
    """For each item those that it is linked to on its left, and on its right."""
    lefts: list[list[int]] = [[] for _ in grid.items]
    rights: list[list[int]] = [[] for _ in grid.items]
    for link in grid.links:
        lefts[link.right].append(link.left)
        rights[link.left].append(link.right)
    return lefts, rights


def _sort(column: list[int], beside: Sequence[Sequence[int]], place: list[float]) -> None:
    """Sorts by the mean place of the neighbours on one side; who has none there keeps its place."""
    wanted = {
        item: sum(place[other] for other in beside[item]) / len(beside[item]) if beside[item] else float(number)
        for number, item in enumerate(column)
    }
    column.sort(key=wanted.__getitem__)
    for number, item in enumerate(column):
        place[item] = float(number)


def _crossings(columns: Sequence[Sequence[int]], rights: Sequence[Sequence[int]], place: Sequence[float]) -> int:
    total = 0
    for column in columns:
        seen: list[float] = []
        for item in column:
            ends = sorted(place[other] for other in rights[item])
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total
