"""Patches out of files, and every fault of such a file at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cordboard.documents import Document, read_document
from cordboard.errors import InvalidDocument
from cordboard.findings import Finding, errors_in
from cordboard.ivr.merge.faults import MAX_FINDINGS, own_faults, shape_faults
from cordboard.ivr.merge.patch import NodeChange, Patch, WayChange, Where
from cordboard.ivr.merge.shape import OWN_FIELDS, NodeChangeShape, PatchShape, WayShape


def load_patch(path: Path) -> Patch:
    """Reads a patch from a file.

    Raises:
        InvalidDocument: the file cannot be read, or is no patch; every fault is listed.
    """
    patch, findings = read_patch(read_document(path, "ivr-patch"))
    if patch is None:
        raise InvalidDocument(findings)
    return patch


def read_patch(document: Document) -> tuple[Patch | None, tuple[Finding, ...]]:
    """A document as a patch, and everything that can be said about its form, in the order of lines.

    Returns:
        The patch, or None where it has errors, and the findings.
    """
    shape, found = _read(document.value)
    placed = [replace(finding, file=document.file, line=document.line(finding.path)) for finding in found]
    findings = tuple(sorted(placed, key=lambda finding: finding.line or 0))
    return None if shape is None or errors_in(findings) else _patch(shape, document), findings


def _read(value: Any) -> tuple[PatchShape | None, list[Finding]]:
    if not isinstance(value, dict):
        return None, [Finding("patch/shape", "a patch is an object", hint="Start with `kind: ivr-patch`.")]
    own = list(islice(own_faults(value), MAX_FINDINGS))
    try:
        return PatchShape.model_validate(value), own
    except ValidationError as error:
        return None, [*shape_faults(error), *own]


def _patch(shape: PatchShape, document: Document) -> Patch:
    return Patch(
        shape.flow_id,
        shape.base_version,
        shape.reason,
        shape.start or shape.start_node_id,
        {name: None if change is None else _change(change) for name, change in shape.nodes.items()},
        shape.replace,
        document,
    )


def _change(shape: NodeChangeShape) -> NodeChange:
    fields = {name: getattr(shape, name) for name in OWN_FIELDS if name in shape.model_fields_set} | shape.fields
    if "audio" in shape.model_fields_set:
        audio = None if shape.audio is None else {"id": shape.audio, "type": "resource"}
        fields["properties"] = {**(fields.get("properties") or {}), "audioResource": audio}
    listed = shape.all_ways
    return NodeChange(
        fields,
        tuple(_ways(shape)),
        None if listed is None else tuple(way.model_dump(by_alias=True) for way in listed),
    )


def _ways(shape: NodeChangeShape) -> Iterator[WayChange]:
    for condition, way in shape.transitions.items():
        if way is None:
            yield WayChange(condition, removed=True)
        else:
            yield WayChange(condition, way.to or way.destination, False, *_place(way))


def _place(way: WayShape) -> tuple[Where, str]:
    if way.before:
        return "before", way.before
    return ("after", way.after) if way.after else ("first" if way.first else "", "")
