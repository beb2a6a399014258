"""XML for build servers: pieces of markup in which texts of users stay texts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from cordboard.ivr.diff.wording import visible

PROLOGUE = '<?xml version="1.0" encoding="UTF-8"?>\n'


def attributes(values: Mapping[str, object]) -> str:
    """Attributes, each with a space before it."""
    return "".join(f' {name}="{escape(visible(str(value)))}"' for name, value in values.items())


def content(words: str) -> str:
    """Text between tags; control characters, which XML cannot hold, show as escapes."""
    return escape("\n".join(map(visible, words.split("\n"))), quote=False)
