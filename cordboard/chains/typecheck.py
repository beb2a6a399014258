"""Templates against declared schemas: what can be decided before anything runs, and nothing that is a guess."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from jinja2 import nodes

from cordboard.chains.references import Reference, reference_of
from cordboard.chains.schema import (
    ANY,
    NoSuchPlace,
    Schema,
    SchemaShape,
    check_output,
    descend,
    fits,
    type_of,
    types_of,
)
from cordboard.chains.shape import ActionShape, ChainShape
from cordboard.chains.template import is_template, parse_lone, parse_template
from cordboard.chains.uses import Use
from cordboard.errors import BindError
from cordboard.findings import Finding, did_you_mean, near
from cordboard.outline import join_path

_TEXT = MappingProxyType({"type": "string"})
_MIXED = MappingProxyType({"type": "string"})
_INTEGER = MappingProxyType({"type": "integer"})
_BOOLEAN = MappingProxyType({"type": "boolean"})
_FILTERS: Mapping[str, Schema] = MappingProxyType(
    {
        "length": _INTEGER,
        "int": _INTEGER,
        "float": MappingProxyType({"type": "number"}),
        **dict.fromkeys(("lower", "upper", "trim", "join", "string", "tojson"), _TEXT),
    }
)


def check_types(chain: ChainShape, uses: tuple[Use, ...]) -> Iterator[Finding]:
    """Every template that contradicts a declared schema."""
    for use in uses:
        yield from _check_place(chain, use)
    for name, action in chain.actions.items():
        yield from _check_for_each(chain, name, action)
        if action.inputs_schema is not None:
            expected = as_schema(action.inputs_schema)
            yield from _check_input(chain, action, expected, action.inputs, f"actions.{name}.inputs")


def as_schema(shape: SchemaShape | None) -> Schema:
    """A declared schema as plain JSON; `ANY` where there is none."""
    return ANY if shape is None else shape.model_dump(exclude_unset=True)


def _check_place(chain: ChainShape, use: Use) -> Iterator[Finding]:
    try:
        _schema_of(use.reference, chain, chain.actions[use.action])
    except NoSuchPlace as error:
        yield Finding("chain/unknown-field", error.message, use.path, hint=error.hint)


def _check_for_each(chain: ChainShape, name: str, action: ActionShape) -> Iterator[Finding]:
    if action.for_each is None:
        return
    found = _schema_of_text(action.for_each, chain, action)
    types = types_of(found)
    if types and "array" not in types and found is not _MIXED:  # text around the expression is a finding of its own
        message = f"needs a list, and `{action.for_each}` is declared as {_either(types)}"
        yield Finding("chain/wrong-type", message, f"actions.{name}.for_each")


def _check_input(chain: ChainShape, action: ActionShape, expected: Schema, value: Any, path: str) -> Iterator[Finding]:
    """A template, or plain JSON with templates inside, against the schema that the action declares for it."""
    found = types_of(_schema_of_text(value, chain, action)) if _templated(value) else frozenset({type_of(value)})
    if not fits(found, types_of(expected)):
        yield Finding("chain/wrong-type", f"must be {_either(types_of(expected))}, and it is {_either(found)}", path)
    elif isinstance(value, dict):
        yield from _check_object(chain, action, expected, value, path)
    elif isinstance(value, list) and expected.get("items"):
        for index, item in enumerate(value):
            yield from _check_input(chain, action, expected["items"], item, join_path(path, index))
    elif not _templated(value):
        for fault in check_output(expected, value, "the value"):
            yield Finding("chain/wrong-type", fault, path)


def _check_object(
    chain: ChainShape, action: ActionShape, expected: Schema, value: dict[str, Any], path: str
) -> Iterator[Finding]:
    properties = expected.get("properties")
    for name in expected.get("required") or ():
        if name not in value:
            yield Finding("chain/missing-input", f"lacks the input `{name}` that its `inputs_schema` requires", path)
    for name, item in value.items():
        if properties is not None and name in properties:
            yield from _check_input(chain, action, properties[name], item, join_path(path, name))
        elif properties is not None and not expected.get("additionalProperties"):
            hint = did_you_mean(near(name, properties))
            yield Finding("chain/unknown-input", "is not in the `inputs_schema`", join_path(path, name), hint=hint)


def _schema_of(reference: Reference, chain: ChainShape, action: ActionShape) -> Schema:
    """The declared schema of what a reference leads to.

    Raises:
        NoSuchPlace: a declared schema rules the place out.
    """
    root, steps = reference.root, reference.path
    if root == "params" and steps and steps[0] in chain.params:
        declared: Schema = {"type": chain.params[str(steps[0])].type}
        return _end(descend(declared, steps[1:], f"params.{steps[0]}"), reference)
    if root == "item":
        items = _schema_of_text(action.for_each or "", chain, action).get("items") or ANY
        return _end(descend(items, steps, root), reference)
    if root in chain.actions and chain.actions[root] is not action:
        return _end(descend(_output_of(chain.actions[root], chain), steps, root), reference)
    return ANY


def _end(schema: Schema, reference: Reference) -> Schema:
    return schema if reference.whole else ANY


def _output_of(action: ActionShape, chain: ChainShape) -> Schema:
    """The schema of an action's output; with `for_each` it is a list of the outputs of its calls."""
    output = as_schema(action.output_schema)
    if action.for_each is None:
        return output
    rule = action.on_failure or chain.defaults.on_failure
    return {"type": "array", "items": output if rule == "stop" else ANY}


def _schema_of_text(text: str, chain: ChainShape, action: ActionShape) -> Schema:
    """What is known of the value of a template; `ANY` where nothing is, or where it is faulty."""
    try:
        if not parse_template(text).lone:
            return _MIXED
        return _schema_of_expression(parse_lone(text), chain, action)
    except (BindError, NoSuchPlace):
        return ANY


def _schema_of_expression(node: nodes.Expr, chain: ChainShape, action: ActionShape) -> Schema:
    reference = reference_of(node)
    if reference is not None:
        return _schema_of(reference, chain, action) if not _circular(reference, action) else ANY
    if isinstance(node, nodes.Filter):
        return _FILTERS.get(node.name, ANY)
    if isinstance(node, nodes.Const):
        return {"type": type_of(node.value)}
    if isinstance(node, nodes.Concat):
        return _TEXT
    return _BOOLEAN if isinstance(node, nodes.Compare | nodes.Test | nodes.Not) else ANY


def _circular(reference: Reference, action: ActionShape) -> bool:
    """Whether a `for_each` names its own `item`, whose type it is to decide."""
    return reference.root == "item" and "item" in (action.for_each or "")


def _templated(value: Any) -> bool:
    return isinstance(value, str) and is_template(value)


def _either(types: frozenset[str]) -> str:
    return " or ".join(sorted(types))
