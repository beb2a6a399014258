"""What can be said against a file of `kind: ivr-flow` before it is read as a flow: all of it at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cordboard.findings import Finding, did_you_mean, near
from cordboard.ivr.model import START_TYPE
from cordboard.ivr.shape import SPELLINGS, ConnectionShape, FlowShape, LimitsShape, NodeShape, SuppressionShape
from cordboard.outline import join_path

MAX_FINDINGS = 200
#: Conditions that ask nothing.
UNCONDITIONAL = frozenset({"", "true", "default", "else"})
#: A fault in one of these leaves the flow's shape as the author meant it; what stands in for the value that is wrong.
_HARMLESS: Mapping[str, Any] = {"id": "unnamed", "name": "", "existing": "replace", "suppress": []}
_PARTS: Mapping[str, type[BaseModel]] = {
    "nodes": NodeShape,
    "connections": ConnectionShape,
    "limits": LimitsShape,
    "suppress": SuppressionShape,
}
_MESSAGES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a known key",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "may have {max_length} characters at the most",
    "too_long": "may have {max_length} entries, and it has {actual_length}",
    "value_error": "is no day of the calendar",
}
_ID_HINT = "Letters, digits, `_`, `.` and `-`, a letter or digit first, 128 characters at the most."
_PATTERNS: Mapping[str, tuple[str, str]] = {
    "until": ("must be a day, written as year-month-day", "Such as `2030-01-31`."),
    "rule": ("is not the id of a rule", "A finding shows it in brackets, such as `ivr/unreachable`."),
}
_SHAPE_HINTS: Mapping[tuple[str, str], str] = {
    ("nodes", "dict_type"): "Nodes stand under their ids: `node_menu: {type: menu}`.",
    ("node", "model_type"): "Write `{}` for a node of which there is nothing to say.",
    ("connections", "list_type"): "Connections are a list: `- {from: node_a, to: node_b}`.",
    ("connections", "missing"): "A list: `- {from: node_a, to: node_b, when: \"dtmf == '1'\"}`.",
    ("start", "missing"): "Name the node at which a call begins.",
    ("terminals", "list_type"): "A list of node ids: `[node_end]`.",
    ("suppress", "list_type"): "A list: `- {rule: ivr/…, reason: …, until: 2030-01-31}`.",
    ("reason", "string_too_short"): "Say why the finding is accepted, for those who read it later.",
}


def read_shape(value: Mapping[str, Any]) -> tuple[FlowShape | None, tuple[Finding, ...]]:
    """A file's content as a call flow, and every fault of its shape.

    Returns:
        The flow, or None where a fault could change its nodes, its connections or what holds for them, and the
        findings, whose file and line the caller fills in.
    """
    own = islice(chain(_connection_faults(value), _start_faults(value)), MAX_FINDINGS)
    try:
        shape: FlowShape | None = FlowShape.model_validate(value)
        findings = list(own)
    except ValidationError as error:
        faults = error.errors(include_url=False)[:MAX_FINDINGS]
        shape = _without_harmless(value, faults)
        findings = [*map(_finding, faults), *own]
    whole = shape is None or all(_stated_once(connection) for connection in shape.connections)
    return shape if whole else None, tuple(findings)


def _stated_once(connection: ConnectionShape) -> bool:
    return (
        bool(connection.source) != bool(connection.source_node_id)
        and bool(connection.target) != bool(connection.target_node_id)
        and not (connection.when and connection.condition)
    )


def _without_harmless(value: Mapping[str, Any], faults: list[ErrorDetails]) -> FlowShape | None:
    names = {str(fault["loc"][0]) for fault in faults if fault["loc"]}
    if not names or not names <= _HARMLESS.keys():
        return None
    return FlowShape.model_validate({**value, **{name: _HARMLESS[name] for name in names}})


def _connection_faults(value: Mapping[str, Any]) -> Iterator[Finding]:
    connections = value.get("connections")
    genesys = value.get("platform") == "genesys"
    for index, connection in enumerate(connections if isinstance(connections, list) else ()):
        if isinstance(connection, dict):
            path = f"connections[{index}]"
            yield from _spelling_faults(connection, path)
            yield from _condition_faults(connection, path)
            if genesys and connection.get("type") == "fallback":
                hint = "Write `when: default`, and count the visits in a condition: `visits > 3`."
                yield Finding("ivr/platform", "Genesys knows no fallback connections", f"{path}.type", hint=hint)


def _spelling_faults(connection: Mapping[str, Any], path: str) -> Iterator[Finding]:
    for short, long, required in SPELLINGS:
        if short in connection and long in connection:
            message = f"`{short}` and `{long}` are two words for the same thing"
            yield Finding("ivr/said-twice", message, f"{path}.{long}", hint="Keep one of the two.")
        elif required and short not in connection and long not in connection:
            yield Finding("ivr/missing", "is required", f"{path}.{short}", hint="The id of a node.")


def _condition_faults(connection: Mapping[str, Any], path: str) -> Iterator[Finding]:
    kind, word = connection.get("type"), "when" if "when" in connection else "condition"
    condition = connection.get(word)
    if kind in {"default", "fallback"} and isinstance(condition, str) and condition.strip() not in UNCONDITIONAL:
        message = f"a {kind} connection is taken where no other fits, so its condition is never asked"
        hint = f"Leave out `{word}`, or leave out `type: {kind}`."
        yield Finding("ivr/unused-condition", message, f"{path}.{word}", hint=hint)


def _start_faults(value: Mapping[str, Any]) -> Iterator[Finding]:
    """The body that goes to CXone has no other place for the start than the type of its node."""
    start, nodes = value.get("start"), value.get("nodes")
    node = nodes.get(start) if isinstance(nodes, dict) and isinstance(start, str) else None
    if value.get("platform", "cxone") != "cxone" or not isinstance(node, dict):
        return
    if isinstance(node.get("type"), str) and node["type"] != START_TYPE:
        message = "the flow starts here, and CXone knows its start only by the type `start`"
        hint = "Leave `type` out, or put a node of type `start` before it."
        yield Finding("ivr/start-type", message, f"nodes.{start}.type", hint=hint)


def _finding(fault: ErrorDetails) -> Finding:
    place = tuple(step for step in fault["loc"] if step != "[key]")
    path = ""
    for step in place:
        path = join_path(path, step)
    rule = {"extra_forbidden": "unknown-key", "missing": "missing"}.get(fault["type"], "shape")
    message, hint = _words(fault, place)
    return Finding(f"ivr/{rule}", message, path, hint=hint)


def _words(fault: ErrorDetails, place: tuple[int | str, ...]) -> tuple[str, str]:
    """What to say about a fault, and how to mend it."""
    kind, last = fault["type"], str(place[-1]) if place else ""
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(last, ("is not an id that a vendor takes", _ID_HINT))
    if kind == "string_too_short" and fault.get("ctx", {}).get("min_length") == 1:
        return "must not be empty", ""
    text = _MESSAGES.get(kind)
    message = text.format(**fault.get("ctx", {})) if text else fault["msg"][:1].lower() + fault["msg"][1:]
    if kind == "extra_forbidden":
        return message, _known_keys(place)
    if kind == "string_type" and isinstance(fault["input"], int | float):
        return message, "Quote it."
    subject = "node" if len(place) == 2 and place[0] == "nodes" else last
    return message, _SHAPE_HINTS.get((subject, kind), "")


def _known_keys(place: tuple[int | str, ...]) -> str:
    part = _PARTS.get(str(place[0]), FlowShape) if len(place) > 1 else FlowShape
    fields = [field.alias or name for name, field in part.model_fields.items()]
    return did_you_mean(near(str(place[-1]), fields)) or f"Known keys: {', '.join(fields)}."
