"""The arrows of a picture: where they touch the boxes, how they curve, and which colour they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from cordboard.ivr.draw.grid import Grid, Link
from cordboard.ivr.draw.placing import Column

_PORT_GAP, _PORT_MARGIN = 15.0, 9.0
_LOOP = 5.0
#: The straight piece before a box, so that the tip of an arrow points at it.
_TIP = 9.0
#: A place on the edge of a box: the box, whether on its right, and the link that ends there; -1 for all that arrive.
_Port: TypeAlias = tuple[int, bool, int]


class Lines:
    """All lines of a picture whose items have their places."""

    def __init__(self, grid: Grid, columns: Sequence[Column]) -> None:
        self._grid, self._columns = grid, columns
        self._ports = _ports(grid)
        self._before_box = {link.left for link in grid.links if link.leftward and grid.items[link.left].what == "label"}

    def draw(self) -> Iterator[str]:
        """The lines as markup; those about which there is something to say come last, and so lie on top."""
        links = sorted(range(len(self._grid.links)), key=lambda index: self._grid.links[index].severity is not None)
        for index in links:
            link = self._grid.links[index]
            yield from self._loop(index, link) if link.loop else self._plain(index, link)

    def label_left(self, index: int) -> float:
        """The left edge of a label: beside the box that its arrow leaves."""
        item = self._grid.items[index]
        column = self._columns[item.column]
        return column.right - item.width if index in self._before_box else column.left

    def _plain(self, index: int, link: Link) -> Iterator[str]:
        left_edge = self._columns[self._grid.items[link.left].column].right
        right_edge = self._columns[self._grid.items[link.right].column].left
        start, end = (link.right, link.left) if link.leftward else (link.left, link.right)
        x_start, x_end = (right_edge, left_edge) if link.leftward else (left_edge, right_edge)
        y_start, y_end = self._height(start, index, link, leaves=True), self._height(end, index, link, leaves=False)
        pointed = self._grid.items[end].what == "box"
        across = f"M{self._out_of(start, link.leftward):.1f} {y_start:.1f}H{x_start:.1f}"
        tip = (_TIP if link.leftward else -_TIP) if pointed else 0.0
        yield _path(
            f"{across}{_curve(x_start, y_start, x_end + tip, y_end)}H{x_end:.1f}",
            link,
            back=link.leftward,
            pointed=pointed,
        )

    def _loop(self, index: int, link: Link) -> Iterator[str]:
        x_box = self._columns[self._grid.items[link.left].column].right
        x_label, y = self._columns[self._grid.items[link.right].column].left, self._grid.items[link.right].y
        out, back = self._ports[link.left, True, index], self._ports[link.left, True, ~index - 1]
        first = f"M{x_box:.1f} {out:.1f}{_curve(x_box, out, x_label, y - _LOOP)}"
        second = f"M{x_label:.1f} {y + _LOOP:.1f}{_curve(x_label, y + _LOOP, x_box + _TIP, back)}H{x_box:.1f}"
        yield _path(first, link, back=True, pointed=False)
        yield _path(second, link, back=True, pointed=True)

    def _out_of(self, start: int, leftward: bool) -> float:
        """Where a line that leaves an item becomes visible: at the far edge of its column where it only passes."""
        item = self._grid.items[start]
        column = self._columns[item.column]
        if item.what == "box":
            return column.left if leftward else column.right
        if item.what == "bend":
            return column.right if leftward else column.left
        edge = self.label_left(start)
        return edge if leftward else edge + item.width

    def _height(self, end: int, index: int, link: Link, *, leaves: bool) -> float:
        on_right = leaves != link.leftward
        return self._ports.get((end, on_right, index if leaves else -1), self._grid.items[end].y)


def _ports(grid: Grid) -> Mapping[_Port, float]:
    """The heights at which lines touch boxes: each that leaves at its own, all that arrive on one side at one."""
    wishes: dict[tuple[int, bool], dict[int, list[float]]] = {}
    for index, link in enumerate(grid.links):
        for end, other, on_right in ((link.left, link.right, True), (link.right, link.left, False)):
            if grid.items[end].what == "box":
                key = index if on_right != link.leftward else -1
                side = wishes.setdefault((end, on_right), {})
                side.setdefault(key, []).append(grid.items[other].y)
                if link.loop:
                    side[~index - 1] = [grid.items[other].y + 0.1]
    return {port: y for (box, on_right), side in wishes.items() for port, y in _spread(grid, box, on_right, side)}


def _spread(grid: Grid, box: int, on_right: bool, side: Mapping[int, Sequence[float]]) -> Iterator[tuple[_Port, float]]:
    item = grid.items[box]
    keys = sorted(side, key=lambda key: (sum(side[key]) / len(side[key]), key))
    gap = min(_PORT_GAP, (item.height - 2 * _PORT_MARGIN) / max(1, len(keys) - 1))
    for number, key in enumerate(keys):
        yield (box, on_right, key), item.y + (number - (len(keys) - 1) / 2) * gap


def _curve(x_start: float, y_start: float, x_end: float, y_end: float) -> str:
    middle = (x_start + x_end) / 2
    return f"C{middle:.1f} {y_start:.1f} {middle:.1f} {y_end:.1f} {x_end:.1f} {y_end:.1f}"


def _path(way: str, link: Link, *, back: bool, pointed: bool) -> str:
    tip = f"-{link.severity}" if link.severity else "-back" if back else ""
    classes = f"cb-line{' cb-back' if back else ''}{f' cb-{link.severity}' if link.severity else ''}"
    arrow = f' marker-end="url(#cb-tip{tip})"' if pointed else ""
    return f'<path class="{classes}" d="{way}"{arrow}/>'
