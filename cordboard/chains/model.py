"""A chain as the rest of the code sees it, and the way from a file to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from cordboard.chains.checks import check_shape
from cordboard.chains.shape import ActionShape, ChainShape, DefaultsShape, FailureRule, Fallback, ParamType, read_shape
from cordboard.chains.typecheck import as_schema
from cordboard.chains.uses import inferred, read_uses
from cordboard.documents import Document, read_document
from cordboard.errors import InvalidDocument
from cordboard.findings import Finding, errors_in


@dataclass(frozen=True, slots=True)
class OnFailure:
    """What a failed action means for those that wait for it.

    Attributes:
        mode: `stop` skips them, `continue` lets them run without an output, `fallback` with `value` as the output.
        value: the fallback; with `for_each` it stands in for each item that failed.
    """

    mode: Literal["stop", "continue", "fallback"] = "stop"
    value: Any = None


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a chain."""

    type: ParamType = "string"
    required: bool = False
    default: Any = None
    description: str = ""
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """One data action of a chain.

    Attributes:
        id: its name in the chain, by which templates refer to its output.
        definition_id: the vendor's id of the data action.
        inputs: a JSON object with templates.
        depends_on: the actions it waits for, stated and inferred from templates, in file order.
        timeout_seconds: the longest time for one call.
        retries: repeats after the first send; None leaves it to the settings.
        idempotent: whether sending it twice is the same as sending it once.
        when: a template; where it is false the action is skipped. Decided once, before `for_each`.
        for_each: a template that gives a list; one call for each item, and the output is the list of outputs.
        on_failure: what a failure means downstream.
        output_schema: of the output of one call, in the small part of JSON Schema that `check_output` knows.
        description: for people.
    """

    id: str
    definition_id: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    timeout_seconds: float = 30.0
    retries: int | None = None
    idempotent: bool = False
    when: str | None = None
    for_each: str | None = None
    on_failure: OnFailure = OnFailure()
    output_schema: Mapping[str, Any] | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for actions that do not say otherwise."""

    timeout_seconds: float = 30.0
    retries: int | None = None
    on_failure: OnFailure = OnFailure()


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain without faults.

    Attributes:
        name: for people, and part of what identifies its runs.
        actions: by id, in the order of the file.
        params: by name.
        defaults: already applied to `actions`.
        file: the file it was read from.
    """

    name: str
    actions: Mapping[str, Action]
    params: Mapping[str, Param] = field(default_factory=dict)
    defaults: Defaults = Defaults()
    description: str = ""
    file: str = ""


def load_chain(path: Path) -> Chain:
    """Reads a chain from a file.

    Raises:
        InvalidDocument: the file cannot be read, or the chain has faults; all of them are listed.
    """
    return parse_chain(read_document(path, "chain"))


def parse_chain(document: Document) -> Chain:
    """Makes a chain of a document.

    Raises:
        InvalidDocument: the chain has faults of shape, templates, graph or types; all of them are listed.
    """
    shape, findings = _examine(document)
    if shape is None or errors_in(findings):
        raise InvalidDocument(findings)
    uses, _ = read_uses(shape)
    upstream = inferred(uses, shape)
    actions = {name: _action(name, item, shape.defaults, upstream[name]) for name, item in shape.actions.items()}
    return Chain(
        name=shape.name,
        actions=actions,
        params={name: Param(**param.model_dump()) for name, param in shape.params.items()},
        defaults=_defaults(shape.defaults),
        description=shape.description,
        file=document.file,
    )


def check_chain(path: Path) -> tuple[Finding, ...]:
    """Every finding about a file, warnings too; a file that cannot be read is a finding as well."""
    try:
        document = read_document(path)
    except InvalidDocument as error:
        return error.findings
    return check_document(document)


def check_document(document: Document) -> tuple[Finding, ...]:
    """Every finding about a document as a chain, warnings too, in the order of its lines."""
    return _examine(document)[1]


def _examine(document: Document) -> tuple[ChainShape | None, tuple[Finding, ...]]:
    """The chain, where something can be made of the document, and its findings in file order."""
    shape, findings = read_shape(document)
    if shape is not None:
        findings += check_shape(shape)
    placed = [replace(finding, file=document.file, line=document.line(finding.path)) for finding in findings]
    return shape, tuple(sorted(placed, key=lambda finding: finding.line or 0))


def _action(name: str, shape: ActionShape, defaults: DefaultsShape, upstream: tuple[str, ...]) -> Action:
    return Action(
        id=name,
        definition_id=shape.definition_id,
        inputs=shape.inputs,
        depends_on=upstream,
        timeout_seconds=defaults.timeout_seconds if shape.timeout_seconds is None else shape.timeout_seconds,
        retries=defaults.retries if shape.retries is None else shape.retries,
        idempotent=shape.idempotent,
        when=shape.when,
        for_each=shape.for_each,
        on_failure=_on_failure(shape.on_failure or defaults.on_failure),
        output_schema=None if shape.output_schema is None else as_schema(shape.output_schema),
        description=shape.description,
    )


def _defaults(shape: DefaultsShape) -> Defaults:
    return Defaults(shape.timeout_seconds, shape.retries, _on_failure(shape.on_failure))


def _on_failure(rule: FailureRule) -> OnFailure:
    return OnFailure("fallback", rule.fallback) if isinstance(rule, Fallback) else OnFailure(rule)
