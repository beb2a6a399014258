"""One self-contained picture of a call flow that a person can open and read. The same flow gives the same picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cordboard.errors import BadCall
from cordboard.findings import Finding
from cordboard.ivr.draw.frame import framed
from cordboard.ivr.draw.grid import Grid, Item, grid_of
from cordboard.ivr.draw.lines import Lines
from cordboard.ivr.draw.placing import Column, place
from cordboard.ivr.draw.scene import Scene, scene_of
from cordboard.ivr.draw.shapes import Line, box_size, draw_box, draw_label, label_lines, label_size, lines_of, safe
from cordboard.ivr.model import Flow

MAX_BOXES = 2000
MAX_ARROWS = 10_000


def to_svg(flow: Flow, findings: Sequence[Finding] = ()) -> str:
    """Draws a flow from left to right, with what is wrong marked.

    Raises:
        BadCall: there are more nodes or connections than a person could look at.
    """
    return draw(scene_of(flow, findings))


def draw(scene: Scene) -> str:
    """Draws a scene.

    Raises:
        BadCall: it is too large.
    """
    if len(scene.boxes) > MAX_BOXES or len(scene.arrows) > MAX_ARROWS:
        size = f"{len(scene.boxes):,} nodes and {len(scene.arrows):,} connections"
        most = f"{MAX_BOXES:,} and {MAX_ARROWS:,}"
        raise BadCall(f"{size} are too many for a picture, which holds {most}: write DOT and give that to Graphviz")
    return _Picture.of(scene).markup() if scene.boxes else framed(scene, 0.0, 0.0, "", posts=False)


@dataclass(frozen=True, slots=True)
class _Picture:
    """A scene with the place of everything."""

    scene: Scene
    grid: Grid
    columns: tuple[Column, ...]
    texts: Mapping[int, tuple[Line, ...]]

    @classmethod
    def of(cls, scene: Scene) -> _Picture:
        grid = grid_of(scene)
        texts = {index: lines_of(box) for index, box in enumerate(scene.boxes)}
        for index, item in enumerate(grid.items):
            if item.what == "box":
                item.width, item.height = box_size(texts[index])
            elif item.what != "bend":
                item.text = _label_text(item, scene)
                item.width, item.height = label_size(item.text)
        return cls(scene, grid, place(grid), texts)

    def markup(self) -> str:
        height = max(item.y + item.height / 2 for item in self.grid.items)
        lines = Lines(self.grid, self.columns)
        body = "".join((*lines.draw(), *self._labels(lines), *self._boxes()))
        posts = any(item.what == "post" for item in self.grid.items)
        return framed(self.scene, self.columns[-1].right, height, body, posts=posts)

    def _boxes(self) -> Iterator[str]:
        for index, box in enumerate(self.scene.boxes):
            item = self.grid.items[index]
            column = self.columns[item.column]
            yield draw_box(box, self.texts[index], column.left, item.y, column.right - column.left)

    def _labels(self, lines: Lines) -> Iterator[str]:
        for index, item in enumerate(self.grid.items):
            if item.what == "label":
                yield draw_label(item.text, lines.label_left(index), item.y, self._classes(item))
            elif item.what == "post":
                drawn = draw_label(item.text, lines.label_left(index), item.y, self._classes(item))
                yield f'<a href="#{safe(self.scene.boxes[item.box].anchor)}">{drawn}</a>'

    def _classes(self, item: Item) -> str:
        arrow = self.scene.arrows[item.arrow]
        back = " cb-label-back" if arrow.returns and item.what == "label" else ""
        severity = f" cb-{arrow.severity}" if arrow.severity else ""
        return f"cb-{item.what}{back}{severity}"


def _label_text(item: Item, scene: Scene) -> tuple[str, ...]:
    lines = tuple(line for words in item.text for line in label_lines(words))
    return (*lines, *label_lines(f"→ {scene.boxes[item.box].title}")) if item.what == "post" else lines
