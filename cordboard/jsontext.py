"""JSON as we accept and write it: UTF-8, finite numbers, unique keys, no lone surrogates, bounded depth and size.

The standard parser takes `NaN`, `1e400`, duplicate keys, lone surrogates and UTF-16. One lone surrogate in a Prefect
parameter stops every worker, and a duplicate key means that two readers see two documents.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from cordboard.errors import InvalidJson

MAX_DEPTH = 64
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(data: bytes | str, *, max_bytes: int = 8 * 1024 * 1024, max_depth: int = MAX_DEPTH) -> Any:
    """Parses strict JSON.

    Raises:
        InvalidJson: not UTF-8, not JSON, or any of the things this module refuses.
    """
    text = _text_of(data, max_bytes)
    try:
        value = json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite_float, object_pairs_hook=_unique_keys
        )
    except RecursionError:
        raise InvalidJson(f"nested deeper than {max_depth} levels") from None
    except ValueError as error:
        raise InvalidJson(f"not JSON: {error}") from None
    if text.count("[") + text.count("{") > max_depth and _depth(value) > max_depth:
        raise InvalidJson(f"nested deeper than {max_depth} levels")
    if _SURROGATE_ESCAPE.search(text) and any(_has_lone_surrogate(string) for string in strings_in(value)):
        raise InvalidJson("a string holds a lone surrogate, which is not text")
    return value


def dump_json(value: Any) -> str:
    """The canonical form: sorted keys, no spaces, no NaN. Equal values give equal text."""
    return _CANONICAL.encode(value)


def digest(value: Any) -> str:
    """SHA-256 of the canonical form, in hex."""
    return hashlib.sha256(dump_json(value).encode()).hexdigest()


def strings_in(value: Any) -> Iterator[str]:
    """Every string in a JSON value, keys included; iterative, so depth does not matter."""
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            todo.extend(item.keys())
            todo.extend(item.values())
        elif isinstance(item, list | tuple):
            todo.extend(item)


def _text_of(data: bytes | str, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise InvalidJson(f"larger than {max_bytes} bytes")
    if isinstance(data, str):
        return data
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJson(f"not UTF-8: {error.reason} at byte {error.start}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} does not fit a number")
    return number


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} stands twice in one object")
    return found


def _has_lone_surrogate(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


def _depth(value: Any) -> int:
    deepest, todo = 0, [(value, 1)]
    while todo:
        item, depth = todo.pop()
        children = item.values() if isinstance(item, dict) else item if isinstance(item, list) else None
        if children is not None:
            deepest = max(deepest, depth)
            todo.extend((child, depth + 1) for child in children)
    return deepest
