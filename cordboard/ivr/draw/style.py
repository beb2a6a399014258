"""Colours and letters of the picture, for light and for dark surroundings, as plain rules that every viewer knows."""

from __future__ import annotations

from collections.abc import Mapping

FONT = "'Segoe UI', system-ui, -apple-system, 'Helvetica Neue', Arial, sans-serif"

_LIGHT: Mapping[str, str] = {
    ".cb-ground": "fill:#ffffff",
    ".cb text": "fill:#1d2733",
    ".cb .cb-dim": "fill:#56616e",
    ".cb-shape": "fill:#f6f8fa;stroke:#8a96a3",
    ".cb-choice .cb-shape": "fill:#e8f1fb;stroke:#4d7fb3",
    ".cb-start .cb-shape": "fill:#22303c;stroke:#22303c",
    ".cb-start text, .cb-start .cb-dim": "fill:#ffffff",
    ".cb-end .cb-shape": "fill:#e3e8ec;stroke:#56616e",
    ".cb-unknown .cb-shape": "fill:#fdecea;stroke:#c62828",
    ".cb-line": "stroke:#66727f",
    ".cb-tip": "fill:#66727f",
    ".cb-back": "stroke:#7146c4",
    ".cb-tip-back": "fill:#7146c4",
    ".cb-label": "fill:#ffffff;stroke:#b4bdc6",
    ".cb-label-back": "stroke:#7146c4",
    ".cb-post": "fill:#fffbe8;stroke:#a89a5a",
    ".cb-error .cb-shape, .cb-line.cb-error, .cb-label.cb-error": "stroke:#c62828",
    ".cb-tip-error, .cb-badge-error": "fill:#c62828",
    ".cb-warning .cb-shape, .cb-line.cb-warning, .cb-label.cb-warning": "stroke:#c77700",
    ".cb-tip-warning, .cb-badge-warning": "fill:#c77700",
}
_DARK: Mapping[str, str] = {
    ".cb-ground": "fill:#14191f",
    ".cb text": "fill:#e8edf2",
    ".cb .cb-dim": "fill:#a9b4bf",
    ".cb-shape": "fill:#1f2730;stroke:#6d7a87",
    ".cb-choice .cb-shape": "fill:#17304a;stroke:#6ea3d8",
    ".cb-start .cb-shape": "fill:#e8edf2;stroke:#e8edf2",
    ".cb-start text, .cb-start .cb-dim": "fill:#14191f",
    ".cb-end .cb-shape": "fill:#323c46;stroke:#a9b4bf",
    ".cb-unknown .cb-shape": "fill:#3d1a1a;stroke:#ff6b62",
    ".cb-line": "stroke:#93a0ad",
    ".cb-tip": "fill:#93a0ad",
    ".cb-back": "stroke:#b497f0",
    ".cb-tip-back": "fill:#b497f0",
    ".cb-label": "fill:#14191f;stroke:#56616e",
    ".cb-label-back": "stroke:#b497f0",
    ".cb-post": "fill:#2e2a17;stroke:#a89a5a",
    ".cb-error .cb-shape, .cb-line.cb-error, .cb-label.cb-error": "stroke:#ff6b62",
    ".cb-tip-error, .cb-badge-error": "fill:#ff6b62",
    ".cb-warning .cb-shape, .cb-line.cb-warning, .cb-label.cb-warning": "stroke:#f5a63d",
    ".cb-tip-warning, .cb-badge-warning": "fill:#f5a63d",
}
_FORMS: Mapping[str, str] = {
    ".cb": f"font-family:{FONT}",
    ".cb-shape": "stroke-width:1.4",
    ".cb-label, .cb-post": "stroke-width:1",
    ".cb-line": "fill:none;stroke-width:1.6",
    ".cb-back": "stroke-dasharray:6 4",
    ".cb-unknown .cb-shape": "stroke-dasharray:5 4",
    ".cb-error .cb-shape, .cb-warning .cb-shape, .cb-line.cb-error, .cb-line.cb-warning": "stroke-width:2.8",
    ".cb-box:target .cb-shape": "stroke-width:5",
    ".cb .cb-mark": "fill:#ffffff;font-weight:700",
}


def style_sheet() -> str:
    """The rules of the picture; all names begin with `cb`, so that they leave a page around it alone."""
    dark = _rules(_DARK)
    return f"{_rules(_FORMS)}{_rules(_LIGHT)}@media (prefers-color-scheme:dark){{{dark}}}"


def _rules(rules: Mapping[str, str]) -> str:
    return "".join(f"{selector}{{{style}}}" for selector, style in rules.items())
