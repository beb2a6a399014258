"""Simulations of call flows: what is asked, who may not ask, and which engine or script answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol

from pydantic import Field, StringConstraints

from cordboard.documents import Document
from cordboard.errors import InvalidDocument
from cordboard.sandbox.call import Call, Refusal, Reply
from cordboard.sandbox.debug_rules import DebugRules
from cordboard.sandbox.definition import RateLimit
from cordboard.sandbox.flow_rules import FlowId
from cordboard.sandbox.rate import RateGate
from cordboard.sandbox.reading import Part, parse_model


class DebugEngine(Protocol):
    """Simulates a call. The vendor has one of its own, so the sandbox takes any."""

    def run(self, flow: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        """The vendor's reply.

        Args:
            flow: as it is stored.
            request: the body of the request, with everything that may be left out filled in.

        Returns:
            `path`, `variables`, `exitNode`, `duration` (ms) and `trace`. A flow that does not compile has a trace that
            stops at the failing node: its last entry carries the status `Error` or an `exception`.
        """


class _Input(Part):
    dtmf: Annotated[str, StringConstraints(pattern=r"^[0-9*#A-D]*$")] = ""
    speech: str = ""


class _Options(Part):
    trace: bool = True
    include_variables: bool = Field(default=True, alias="includeVariables")
    max_loops: Annotated[int, Field(ge=1, le=1000)] = Field(default=50, alias="maxLoops")


class _Simulation(Part):
    flow_id: FlowId = Field(alias="flowId")
    input: _Input = _Input()
    variables: dict[str, Any] = Field(default_factory=dict)
    options: _Options = _Options()


class Simulations:
    """Answers simulations.

    Args:
        rules: limits, foreign flows and scripted answers.
        flows: the flows as they are stored.
        engine: simulates what no script answers.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        rules: DebugRules,
        flows: Mapping[str, dict[str, Any]],
        engine: DebugEngine,
        clock: Callable[[], float],
    ) -> None:
        self._rules, self._flows, self._engine = rules, flows, engine
        self._gate = RateGate(_limit_of(rules), clock)

    def simulate(self, call: Call) -> Reply:
        """Simulates one call through a flow: 200, or 500 with the trace so far where the flow does not compile.

        Raises:
            Refusal: too many simulations (429), a body of another shape (400, 422), a flow of another organisation
                (403) or one that is not there (404).
        """
        self._gate.enter()
        asked = _asked(call)
        scripted = self._rules.answer_to(asked.flow_id, asked.input.dtmf, asked.input.speech)
        if scripted:
            return Reply.of(scripted.reply, scripted.status)
        result = self._engine.run(self._stored(asked.flow_id), asked.model_dump(mode="json", by_alias=True))
        return _failed(result) if _has_stopped(result) else Reply.of(_as_asked(result, asked.options))

    def _stored(self, flow_id: str) -> dict[str, Any]:
        if flow_id in self._flows:
            return self._flows[flow_id]
        if flow_id in self._rules.foreign:
            message = f"The client may not simulate {flow_id}: it is a flow of another organisation."
            raise Refusal(403, "flow_not_yours", message)
        raise Refusal(404, "flow_not_found", f"There is no flow {flow_id}.")


def _limit_of(rules: DebugRules) -> RateLimit | None:
    if rules.per_second is None:
        return None
    return RateLimit(per_second=rules.per_second, retry_after_seconds=rules.retry_after_seconds)


def _asked(call: Call) -> _Simulation:
    if not isinstance(call.json, dict):
        raise Refusal(400, "malformed_body", "The body must be a JSON object.")
    try:
        return parse_model(_Simulation, Document(file="", value=call.json, lines={}))
    except InvalidDocument as error:
        faults = (f"{finding.path}: {finding.message}" for finding in error.findings)
        raise Refusal(422, "invalid_request", "; ".join(faults)) from None


def _has_stopped(result: Mapping[str, Any]) -> bool:
    last = result["trace"][-1] if result["trace"] else {}
    return last.get("status") == "Error" or "exception" in last


def _failed(result: Mapping[str, Any]) -> Reply:
    node = result["trace"][-1].get("nodeId")
    message = f"The flow does not compile: see the last entry of the trace, at {node}."
    return Reply.of({"message": message, "code": "flow_does_not_compile", "status": 500, **result}, 500)


def _as_asked(result: Mapping[str, Any], options: _Options) -> dict[str, Any]:
    trace = result["trace"] if options.trace else []
    if options.include_variables:
        return {**result, "trace": trace}
    plain = [{name: value for name, value in entry.items() if name != "variables"} for entry in trace]
    return {**result, "variables": {}, "trace": plain}
