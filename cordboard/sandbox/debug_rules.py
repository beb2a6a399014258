"""How the sandbox simulates call flows: the section `debug` of its file."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from cordboard.sandbox.flow_rules import FlowId
from cordboard.sandbox.reading import Part


class ScriptedAnswer(Part):
    """An answer that is given word for word, without a simulation.

    Attributes:
        flow_id: written `flowId`: the flow that is asked for; it need not be registered.
        dtmf: the digits pressed, exactly; None fits all.
        speech: what is said, exactly; None fits all.
        reply: the body of the answer.
        status: 200, or an error's, such as 500 for a flow that does not compile.
    """

    flow_id: FlowId = Field(alias="flowId")
    dtmf: str | None = None
    speech: str | None = None
    reply: dict[str, Any]
    status: Annotated[int, Field(ge=200, le=599)] = 200

    @model_validator(mode="after")
    def _status_has_a_body(self) -> Self:
        if self.status != 200 and self.status < 400:
            raise ValueError("status is 200, or an error from 400 to 599")
        return self

    def fits(self, flow_id: str, dtmf: str, speech: str) -> bool:
        """Whether this is the answer to a simulation."""
        return self.flow_id == flow_id and self.dtmf in (None, dtmf) and self.speech in (None, speech)


class DebugRules(Part):
    """How the vendor treats simulations.

    Attributes:
        per_second: simulations a second; one more is answered 429. None for no limit beside `rate_limit`.
        retry_after_seconds: value of `Retry-After`; None computes it.
        foreign: flows of another organisation: simulating them is answered 403, reading them 404.
        answers: scripted answers; of those that fit, the first is given.
    """

    per_second: Annotated[float, Field(gt=0)] | None = None
    retry_after_seconds: Annotated[int, Field(ge=0)] | None = None
    foreign: tuple[FlowId, ...] = ()
    answers: tuple[ScriptedAnswer, ...] = ()

    @model_validator(mode="after")
    def _wait_needs_a_limit(self) -> Self:
        if self.retry_after_seconds is not None and self.per_second is None:
            raise ValueError("retry_after_seconds goes with per_second")
        return self

    def answer_to(self, flow_id: str, dtmf: str, speech: str) -> ScriptedAnswer | None:
        """The scripted answer to a simulation, if there is one."""
        return next((answer for answer in self.answers if answer.fits(flow_id, dtmf, speech)), None)
