"""Which workflows the sandbox runs, and how: the section `workflows` of its file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from cordboard.sandbox.reading import Part

DataType = Literal["string", "integer", "boolean", "object", "array"]
WorkflowId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Duration = Annotated[float, Field(ge=0, le=604_800)]
PYTHON_TYPES: Mapping[DataType, type] = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}


def _number_or_pair(value: Any) -> str:
    return "pair" if isinstance(value, list | tuple) else "number"


Durations = Annotated[
    Annotated[Duration, Tag("number")] | Annotated[tuple[Duration, Duration], Tag("pair")],
    Discriminator(_number_or_pair),
]


class Variable(Part):
    """A value that a start brings.

    Attributes:
        type: what it must be; a whole number alone is an `integer`.
        required: whether a start without it is refused.
    """

    type: DataType
    required: bool = True


class Ends(Part):
    """How instances end.

    Attributes:
        completed: the share that completes.
        failed: the share that fails.
    """

    completed: Share = 1
    failed: Share = 0

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not math.isclose(self.completed + self.failed, 1):
            raise ValueError("completed and failed must add up to 1")
        return self


class Result(Part):
    """What an instance says of itself at its end.

    Attributes:
        echo: true returns the whole context of the start, a list those values of it that are named.
        output: constant part, laid over the echo.
    """

    echo: bool | tuple[str, ...] = False
    output: dict[str, Any] = Field(default_factory=dict)

    def of(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """The context of the end, from that of the start."""
        names = context if self.echo is True else self.echo or ()
        return {**{name: context[name] for name in names if name in context}, **self.output}


class Workflow(Part):
    """A workflow that can be started.

    Attributes:
        context: the values that a start may bring, by name; others are refused.
        duration_seconds: how long an instance runs; of two numbers, something between them.
        delay_ms: how long a start takes before it has its effect.
        max_running: how many instances may run at once; None has no limit.
        at_limit: status of the refusal at the limit. 429 has a `Retry-After`, 400 says why in words.
        retry_after_seconds: that `Retry-After`; None computes when the next instance ends.
        idempotency: whether an `Idempotency-Key` is honoured; if not, it is not looked at.
        lookup_lag_seconds: how long a look-up by metadata does not find a new instance yet.
        ends: how instances end.
        result: what they say of themselves then.
        description: for people.
    """

    context: dict[str, Variable] = Field(default_factory=dict)
    duration_seconds: Durations = 1
    delay_ms: Annotated[float, Field(ge=0, le=600_000)] = 0
    max_running: Annotated[int, Field(ge=1)] | None = None
    at_limit: Literal[429, 400] = 429
    retry_after_seconds: Annotated[int, Field(ge=0)] | None = None
    idempotency: bool = True
    lookup_lag_seconds: Duration = 0
    ends: Ends = Ends()
    result: Result = Result()
    description: str = ""

    @model_validator(mode="after")
    def _first_is_shorter(self) -> Self:
        low, high = self.durations
        if low > high:
            raise ValueError("the first number of duration_seconds must not be larger than the second")
        return self

    @property
    def durations(self) -> tuple[float, float]:
        """The shortest and the longest life of an instance, in seconds."""
        given = self.duration_seconds
        return given if isinstance(given, tuple) else (given, given)

    def faults_in(self, context: Mapping[str, Any]) -> Iterator[str]:
        """Everything that is wrong with the context of a start, each as one sentence."""
        for name, value in context.items():
            if name not in self.context:
                yield f"context.{name[:64]} is not a value of this workflow"
            elif type(value) is not PYTHON_TYPES[self.context[name].type]:
                yield f"context.{name} must be {_an(self.context[name].type)}, not {kind_of(value)}"
        yield from (
            f"context.{name} is required"
            for name, variable in self.context.items()
            if variable.required and name not in context
        )


def kind_of(value: Any) -> str:
    """What a JSON value is, with its article."""
    if value is None:
        return "null"
    if isinstance(value, float):
        return "a fraction"
    return next(_an(name) for name, kind in PYTHON_TYPES.items() if type(value) is kind)


def _an(name: str) -> str:
    return f"an {name}" if name[0] in "aio" else f"a {name}"
