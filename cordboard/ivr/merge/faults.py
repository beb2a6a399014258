"""What can be said against a patch's file, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cordboard.findings import Finding, Severity, did_you_mean, near
from cordboard.ivr.dialects import genesys
from cordboard.ivr.merge.applying import WAYS, normal
from cordboard.ivr.merge.shape import OWN_FIELDS, NodeChangeShape, PatchShape, WayShape
from cordboard.outline import join_path

MAX_FINDINGS = 200
Location = tuple[int | str, ...]

_MESSAGES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a known key",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be {ge} or more",
    "string_too_short": "must not be empty",
    "string_too_long": "may have {max_length} characters at the most",
}
_HINTS: Mapping[tuple[str, str], str] = {
    ("base_version", "missing"): "The `version` of the flow from which you edited.",
    ("nodes", "dict_type"): "Changes stand under the ids of nodes: `menu: {prompt: Hello}`.",
    ("transitions", "dict_type"): "Ways out stand under their conditions: `transitions: {\"dtmf == '4'\": sales}`.",
    (WAYS, "list_type"): "A list: `[{condition: \"dtmf == '1'\", destinationNodeId: sales}]`.",
}
#: Of these only one can say the place of a way out.
_PLACES = ("first", "before", "after")


def shape_faults(error: ValidationError) -> Iterator[Finding]:
    """Each fault of shape; file and line are filled in by whoever reads the document."""
    for detail in error.errors(include_url=False)[:MAX_FINDINGS]:
        place = tuple(step for step in detail["loc"] if step != "[key]")
        yield _shape_fault(detail, place)


def _shape_fault(detail: ErrorDetails, place: Location) -> Finding:
    kind, last = detail["type"], str(place[-1]) if place else ""
    path = ""
    for step in place:
        path = join_path(path, step)
    rule = {"extra_forbidden": "unknown-key", "missing": "missing"}.get(kind, "shape")
    text = _MESSAGES.get(kind)
    message = text.format(**detail.get("ctx", {})) if text else detail["msg"][:1].lower() + detail["msg"][1:]
    hint = _HINTS.get((last, kind), "")
    if kind == "extra_forbidden":
        hint = _known_keys(place, last)
    elif place[-2:-1] == ("transitions",) and not hint:
        hint = "The node to which it leads, or an object such as `{to: sales, first: true}`; null removes it."
    elif kind == "string_type" and isinstance(detail["input"], int | float):
        hint = "Quote it."
    return Finding(f"patch/{rule}", message, path, hint=hint)


def _known_keys(place: Location, name: str) -> str:
    parts: Mapping[int, type[BaseModel]] = {1: PatchShape, 3: NodeChangeShape}
    part = parts.get(len(place), WayShape)
    fields = [field.alias or own for own, field in part.model_fields.items()]
    other = "Other fields of the vendor stand under `fields`." if part is NodeChangeShape else ""
    return did_you_mean(near(name, fields)) or other or f"Known keys: {', '.join(fields)}."


def own_faults(value: Mapping[str, Any]) -> Iterator[Finding]:
    """What a schema cannot say: things said twice, and whole nodes that are none; of any document."""
    nodes, whole = (_object(value.get(name)) for name in ("nodes", "replace"))
    if not any(value.get(name) for name in ("start", "startNodeId", "nodes", "replace")):
        yield _idle("", "What is to change stands under `nodes`, by id.")
    if "start" in value and "startNodeId" in value:
        yield _twice("`start` and `startNodeId` are two words for the same thing", "startNodeId")
    for name in whole:
        if name in nodes:
            yield _twice("the node stands under `nodes` as well", join_path("replace", name))
    for name, change in nodes.items():
        if change == {}:
            yield _idle(join_path("nodes", name), "To remove the node, write null.")
        yield from _change_faults(_object(change), join_path("nodes", name))
    for found in genesys.examine({"id": "flow", "nodes": {k: v for k, v in whole.items() if isinstance(v, dict)}}):
        yield Finding(
            "patch/shape", found.message, f"replace{found.path.removeprefix('nodes')}", severity=found.severity
        )


def _change_faults(change: Mapping[str, Any], path: str) -> Iterator[Finding]:
    if "transitions" in change and WAYS in change:
        yield _twice(f"`transitions` changes single ways out, and `{WAYS}` states all of them", f"{path}.transitions")
    if "audio" in change and "audioResource" in _object(change.get("properties")):
        yield _twice("`audio` and `properties.audioResource` are two words for the same thing", f"{path}.audio")
    for name in _object(change.get("fields")):
        here = join_path(f"{path}.fields", name)
        if name in change and name in OWN_FIELDS:
            yield _twice(f"`{name}` stands beside `fields` as well", here)
        elif name in {"id", WAYS} or (name == "properties" and "audio" in change):
            yield Finding("patch/shape", f"`{name}` cannot be changed here", here)
    seen: dict[tuple[str, str], str] = {}
    for condition, way in _object(change.get("transitions")).items():
        here = join_path(f"{path}.transitions", condition)
        first = seen.setdefault(normal(condition), condition)
        if first != condition:
            yield _twice(f"`{first}` is the same condition", here)
        yield from _way_faults(_object(way), here, empty=way == {})


def _way_faults(way: Mapping[str, Any], path: str, *, empty: bool) -> Iterator[Finding]:
    if empty:
        yield Finding(
            "patch/missing", "says nothing", path, hint="Where it leads: `{to: sales}`; or null to remove it."
        )
    if "to" in way and "destinationNodeId" in way:
        yield _twice("`to` and `destinationNodeId` are two words for the same thing", f"{path}.destinationNodeId")
    said = [name for name in _PLACES if name in way]
    if len(said) > 1:
        yield _twice(f"only one of `{'`, `'.join(said)}` can say its place", f"{path}.{said[1]}")


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _idle(path: str, hint: str) -> Finding:
    return Finding("patch/changes-nothing", "changes nothing", path, severity=Severity.WARNING, hint=hint)


def _twice(message: str, path: str) -> Finding:
    return Finding("patch/said-twice", message, path, hint="Keep one of the two.")
