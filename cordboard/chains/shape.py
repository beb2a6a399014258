"""The shape of a chain's file, and the faults of a file that does not have it.

A fault in one place must not hide those of other places: what breaks the shape is reported and cut out, and the rest is
checked as if it were whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic.config import JsonDict
from pydantic_core import ErrorDetails

from cordboard.chains.schema import SchemaShape
from cordboard.documents import Document
from cordboard.findings import Finding, did_you_mean, near
from cordboard.outline import join_path

NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
MAX_ACTIONS = 2_000
MAX_FINDINGS = 200
ParamType = Literal["string", "integer", "number", "boolean", "object", "array"]
_NAMED: JsonDict = {"propertyNames": {"pattern": NAME_PATTERN}}
_Location = tuple[int | str, ...]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Fallback(_Part):
    """What stands in for the output of an action that failed."""

    fallback: JsonValue = Field(description="Plain JSON, used as the action's output when it fails.")


FailureRule = Literal["stop", "continue"] | Fallback
Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
Retries = Annotated[int, Field(ge=0, le=10)]


class DefaultsShape(_Part):
    """What holds for every action that does not say otherwise."""

    timeout_seconds: Seconds = Field(default=30, description="The longest time for one call.")
    retries: Retries | None = Field(default=None, description="Repeats after the first send; null: the settings.")
    on_failure: FailureRule = "stop"


class ParamShape(_Part):
    """A parameter of the chain, named in templates as `params.NAME`."""

    type: ParamType = "string"
    required: bool = False
    default: JsonValue = None
    description: str = ""
    secret: bool = Field(default=False, description="Masked everywhere; must be text, and has no default.")


class ActionShape(_Part):
    """One data action."""

    definition_id: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$", description="The vendor's id of the data action."
    )
    description: str = ""
    inputs: dict[str, JsonValue] = Field(default_factory=dict, description="Templates may stand in any text in here.")
    depends_on: list[str] = Field(
        default_factory=list, max_length=MAX_ACTIONS, description="What templates name is inferred."
    )
    when: str | None = Field(default=None, description="One `{{ expression }}`; where false, the action is skipped.")
    for_each: str | None = Field(default=None, description="One `{{ expression }}` that gives a list; see `item`.")
    idempotent: bool = Field(default=False, description="Whether sending it twice is the same as sending it once.")
    timeout_seconds: Seconds | None = None
    retries: Retries | None = None
    on_failure: FailureRule | None = None
    output_schema: SchemaShape | None = Field(default=None, description="Of the output of one call.")
    inputs_schema: SchemaShape | None = None


class ChainShape(_Part):
    """A chain of data actions."""

    kind: Literal["chain"]
    name: str = Field(min_length=1, max_length=128)
    description: str = ""
    defaults: DefaultsShape = Field(default_factory=DefaultsShape)
    params: dict[str, ParamShape] = Field(default_factory=dict, json_schema_extra=_NAMED)
    actions: dict[str, ActionShape] = Field(min_length=1, max_length=MAX_ACTIONS, json_schema_extra=_NAMED)


_PARTS: Mapping[str, type[BaseModel]] = {"actions": ActionShape, "params": ParamShape, "defaults": DefaultsShape}
_STAND_INS: Mapping[_Location, Any] = {("kind",): "chain", ("name",): "unnamed"}
_MESSAGES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a known key",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must match `{pattern}`",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "too_long": "may have {max_length} entries, and it has {actual_length}",
    "too_short": "must not be empty",
}


def read_shape(document: Document) -> tuple[ChainShape | None, tuple[Finding, ...]]:
    """The document as a chain, and every fault of its shape.

    Returns:
        The chain without the parts that are faulty, or None where nothing can be made of it, and the findings.
    """
    try:
        return ChainShape.model_validate(document.value), ()
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        return _rest(document.value, faults), tuple(_findings(faults[:MAX_FINDINGS]))


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of a chain's file."""
    schema = ChainShape.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Cordboard chain"}


def _rest(value: Any, faults: list[ErrorDetails]) -> ChainShape | None:
    if not isinstance(value, dict):
        return None
    value = deepcopy(value)
    for fault in faults:
        _cut(value, fault)
    try:
        return ChainShape.model_validate(value)
    except ValidationError:
        return None


def _cut(value: dict[str, Any], fault: ErrorDetails) -> None:
    """Takes out the field that is faulty, or puts something harmless in its place where it is required."""
    place = fault["loc"][:1] if fault["loc"][0] not in _PARTS else fault["loc"][:3]
    if place[:1] == ("defaults",):
        place = place[:2]
    owner: Any = value
    for step in place[:-1]:
        owner = owner.get(step) if isinstance(owner, dict) else None
    if not isinstance(owner, dict):
        return
    owner.pop(place[-1], None)
    if place in _STAND_INS:
        owner[place[-1]] = _STAND_INS[place]
    if place[-1] == "definition_id":
        owner["definition_id"] = "missing"
    if len(place) == 2 and place[0] == "actions":
        owner[place[-1]] = {"definition_id": "missing"}


def _findings(faults: list[ErrorDetails]) -> Iterator[Finding]:
    """One finding a fault; the alternatives of one value count as one."""
    seen: set[_Location] = set()
    for fault in faults:
        place = _place(fault["loc"])
        if place in seen:
            continue
        seen.add(place)
        path = ""
        for step in place:
            path = join_path(path, step)
        yield Finding(f"chain/{_rule(fault)}", _message(fault, place), path, hint=_hint(fault, place))


def _place(location: _Location) -> _Location:
    """Where a fault is, without the names that pydantic gives to alternatives."""
    for field in ("on_failure", "type"):
        if field in location:
            return location[: location.index(field) + 1]
    return tuple(step for step in location if step != "[key]" and not str(step).startswith(("json-", "constrained-")))


def _rule(fault: ErrorDetails) -> str:
    return {"extra_forbidden": "unknown-key", "missing": "missing"}.get(fault["type"], "shape")


def _message(fault: ErrorDetails, place: _Location) -> str:
    if place and place[-1] == "on_failure":
        return "must be `stop`, `continue` or `{fallback: value}`"
    text = _MESSAGES.get(fault["type"])
    return text.format(**fault.get("ctx", {})) if text else fault["msg"][:1].lower() + fault["msg"][1:]


def _hint(fault: ErrorDetails, place: _Location) -> str:
    if fault["type"] == "string_type":
        return "Quote it."
    if fault["type"] != "extra_forbidden":
        return ""
    if "output_schema" in place or "inputs_schema" in place:
        part: type[BaseModel] = SchemaShape
    else:
        part = _PARTS.get(str(place[0]), ChainShape) if len(place) > 1 else ChainShape
    fields = part.model_fields
    return did_you_mean(near(str(place[-1]), fields)) or f"Known keys: {', '.join(fields)}."
