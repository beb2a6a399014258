"""YAML for people to read, written piece by piece: a report of ten thousand calls never stands in memory as a whole.

What has a shape of ours is written line by line, what callers and vendors bring (variables, steps) as one line of
YAML's flow style. Every text that could be taken for anything else is quoted.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: Texts that no reader of YAML takes for anything but text; with a space or a bracket only where a line is its own.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})
_QUOTED_TOO = re.compile("[\x7f-\x9f\ufeff\ufffe\uffff]|[\u2028-\u202e\u2066-\u2069\u200e\u200f\ud800-\udfff]")
#: Longer keys need a mark of their own: readers look only so far for a colon.
_LONG_KEY = 800


def block(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """A mapping of ours, a line for each entry."""
    for key, value in values.items():
        yield f"{indent}{key}:"
        yield from _beside(value, indent)


def item(values: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """A mapping as an item of a list: its first line carries the dash."""
    first = True
    for part in block(values, indent + "  "):
        yield f"{indent}- {part[len(indent) + 2 :]}" if first else part
        first = False


def _beside(value: Any, indent: str) -> Iterator[str]:
    """What stands after a key and its colon."""
    if isinstance(value, Block) and value:
        yield "\n"
        yield from block(value, indent + "  ")
    elif isinstance(value, Lines) and value:
        yield "\n"
        for entry in value:
            if isinstance(entry, Block):
                yield from item(entry, indent + "  ")
            else:
                yield f"{indent}  - {flow(entry)}\n"
    else:
        yield f" {flow(value)}\n"


class Block(dict[str, Any]):
    """A mapping whose keys are ours and that is written line by line."""


class Lines(list[Any]):
    """A list that is written line by line."""


def flow(value: Any) -> str:
    """Any JSON value on one line. It goes as deep as the value does, which those who read values bound."""
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(key))}: {flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(flow, value))}]"
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value) if value is None or isinstance(value, bool | int) else text(str(value))


def text(words: str) -> str:
    """A text, in quotes where it could be taken for something else."""
    if _PLAIN.fullmatch(words) and words.lower() not in _WORDS:
        return words
    return _QUOTED_TOO.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(words, ensure_ascii=False))


def _key(words: str) -> str:
    written = text(words)
    return f"? {written} " if len(written) > _LONG_KEY else written


def _number(value: float) -> str:
    """A number that YAML 1.1 too takes for one: with a point before the exponent."""
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    digits, exponent, power = repr(value).partition("e")
    return f"{digits if '.' in digits else digits + '.0'}{exponent}{power}"
