"""Cases as they are written, made into plain ones: fragments are laid under them, and tables make one case a row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cordboard.findings import Finding
from cordboard.ivr.suite.faults import Location, fault, unknown
from cordboard.ivr.suite.shape import PLACEHOLDER
from cordboard.ivr.topology.fault import quoted
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
        filled: what the layers say, once the row is filled in.
    """

    value: Mapping[str, Any]
    layers: tuple[Layer, ...]
    row: str = ""
    filled: tuple[Mapping[str, Any], ...] = ()

    def path(self, place: Location) -> str:
        """Where in the document a part of the case stands; what is filled in stands in the row."""
        layers = [layer for layer, filled in zip(self.layers, self.filled, strict=True) if _stands_in(filled, place)]
        for layer in reversed(layers or self.layers):
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
    case = layers[-1]
    if "each" not in case.value:
        yield from _filled_in(layers, None, "")
        return
    rows = case.value["each"]
    if not isinstance(rows, list) or not rows:
        hint = "A list, such as `- {digit: '1', exit: node_sales}`."
        yield fault("shape", "must be a list of rows, with at least one", f"{case.path}.each", hint)
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        path = f"{case.path}.each[{number}]"
        if isinstance(row, Mapping) and row:
            yield from _filled_in(layers, row, path)
        else:
            yield fault("shape", "must be an object with at least one column", path)


def _filled_in(layers: tuple[Layer, ...], row: Mapping[str, Any] | None, path: str) -> Iterator[Written | Finding]:
    """The case with one row filled in, or why that cannot be done.

    Every layer is filled in by itself, the uppermost first: an object that comes of a placeholder is merged as well.
    """
    filled: list[Mapping[str, Any]] = []
    faults: list[Finding] = []
    for layer in reversed(layers):
        filling = _Filling(layer, row, filled)
        filled.insert(0, filling.fill())
        faults += filling.faults
    if faults:
        yield from faults
        return
    value: dict[str, Any] = {}
    for part in filled:
        value = _merged(value, part)
    name = layers[-1].value.get("name")
    if row is not None and isinstance(name, str) and value["name"] == name:
        value["name"] = f"{name} [{_as_text(row.get('name', next(iter(row.values()))))}]"
    yield Written(value, layers, path, tuple(filled))


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Objects are merged field by field, everything else is replaced; documents are not deep."""
    found = dict(under)
    for name, value in over.items():
        below = found.get(name)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        found[name] = _merged(below, value) if both else value  # type: ignore[arg-type]  # `both` says so
    return found


class _Filling:
    """Fills the columns of one row into a layer; what the layers above replace may say anything."""

    def __init__(self, layer: Layer, row: Mapping[str, Any] | None, above: Sequence[Mapping[str, Any]]) -> None:
        self._layer, self._row, self._above = layer, row, tuple(above)
        self.faults: list[Finding] = []

    def fill(self) -> dict[str, Any]:
        """The layer, filled in."""
        return {name: self._value(item, (name,)) for name, item in self._layer.value.items() if name != "each"}

    def _value(self, value: Any, place: Location) -> Any:
        if isinstance(value, str):
            filled = "{{" in value and not any(_is_replaced(above, place) for above in self._above)
            return self._text(value, place) if filled else value
        if isinstance(value, list):
            return [self._value(item, (*place, number)) for number, item in enumerate(value)]
        if isinstance(value, Mapping):
            return {self._key(name, place): self._value(item, (*place, name)) for name, item in value.items()}
        return value

    def _key(self, name: str, place: Location) -> str:
        if "{{" in name and not any(_is_replaced(above, place) for above in self._above):
            message = f"the key {quoted(name)} is not filled in"
            hint = "Only values are; fill in the whole object: `variables: '{{ each.variables }}'`."
            self.faults.append(fault("placeholder", message, joined(self._layer.path, (*place, name)), hint))
        return name

    def _text(self, text: str, place: Location) -> Any:
        for opening in _OPENING.findall(text):
            if not _PLACEHOLDER.fullmatch(opening):
                self.faults.append(
                    fault("placeholder", f"`{opening[:64]}` is not filled in", joined(self._layer.path, place), _HINT)
                )
                return text
        if _PLACEHOLDER.fullmatch(text):
            return self._column(text, place)
        return _PLACEHOLDER.sub(lambda match: _as_text(self._column(match[0], place)), text)

    def _column(self, placeholder: str, place: Location) -> Any:
        name = placeholder.strip("{} ").removeprefix("each.")
        if self._row is None:
            message = f"`{placeholder}` stands for a column, and the case has no table"
            hint = "Add `each`, a list of rows."
            self.faults.append(fault("placeholder", message, joined(self._layer.path, place), hint))
        elif name not in self._row:
            self.faults.append(unknown("column", name, list(self._row), joined(self._layer.path, place)))
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


def _is_replaced(above: Any, place: Location) -> bool:
    """Whether a layer above says something else instead of what stands at a place."""
    for step in place:
        if not isinstance(above, Mapping):
            return True
        if step not in above:
            return False
        above = above[step]
    return not isinstance(above, Mapping)


def _stands_in(value: Any, place: Location) -> bool:
    for step in place:
        inside = isinstance(value, Mapping) and step in value
        if not inside and not (isinstance(value, list) and isinstance(step, int) and step < len(value)):
            return False
        value = value[step]
    return True


def _is_filled_in(value: Any) -> bool:
    return isinstance(value, str) and "{{" in value


def joined(path: str, place: Location) -> str:
    """A path, so many steps further."""
    for step in place:
        path = join_path(path, step)
    return path
