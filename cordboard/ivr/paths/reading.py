"""Properties out of files of `kind: ivr-properties`, and every fault of such a file at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from cordboard.documents import Document, read_document
from cordboard.errors import InvalidDocument
from cordboard.findings import Finding, did_you_mean, errors_in, near
from cordboard.ivr.conditions import Value
from cordboard.ivr.model import Flow, Place
from cordboard.ivr.paths.properties import KINDS, PROPERTIES, PropertiesShape, Property
from cordboard.ivr.paths.world import Outcomes
from cordboard.ivr.reading import load_flow
from cordboard.outline import join_path

MAX_FINDINGS = 200

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
    "less_than_equal": "must be {le} or less",
    "string_too_short": "must not be empty",
    "string_too_long": "may have {max_length} characters at the most",
    "too_short": "must have at least one entry",
    "union_tag_not_found": "does not say its `kind`",
    "union_tag_invalid": "is of no kind that is known: `{tag}`",
}
#: Names that pydantic gives to the alternatives of one value.
_TYPES = frozenset({"str", "int", "float", "bool", "none"})


@dataclass(frozen=True, slots=True)
class Claims:
    """A file of properties without faults of form.

    Attributes:
        name: for people.
        flow: the call flow.
        properties: what must be true of every call.
        places: for each property where it stands.
        variables: values that are known when a call begins.
        outcomes: what actions return.
        file: where it was read from.
    """

    name: str
    flow: Flow
    properties: tuple[Property, ...]
    places: tuple[Place, ...]
    variables: Mapping[str, Value] = field(default_factory=dict)
    outcomes: Outcomes = field(default_factory=dict)
    file: str = field(default="", compare=False)


def load_claims(path: Path) -> Claims:
    """Reads a file of properties, and the flow whose file it names.

    Raises:
        InvalidDocument: the file cannot be read, or it or its flow has faults of form; all of them are listed.
    """
    claims, findings = read_claims(read_document(path, "ivr-properties"))
    if claims is None:
        raise InvalidDocument(findings)
    return claims


def read_claims(document: Document) -> tuple[Claims | None, tuple[Finding, ...]]:
    """A document as properties, and everything that can be said against it, in the order of lines."""
    findings: list[Finding] = []
    shape: PropertiesShape | None = None
    try:
        shape = PropertiesShape.model_validate(document.value)
    except ValidationError as error:
        findings += _faults(error, "")
    named = document.value.get("flow") if isinstance(document.value, dict) else None
    flow = _flow(document, named, findings)
    placed = [it if it.file else replace(it, file=document.file, line=document.line(it.path)) for it in findings]
    ordered = tuple(sorted(placed, key=lambda it: (it.file != document.file, it.line or 0)))
    if shape is None or flow is None or errors_in(ordered):
        return None, ordered
    paths = [f"properties[{number}]" for number in range(len(shape.properties))]
    places = tuple(Place(path, document.line(path)) for path in paths)
    claims = Claims(shape.name, flow, tuple(shape.properties), places, shape.variables, shape.outcomes, document.file)
    return claims, ordered


def properties_of(values: Sequence[Any], path: str = "properties") -> tuple[Property, ...]:
    """Properties out of JSON values, such as a list inside another file.

    Args:
        values: the properties, one object each.
        path: where the list stands in its document.

    Raises:
        InvalidDocument: with every fault; the places are filled in by whoever reads the document.
    """
    try:
        return tuple(PROPERTIES.validate_python(list(values)))
    except ValidationError as error:
        raise InvalidDocument(tuple(_faults(error, path))) from None


def _flow(document: Document, name: Any, findings: list[Finding]) -> Flow | None:
    if not isinstance(name, str) or not name:
        return None
    try:
        return load_flow(Path(document.file).parent / name)
    except InvalidDocument as error:
        findings.append(_fault("flow", f"the flow `{name}` cannot be used; see its own findings", "flow"))
        findings.extend(error.findings)
        return None


def _faults(error: ValidationError, path: str) -> Iterator[Finding]:
    """Each fault of shape; the alternatives of one value count as one."""
    seen: set[str] = set()
    for detail in error.errors(include_url=False)[:MAX_FINDINGS]:
        place = path
        for step in detail["loc"]:
            if step not in KINDS and not (isinstance(step, str) and (step in _TYPES or "[" in step)):
                place = f"{place}[{step}]" if isinstance(step, int) else join_path(place, step)
        if place not in seen:
            seen.add(place)
            yield _finding(detail, place)


def _finding(detail: ErrorDetails, place: str) -> Finding:
    kind = detail["type"]
    text = _MESSAGES.get(kind)
    message = text.format(**detail.get("ctx", {})) if text else detail["msg"].removeprefix("Value error, ")
    rule = {"extra_forbidden": "unknown-key", "missing": "missing"}.get(kind, "shape")
    return _fault(rule, message[:1].lower() + message[1:], place, _hint(detail))


def _hint(detail: ErrorDetails) -> str:
    kind, steps = detail["type"], detail["loc"]
    if kind.startswith("union_tag"):
        tag = str(detail.get("ctx", {}).get("tag", ""))
        return did_you_mean(near(tag, KINDS)) or f"Known kinds: {', '.join(KINDS)}."
    if kind == "extra_forbidden":
        part = next((KINDS[str(step)] for step in steps if step in KINDS), PropertiesShape)
        fields = [found.alias or name for name, found in part.model_fields.items()]
        return did_you_mean(near(str(steps[-1]), fields)) or f"Known keys: {', '.join(fields)}."
    if kind == "string_type" and isinstance(detail["input"], int | float):
        return "Quote it."
    return ""


def _fault(rule: str, message: str, path: str, hint: str = "") -> Finding:
    return Finding(f"properties/{rule}", message, path, hint=hint)
