"""The flow, drawn once, with what calls have taken; each piece of a line is marked, so that a way can be shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cordboard.ivr.draw.frame import framed
from cordboard.ivr.draw.grid import Grid, Item, grid_of
from cordboard.ivr.draw.lines import Lines
from cordboard.ivr.draw.placing import Column, place
from cordboard.ivr.draw.scene import Scene, scene_of
from cordboard.ivr.draw.shapes import Line, box_size, draw_box, draw_label, label_lines, label_size, lines_of, safe
from cordboard.ivr.draw.svg import MAX_ARROWS, MAX_BOXES
from cordboard.ivr.model import Flow
from cordboard.ivr.suite import Coverage


@dataclass(frozen=True, slots=True)
class Picture:
    """A flow as it was drawn.

    Attributes:
        svg: the picture; empty where the flow is too large for one.
        scene: what is drawn.
        pieces: for each transition the numbers of the pieces of line that it is made of; several may share one.
    """

    svg: str
    scene: Scene
    pieces: tuple[tuple[int, ...], ...]


def picture_of(flow: Flow, coverage: Coverage) -> Picture:
    """Draws a flow with what calls have taken."""
    scene = scene_of(flow)
    if not scene.boxes or len(scene.boxes) > MAX_BOXES or len(scene.arrows) > MAX_ARROWS:
        return Picture("", scene, ((),) * len(scene.arrows))
    grid = grid_of(scene)
    texts = _measured(grid, scene)
    pieces = _pieces(grid, scene)
    reached = {node.id: node.times for node in coverage.nodes}
    taken = tuple(way.times for way in coverage.transitions)
    drawing = _Drawing(scene, grid, place(grid), texts, reached, taken)
    return Picture(drawing.markup(pieces), scene, pieces)


def _measured(grid: Grid, scene: Scene) -> Mapping[int, tuple[Line, ...]]:
    """The texts of the boxes; gives every item its size."""
    texts = {number: lines_of(box) for number, box in enumerate(scene.boxes)}
    for number, item in enumerate(grid.items):
        if item.what == "box":
            item.width, item.height = box_size(texts[number])
        elif item.what != "bend":
            leads = (f"→ {scene.boxes[item.box].title}",) if item.what == "post" else ()
            item.text = tuple(line for words in (*item.text, *leads) for line in label_lines(words))
            item.width, item.height = label_size(item.text)
    return texts


def _pieces(grid: Grid, scene: Scene) -> tuple[tuple[int, ...], ...]:
    """For each arrow the numbers of its links, from its box to where it ends."""
    onward: dict[int, int] = {}  # from a label or a bend there is one way on
    labelled: dict[int, int] = {}
    plain: dict[tuple[int, int, bool], int] = {}
    for number, link in enumerate(grid.links):
        start, end = (link.right, link.left) if link.leftward else (link.left, link.right)
        item = grid.items[end]
        if grid.items[start].what != "box":
            onward[start] = number
        elif item.what in {"label", "post"}:
            labelled[item.arrow] = number
        else:
            plain[start, item.box, link.leftward] = number
    firsts = (
        labelled[number] if number in labelled else plain[arrow.source, arrow.target, arrow.returns]
        for number, arrow in enumerate(scene.arrows)
    )
    return tuple(tuple(_followed(grid, first, onward)) for first in firsts)


def _followed(grid: Grid, number: int, onward: Mapping[int, int]) -> Iterator[int]:
    while True:
        yield number
        link = grid.links[number]
        end = link.left if link.leftward else link.right
        if end not in onward:
            return
        number = onward[end]


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A scene with the place of everything, and how often calls came by."""

    scene: Scene
    grid: Grid
    columns: tuple[Column, ...]
    texts: Mapping[int, tuple[Line, ...]]
    reached: Mapping[str, int]
    taken: Sequence[int]

    def markup(self, pieces: Sequence[Sequence[int]]) -> str:
        lines = Lines(self.grid, self.columns)
        body = "".join((*self._lines(lines, pieces), *self._labels(lines), *self._boxes()))
        height = max(item.y + item.height / 2 for item in self.grid.items)
        posts = any(item.what == "post" for item in self.grid.items)
        return framed(self.scene, self.columns[-1].right, height, body, posts=posts)

    def _lines(self, lines: Lines, pieces: Sequence[Sequence[int]]) -> Iterator[str]:
        taken = {piece for way, count in zip(pieces, self.taken, strict=True) if count for piece in way}
        drawn = lines.draw()  # in the order of the links, because nothing is said about any of them
        for number, link in enumerate(self.grid.links):
            paths = "".join(next(drawn) for _ in range(2 if link.loop else 1))
            yield f'<g class="{_coverage(number in taken)}" data-piece="{number}">{paths}</g>'

    def _labels(self, lines: Lines) -> Iterator[str]:
        for number, item in enumerate(self.grid.items):
            if item.what in {"label", "post"}:
                yield self._label(item, lines.label_left(number))

    def _label(self, item: Item, left: float) -> str:
        count = self.taken[item.arrow]
        drawn = draw_label(item.text, left, item.y, f"cb-{item.what}")
        if item.what == "post":
            drawn = f'<a href="#{safe(self.scene.boxes[item.box].anchor)}">{drawn}</a>'
        said = f"<title>taken {_times(count)}</title>"
        return f'<g class="{_coverage(count)}" data-way="{item.arrow}">{said}{drawn}</g>'

    def _boxes(self) -> Iterator[str]:
        for number, box in enumerate(self.scene.boxes):
            item = self.grid.items[number]
            column = self.columns[item.column]
            drawn = draw_box(box, self.texts[number], column.left, item.y, column.right - column.left)
            yield f'<g class="{_coverage(self.reached.get(box.id, 0))}" data-node="{number}">{drawn}</g>'


def _coverage(count: int) -> str:
    return "cv-taken" if count else "cv-missed"


def _times(count: int) -> str:
    return {0: "by no call", 1: "once"}.get(count, f"{count:,} times")
