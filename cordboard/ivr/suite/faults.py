"""What can be said against a suite's file, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cordboard.findings import Finding, Severity, did_you_mean, near
from cordboard.ivr.suite.shape import DurationShape, ExpectShape, SpeechShape, SuiteShape

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
    "less_than_equal": "must be {le} or less",
    "string_pattern_mismatch": "must not begin or end with a blank",
    "string_too_short": "must not be empty",
    "string_too_long": "may have {max_length} characters at the most",
    "too_short": "must have at least one entry",
}
_PARTS: Mapping[str, type[BaseModel]] = {"expect": ExpectShape, "duration": DurationShape, "dtmf": SpeechShape}
#: Names that pydantic gives to the alternatives of one value.
_ALTERNATIVES = ("function-after[", "list[")
_TYPES = frozenset({"str", "SpeechShape"})
_HINTS: Mapping[str, str] = {
    "dtmf": "Keys in quotes, such as '12', or a list of inputs: ['1', {speech: billing}, no_input, no_match, hangup].",
    "mocks": "A list of outcomes for each node: `node_lookup: [{found: true}]`.",
    "cases": "A list: `- {name: sales, dtmf: '1', expect: {exit: node_end}}`.",
    "each": "A list of rows, such as `- {digit: '1', exit: node_sales}`.",
}


def fault(rule: str, message: str, path: str, hint: str = "") -> Finding:
    """An error; its file and line are filled in by whoever reads the document."""
    return Finding(f"suite/{rule}", message, path, hint=hint)


def warning(rule: str, message: str, path: str, hint: str = "") -> Finding:
    """Something that is odd and does no harm."""
    return Finding(f"suite/{rule}", message, path, hint=hint, severity=Severity.WARNING)


def unknown(what: str, name: str, known: Sequence[str], path: str) -> Finding:
    """A name of something that is not there."""
    shown = name if len(name) <= 64 and name.isprintable() else ascii(name[:64])[1:-1]
    return fault(f"unknown-{what}", f"there is no {what} `{shown}`", path, did_you_mean(near(name, known)))


def shape_faults(error: ValidationError, part: type[BaseModel] = SuiteShape) -> Iterator[tuple[Location, Finding]]:
    """Each fault of shape with its place inside the part; the alternatives of one value count as one."""
    seen: set[Location] = set()
    for detail in error.errors(include_url=False)[:MAX_FINDINGS]:
        place = _place(detail["loc"])
        if place not in seen:
            seen.add(place)
            yield place, _finding(detail, place, part)


def _place(location: Location) -> Location:
    return tuple(
        step for step in location if not isinstance(step, str) or not (step in _TYPES or step.startswith(_ALTERNATIVES))
    )


def _finding(detail: ErrorDetails, place: Location, part: type[BaseModel]) -> Finding:
    kind, last = detail["type"], str(place[-1]) if place else ""
    rule = {"extra_forbidden": "unknown-key", "missing": "missing"}.get(kind, "shape")
    text = _MESSAGES.get(kind)
    message = text.format(**detail.get("ctx", {})) if text else detail["msg"][:1].lower() + detail["msg"][1:]
    if kind == "extra_forbidden":
        fields = _part(place, part).model_fields
        return fault(rule, message, "", did_you_mean(near(last, fields)) or f"Known keys: {', '.join(fields)}.")
    if kind == "string_type" and isinstance(detail["input"], int | float):
        return fault(rule, message, "", "Quote it.")
    return fault(rule, message, "", next((_HINTS[str(step)] for step in place if step in _HINTS), ""))


def _part(place: Location, part: type[BaseModel]) -> type[BaseModel]:
    inside = [_PARTS[str(step)] for step in place[:-1] if step in _PARTS]
    return inside[-1] if inside else part
