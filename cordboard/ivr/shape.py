"""The shape of a call flow's file (`kind: ivr-flow`), and the faults of a file that does not have it.

The words of one connection are the vendor's or the short ones, and never both for the same thing:

    from  source_node_id        to  target_node_id        when  condition
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from cordboard.ivr.model import TAKEN_NAMES, Platform, TransitionType, assignment_faults

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"
#: Two words for one thing, and whether one of them must be there.
SPELLINGS = (("from", "source_node_id", True), ("to", "target_node_id", True), ("when", "condition", False))
_ID_KEYS: JsonDict = {"propertyNames": {"pattern": ID_PATTERN}}


def _one_spelling(schema: JsonDict) -> None:
    """Says in JSON Schema what `SPELLINGS` says."""
    schema["allOf"] = [
        {"oneOf": [{"required": [short]}, {"required": [long]}]} if required else {"not": {"required": [short, long]}}
        for short, long, required in SPELLINGS
    ]


def _literal_as_text(value: Any) -> Any:
    """In YAML `when: true` is a truth value, and as a condition it means the same."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


def _calendar_day(text: str) -> str:
    date.fromisoformat(text)
    return text


def _assignment(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    faults = "; ".join(assignment_faults(values))
    if faults:
        raise PydanticCustomError("assignment", "{faults}", {"faults": faults})
    return values


Id = Annotated[str, Field(pattern=ID_PATTERN)]
ConditionText = Annotated[
    str,
    Field(min_length=1),
    BeforeValidator(_literal_as_text),
    WithJsonSchema({"type": ["string", "boolean"], "minLength": 1}),
]
Day = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"),
    AfterValidator(_calendar_day),
    WithJsonSchema({"type": "string", "format": "date"}),
]
Assignment = Annotated[
    dict[str, JsonValue],
    AfterValidator(_assignment),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"minLength": 1, "not": {"enum": sorted(TAKEN_NAMES)}},
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        }
    ),
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NodeShape(_Part):
    """One step of a call."""

    type: str = Field(
        default="",
        min_length=1,
        max_length=128,
        description="The vendor's word; by default `start`, `terminal` or `decision`, by the node's part in the flow.",
    )
    name: str = Field(default="", description="For people.")
    prompt: str = Field(default="", description="What the caller hears.")
    max_visits: int | None = Field(
        default=None, ge=1, le=1000, description="Visits after which the node gives up and takes its fallback."
    )
    set: Assignment = Field(
        default_factory=dict,
        description="Variables that the node assigns when a call gets to it, before its ways out are tried.",
    )


class ConnectionShape(_Part):
    """One way out of a node."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, json_schema_extra=_one_spelling)

    id: Id = Field(default="", description="The vendor's id; made from the content where it is left out.")
    source: Id = Field(default="", alias="from", description="The node that is left.")
    target: Id = Field(default="", alias="to", description="The node that is reached.")
    when: ConditionText = Field(default="", description="`dtmf == '1'`, `no_input`, `true`, `default`, …")
    source_node_id: Id = Field(default="", description="The same as `from`.")
    target_node_id: Id = Field(default="", description="The same as `to`.")
    condition: ConditionText = Field(default="", description="The same as `when`.")
    type: TransitionType = Field(
        default="conditional", description="When it is tried; `default` also where `when` is `default` or `else`."
    )


class LimitsShape(_Part):
    """What the vendor takes, where it is not what the vendor usually takes."""

    max_connections_per_node: int = Field(default=10, ge=1, le=1_000_000)
    max_connections: int = Field(default=50, ge=1, le=10_000_000)


class SuppressionShape(_Part):
    """A finding that somebody has looked at and accepts, until a day."""

    rule: str = Field(pattern=r"^[a-z]+/[a-z0-9-]+$", description="The rule's id, as the finding shows it.")
    node: Id = Field(default="", description="The node it is about; every place where it is left out.")
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10)] = Field(
        description="Why it is accepted; 10 characters or more."
    )
    until: Day = Field(description="The last day on which it holds, such as 2030-01-31.")


class FlowShape(_Part):
    """A call flow."""

    kind: Literal["ivr-flow"]
    id: Id = Field(description="The flow's id at the vendor.")
    name: str = Field(default="", max_length=256, description="For people.")
    platform: Platform = "cxone"
    start: Id = Field(description="The node at which a call begins.")
    terminals: list[Id] = Field(default_factory=list, description="Nodes that end a call, beside those of such a type.")
    limits: LimitsShape = Field(default_factory=LimitsShape)
    existing: Literal["replace", "keep"] = Field(
        default="replace", description="What happens to connections of the live flow that do not stand here."
    )
    suppress: list[SuppressionShape] = Field(default_factory=list, max_length=1000)
    nodes: dict[Id, NodeShape] = Field(
        default_factory=dict,
        json_schema_extra=_ID_KEYS,
        description="Nodes that connections leave, the start and terminals need not be listed.",
    )
    connections: list[ConnectionShape]


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of a call flow's file."""
    schema = FlowShape.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Cordboard call flow"}
