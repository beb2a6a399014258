"""What stands in which column of a picture: boxes in the even ones, labels in the odd ones, bends where arrows pass.

An arrow never crosses a box or a label, because it has a place of its own, a bend, in each column that it passes. All
arrows that come to one box from the same side share their bends: they run together as one lane. Where that would need
too many bends an arrow ends in a signpost, which names the box that it leads to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from cordboard.findings import Severity
from cordboard.ivr.draw.marks import worse
from cordboard.ivr.draw.scene import Arrow, Scene

#: More bends than this make a picture neither quick to draw nor easy to read.
MAX_BENDS = 8000
#: Up to this number of boxes every arrow is drawn to its end; beyond it, those that span more columns are not.
_SMALL_PICTURE, _LONG = 40, 12


@dataclass(slots=True)
class Item:
    """Something with a place in a column.

    Attributes:
        what: what it is; a `post` is a signpost.
        column: counted from the left; boxes stand in even ones.
        text: its lines, where it is a label or a signpost.
        box: index of the box that it is, or that it points to.
        arrow: index of its arrow, where it is a label or a signpost.
        width: filled in when texts are measured.
        height: the same.
        y: its middle, filled in when it is placed.
    """

    what: Literal["box", "label", "post", "bend"]
    column: int
    box: int
    arrow: int = -1
    text: tuple[str, ...] = ()
    width: float = 0.0
    height: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class Link:
    """A piece of an arrow between two neighbouring columns.

    Attributes:
        left: index of the item on its left.
        right: index of the item on its right.
        severity: the worst of the arrows that run here.
        leftward: whether arrows run from right to left here.
        loop: whether it belongs to an arrow from a box to itself.
    """

    left: int
    right: int
    severity: Severity | None
    leftward: bool = False
    loop: bool = False


@dataclass(slots=True)
class Grid:
    """Items and the links between them; each box is the item with its own index."""

    items: list[Item]
    links: list[Link] = field(default_factory=list)

    def columns(self) -> list[list[int]]:
        """The items of each column, in the order in which they were made."""
        found: list[list[int]] = [[] for _ in range(1 + max(item.column for item in self.items))]
        for index, item in enumerate(self.items):
            found[item.column].append(index)
        return found


def grid_of(scene: Scene) -> Grid:
    """Gives every box, label and bend of a scene its column."""
    levels = _levels(len(scene.boxes), scene.arrows, scene.start)
    grid = Grid([Item("box", 2 * level, index) for index, level in enumerate(levels)])
    longest = _longest_drawn(scene, levels)
    lanes: dict[tuple[int, bool], list[tuple[int, int, Severity | None]]] = {}
    for index, arrow in enumerate(scene.arrows):
        span = abs(levels[arrow.source] - levels[arrow.target]) * 2
        if arrow.source == arrow.target:
            _loop(grid, index, arrow)
        elif span > longest:
            _signpost(grid, index, arrow)
        else:
            last, column = _label(grid, index, arrow)
            lanes.setdefault((arrow.target, arrow.returns), []).append((column, last, arrow.severity))
    for (target, leftward), joins in lanes.items():
        _lane(grid, target, leftward, joins)
    return grid


def _levels(count: int, arrows: Sequence[Arrow], start: int | None) -> list[int]:
    """How many steps each box is from the left: the longest way to it without arrows that lead back."""
    ahead: list[list[int]] = [[] for _ in range(count)]
    waits = [0] * count
    for arrow in arrows:
        if not arrow.returns:
            ahead[arrow.source].append(arrow.target)
            waits[arrow.target] += 1
    roots = [box for box in range(count) if not waits[box]]
    levels, ready = [0] * count, deque(roots)
    while ready:
        box = ready.popleft()
        for target in ahead[box]:
            levels[target] = max(levels[target], levels[box] + 1)
            waits[target] -= 1
            if not waits[target]:
                ready.append(target)
    for box in roots:
        if box != start and ahead[box]:  # what nothing leads to stands beside what it leads to
            levels[box] = min(levels[target] for target in ahead[box]) - 1
    return levels


def _longest_drawn(scene: Scene, levels: Sequence[int]) -> int:
    spans = [abs(levels[arrow.source] - levels[arrow.target]) * 2 for arrow in scene.arrows]
    longest = max(spans, default=0)
    if len(scene.boxes) > _SMALL_PICTURE:
        longest = min(longest, _LONG)
    while longest > 2 and _bends(scene, spans, longest) > MAX_BENDS:
        longest -= 2
    return longest


def _bends(scene: Scene, spans: Sequence[int], longest: int) -> int:
    """How many bends there are where arrows that span more columns than `longest` are not drawn to their end."""
    reach: dict[tuple[int, bool], int] = {}
    for arrow, span in zip(scene.arrows, spans, strict=True):
        if span <= longest:
            lane = arrow.target, arrow.returns
            reach[lane] = max(reach.get(lane, 0), span)
    return sum(reach.values())


def _add(grid: Grid, item: Item) -> int:
    grid.items.append(item)
    return len(grid.items) - 1


def _loop(grid: Grid, index: int, arrow: Arrow) -> None:
    column = grid.items[arrow.source].column + 1
    label = _add(grid, Item("label", column, arrow.target, index, (arrow.label,)))
    grid.links.append(Link(arrow.source, label, arrow.severity, loop=True))


def _signpost(grid: Grid, index: int, arrow: Arrow) -> None:
    column = grid.items[arrow.source].column + 1
    post = _add(grid, Item("post", column, arrow.target, index, (arrow.label,) if arrow.label else ()))
    grid.links.append(Link(arrow.source, post, arrow.severity))


def _label(grid: Grid, index: int, arrow: Arrow) -> tuple[int, int]:
    """Puts the label beside the box that the arrow leaves.

    Returns:
        The last item that the arrow has, and the column in which it goes on.
    """
    step = -1 if arrow.returns else 1
    column = grid.items[arrow.source].column + step
    if not arrow.label:
        return arrow.source, column
    label = _add(grid, Item("label", column, arrow.target, index, (arrow.label,)))
    grid.links.append(_link(arrow.source, label, arrow.severity, arrow.returns))
    return label, column + step


def _lane(grid: Grid, target: int, leftward: bool, joins: Iterable[tuple[int, int, Severity | None]]) -> None:
    """The bends before one box, and where the arrows join them."""
    step, goal = -1 if leftward else 1, grid.items[target].column
    joining: dict[int, list[tuple[int, Severity | None]]] = {}
    for column, item, severity in joins:
        joining.setdefault(column, []).append((item, severity))
    first = min(joining, key=lambda column: column * step)
    last, worst = -1, None
    for column in range(first, goal + step, step):
        here = target if column == goal else _add(grid, Item("bend", column, target))
        arriving = joining.get(column, [])
        if last >= 0:
            grid.links.append(_link(last, here, worst, leftward))
        for item, severity in arriving:
            grid.links.append(_link(item, here, severity, leftward))
            worst = worse(worst, severity)
        last = here


def _link(start: int, end: int, severity: Severity | None, leftward: bool) -> Link:
    return Link(end, start, severity, leftward) if leftward else Link(start, end, severity)
