"""Three JSON values merged into one: what either side changed, and what both did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from cordboard.jsontext import dump_json
from cordboard.outline import join_path


class Absent(Enum):
    """What stands where nothing is; null is a value."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
#: The fields of a vendor that we do not interpret; in paths they stand among the others. No field has this name.
EXTRA = "\0extra"


@dataclass(frozen=True, slots=True)
class Clash:
    """Both sides changed the value at a path, each in its own way."""

    path: str
    base: Any
    ours: Any
    theirs: Any


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; to Python, 1 equals true."""
    return one is other or (one == other and (repr(one) == repr(other) or dump_json(one) == dump_json(other)))


def merge_values(path: str, sides: Iterable[Any], clashes: list[Clash]) -> Any:
    """The value with the edits of both sides; objects are merged by key, lists are whole values.

    Args:
        path: where the value stands.
        sides: the JSON value from which both started, ours and theirs; `ABSENT` where there is none.
        clashes: takes what both changed differently; the value returned then stands for nothing.
    """
    base, ours, theirs = sides
    if same(ours, theirs) or same(theirs, base):
        return ours
    if same(ours, base):
        return theirs
    if all(value is None or value is ABSENT for value in (ours, theirs)):
        return None  # who takes a value away and who sets it to null want the same
    before = {} if base is ABSENT else base
    if not all(isinstance(value, dict) for value in (before, ours, theirs)):
        clashes.append(Clash(path, base, ours, theirs))
        return theirs if ours is ABSENT else ours
    merged = {}
    for name in _names(before, {*ours, *theirs}):
        below = path if name == EXTRA else join_path(path, name)
        merged[name] = merge_values(below, [it.get(name, ABSENT) for it in (before, ours, theirs)], clashes)
    return {name: value for name, value in merged.items() if value is not ABSENT}


def plain(value: Any) -> Any:
    """A merged value as people and programs read it: null where it is not there, vendor fields among the others."""
    if value is ABSENT:
        return None
    if isinstance(value, dict) and isinstance(value.get(EXTRA), dict):
        return {name: item for name, item in value.items() if name != EXTRA} | value[EXTRA]
    return value


def _names(base: Iterable[str], others: set[str]) -> list[str]:
    """Names in an order that does not depend on which side is ours."""
    return [*base, *sorted(others.difference(base))]
