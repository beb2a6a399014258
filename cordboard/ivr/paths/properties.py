"""What must be true of every call, as it is written in a file.

    kind                what must hold, whatever the caller does and nobody knows beforehand
    every-call-ends     no call goes round without the caller being asked, none goes round for a caller who is silent
                        from some moment on, and none is left without a way out
    reaches-within      before a caller is asked for input number `inputs` + 1, and before the call is over, it has got
                        to one of the nodes; by default to a queue or to where calls end
    never-before        no call gets to `node` that has not been at `before`
    digit-reaches       whoever presses `digit` where `from` asks gets to a `target` before being asked again
    never               no call gets to `node`

A caller who hangs up ends the call, and breaks nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)

from cordboard.ivr.conditions.keypad import TONES

EVERY_MENU = "every menu"
Scalar: TypeAlias = str | int | float | bool | None


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Names = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    Field(min_length=1),
    BeforeValidator(_listed),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    ),
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Property(_Part):
    name: str = Field(default="", max_length=200, description="For people; made from the rest where it is left out.")


class EveryCallEnds(_Property):
    """Every call comes to an end."""

    kind: Literal["every-call-ends"]


class ReachesWithin(_Property):
    """A person or a goodbye is never far."""

    kind: Literal["reaches-within"]
    inputs: int = Field(ge=0, le=1000, description="So many inputs a caller may have to make.")
    nodes: Names | None = Field(default=None, description="Ids of nodes to get to.")
    types: Names | None = Field(default=None, description="Types of nodes to get to, such as `queue`.")


class NeverBefore(_Property):
    """One thing never comes before another."""

    kind: Literal["never-before"]
    node: Names = Field(description="What must not come first, such as `payment`.")
    before: Names = Field(description="What must come before it, such as `identification`; of several, any.")


class DigitReaches(_Property):
    """A key leads to a person from everywhere."""

    kind: Literal["digit-reaches"]
    digit: str = Field(min_length=1, description="The key, in quotes.")
    target: Names | None = Field(default=None, description="Ids of nodes to get to.")
    types: Names | None = Field(default=None, description="Types of nodes to get to, such as `queue`.")
    sources: Names | None = Field(
        default=None,
        alias="from",
        description="Ids of nodes that ask; by default every menu in which keys are choices.",
    )

    @model_validator(mode="after")
    def _is_possible(self) -> DigitReaches:
        if not TONES.issuperset(self.digit):
            raise ValueError("no telephone has such a key")
        if self.target is None and self.types is None:
            raise ValueError("say where it leads: `target` or `types`")
        return self


class Never(_Property):
    """Something never happens."""

    kind: Literal["never"]
    node: Names = Field(description="Where no call must get to.")


Property: TypeAlias = EveryCallEnds | ReachesWithin | NeverBefore | DigitReaches | Never
KINDS: Mapping[str, type[BaseModel]] = {
    "every-call-ends": EveryCallEnds,
    "reaches-within": ReachesWithin,
    "never-before": NeverBefore,
    "digit-reaches": DigitReaches,
    "never": Never,
}


class PropertiesShape(_Part):
    """What must be true of every call of a flow."""

    kind: Literal["ivr-properties"]
    name: str = Field(default="", max_length=256, description="For people.")
    flow: str = Field(min_length=1, description="The flow's file, seen from this one.")
    variables: dict[str, Scalar] = Field(
        default_factory=dict, description="Values that are known when a call begins; others may be anything."
    )
    outcomes: dict[str, dict[str, Annotated[list[Scalar], Field(min_length=1)]]] = Field(
        default_factory=dict,
        description="What actions return: for each node the variables, and the values that each may have.",
    )
    properties: list[Annotated[Property, Field(discriminator="kind")]] = Field(min_length=1)


PROPERTIES: TypeAdapter[list[Property]] = TypeAdapter(list[Annotated[Property, Field(discriminator="kind")]])


def json_schema() -> dict[str, Any]:
    """The published JSON Schema of a file of properties."""
    schema: dict[str, JsonValue] = PropertiesShape.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Cordboard properties of calls",
    }


def in_words(claim: Property) -> str:
    """What is claimed, for people."""
    if claim.name:
        return claim.name
    match claim:
        case EveryCallEnds():
            return "every call ends"
        case ReachesWithin():
            inputs = "1 input" if claim.inputs == 1 else f"{claim.inputs} inputs"
            return f"within {inputs} {_places(claim.nodes, claim.types)} is reached"
        case NeverBefore():
            return f"never {' or '.join(claim.node)} before {' or '.join(claim.before)}"
        case DigitReaches():
            return f"{claim.digit} reaches {_places(claim.target, claim.types)} from {_from(claim)}"
        case Never():
            return f"never {' or '.join(claim.node)}"


def _places(nodes: list[str] | None, types: list[str] | None) -> str:
    words = [*(nodes or ()), *(f"a {kind}" for kind in types or ())]
    return " or ".join(words) or "a queue or the end"


def _from(claim: DigitReaches) -> str:
    return EVERY_MENU if claim.sources in (None, [EVERY_MENU]) else " and ".join(claim.sources or ())
