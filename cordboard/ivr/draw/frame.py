"""What stands around the picture: heading, legend, arrow tips, and what screen readers are told."""

from __future__ import annotations

from collections.abc import Iterator

from cordboard.findings import Severity
from cordboard.ivr.draw.measure import width_of, wrapped
from cordboard.ivr.draw.scene import Scene
from cordboard.ivr.draw.shapes import rounded, safe, text
from cordboard.ivr.draw.style import style_sheet

_MARGIN, _HEAD, _FOOT, _LEAST_WIDTH = 28.0, 78.0, 58.0, 480.0
_DIM, _STRONG = ' class="cb-dim"', ' font-weight="600"'
_SAMPLE, _SIZE = 30.0, 12.0


def framed(scene: Scene, width: float, height: float, body: str, *, posts: bool) -> str:
    """The whole picture around a body of some size.

    Args:
        scene: what is drawn.
        width: of the body.
        height: of the body.
        body: its markup.
        posts: whether there are signposts in it, which the legend then explains.
    """
    legend, legend_width = _legend(scene, height + _HEAD + 34, posts)
    full_width = max(width, legend_width, _LEAST_WIDTH) + 2 * _MARGIN
    full_height = height + _HEAD + _FOOT
    size = f'viewBox="0 0 {full_width:.0f} {full_height:.0f}" width="{full_width:.0f}" height="{full_height:.0f}"'
    title = wrapped(scene.title, 18, full_width - 2 * _MARGIN, lines=1, bold=True)[:1] or ("",)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cb" {size} role="img" aria-labelledby="cb-title cb-desc">'
        f"{_said(scene)}<style>{style_sheet()}</style>{_tips()}"
        f"{rounded(0, 0, (full_width, full_height), 0, 'cb-ground')}"
        f"{text(title[0], (_MARGIN, 32), 18, anchor='start', extra=_STRONG)}"
        f"{text(scene.summary, (_MARGIN, 51), _SIZE, anchor='start', extra=_DIM)}"
        f'<g transform="translate({_MARGIN:g} {_HEAD:g})">{body}</g>{legend}</svg>\n'
    )


def _said(scene: Scene) -> str:
    begins = f" A call begins at {scene.boxes[scene.start].title}." if scene.start is not None else ""
    description = f"{scene.summary}.{begins} Arrows lead from left to right; dashed ones lead back."
    title = f'<title id="cb-title">Call flow {safe(scene.title)}</title>'
    return f'{title}<desc id="cb-desc">{safe(description)}</desc>'


def _tips() -> str:
    shape = 'viewBox="0 0 10 10" refX="9.5" refY="5" markerWidth="9" markerHeight="9" orient="auto"'
    tips = (
        f'<marker id="cb-tip{kind}" {shape} markerUnits="userSpaceOnUse">'
        f'<path class="cb-tip{kind}" d="M0 0.5L10 5L0 9.5z"/></marker>'
        for kind in ("", "-back", "-error", "-warning")
    )
    return f"<defs>{''.join(tips)}</defs>"


def _legend(scene: Scene, y: float, posts: bool) -> tuple[str, float]:
    """The explanation of what can be seen, as markup, and its width."""
    parts, x = [], _MARGIN
    for sample, words in _samples(scene, posts):
        drawn = f'<g transform="translate({x:.1f} {y:.1f})">{sample}</g>'
        parts.append(drawn + text(words, (x + _SAMPLE + 8, y + 4), _SIZE, anchor="start", extra=_DIM))
        x += _SAMPLE + width_of(words, _SIZE) + 34
    return f'<g class="cb-legend">{"".join(parts)}</g>', x - _MARGIN


def _samples(scene: Scene, posts: bool) -> Iterator[tuple[str, str]]:
    pill = rounded(0, -8, (_SAMPLE, 16), 8, "cb-shape")
    yield f'<g class="cb-start">{pill}</g>', "a call begins"
    yield f'<g class="cb-end">{pill}</g>', "the call ends"
    if any(box.decides for box in scene.boxes):
        yield f'<g class="cb-choice">{rounded(0, -8, (_SAMPLE, 16), 3, "cb-shape")}</g>', "calls part ways"
    if any(arrow.returns for arrow in scene.arrows):
        yield f'<path class="cb-line cb-back" d="M{_SAMPLE:g} 0H2" marker-end="url(#cb-tip-back)"/>', "leads back"
    if posts:
        yield rounded(0, -8, (_SAMPLE, 16), 8, "cb-post"), "goes on at another place"
    severities = {box.severity for box in scene.boxes} | {arrow.severity for arrow in scene.arrows}
    for severity in (Severity.ERROR, Severity.WARNING):
        if severity in severities:
            square = rounded(0, -8, (_SAMPLE, 16), 4, "cb-shape")
            yield f'<g class="cb-{severity}">{square}</g>', str(severity)
