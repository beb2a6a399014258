"""Cases as they are written, made into plain ones: fragments are laid under them, and tables make one case a row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cordboard.findings import Finding
from cordboard.ivr.suite.faults import Location, fault, unknown
from cordboard.ivr.suite.shape import PLACEHOLDER
from cordboard.outline import join_path

_PLACEHOLDER = re.compile(PLACEHOLDER)
_OPENING = re.compile(r"\{\{[^{}]*\}?\}?")
_HINT = "Only `{{ each.COLUMN }}` is filled in, from the rows of `each`."


@dataclass(frozen=True, slots=True)
class Layer:
    """A case or a fragment as it is written, and its path in the document."""

    value: Mapping[str, Any]
    path: str


@dataclass(frozen=True, slots=True)
class Written:
    """One plain case.

    Attributes:
        value: as `CaseShape` reads it.
        layers: where its parts stand, from the lowest to the case itself.
        row: the path of its row in a table; empty where there is none.
    """

    value: Mapping[str, Any]
    layers: tuple[Layer, ...]
    row: str = ""

    def path(self, place: Location) -> str:
        """Where in the document a part of the case stands; what is filled in stands in the row."""
        for layer in reversed(self.layers):
            found = written_at(layer.value, place)
            if found is not None:
                return self.row if self.row and _is_filled_in(found) else joined(layer.path, place)
        return joined(self.layers[-1].path, place)


def layered(case: Mapping[str, Any], path: str, fragments: Mapping[str, Any]) -> tuple[Layer, ...]:
    """A case on top of the fragments that it uses; what is no fragment is left out."""
    names = case.get("use")
    used = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    under = [Layer(fragments[name], f"fragments.{name}") for name in used if isinstance(fragments.get(name), Mapping)]
    return (*under, Layer(case, path))


def expanded(layers: tuple[Layer, ...]) -> Iterator[Written | Finding]:
    """The plain cases that come of a case, and what is wrong with placeholders and rows."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = _merged(merged, layer.value)
    whole, case = Written(merged, layers), layers[-1]
    if "each" not in case.value:
        yield from _filled_in(whole, None, "")
        return
    rows = case.value["each"]
    if not isinstance(rows, list) or not rows:
        hint = "A list, such as `- {digit: '1', exit: node_sales}`."
        yield fault("shape", "must be a list of rows, with at least one", f"{case.path}.each", hint)
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        path = f"{case.path}.each[{number}]"
        if isinstance(row, Mapping) and row:
            yield from _filled_in(whole, row, path)
        else:
            yield fault("shape", "must be an object with at least one column", path)


def _filled_in(whole: Written, row: Mapping[str, Any] | None, path: str) -> Iterator[Written | Finding]:
    """The case with one row filled in, or why that cannot be done."""
    filling = _Filling(whole, row)
    value = filling.fill({field: item for field, item in whole.value.items() if field != "each"})
    if filling.faults:
        yield from filling.faults
        return
    name = whole.value.get("name")
    if row is not None and isinstance(name, str) and value["name"] == name:
        value["name"] = f"{name} [{_as_text(row.get('name', next(iter(row.values()))))}]"
    yield Written(value, whole.layers, path)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Objects are merged field by field, everything else is replaced; documents are not deep."""
    found = dict(under)
    for name, value in over.items():
        below = found.get(name)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        found[name] = _merged(below, value) if both else value  # type: ignore[arg-type]  # `both` says so
    return found


class _Filling:
    """Fills the columns of one row into a case."""

    def __init__(self, case: Written, row: Mapping[str, Any] | None) -> None:
        self._case, self._row = case, row
        self.faults: list[Finding] = []

    def fill(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The case, filled in."""
        return {name: self._value(item, (name,)) for name, item in value.items()}

    def _value(self, value: Any, place: Location) -> Any:
        if isinstance(value, str):
            return self._text(value, place) if "{{" in value else value
        if isinstance(value, list):
            return [self._value(item, (*place, number)) for number, item in enumerate(value)]
        if isinstance(value, Mapping):
            return {name: self._value(item, (*place, name)) for name, item in value.items()}
        return value

    def _text(self, text: str, place: Location) -> Any:
        for opening in _OPENING.findall(text):
            if not _PLACEHOLDER.fullmatch(opening):
                self.faults.append(
                    fault("placeholder", f"`{opening[:64]}` is not filled in", self._case.path(place), _HINT)
                )
                return text
        if _PLACEHOLDER.fullmatch(text):
            return self._column(text, place)
        return _PLACEHOLDER.sub(lambda match: _as_text(self._column(match[0], place)), text)

    def _column(self, placeholder: str, place: Location) -> Any:
        name = placeholder.strip("{} ").removeprefix("each.")
        if self._row is None:
            message = f"`{placeholder}` stands for a column, and the case has no table"
            self.faults.append(fault("placeholder", message, self._case.path(place), "Add `each`, a list of rows."))
        elif name not in self._row:
            self.faults.append(unknown("column", name, list(self._row), self._case.path(place)))
        else:
            return self._row[name]
        return placeholder


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def written_at(value: Any, place: Sequence[int | str]) -> Any:
    """What is written at a place, or the text that is filled in there; None where nothing is."""
    for step in place:
        if isinstance(value, str) and _is_filled_in(value):
            return value
        inside = isinstance(value, Mapping) and step in value
        inside = inside or (isinstance(value, list) and isinstance(step, int) and step < len(value))
        if not inside:
            return None
        value = value[step]
    return value


def _is_filled_in(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


def joined(path: str, place: Location) -> str:
    """A path, so many steps further."""
    for step in place:
        path = join_path(path, step)
    return path
