"""When each action of a run was under way, as one self-contained SVG picture with the critical path marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from cordboard.chains.results import ActionResult, ActionStatus

_COLOURS = {
    ActionStatus.COMPLETED: "#2e7d5b",
    ActionStatus.FAILED: "#c0392b",
    ActionStatus.UNKNOWN: "#d68910",
    ActionStatus.SKIPPED: "#b8bcc2",
}
_CACHED = "#8fb8a6"
_ROW, _LEFT, _WIDTH, _RIGHT, _TOP = 26, 200, 640, 90, 44
MAX_ROWS = 200


def critical_path(results: Mapping[str, ActionResult], upstream: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The chain of actions that decided how long the run took, first to last.

    It ends with the action that ended last; before each stands the upstream that it waited for longest.
    """
    if not results:
        return ()
    path = [max(results, key=lambda name: results[name].ended_ms)]
    while above := upstream.get(path[-1]):
        path.append(max(above, key=lambda name: results[name].ended_ms))
    return tuple(reversed(path))


def gantt_svg(title: str, results: Mapping[str, ActionResult], upstream: Mapping[str, Sequence[str]]) -> str:
    """Draws the run; the first 200 actions by start time where there are more."""
    critical = set(critical_path(results, upstream))
    shown = sorted(results.items(), key=lambda pair: pair[1].started_ms)[:MAX_ROWS]
    total = max((result.ended_ms for _, result in shown), default=0.0) or 1.0
    rows = [_row(index, name, result, total, name in critical) for index, (name, result) in enumerate(shown)]
    width, height = _LEFT + _WIDTH + _RIGHT, _TOP + _ROW * len(shown) + 30
    left_out = f" · first {MAX_ROWS} of {len(results)} actions" if len(results) > MAX_ROWS else ""
    legend = f"{total:,.0f} ms in all · critical path outlined{left_out}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="13">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>'
        f'<text x="12" y="22" font-weight="600" fill="#1d2733">{escape(title)}</text>'
        f'<text x="12" y="{height - 10}" fill="#5b6673" font-size="12">{escape(legend)}</text>'
        f"{''.join(rows)}</svg>"
    )


def _row(index: int, name: str, result: ActionResult, total: float, critical: bool) -> str:
    top = _TOP + index * _ROW
    start = _LEFT + _WIDTH * result.started_ms / total
    length = max(2.0, _WIDTH * (result.ended_ms - result.started_ms) / total)
    colour = _CACHED if result.cached else _COLOURS[result.status]
    outline = ' stroke="#1d2733" stroke-width="2"' if critical else ""
    label = "reused" if result.cached else f"{result.ended_ms - result.started_ms:,.0f} ms"
    if result.status is not ActionStatus.COMPLETED:
        label = str(result.status)
    return (
        f'<text x="{_LEFT - 10}" y="{top + 16}" text-anchor="end" fill="#1d2733">{escape(_short(name))}</text>'
        f'<rect x="{start:.1f}" y="{top + 4}" width="{length:.1f}" height="{_ROW - 8}" rx="3" '
        f'fill="{colour}"{outline}/>'
        f'<text x="{start + length + 6:.1f}" y="{top + 17}" fill="#5b6673" font-size="11">{label}</text>'
    )


def _short(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:25]}…"
