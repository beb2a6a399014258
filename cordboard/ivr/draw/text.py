"""Call flows as text for other programs to draw: Mermaid and DOT. The same flow gives the same text.

Both grow in proportion to the flow, so they also serve flows that are too large for a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cordboard.findings import Finding, Severity
from cordboard.ivr.diff.wording import visible
from cordboard.ivr.draw.scene import Arrow, Box, scene_of
from cordboard.ivr.model import Flow

_LONGEST = 60
_COLOURS = {Severity.ERROR: "#c62828", Severity.WARNING: "#c77700"}
_MERMAID_SHAPES = {"start": ("([", "])"), "end": ("([", "])"), "step": ("[", "]"), "unknown": ("[", "]")}
_DOT_SHAPES = {
    "start": ', style="rounded,filled", fillcolor="#263238", fontcolor="#ffffff"',
    "end": ', style="rounded,filled", fillcolor="#eceff1"',
    "step": "",
    "unknown": ", style=dashed",
}


def to_mermaid(flow: Flow, findings: Sequence[Finding] = ()) -> str:
    """The flow as a Mermaid flowchart; arrows that lead back are dotted, findings are coloured."""
    scene = scene_of(flow, findings)
    lines = ["flowchart LR"]
    for number, box in enumerate(scene.boxes, start=1):
        opening, closing = _MERMAID_SHAPES[box.role]
        label = "<br/>".join(map(_mermaid_text, _label(box)))
        lines.append(f'    n{number}{opening}"{label}"{closing}{_mermaid_class(box)}')
    lines += map(_mermaid_arrow, scene.arrows)
    for number, arrow in enumerate(scene.arrows):
        if arrow.severity:
            lines.append(f"    linkStyle {number} stroke:{_COLOURS[arrow.severity]},stroke-width:2px")
    for severity in sorted({box.severity for box in scene.boxes if box.severity}):
        lines.append(f"    classDef {severity} stroke:{_COLOURS[severity]},stroke-width:3px")
    return "\n".join(lines) + "\n"


def to_dot(flow: Flow, findings: Sequence[Finding] = ()) -> str:
    """The flow as a Graphviz digraph; arrows that lead back are dashed, findings are coloured."""
    scene = scene_of(flow, findings)
    lines = [f"digraph {_dot_text(scene.title)} {{", "    rankdir=LR;", '    node [shape=box, fontname="sans-serif"];']
    lines.append('    edge [fontname="sans-serif", fontsize=11];')
    for number, box in enumerate(scene.boxes, start=1):
        label = _dot_text("\n".join(_label(box)))
        lines.append(f"    n{number} [label={label}{_DOT_SHAPES[box.role]}{_dot_colour(box.severity)}];")
    for arrow in scene.arrows:
        label = f"label={_dot_text(_short(arrow.label))}"
        back = ", style=dashed, constraint=false" if arrow.returns else ""
        ends = f"n{arrow.source + 1} -> n{arrow.target + 1}"
        lines.append(f"    {ends} [{label}{back}{_dot_colour(arrow.severity)}];")
    return "\n".join([*lines, "}"]) + "\n"


def _label(box: Box) -> Iterator[str]:
    yield _short(box.title)
    if box.title != visible(box.id):
        yield _short(visible(box.id))
    if box.kind:
        yield _short(box.kind)
    if box.prompt:
        yield _short(f"“{visible(box.prompt)}”")


def _mermaid_class(box: Box) -> str:
    return f":::{box.severity}" if box.severity else ""


def _mermaid_arrow(arrow: Arrow) -> str:
    line = "-.->" if arrow.returns else "-->"
    label = f'|"{_mermaid_text(_short(arrow.label))}"|' if arrow.label else ""
    return f"    n{arrow.source + 1} {line}{label} n{arrow.target + 1}"


def _dot_colour(severity: Severity | None) -> str:
    return f', color="{_COLOURS[severity]}", penwidth=2.5' if severity else ""


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _mermaid_text(text: str) -> str:
    return "".join(char if char.isalnum() or char in " _-.,:()" else f"#{ord(char)};" for char in text)


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
