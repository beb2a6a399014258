"""What a sandbox serves: clients, rate limit, data actions, call flows, workflows, as a file of `kind: sandbox`."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, StringConstraints, model_validator

from cordboard.documents import Document
from cordboard.sandbox.callback_rules import Callbacks
from cordboard.sandbox.debug_rules import DebugRules
from cordboard.sandbox.erp import ErpRules
from cordboard.sandbox.flow_rules import FlowRules
from cordboard.sandbox.reading import Part, parse_model, read_model
from cordboard.sandbox.workflow_rules import Workflow, WorkflowId

DefinitionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
SCOPES = (
    "dataactions:execute",
    "dataactions:read",
    "flows:write",
    "flows:read",
    "flow:debug",
    "flow:read",
    "flow:write",
    "workflow:write",
    "workflow:read",
)


class Client(Part):
    """An OAuth client that may fetch tokens.

    Attributes:
        id: the `client_id`.
        secret: the `client_secret`.
        scopes: what its tokens may do.
    """

    id: Annotated[str, Field(min_length=1)]
    secret: SecretStr
    scopes: tuple[str, ...] = SCOPES

    def as_written(self) -> dict[str, Any]:
        """The client as it stands in a file, secret and all."""
        return {**self.model_dump(mode="json"), "secret": self.secret.get_secret_value()}


class RateLimit(Part):
    """A token bucket over all API requests; one that finds it empty is answered 429.

    Attributes:
        per_second: requests a second in the long run.
        burst: requests that may come at once.
        retry_after_seconds: value of `Retry-After`; None computes the time until the bucket holds a request again.
        headers: whether replies carry `x-ratelimit-limit`, `-remaining` and `-reset` (seconds).
    """

    per_second: Annotated[float, Field(gt=0)]
    burst: Annotated[int, Field(ge=1)] = 1
    retry_after_seconds: Annotated[int, Field(ge=0)] | None = None
    headers: bool = False


class Lookup(Part):
    """A table: the value of one input chooses the output; an unknown value is answered 404.

    Attributes:
        by: name of the input.
        table: from the input's value, as text, to the output.
    """

    by: str
    table: dict[str, dict[str, Any]]


class Failure(Part):
    """A refusal by the action itself.

    Attributes:
        status: HTTP status of the reply.
        code: machine-readable code in the error body.
        message: text for people in the error body.
        times: how many executions fail before the action starts to work; None fails all of them.
    """

    status: Annotated[int, Field(ge=400, le=599)]
    code: str = "action_failed"
    message: str = "The data action failed."
    times: Annotated[int, Field(ge=1)] | None = None


class DataAction(Part):
    """How one data action behaves: a lookup, a failure, or echoed inputs with constant output laid over them.

    Attributes:
        echo: true returns all inputs, a list returns those named.
        output: constant part of the output.
        lookup: the output from a table.
        fail: refuses, always or the first `times` executions.
        delay_ms: how long an execution takes before it has its effect.
        effect: whether an execution changes something; reads set false and leave no effect in the truth.
        description: for people.
    """

    echo: bool | tuple[str, ...] = False
    output: dict[str, Any] | None = None
    lookup: Lookup | None = None
    fail: Failure | None = None
    delay_ms: Annotated[float, Field(ge=0, le=600_000)] = 0
    effect: bool = True
    description: str = ""

    @model_validator(mode="after")
    def _one_behaviour(self) -> Self:
        answers = self.echo is not False or self.output is not None
        if self.lookup and answers:
            raise ValueError("a lookup cannot be combined with echo or output")
        if not (self.lookup or answers or (self.fail and self.fail.times is None)):
            raise ValueError("say what it answers: echo, output, lookup, or a fail that has no `times`")
        return self


class Definition(Part):
    """Everything that a sandbox serves.

    Attributes:
        kind: always `sandbox`.
        name: for people.
        description: for people.
        clients: who may fetch tokens; the first is the one that the sandbox hands out.
        token_seconds: life of a token.
        rate_limit: limit over all API requests, or None.
        data_actions: behaviours by `definition_id`.
        flows: how call flows are treated, and which exist from the start.
        debug: how simulations of call flows are treated, and which are scripted.
        workflows: those that can be started, by id.
        callbacks: where the ends of their instances are reported, and what goes wrong on the way.
        erp: how the ERP treats what it is sent.
    """

    kind: Literal["sandbox"] = "sandbox"
    name: str = "sandbox"
    description: str = ""
    clients: Annotated[tuple[Client, ...], Field(min_length=1)]
    token_seconds: Seconds = 3600
    rate_limit: RateLimit | None = None
    data_actions: dict[DefinitionId, DataAction]
    flows: FlowRules = FlowRules()
    debug: DebugRules = DebugRules()
    workflows: dict[WorkflowId, Workflow] = Field(default_factory=dict)
    callbacks: Callbacks = Callbacks()
    erp: ErpRules = ErpRules()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [client.id for client in self.clients]
        twice = sorted({client_id for client_id in ids if ids.count(client_id) > 1})
        if twice:
            raise ValueError(f"client ids stand twice: {', '.join(twice)}")
        return self

    def changed(self, **changes: Any) -> Definition:
        """A copy with some top-level keys replaced by JSON values.

        `data_actions` and `workflows` are added to those that exist.

        Raises:
            InvalidDocument: a change breaks the rules of the file.
        """
        value = self.model_dump(mode="json", by_alias=True)
        value["clients"] = [client.as_written() for client in self.clients]
        value |= {"callbacks": self.callbacks.as_written(), "erp": self.erp.as_written()}
        added = {name: value[name] | changes.get(name, {}) for name in ("data_actions", "workflows")}
        return parse_model(Definition, Document(file="", value=value | changes | added, lines={}))


def load_definition(path: Path) -> Definition:
    """Reads a file of `kind: sandbox`.

    Raises:
        InvalidDocument: the file cannot be read or breaks a rule; all faults at once.
    """
    return read_model(Definition, path, "sandbox")


def default_definition() -> Definition:
    """The packaged definition, which serves `examples/customer_sync.yaml`."""
    with as_file(files("cordboard.sandbox") / "default.yaml") as path:
        return load_definition(path)
