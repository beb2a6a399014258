"""Where everything stands: heights that keep arrows straight and let nothing overlap, and columns wide enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cordboard.ivr.draw.grid import Grid, Item
from cordboard.ivr.draw.ordering import neighbours, ordered

_ROUNDS = 8
_BOX_GAP, _LABEL_GAP = 30.0, 9.0
_SMALL_BEND = 10.0
_CURVE, _LONGEST_CURVE, _SLOPE = 30.0, 90.0, 0.16


@dataclass(frozen=True, slots=True)
class Column:
    """The left and right edge of a column."""

    left: float
    right: float


def place(grid: Grid) -> tuple[Column, ...]:
    """Sets `y` of every item, so that the topmost one begins at 0, and says where the columns stand."""
    order = ordered(grid)
    _set_heights(grid, order)
    top = min(item.y - item.height / 2 for item in grid.items)
    for item in grid.items:
        item.y -= top
    return _columns(grid, order)


def _set_heights(grid: Grid, order: Sequence[Sequence[int]]) -> None:
    lefts, rights = neighbours(grid)
    both = [left + right for left, right in zip(lefts, rights, strict=True)]
    for column in order:
        _settle(grid, column, lefts)
    for _ in range(_ROUNDS):
        for column in reversed(order):
            _settle(grid, column, rights)
        for column in order:
            _settle(grid, column, lefts)
    for column in (*order, *reversed(order)):
        _settle(grid, column, both)
    for column in order:
        _straighten(grid, column, lefts)


def _straighten(grid: Grid, column: Sequence[int], lefts: Sequence[Sequence[int]]) -> None:
    """Takes out small bends: who stands nearly as high as its only neighbour, and has room, stands as high."""
    items = [grid.items[index] for index in column]
    for number, index in enumerate(column):
        if len(lefts[index]) == 1:
            item, wanted = items[number], grid.items[lefts[index][0]].y
            above = number and wanted - items[number - 1].y < _distance(items[number - 1], item)
            below = number + 1 < len(items) and items[number + 1].y - wanted < _distance(item, items[number + 1])
            if abs(wanted - item.y) < _SMALL_BEND and not above and not below:
                item.y = wanted


def _settle(grid: Grid, column: Sequence[int], beside: Sequence[Sequence[int]]) -> None:
    """Moves the items of a column as near to their neighbours as their order and their heights allow.

    It is the exact least-squares answer, found by joining items that would overlap into blocks, each at the mean of
    what its members want.
    """
    blocks: list[tuple[float, float, int]] = []  # sum of wishes times weight, weight, number of items
    offsets: list[float] = []
    before: Item | None = None
    for index in column:
        item = grid.items[index]
        offsets.append(offsets[-1] + _distance(before, item) if before else 0.0)
        wish, weight = _wish(grid, item, beside[index])
        block = ((wish - offsets[-1]) * weight, weight, 1)
        while blocks and blocks[-1][0] * block[1] > block[0] * blocks[-1][1]:
            above = blocks.pop()
            block = (above[0] + block[0], above[1] + block[1], above[2] + block[2])
        blocks.append(block)
        before = item
    places = (wishes / weight for wishes, weight, count in blocks for _ in range(count))
    for index, offset, middle in zip(column, offsets, places, strict=True):
        grid.items[index].y = middle + offset


def _wish(grid: Grid, item: Item, beside: Sequence[int]) -> tuple[float, float]:
    """The height at which an item would like to be, and how much that counts."""
    if not beside:
        return item.y, 0.05
    weights = [_straightness(item, grid.items[other]) for other in beside]
    total = sum(weights)
    return sum(grid.items[other].y * weight for other, weight in zip(beside, weights, strict=True)) / total, total


def _straightness(one: Item, other: Item) -> float:
    """Long lanes shall be straight before short arrows are."""
    bends = (one.what == "bend") + (other.what == "bend")
    return (1.0, 2.0, 6.0)[bends]


def _distance(above: Item, below: Item) -> float:
    gap = _BOX_GAP if above.what == below.what == "box" else _LABEL_GAP
    if "bend" in {above.what, below.what} and "box" in {above.what, below.what}:
        gap = 2 * _LABEL_GAP
    return (above.height + below.height) / 2 + gap


def _columns(grid: Grid, order: Sequence[Sequence[int]]) -> tuple[Column, ...]:
    """Columns side by side; where arrows climb or fall far there is more room between them."""
    climbs = [0.0] * len(order)
    for link in grid.links:
        left, right = grid.items[link.left], grid.items[link.right]
        climbs[left.column] = max(climbs[left.column], abs(left.y - right.y))
    columns, left_edge = [], 0.0
    for items, climb in zip(order, climbs, strict=True):
        right_edge = left_edge + max((grid.items[index].width for index in items), default=0.0)
        columns.append(Column(left_edge, right_edge))
        left_edge = right_edge + min(_LONGEST_CURVE, _CURVE + climb * _SLOPE)
    return tuple(columns)
