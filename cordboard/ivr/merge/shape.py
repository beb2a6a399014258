"""The shape of a patch's file (`kind: ivr-patch`)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

#: The vendor ids of nodes are whatever the vendor takes.
NodeId = Annotated[str, Field(min_length=1)]
Text = Annotated[str, Field(min_length=1)]


def _as_object(value: Any) -> Any:
    """`sales` is short for `{to: sales}`."""
    return {"to": value} if isinstance(value, str) else value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class WayShape(_Part):
    """One way out of a node; what is left out stays."""

    to: NodeId = Field(default="", description="The node to which it leads.")
    destination: NodeId = Field(default="", alias="destinationNodeId", description="The same as `to`.")
    first: Literal[True] | None = Field(default=None, description="It is tried before all others.")
    before: Text = Field(default="", description="The condition of the way before which it is tried.")
    after: Text = Field(default="", description="The condition of the way after which it is tried.")


class ListedWayShape(BaseModel):
    """One way out of a node, as the vendor writes it; other fields of the vendor are kept."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    condition: Text
    destination: NodeId = Field(alias="destinationNodeId")


Way = Annotated[WayShape | None, BeforeValidator(_as_object, json_schema_input_type=Text | WayShape | None)]


class NodeChangeShape(_Part):
    """What changes about a node; null takes a field away."""

    type: Text | None = Field(default=None, description="The vendor's word; required for a new node.")
    name: Text | None = Field(default=None, description="For people.")
    prompt: Text | None = Field(default=None, description="What the caller hears.")
    max_visits: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Visits after which the node gives up."
    )
    set: dict[str, JsonValue] | None = Field(
        default=None, description="Variables that it assigns; null takes a single one away."
    )
    properties: dict[str, JsonValue] | None = Field(
        default=None, description="The vendor's, merged by key; null takes a single one away."
    )
    variables: list[JsonValue] | None = Field(default=None, description="The whole new list.")
    audio: Text | None = Field(
        default=None, description="Short for `properties: {audioResource: {id: …, type: resource}}`."
    )
    fields: dict[str, JsonValue] = Field(
        default_factory=dict, description="Other fields of the vendor, merged by key; null takes one away."
    )
    transitions: dict[Text, Way] = Field(
        default_factory=dict, description="Ways out by condition; null takes one away, the others stay."
    )
    all_ways: list[ListedWayShape] | None = Field(
        default=None, alias="transitionConditions", description="All ways out, in the order of trial."
    )


class PatchShape(_Part):
    """Changes to the nodes of a live call flow."""

    kind: Literal["ivr-patch"]
    flow_id: Text = Field(description="The flow's id at the vendor.")
    base_version: int = Field(ge=0, description="The version of the flow from which you edited.")
    reason: str = Field(default="", max_length=2000, description="Why, for the audit.")
    start: NodeId = Field(default="", description="The node at which calls begin from now on.")
    start_node_id: NodeId = Field(default="", alias="startNodeId", description="The same as `start`.")
    nodes: dict[NodeId, NodeChangeShape | None] = Field(
        default_factory=dict, description="Changes by node id; null takes the node away."
    )
    replace: dict[NodeId, dict[str, JsonValue]] = Field(
        default_factory=dict, description="Whole nodes by id, as the vendor writes them."
    )


#: The fields of a node that a change may state as they are; all others stand under `fields`.
OWN_FIELDS = ("type", "name", "prompt", "max_visits", "set", "properties", "variables")


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of a patch's file."""
    schema = PatchShape.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Cordboard patch of a call flow",
    }
