"""The shape of a suite's file (`kind: ivr-suite`).

A value may be a placeholder as a whole, such as `"{{ each.path }}"`, so that cases are read twice: the file as a whole
by `SuiteShape`, and every case by `CaseShape` once its placeholders are filled in.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic_core import PydanticCustomError

from cordboard.ivr.conditions.keypad import TONES
from cordboard.ivr.trace import EndKind, Then

PLACEHOLDER = r"\{\{\s*each\.[A-Za-z_][A-Za-z0-9_]*\s*\}\}"
WORDS = ("no_input", "no_match", "hangup")
_FILLED_IN = {"type": "string", "pattern": f"^{PLACEHOLDER}$"}


def _pressable(text: str) -> str:
    wrong = next((char for char in text if char not in TONES), None)
    if wrong is not None:
        raise PydanticCustomError("keys", "no telephone has the key `{key}`", {"key": ascii(wrong)[1:-1]})
    return text


def _keys_or_word(text: str) -> str:
    if not text:
        raise PydanticCustomError("keys", "no key is pressed: write `no_input` for a caller who is silent")
    return text if text in WORDS else _pressable(text)


def _or_filled_in(schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [schema, _FILLED_IN]})


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SpeechShape(_Part):
    """Something that is said."""

    speech: str = Field(min_length=1)


Element = Annotated[str, AfterValidator(_keys_or_word)] | SpeechShape
Digits = Annotated[str, AfterValidator(_pressable)]
Nodes = Annotated[list[str], _or_filled_in({"type": "array", "items": {"type": "string"}})]
Texts = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    _or_filled_in({"type": "array", "items": {"type": "string", "minLength": 1}}),
]
Count = Annotated[int, Field(ge=0), _or_filled_in({"type": "integer", "minimum": 0})]
Values = Annotated[dict[str, JsonValue], _or_filled_in({"type": "object"})]
_ELEMENT_SCHEMA = {
    "anyOf": [{"type": "string", "minLength": 1}, {"type": "object", "properties": {"speech": {"type": "string"}}}]
}


class DurationShape(_Part):
    """Bounds of a call's duration."""

    max: Count = Field(description="Milliseconds; virtual ones with the local engine.")


_END = "How the call ends; by default not by a fault of the flow, nor for want of an input."


class ExpectShape(_Part):
    """What a call must be like; what is left out does not matter."""

    path: Nodes | None = Field(default=None, description="All nodes, in order.")
    visits: Nodes = Field(default_factory=list, description="Some of the nodes, in order.")
    exit: str | None = Field(default=None, description="The node at which the call comes to its end.")
    variables: Values = Field(default_factory=dict, description="Values that some variables have in the end.")
    visited: Nodes = Field(default_factory=list, description="Nodes that the call gets to, in any order.")
    never: Nodes = Field(default_factory=list, description="Nodes that the call must not get to.")
    prompts: Texts = Field(default_factory=list, description="Parts of what is heard, in order.")
    inputs: Count | None = Field(default=None, description="How many inputs nodes take.")
    duration: DurationShape | None = None
    end: EndKind | None = Field(default=None, description=_END)


class CaseShape(_Part):
    """One call."""

    name: str = Field(min_length=1, max_length=200, pattern=r"^\S([\s\S]*\S)?$", description="Unique in the suite.")
    dtmf: Annotated[
        Digits | list[Element],
        WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": _ELEMENT_SCHEMA}]}),
    ] = Field(
        default="",
        description="Keys in a row, or a list of inputs: `'1'`, `{speech: billing}`, no_input, no_match, hangup.",
    )
    speech: str = Field(default="", description="What is said, where nothing is pressed.")
    variables: Values = Field(default_factory=dict, description="Values when the call begins.")
    mocks: dict[str, Annotated[list[Values], Field(min_length=1)]] = Field(
        default_factory=dict, description="What actions return: for each node the first time, the second time, …"
    )
    then: Then = Field(default="silence", description="What the caller does after the last input.")
    max_loops: int = Field(default=50, ge=1, le=100_000)
    expect: ExpectShape = Field(default_factory=ExpectShape)
    use: list[str] = Field(default_factory=list, description="Names of fragments; what the case says itself wins.")
    each: list[dict[str, JsonValue]] = Field(
        default_factory=list, description="A table: one case a row, with `{{ each.COLUMN }}` filled in."
    )


class SuiteShape(_Part):
    """A suite of calls."""

    kind: Literal["ivr-suite"]
    name: str = Field(default="", max_length=256, description="For people; else the file's, without its ending.")
    flow: str = Field(min_length=1, description="The flow's file, seen from this one, or its id at the vendor.")
    fragments: dict[str, dict[str, JsonValue]] = Field(
        default_factory=dict, description="Parts of cases under names, for cases that `use` them."
    )
    cases: list[Any] = Field(min_length=1)


#: Fields that a fragment may have.
FRAGMENT_FIELDS = tuple(name for name in CaseShape.model_fields if name not in {"name", "use", "each"})


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of a suite's file."""
    schema, cases = SuiteShape.model_json_schema(), CaseShape.model_json_schema(ref_template="#/$defs/{model}")
    schema["$defs"] = {**schema.get("$defs", {}), **cases.pop("$defs", {}), "CaseShape": cases}
    schema["properties"]["cases"]["items"] = {"$ref": "#/$defs/CaseShape"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Cordboard suite of calls"}
