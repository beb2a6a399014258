"""The templates of a trigger: what each refers to, and whether a batch has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cordboard.chains.binding import names_in
from cordboard.chains.references import Reference
from cordboard.chains.template import is_template
from cordboard.chains.uses import texts_in
from cordboard.errors import BindError
from cordboard.findings import Finding, did_you_mean, near
from cordboard.outline import join_path
from cordboard.triggers.model import Trigger

ROW = "row"


def is_templated(value: Any) -> bool:
    """Whether a template stands in any text of a JSON value."""
    return any(is_template(text) for _, text in texts_in(value, ""))


def template_faults(value: Any, path: str) -> Iterator[Finding]:
    """Templates in a JSON value that cannot be read, or that refer to anything but the row."""
    for place, text in texts_in(value, path):
        try:
            roots = {found.root for found in names_in(text)}
        except BindError as error:
            yield Finding("trigger/template", error.reason, place, hint=did_you_mean(error.near))
            continue
        for root in sorted(roots - {ROW}):
            hint = f"A template sees its row: write `row.{root}`."
            yield Finding("trigger/unknown-name", f"`{root}` is not defined here", place, hint=hint)


def key_faults(value: Any, path: str) -> Iterator[Finding]:
    """Keys of a JSON value that are written as templates, which would stay as they are."""
    todo: list[tuple[Any, str]] = [(value, path)]
    while todo:
        item, place = todo.pop()
        entries = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
        for key, inner in entries:
            if isinstance(key, str) and is_template(key):
                yield Finding("trigger/template", "a key cannot be a template", join_path(place, key))
            todo.append((inner, join_path(place, key)))


def placed_values(trigger: Trigger) -> Iterator[tuple[str, Any]]:
    """Every value in which templates may stand, with its place in the file."""
    yield "priority", trigger.priority
    for name, variable in trigger.context.items():
        yield f"{join_path('context', name)}.value", variable.value
    for name, text in trigger.metadata.items():
        yield join_path("metadata", name), text
    if trigger.key is not None:
        yield "key", trigger.key


def columns_of(value: Any) -> Iterator[str]:
    """The columns that the templates in a value name."""
    for _, text in texts_in(value, ""):
        yield from (str(found.path[0]) for found in names_in(text) if found.path)


def is_batch(trigger: Trigger) -> bool:
    """Whether it says how to start a workflow for every row of a file."""
    return any(found.root == ROW for _, text in _texts(trigger) for found in names_in(text))


def unknown_columns(trigger: Trigger, columns: tuple[str, ...], file: str) -> tuple[Finding, ...]:
    """The columns that templates need and a file's header does not have.

    Args:
        trigger: whose templates.
        columns: those of the header.
        file: the name of the file that has the header.
    """
    return tuple(
        _unknown_column(trigger, place, name, columns, file)
        for place, text in _texts(trigger)
        for name in dict.fromkeys(_name(found) for found in names_in(text) if _is_missing(found, columns))
    )


def _texts(trigger: Trigger) -> Iterator[tuple[str, str]]:
    for path, value in placed_values(trigger):
        yield from texts_in(value, path)


def _unknown_column(trigger: Trigger, place: str, name: str, columns: tuple[str, ...], file: str) -> Finding:
    message, line = f"{file} has no column `{name}`", trigger.document.line(place)
    return Finding("trigger/unknown-column", message, place, trigger.document.file, line, _hint(name, columns))


def _is_missing(reference: Reference, columns: tuple[str, ...]) -> bool:
    return bool(reference.path) and not reference.guarded and _name(reference) not in columns


def _name(reference: Reference) -> str:
    return str(reference.path[0])


def _hint(name: str, columns: tuple[str, ...]) -> str:
    separator = next((mark for mark in (";", "\t") if len(columns) == 1 and mark in columns[0]), None)
    if separator:
        return f"Its columns are separated by {separator!r}: save it with commas."
    shown = ", ".join(column for column in columns[:20] if column.isprintable())
    return did_you_mean(near(name, columns)) or f"It has: {shown}."
