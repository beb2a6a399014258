"""The small part of JSON Schema that chains use: type, properties, required, items, enum."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from cordboard.chains.references import Steps
from cordboard.findings import did_you_mean, near
from cordboard.outline import join_path

JsonType = Literal["string", "integer", "number", "boolean", "object", "array", "null"]
Schema = Mapping[str, Any]
ANY: Schema = MappingProxyType({})


class SchemaShape(BaseModel):
    """A schema as a file may hold it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: JsonType | list[JsonType] | None = None
    properties: dict[str, SchemaShape] | None = None
    required: list[str] | None = None
    items: SchemaShape | None = None
    additionalProperties: bool | None = None  # noqa: N815 - JSON Schema's own name
    enum: list[Any] | None = None
    title: str | None = None
    description: str | None = None


class NoSuchPlace(Exception):  # noqa: N818 - a refusal, not a failure
    """A path leads to a place that a schema rules out; `hint` says how to mend it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message, self.hint = message, hint


def types_of(schema: Schema) -> frozenset[str]:
    """The types that a schema allows; empty where it does not say."""
    named = schema.get("type")
    return frozenset([named] if isinstance(named, str) else named or [])


def type_of(value: Any) -> str:
    """The JSON Schema type of a value; whole numbers are `integer`, also when written as `3.0`."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, float):
        return "integer" if value.is_integer() else "number"
    names: Mapping[type, str] = {str: "string", int: "integer", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), "unknown")


def fits(have: frozenset[str], want: frozenset[str]) -> bool:
    """Whether a value of one of these types may be of one of those; unknown types always may."""
    if not have or not want or have & want:
        return True
    return bool(have & {"integer", "number"} and want & {"integer", "number"})


def descend(schema: Schema, steps: Steps, spelled: str) -> Schema:
    """The schema of what stands at the end of an access path; `ANY` where the schema does not say.

    Raises:
        NoSuchPlace: the schema declares another type there, or does not have the property.
    """
    for step in steps:
        types = types_of(schema)
        wanted = "object" if isinstance(step, str) else "array"
        if types and wanted not in types:
            raise NoSuchPlace(f"`{spelled}` is declared as {' or '.join(sorted(types))} and has no `{step}`")
        schema = _property(schema, step, spelled) if isinstance(step, str) else schema.get("items") or ANY
        spelled += f".{step}" if isinstance(step, str) else f"[{step}]"
    return schema


def check_output(schema: Schema, value: Any, path: str = "output") -> list[str]:
    """What is wrong with a value against a schema, one sentence a fault; empty where it fits."""
    return list(_check(schema, value, path))


def _property(schema: Schema, name: str, spelled: str) -> Schema:
    properties = schema.get("properties")
    if properties is None:
        return ANY
    if name in properties:
        found: Schema = properties[name]
        return found
    if schema.get("additionalProperties"):
        return ANY
    raise NoSuchPlace(f"the declared schema of `{spelled}` has no `{name}`", did_you_mean(near(name, properties)))


def _check(schema: Schema, value: Any, path: str) -> Iterator[str]:
    types, found = types_of(schema), type_of(value)
    if types and found not in types and not (found == "integer" and "number" in types):
        yield f"{path} must be {' or '.join(sorted(types))}, and it is {found}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path} is none of the values that the schema lists"
    if isinstance(value, dict):
        yield from _check_object(schema, value, path)
    if isinstance(value, list) and schema.get("items"):
        for index, item in enumerate(value):
            yield from _check(schema["items"], item, join_path(path, index))


def _check_object(schema: Schema, value: dict[str, Any], path: str) -> Iterator[str]:
    properties = schema.get("properties") or {}
    for name in schema.get("required") or ():
        if name not in value:
            yield f"{path} lacks `{name}`"
    for name, item in value.items():
        if name in properties:
            yield from _check(properties[name], item, join_path(path, name))
        elif schema.get("additionalProperties") is False:
            yield f"{path} has `{name}`, which the schema does not allow"
