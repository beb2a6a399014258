"""Values with the type that the workflow declares. Nothing is converted but what this table says, and nothing silently.

| declared  | text                                  | number            | true, false | object | list   | null |
|-----------|---------------------------------------|-------------------|-------------|--------|--------|------|
| `string`  | itself, spaces and all                | no: quote it      | no          | no     | no     | no   |
| `integer` | its digits: `85`, `-3`, `0`           | itself, if whole  | no          | no     | no     | no   |
| `boolean` | `true` or `false`, spelled so         | no                | itself      | no     | no     | no   |
| `object`  | JSON of an object                     | no                | no          | itself | no     | no   |
| `array`   | JSON of a list                        | no                | no          | no     | itself | no   |

So `banana`, `1e3`, `85.0`, `007`, `+5`, ` 85 ` and the empty text are no integers, and `1`, `yes` and `TRUE` no
booleans. Whole numbers fit 64 bits, also inside objects and lists. No text holds a NUL or half of a surrogate pair.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from cordboard.errors import InvalidJson
from cordboard.jsontext import dump_json, parse_json

DataType = Literal["string", "integer", "boolean", "object", "array"]
MAX_VALUE = 32 * 1024
"""Bytes that one value may have as JSON."""
MAX_CONTEXT = 256 * 1024
"""Bytes that all values of one start may have as JSON, names included."""

_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_DIGITS = re.compile(r"0|-?[1-9][0-9]{0,299}")
_SIGN_OR_ZEROS = re.compile(r"[+-]?[0-9]+")
_NO_TEXT = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why a value cannot be sent, and how to mend it."""

    reason: str
    hint: str = ""


def typed(value: Any, data_type: DataType) -> tuple[Any, Unfit | None]:
    """The value as it is sent, and why it cannot be.

    Args:
        value: a JSON value, such as a cell of a CSV file, which is always text.
        data_type: what the workflow declares.

    Returns:
        A JSON value of that type, and None; or what must not be sent, and why.
    """
    kind = KINDS[type(value)]
    rule = TABLE[data_type].get(kind)
    if rule is None:
        return value, Unfit(f"{_shown(value)} is no {data_type}", _HINTS.get((kind, data_type), ""))
    sent, unfit = rule(value)
    return sent, unfit or _inside(sent)


def too_large(context: Mapping[str, Any]) -> Iterator[tuple[str, Unfit]]:
    """The names of values that are too large, each with the reason; the empty name stands for all of them together."""
    whole = _size(context)
    if whole <= MAX_VALUE:
        return
    for name, value in context.items():
        if (size := _size(value)) > MAX_VALUE:
            yield name, Unfit(f"has {size} bytes as JSON, and {MAX_VALUE} are allowed")
    if whole > MAX_CONTEXT:
        yield "", Unfit(f"all values together have {whole} bytes as JSON, and {MAX_CONTEXT} are allowed")


def _itself(value: Any) -> tuple[Any, Unfit | None]:
    return value, None


def _whole(value: float) -> tuple[Any, Unfit | None]:
    if isinstance(value, int):
        return value, None
    return value, Unfit(f"{_shown(value)} is no integer", "Write it without a decimal point.")


def _digits(text: str) -> tuple[Any, Unfit | None]:
    if _DIGITS.fullmatch(text):
        return int(text), None
    return text, Unfit(f"{_shown(text)} is no integer", _why_no_integer(text))


def _why_no_integer(text: str) -> str:
    if not text:
        return "Where it may be empty, say what that counts as: `{{ row.NAME if row.NAME else 0 }}`."
    if text != text.strip():
        return "Take the spaces away, or write `| trim`."
    if _SIGN_OR_ZEROS.fullmatch(text):
        return "A `+` and leading zeros would be lost: write the number alone, or declare it as string."
    return "Write the digits alone, such as `1000`."


def _true_or_false(text: str) -> tuple[Any, Unfit | None]:
    if text in {"true", "false"}:
        return text == "true", None
    hint = "Only `true` and `false` are. Say what else counts as true: `{{ row.NAME == 'yes' }}`."
    return text, Unfit(f"{_shown(text)} is no boolean", hint)


def _json(kind: str, data_type: DataType) -> Callable[[str], tuple[Any, Unfit | None]]:
    def rule(text: str) -> tuple[Any, Unfit | None]:
        try:
            value = parse_json(text)
        except InvalidJson as error:
            return text, Unfit(f"{_shown(text)} is no {data_type}: {error}", "It must be written as JSON.")
        if KINDS[type(value)] != kind:
            return text, Unfit(f"{_shown(text)} is no {data_type} but JSON of a {KINDS[type(value)]}")
        return value, None

    return rule


KINDS: Mapping[type, str] = MappingProxyType(
    {
        str: "text",
        int: "number",
        float: "number",
        bool: "boolean",
        dict: "object",
        list: "list",
        type(None): "null",
    }
)
"""What JSON values are, by their exact type: `True` is no number."""
Rule = Callable[[Any], tuple[Any, Unfit | None]]
TABLE: Mapping[DataType, Mapping[str, Rule]] = MappingProxyType(
    {
        "string": {"text": _itself},
        "integer": {"text": _digits, "number": _whole},
        "boolean": {"text": _true_or_false, "boolean": _itself},
        "object": {"text": _json("object", "object"), "object": _itself},
        "array": {"text": _json("list", "array"), "list": _itself},
    }
)
"""The table above: by declared type and kind of value; what is not in it is refused."""
_HINTS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("number", "string"): "Quote it, or write `| string`.",
        ("boolean", "string"): "Quote it, or write `| string`.",
        ("object", "string"): "Declare it as object, or write `| tojson`.",
        ("list", "string"): "Declare it as array, or write `| tojson`.",
    }
)


def _inside(value: Any) -> Unfit | None:
    """What no value may hold, at any depth."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo += [*item, *item.values()]
        elif isinstance(item, list):
            todo += item
        elif unfit := _scalar(item):
            return unfit
    return None


def _scalar(value: Any) -> Unfit | None:
    if isinstance(value, str):
        return Unfit("holds a NUL or half of a surrogate pair, which is not text") if _NO_TEXT.search(value) else None
    if isinstance(value, int) and not _SMALLEST <= value <= _LARGEST:
        return Unfit(f"{_shown(value)} does not fit 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        return Unfit(f"{value} is not a JSON number")
    return None


def _size(value: Any) -> int:
    return len(dump_json(value).encode("utf-8", "surrogatepass"))


def _shown(value: Any) -> str:
    """A value as a message shows it: short, and without characters that a terminal would obey."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    start = value[:40] if isinstance(value, str) else value
    text = json.dumps(start, ensure_ascii=isinstance(start, str) and not start.isprintable())
    return f"{text[:40]}…" if len(text) > 42 or start != value else text
