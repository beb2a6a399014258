"""The pieces of an SVG picture: boxes with their texts, labels, signposts and lines, as markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from cordboard.findings import Severity
from cordboard.ivr.diff.wording import visible
from cordboard.ivr.draw.measure import width_of, wrapped
from cordboard.ivr.draw.scene import Box

_TEXT_WIDTH = 190.0
_PADDING, _LEAST_WIDTH = 13.0, 110.0
_LABEL_SIZE, _LABEL_LINE, _LABEL_WIDTH = 12.0, 15.0, 170.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text in a box: what it says, how high its letters are, and its style."""

    text: str
    size: float
    bold: bool = False
    dim: bool = False

    @property
    def height(self) -> float:
        """With the space around it."""
        return self.size * 1.34

    @property
    def width(self) -> float:
        """As wide as it will be, or a little less than that."""
        return width_of(self.text, self.size, bold=self.bold)


def lines_of(box: Box) -> tuple[Line, ...]:
    """The texts of a box: kind, title, id and the beginning of the prompt."""
    lines = [Line(text, 11, dim=True) for text in wrapped(box.kind, 11, _TEXT_WIDTH, lines=2)]
    lines += [Line(text, 14, bold=True) for text in wrapped(box.title, 14, _TEXT_WIDTH, lines=3, bold=True)]
    if box.title != visible(box.id):
        lines += [Line(text, 11, dim=True) for text in wrapped(visible(box.id), 11, _TEXT_WIDTH, lines=2)]
    if box.prompt:
        spoken = f"“{visible(' '.join(box.prompt.split()))}”"
        lines += [Line(text, 12) for text in wrapped(spoken, 12, _TEXT_WIDTH, lines=5)]
    return tuple(lines)


def box_size(lines: Sequence[Line]) -> tuple[float, float]:
    """Width and height of a box around some lines."""
    width = max((line.width for line in lines), default=0.0) + 2 * _PADDING
    return max(_LEAST_WIDTH, width), sum(line.height for line in lines) + 2 * _PADDING


def label_lines(text: str) -> tuple[str, ...]:
    """The lines of a label."""
    return wrapped(text, _LABEL_SIZE, _LABEL_WIDTH, lines=3)


def label_size(lines: Sequence[str]) -> tuple[float, float]:
    """Width and height of a label."""
    width = max(width_of(line, _LABEL_SIZE) for line in lines) + 16
    return max(26.0, width), len(lines) * _LABEL_LINE + 7


def draw_box(box: Box, lines: Sequence[Line], left: float, middle: float, width: float) -> str:
    """A box whose left edge and middle are given."""
    height = box_size(lines)[1]
    top = middle - height / 2
    radius = {"start": 14.0, "end": height / 2}.get(box.role, 5.0)
    kind = "choice" if box.decides and box.role == "step" else box.role
    classes = f"cb-box cb-{kind}{f' cb-{box.severity}' if box.severity else ''}"
    shape = rounded(left, top, (width, height), min(radius, 32), "cb-shape")
    texts = "".join(_texts(lines, left + width / 2, top + _PADDING))
    badge = _badge(box.severity, left + width, top) if box.severity else ""
    hint = f"<title>{safe(_hint(box))}</title>"
    return f'<g id="{safe(box.anchor)}" class="{classes}">{hint}{shape}{texts}{badge}</g>'


def draw_label(lines: Sequence[str], left: float, middle: float, classes: str) -> str:
    """A label, or a signpost, whose left edge and middle are given."""
    width, height = label_size(lines)
    top = middle - height / 2
    shape = rounded(left, top, (width, height), min(height / 2, 11), classes)
    texts = "".join(
        text(line, (left + width / 2, top + 3.5 + _LABEL_LINE * (number + 0.76)), _LABEL_SIZE)
        for number, line in enumerate(lines)
    )
    return f"<g>{shape}{texts}</g>"


def rounded(left: float, top: float, size: tuple[float, float], radius: float, classes: str) -> str:
    """A rectangle with round corners."""
    stretch = f'width="{size[0]:.1f}" height="{size[1]:.1f}" rx="{radius:.1f}"'
    return f'<rect class="{classes}" x="{left:.1f}" y="{top:.1f}" {stretch}/>'


def text(words: str, at: tuple[float, float], size: float, *, anchor: str = "middle", extra: str = "") -> str:
    """A line of text."""
    x, y = at
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" text-anchor="{anchor}"{extra}>{safe(words)}</text>'


def safe(words: str) -> str:
    """Text that can stand in markup, in attributes too; what is unprintable shows as an escape."""
    return escape("\n".join(map(visible, words.split("\n"))), quote=True)


def _texts(lines: Iterable[Line], x: float, top: float) -> Iterator[str]:
    for line in lines:
        style = ' font-weight="600"' if line.bold else ' class="cb-dim"' if line.dim else ""
        yield text(line.text, (x, top + line.size), line.size, extra=style)
        top += line.height


def _badge(severity: Severity, x: float, y: float) -> str:
    mark = text("!", (x - 4, y + 8.5), 13, extra=' class="cb-mark"')
    return f'<circle class="cb-badge-{severity}" cx="{x - 4:.1f}" cy="{y + 4:.1f}" r="9"/>{mark}'


def _hint(box: Box) -> str:
    said = [f"“{box.prompt}”"] if box.prompt else []
    notes = [f"{finding.severity}: {finding.message}" for finding in box.notes[:10]]
    return "\n".join([f"{box.title} ({visible(box.id)})", *said, *notes])
