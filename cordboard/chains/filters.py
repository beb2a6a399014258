"""The filters and tests that templates may use: total functions of JSON values, bounded in what they make."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from cordboard.errors import BindError

MAX_TEXT = 1024 * 1024
"""Characters that a template may make, at any step."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_INTEGER = re.compile(r"[+-]?[0-9]{1,300}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,300}(\.[0-9]{1,300})?")


@dataclass(frozen=True, slots=True)
class Operation:
    """A filter or a test, and how many arguments it takes beside the value."""

    function: Callable[..., Any]
    fewest: int = 0
    most: int = 0


def kind_of(value: Any) -> str:
    """The JSON type of a value, as people say it: text, number, boolean, list, object or null."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names: tuple[tuple[Any, str], ...] = ((str, "text"), (int | float, "number"), (list, "list"), (dict, "object"))
    return next((name for kind, name in names if isinstance(value, kind)), type(value).__name__)


def text_of(value: Any) -> str:
    """How a value stands inside text: strings as they are, numbers, booleans and null in JSON's spelling.

    Raises:
        BindError: the value is a list or an object.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, list | dict):
        raise BindError("", f"a {kind_of(value)} inside text; say how with `| tojson` or `| join(', ')`")
    return _ENCODER.encode(value)


def concat(pieces: list[str], separator: str = "") -> str:
    """Joins pieces of text.

    Raises:
        BindError: the result would be longer than `MAX_TEXT`.
    """
    if sum(map(len, pieces)) + len(separator) * len(pieces) > MAX_TEXT:
        raise BindError("", f"the text would be longer than {MAX_TEXT} characters")
    return separator.join(pieces)


def is_true(value: Any) -> bool:
    """Whether a value counts as true: not null, false, zero, nor empty.

    Raises:
        BindError: the value is the text `true` or `false`, which would both count as true.
    """
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        raise BindError("", "the text `true` or `false` where a condition stands; compare it: `x == 'true'`")
    return bool(value)


def _expect(value: Any, kinds: tuple[str, ...], name: str) -> None:
    if kind_of(value) not in kinds:
        raise BindError("", f"`{name}` works on {' or '.join(kinds)}, not on {kind_of(value)}")


def _length(value: Any) -> int:
    _expect(value, ("text", "list", "object"), "length")
    return len(value)


def _changed(name: str, change: Callable[[str], str]) -> Operation:
    def function(value: Any) -> str:
        _expect(value, ("text",), name)
        return concat([change(value)])

    return Operation(function)


def _join(value: Any, separator: Any = "") -> str:
    _expect(value, ("list",), "join")
    _expect(separator, ("text",), "join(...)")
    return concat([text_of(item) for item in value], separator)


def _int(value: Any) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and value == math.floor(value):
        return int(value)
    raise BindError("", f"`int` works on whole numbers and their digits, not on this {kind_of(value)}")


def _float(value: Any) -> float:
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        return float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and -1e308 <= value <= 1e308:
        return float(value)
    raise BindError("", f"`float` works on numbers and their digits, not on this {kind_of(value)}")


def _tojson(value: Any) -> str:
    pieces, size = [], 0
    for piece in _ENCODER.iterencode(value):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_TEXT:
            raise BindError("", f"the text would be longer than {MAX_TEXT} characters")
    return "".join(pieces)


def _end(name: str, index: int) -> Operation:
    def function(value: Any) -> Any:
        _expect(value, ("text", "list"), name)
        if not value:
            raise LookupError(f"is empty and has no {name} entry")
        return value[index]

    return Operation(function)


def _is(*kinds: str) -> Operation:
    return Operation(lambda value: kind_of(value) in kinds)


# `default`, `defined` and `undefined` look at whether there is a value at all: the evaluation answers them itself.
FILTERS: Mapping[str, Operation] = MappingProxyType(
    {
        "default": Operation(lambda value, _instead: value, 1, 1),
        "length": Operation(_length),
        "lower": _changed("lower", str.lower),
        "upper": _changed("upper", str.upper),
        "trim": _changed("trim", str.strip),
        "first": _end("first", 0),
        "last": _end("last", -1),
        "join": Operation(_join, 0, 1),
        "int": Operation(_int),
        "float": Operation(_float),
        "string": Operation(lambda value: concat([text_of(value)])),
        "tojson": Operation(_tojson),
    }
)
TESTS: Mapping[str, Operation] = MappingProxyType(
    {
        "defined": Operation(lambda _value: True),
        "undefined": Operation(lambda _value: False),
        "none": _is("null"),
        "string": _is("text"),
        "number": _is("number"),
        "boolean": _is("boolean"),
        "mapping": _is("object"),
        "sequence": _is("list"),
    }
)
