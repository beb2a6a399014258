"""How wide a text will be, without a browser: an estimate that is rather too wide than too narrow."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

# Widths in parts of the font size, after DejaVu Sans, the widest of the fonts that browsers take for `sans-serif`.
_GROUPS = (
    ("ijl|'.,:;! ", 0.34),
    ('fIrt()[]-/\\"“”·', 0.44),
    ("cszkvxyJ?_*", 0.6),
    ("mwMWQ@%#&+=<>~…→", 0.99),
)
_WIDTHS = {char: width for chars, width in _GROUPS for char in chars}
_SMALL, _CAPITAL, _WIDE, _OTHER, _BOLD = 0.65, 0.79, 1.1, 0.85, 1.1


@lru_cache(maxsize=4096)
def _of_char(char: str) -> float:
    if char in _WIDTHS:
        return _WIDTHS[char]
    if char.isascii():
        return _CAPITAL if char.isupper() else _SMALL
    if unicodedata.combining(char):
        return 0.0
    return _WIDE if unicodedata.east_asian_width(char) in {"W", "F"} or ord(char) > 0xFFFF else _OTHER


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a line of text, in the unit of its font size."""
    return sum(map(_of_char, text)) * size * (_BOLD if bold else 1.0)


def wrapped(text: str, size: float, width: float, *, lines: int, bold: bool = False) -> tuple[str, ...]:
    """A text broken into lines that are not wider than `width`, between words where that can be.

    What does not fit into `lines` lines is left out, and `…` says so.
    """
    found: list[str] = []
    line = ""
    for piece in _pieces(text[: lines * 200], size, width, bold):
        longer = f"{line} {piece}" if line else piece
        if line and width_of(longer, size, bold=bold) > width:
            found.append(line)
            longer = piece
        line = longer
    found += [line] if line else []
    if len(found) <= lines and len(text) <= lines * 200:
        return tuple(found)
    return (*found[: lines - 1], _ended(found[min(lines, len(found)) - 1], size, width, bold))


def _pieces(text: str, size: float, width: float, bold: bool) -> Iterator[str]:
    """The words, those that are wider than a line in parts."""
    for word in text.split():
        part, used = "", 0.0
        for char in word:
            more = width_of(char, size, bold=bold)
            if part and used + more > width:
                yield part
                part, used = "", 0.0
            part, used = part + char, used + more
        yield part


def _ended(line: str, size: float, width: float, bold: bool) -> str:
    while line and width_of(f"{line}…", size, bold=bold) > width:
        line = line[:-1]
    return f"{line.rstrip()}…"
