"""One HTML file with the picture of a call flow and what the checks say about it; it asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence

from cordboard.findings import Finding
from cordboard.ivr.draw.scene import Scene, scene_of
from cordboard.ivr.draw.shapes import safe
from cordboard.ivr.draw.style import FONT
from cordboard.ivr.draw.svg import draw
from cordboard.ivr.model import Flow

_LONGEST_WAY = 20
_STYLE = (
    f"body{{margin:0;font-family:{FONT};color:#1d2733;background:#ffffff;line-height:1.45}}"
    "main{padding:0 28px 28px;max-width:70rem}"
    "#picture{overflow:auto;max-height:82vh;border-bottom:1px solid #b4bdc6;cursor:grab}"
    "#picture svg{display:block}"
    ".tools{position:fixed;top:12px;right:20px}"
    ".tools button{font:inherit;min-width:2.4em;padding:2px 8px;margin-left:4px}"
    "table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:6px 12px 6px 0;border-bottom:1px solid #b4bdc6}"
    "small,.dim{color:#56616e}"
    ".error{color:#c62828;font-weight:600}.warning{color:#a86400;font-weight:600}"
    "a{color:inherit}"
    "@media (prefers-color-scheme:dark){body{color:#e8edf2;background:#14191f}"
    "small,.dim{color:#a9b4bf}.error{color:#ff6b62}.warning{color:#f5a63d}"
    "#picture,th,td{border-color:#56616e}}"
    "@media print{.tools{display:none}#picture{max-height:none}}"
)
# It only moves and scales the picture; without it the page can be read all the same.
_SCRIPT = """
const frame = document.getElementById('picture');
const svg = frame.querySelector('svg');
const natural = svg.viewBox.baseVal.width;
let scale = 1;
function zoom(to, x, y) {
  const next = Math.min(4, Math.max(0.05, to));
  const left = (frame.scrollLeft + x) * next / scale - x;
  const top = (frame.scrollTop + y) * next / scale - y;
  scale = next;
  svg.setAttribute('width', natural * scale);
  svg.setAttribute('height', svg.viewBox.baseVal.height * scale);
  frame.scrollTo(left, top);
}
const middle = () => [frame.clientWidth / 2, frame.clientHeight / 2];
document.getElementById('closer').onclick = () => zoom(scale * 1.25, ...middle());
document.getElementById('farther').onclick = () => zoom(scale / 1.25, ...middle());
document.getElementById('whole').onclick = () => zoom(frame.clientWidth / natural, 0, 0);
frame.addEventListener('wheel', event => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoom(scale * (event.deltaY < 0 ? 1.1 : 0.9), event.offsetX, event.offsetY);
}, {passive: false});
if (natural > frame.clientWidth) zoom(Math.max(0.6, frame.clientWidth / natural), 0, 0);
let held = null;
frame.addEventListener('pointerdown', event => { held = event.target.closest('a') ? null : event; });
window.addEventListener('pointerup', () => { held = null; });
window.addEventListener('pointermove', event => {
  if (held && event.buttons) frame.scrollBy(-event.movementX, -event.movementY);
});
"""
_TOOLS = (
    '<div class="tools"><button id="closer" aria-label="larger">+</button>'
    '<button id="farther" aria-label="smaller">&minus;</button><button id="whole">whole</button></div>'
)


def to_html(flow: Flow, findings: Sequence[Finding] = ()) -> str:
    """A page with the picture, the findings with links into it, and every way through the flow as text.

    Raises:
        BadCall: the flow is too large for a picture.
    """
    page = _Page(scene_of(flow, findings), findings)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy()}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Call flow {safe(page.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<div id="picture" tabindex="0">{page.picture()}</div>\n{_TOOLS}\n<main>\n'
        f"{page.findings()}{page.ways()}</main>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _policy() -> str:
    known = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode("ascii")
    allowed = f"script-src 'sha256-{known}'; style-src 'unsafe-inline'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


class _Page:
    """The picture, and the texts below it."""

    def __init__(self, scene: Scene, findings: Sequence[Finding]) -> None:
        self._scene, self._said = scene, findings
        self._index = {box.id: index for index, box in enumerate(scene.boxes)}
        self.title = scene.title

    def picture(self) -> str:
        """The picture; raises BadCall where it is too large."""
        return draw(self._scene)

    def findings(self) -> str:
        """The findings as a table."""
        if not self._said:
            return "<h2>Findings</h2>\n<p>No findings.</p>\n"
        head = "<tr><th>Severity</th><th>What and where</th><th>Node</th></tr>"
        rows = "".join(map(self._row, self._said, self._scene.box_of))
        return f"<h2>Findings</h2>\n<table>\n{head}\n{rows}</table>\n"

    def ways(self) -> str:
        """The flow as a list, for those who cannot see the picture."""
        return f"<details>\n<summary>The flow as text</summary>\n<ul>\n{''.join(self._steps())}</ul>\n</details>\n"

    def _row(self, finding: Finding, box: int | None) -> str:
        place = ":".join(str(part) for part in (finding.file, finding.line) if part)
        lines = [_isolated(finding.message), f"<small>{_isolated(f'{place} [{finding.rule}]'.strip())}</small>"]
        lines += [_isolated(finding.hint)] if finding.hint else []
        lines += [f"way: {self._way(finding.proof)}"] if finding.proof else []
        node = "" if box is None else self._link(box)
        said = f'<td class="{finding.severity}">{finding.severity}</td><td>{"<br>".join(lines)}</td>'
        return f"<tr>{said}<td>{node}</td></tr>\n"

    def _way(self, proof: tuple[str, ...]) -> str:
        shown = proof if len(proof) <= _LONGEST_WAY else (*proof[: _LONGEST_WAY // 2], "…", proof[-1])
        return " → ".join(self._link(self._index[name]) if name in self._index else _isolated(name) for name in shown)

    def _link(self, index: int) -> str:
        box = self._scene.boxes[index]
        return f'<a href="#{safe(box.anchor)}">{_isolated(box.title)}</a>'

    def _steps(self) -> Iterator[str]:
        out: list[list[str]] = [[] for _ in self._scene.boxes]
        for arrow in self._scene.arrows:
            label = f"{_isolated(arrow.label)}: " if arrow.label else ""
            out[arrow.source].append(f"<li>{label}to {self._link(arrow.target)}</li>")
        for index, box in enumerate(self._scene.boxes):
            kind = f' <span class="dim">{_isolated(box.kind)}</span>' if box.kind else ""
            says = f"<br>“{_isolated(box.prompt)}”" if box.prompt else ""
            ways = f"<ul>{''.join(out[index])}</ul>" if out[index] else ""
            yield f"<li>{self._link(index)}{kind}{says}{ways}</li>\n"


def _isolated(words: str) -> str:
    """Text in a frame of its own, so that one that is written from right to left turns nothing around it."""
    return f"<bdi>{safe(words)}</bdi>"
