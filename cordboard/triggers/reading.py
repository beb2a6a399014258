"""Triggers out of files, and every fault of such a file at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cordboard.documents import Document, read_document
from cordboard.errors import InvalidDocument
from cordboard.findings import Finding
from cordboard.outline import join_path
from cordboard.triggers.making import key_of, metadata_unfit, priority_of
from cordboard.triggers.model import Trigger, Variable
from cordboard.triggers.shape import MAX_FINDINGS, RESERVED, TriggerShape, shape_faults
from cordboard.triggers.templates import is_templated, key_faults, template_faults
from cordboard.triggers.values import TABLE, Unfit, too_large, typed


def load_trigger(path: Path) -> Trigger:
    """Reads a trigger from a file.

    Raises:
        InvalidDocument: the file cannot be read, or is no trigger; every fault is listed.
    """
    trigger, findings = read_trigger(read_document(path, "trigger"))
    if trigger is None:
        raise InvalidDocument(findings)
    return trigger


def read_trigger(document: Document) -> tuple[Trigger | None, tuple[Finding, ...]]:
    """A document as a trigger, and everything that is wrong with it, in the order of lines.

    Returns:
        The trigger, or None where anything is wrong, and the findings.
    """
    shape, found = _read(document.value)
    placed = (replace(finding, file=document.file, line=document.line(finding.path)) for finding in found)
    findings = tuple(sorted(placed, key=lambda finding: finding.line or 0))
    return None if shape is None or findings else _trigger(shape, document), findings


def _read(value: Any) -> tuple[TriggerShape | None, list[Finding]]:
    if not isinstance(value, dict) or value.get("kind") != "trigger":
        return None, [Finding("kind/no-trigger", "is no trigger", "kind", hint="Write `kind: trigger`.")]
    own = list(islice(_own_faults(value), MAX_FINDINGS))
    try:
        return TriggerShape.model_validate(value), own
    except ValidationError as error:
        return None, [*shape_faults(error), *own]


def _trigger(shape: TriggerShape, document: Document) -> Trigger:
    context = {name: Variable(each.value, each.data_type) for name, each in shape.context.items()}
    return Trigger(
        shape.workflow_id,
        shape.priority,
        context,
        shape.metadata,
        shape.key,
        shape.safety,
        shape.settle_seconds,
        shape.timeout_seconds,
        shape.max_running,
        document,
    )


def _own_faults(value: Mapping[str, Any]) -> Iterator[Finding]:
    """What a schema cannot say, of any document: templates, and values that do not fit their types."""
    if is_templated(value.get("workflow_id")):
        hint = "A batch starts one workflow: write a file for each."
        yield Finding("trigger/template", "cannot be a template", "workflow_id", hint=hint)
    yield from _faults("priority", value.get("priority", 5), lambda priority: priority_of(priority)[1])
    for name, variable in _object(value.get("context")).items():
        yield from _variable_faults(_object(variable), join_path("context", name))
    constants = {
        name: variable["value"]
        for name, variable in _object(value.get("context")).items()
        if "value" in _object(variable) and not is_templated(variable["value"])
    }
    for name, unfit in too_large(constants):
        yield _finding(unfit, join_path("context", name) if name else "context")
    if RESERVED in _object(value.get("metadata")):
        yield Finding("trigger/reserved", "is where our own reference stands", join_path("metadata", RESERVED))
    for name, text in _object(value.get("metadata")).items():
        if isinstance(text, str):
            yield from _faults(join_path("metadata", name), text, metadata_unfit)
    if isinstance(key := value.get("key"), str):
        yield from _faults("key", key, lambda text: key_of(text)[1])
        if not is_templated(key) and any(is_templated(value.get(part)) for part in ("priority", "context", "metadata")):
            yield Finding("trigger/key", "is the same for every row", "key", hint="Name a column: `{{ row.id }}`.")


def _variable_faults(variable: Mapping[str, Any], path: str) -> Iterator[Finding]:
    data_type = next((name for name in TABLE if name == variable.get("data_type")), None)
    if "value" in variable and data_type is not None:
        yield from _faults(f"{path}.value", variable["value"], lambda value: typed(value, data_type)[1])


def _faults(path: str, value: Any, check: Callable[[Any], Unfit | None]) -> Iterator[Finding]:
    """What is wrong with a value: with its templates where it has any, else with itself."""
    yield from key_faults(value, path)
    if is_templated(value):
        yield from template_faults(value, path)
    elif unfit := check(value):
        yield _finding(unfit, path)


def _finding(unfit: Unfit, path: str) -> Finding:
    return Finding("trigger/value", unfit.reason, path, hint=unfit.hint)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
