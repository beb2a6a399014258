"""Every template of a chain with what it refers to, read once for all checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cordboard.chains.binding import names_in
from cordboard.chains.references import Reference, certain
from cordboard.chains.shape import MAX_FINDINGS, ActionShape, ChainShape
from cordboard.chains.template import is_template, parse_lone
from cordboard.errors import BindError
from cordboard.findings import Finding, did_you_mean
from cordboard.outline import join_path

MAX_TEMPLATES = 10_000


@dataclass(frozen=True, slots=True)
class Use:
    """One reference in one template of an action.

    Attributes:
        action: the action whose template it is.
        path: where the template stands, such as `actions.enrich.inputs.id`.
        field: `when`, `for_each` or `inputs`.
        reference: what it refers to.
        sure: whether the action's own `when` makes sure that the root of the reference is there.
    """

    action: str
    path: str
    field: str
    reference: Reference
    sure: bool


def read_uses(chain: ChainShape) -> tuple[tuple[Use, ...], tuple[Finding, ...]]:
    """Every reference of every template, and every template that is none."""
    uses: list[Use] = []
    faults: list[Finding] = []
    for name, action in chain.actions.items():
        sure = _sure(action)
        for count, (field, path, text) in enumerate(_templates(f"actions.{name}", action)):
            if len(faults) >= MAX_FINDINGS or len(uses) + count > MAX_TEMPLATES:
                faults.append(Finding("chain/limit", "too many templates or faults; the rest is not checked", path))
                return tuple(uses), tuple(faults)
            try:
                references = names_in(text) if field == "inputs" else _names_in_expression(text)
            except BindError as error:
                faults.append(Finding("chain/template", error.reason, path, hint=did_you_mean(error.near)))
                continue
            uses += [Use(name, path, field, found, field != "when" and found.root in sure) for found in references]
        faults += [Finding("chain/template", "a key cannot be a template", path) for path in _keys(name, action)]
    return tuple(uses), tuple(faults)


def inferred(uses: tuple[Use, ...], chain: ChainShape) -> Mapping[str, tuple[str, ...]]:
    """What each action waits for, stated and named in templates, in file order; only actions that exist."""
    found: dict[str, set[str]] = {name: set(action.depends_on) for name, action in chain.actions.items()}
    for use in uses:
        found[use.action].add(use.reference.root)
    return {
        name: tuple(other for other in chain.actions if other in waits and other != name)
        for name, waits in found.items()
    }


def _templates(path: str, action: ActionShape) -> Iterator[tuple[str, str, str]]:
    if action.when is not None:
        yield "when", f"{path}.when", action.when
    if action.for_each is not None:
        yield "for_each", f"{path}.for_each", action.for_each
    for place, text in texts_in(action.inputs, f"{path}.inputs"):
        if is_template(text):
            yield "inputs", place, text


def _names_in_expression(text: str) -> tuple[Reference, ...]:
    parse_lone(text)
    return names_in(text)


def _sure(action: ActionShape) -> frozenset[str]:
    """The names that are there whenever the action's own condition holds."""
    try:
        return certain(parse_lone(action.when)) if action.when else frozenset()
    except BindError:
        return frozenset()


def texts_in(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The path and text of every string in a JSON value."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts_in(item, join_path(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts_in(item, join_path(path, index))


def _keys(name: str, action: ActionShape) -> Iterator[str]:
    """The paths of keys that are written as templates."""
    todo: list[tuple[Any, str]] = [(action.inputs, f"actions.{name}.inputs")]
    while todo:
        value, path = todo.pop()
        if isinstance(value, dict):
            yield from (join_path(path, key) for key in value if is_template(key))
            todo.extend((item, join_path(path, key)) for key, item in value.items())
        elif isinstance(value, list):
            todo.extend((item, join_path(path, index)) for index, item in enumerate(value))
