"""The shape of a trigger's file (`kind: trigger`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails

from cordboard.findings import Finding, did_you_mean, near
from cordboard.outline import join_path
from cordboard.triggers.values import DataType

Safety = Literal["neither", "lookup", "keyed"]
"""What the vendor lets us find out or do after a lost reply."""

MAX_METADATA = 50
MAX_METADATA_TEXT = 256
HIGHEST, LOWEST = 1, 10
RESERVED = "cordboardReference"
"""The name under which our reference stands in the metadata of every instance that we start."""
MAX_FINDINGS = 200

Name = Annotated[str, Field(min_length=1, max_length=128)]
_PRIORITY = {"anyOf": [{"type": "integer", "minimum": HIGHEST, "maximum": LOWEST}, {"type": "string"}]}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class VariableShape(_Part):
    """One value of the context."""

    value: JsonValue = Field(description="Templates over `row` may stand in any text in it.")
    data_type: DataType = Field(description="The type that the workflow declares; the value is sent as such.")


class TriggerShape(_Part):
    """How a workflow is started, once or for every row of a batch."""

    kind: Literal["trigger"]
    workflow_id: Name = Field(description="The vendor's id of the workflow.")
    priority: Annotated[Any, WithJsonSchema(_PRIORITY)] = Field(
        default=5, description="1 (highest) to 10, or a template."
    )
    context: dict[Name, VariableShape] = Field(default_factory=dict, description="What the workflow works with.")
    metadata: dict[Annotated[str, Field(min_length=1, max_length=MAX_METADATA_TEXT)], str] = Field(
        default_factory=dict, max_length=MAX_METADATA, description="Texts for people and look-ups; templates may be."
    )
    key: str | None = Field(
        default=None, description="Template of what identifies a start, such as `{{ row.id }}`; else its content does."
    )
    safety: Safety = Field(
        default="neither",
        description="After a lost reply: `neither` lists the start as unknown, `lookup` asks the vendor for our "
        "reference in `metadata`, `keyed` sends it again under the same idempotency key.",
    )
    settle_seconds: float = Field(
        default=30.0, ge=0, le=3600, description="How long after a lost reply the vendor may still start the instance."
    )
    timeout_seconds: float = Field(default=30.0, gt=0, le=600, description="How long one call may take.")
    max_running: int | None = Field(
        default=None, ge=1, le=1_000_000, description="The workflow's limit of instances that run at once."
    )


_MESSAGES: Mapping[str, str] = {
    "missing": "is required",
    "extra_forbidden": "is not a known key",
    "string_type": "must be text",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": "must be {expected}",
    "string_too_short": "must not be empty",
    "string_too_long": "may have {max_length} characters at the most",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "too_long": "may have {max_length} entries, and it has {actual_length}",
}


def shape_faults(error: ValidationError) -> Iterator[Finding]:
    """Each fault of shape; file and line are filled in by whoever reads the document."""
    for detail in error.errors(include_url=False)[:MAX_FINDINGS]:
        kind = detail["type"]
        path = ""
        for step in detail["loc"]:
            path = path if step == "[key]" else join_path(path, step)
        rule = {"extra_forbidden": "unknown-key", "missing": "missing"}.get(kind, "shape")
        text = _MESSAGES.get(kind)
        message = text.format(**detail.get("ctx", {})) if text else detail["msg"][:1].lower() + detail["msg"][1:]
        yield Finding(f"trigger/{rule}", message, path, hint=_hint(detail))


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of a trigger's file."""
    schema = TriggerShape.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Cordboard trigger"}


def _hint(detail: ErrorDetails) -> str:
    place = detail["loc"]
    if detail["type"] == "extra_forbidden":
        fields = (TriggerShape if len(place) == 1 else VariableShape).model_fields
        return did_you_mean(near(str(place[-1]), fields)) or f"Known keys: {', '.join(fields)}."
    if detail["type"].startswith("model_") and place[:1] == ("context",):
        return "Write `{value: …, data_type: string}`."
    return "Quote it." if detail["type"] == "string_type" and isinstance(detail["input"], int | float) else ""
