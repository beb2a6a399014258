"""From a row to what the vendor is sent, or to everything that is wrong with the row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from cordboard.chains.binding import bind
from cordboard.errors import BindError
from cordboard.findings import Finding, did_you_mean
from cordboard.jsontext import digest
from cordboard.outline import join_path
from cordboard.triggers.model import Faulty, Row, Start, Trigger
from cordboard.triggers.seen import Seen
from cordboard.triggers.shape import HIGHEST, LOWEST, MAX_METADATA_TEXT
from cordboard.triggers.templates import ROW, columns_of, placed_values
from cordboard.triggers.values import Unfit, too_large, typed

MAX_KEY = 200
Fault = tuple[str, Unfit]
"""A place in the trigger, such as `context.customerId`, and what is wrong with the value for it."""


def starts(trigger: Trigger, rows: Iterable[Row], file: str) -> Iterator[Start | Faulty]:
    """What becomes of each row, in order; one row at a time is in memory.

    Args:
        trigger: says how to start the workflow.
        rows: of a batch.
        file: the name of their file, for findings.
    """
    columns = _columns(trigger)
    with Seen() as seen:
        for row in rows:
            if row.unfit:
                yield Faulty(row, (_finding(file, row, "", row.unfit, row.unfit_line),))
                continue
            key, body, faults = make(trigger, row.fields)
            if key and (first := seen.first(key, row.line)) is not None:
                faults.append(("key", _twice(trigger, key, first)))
            if faults:
                yield Faulty(row, tuple(_finding(file, row, _place(place, columns), unfit) for place, unfit in faults))
            else:
                yield Start(row.line, key, body)


def make(trigger: Trigger, fields: Mapping[str, Any]) -> tuple[str, dict[str, Any], list[Fault]]:
    """The key and the body of a start, and everything that is wrong with them.

    Args:
        trigger: says how to start the workflow.
        fields: of the row; empty where the trigger is no batch.

    Returns:
        The key is empty where it cannot be told. With faults, the body must not be sent.
    """
    faults: list[Fault] = []

    def part(place: str, value: Any, check: Callable[[Any], tuple[Any, Unfit | None]]) -> Any:
        try:
            bound, unfit = check(bind(value, {ROW: fields}))
        except BindError as error:
            bound, unfit = None, Unfit(error.reason, did_you_mean(error.near))
        if unfit:
            faults.append((place, unfit))
        return bound

    priority = part("priority", trigger.priority, priority_of)
    context = {
        name: part(join_path("context", name), variable.value, partial(typed, data_type=variable.data_type))
        for name, variable in trigger.context.items()
    }
    faults += [(join_path("context", name) if name else "context", unfit) for name, unfit in too_large(context)]
    metadata = {
        name: part(join_path("metadata", name), text, lambda value: (value, metadata_unfit(value)))
        for name, text in trigger.metadata.items()
    }
    body = {"workflowId": trigger.workflow_id, "priority": priority, "context": context, "metadata": metadata}
    if trigger.key is None:
        return ("" if faults else digest(body)), body, faults
    before = len(faults)
    key = part("key", trigger.key, key_of)
    return ("" if len(faults) > before else key), body, faults


def priority_of(value: Any) -> tuple[Any, Unfit | None]:
    """A priority from 1 to 10, typed as every other integer."""
    number, unfit = typed(value, "integer")
    if unfit is None and not HIGHEST <= number <= LOWEST:
        unfit = Unfit(f"{number} is no priority from {HIGHEST} (highest) to {LOWEST}")
    return number, unfit


def metadata_unfit(value: Any) -> Unfit | None:
    """Why a value cannot stand in the metadata, which holds short texts."""
    text, unfit = typed(value, "string")
    if unfit is None and len(text) > MAX_METADATA_TEXT:
        unfit = Unfit(f"has {len(text)} characters, and {MAX_METADATA_TEXT} are allowed")
    return unfit


def key_of(value: Any) -> tuple[Any, Unfit | None]:
    """A key is text; a whole number of a JSONL file stands for its digits."""
    text, unfit = typed(str(value) if type(value) is int else value, "string")
    if unfit is None and not 0 < len(text) <= MAX_KEY:
        unfit = Unfit(f"must have 1 to {MAX_KEY} characters, and it has {len(text)}")
    elif unfit is None and text != text.strip():
        message = "has spaces around it: it would be another key than without them, and another start"
        hint = "Take them away, or write `| trim`; what was started under the key with its spaces leave out."
        unfit = Unfit(message, hint)
    return text, unfit


def _twice(trigger: Trigger, key: str, first: int) -> Unfit:
    if trigger.key is None:
        hint = "Where both are meant, tell them apart with `key`."
        return Unfit(f"would start the same as line {first}", hint)
    return Unfit(
        f"`{key if key.isprintable() else ascii(key)}` is the key of line {first} as well", "A key is used once."
    )


def _columns(trigger: Trigger) -> Mapping[str, str]:
    """The one column from which a value comes, by its place; those that are made from several are left out."""
    named = {place.removesuffix(".value"): set(columns_of(value)) for place, value in placed_values(trigger)}
    return {place: min(columns) for place, columns in named.items() if len(columns) == 1}


def _place(place: str, columns: Mapping[str, str]) -> str:
    return f"{columns[place]} → {place}" if place in columns else place


def _finding(file: str, row: Row, place: str, unfit: Unfit, line: int = 0) -> Finding:
    message = f"{place}: {unfit.reason}" if place else unfit.reason
    return Finding("row/unfit", message, f"row {row.number}", file, line or row.line, unfit.hint)
