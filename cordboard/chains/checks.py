"""What can be said against a chain before it runs; every check gives all its findings, places as dotted paths."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain as chain_of
from itertools import islice

from cordboard.chains import graph
from cordboard.chains.schema import check_output
from cordboard.chains.shape import MAX_FINDINGS, NAME_PATTERN, ActionShape, ChainShape
from cordboard.chains.template import RESERVED_NAMES, WORDS
from cordboard.chains.typecheck import check_types
from cordboard.chains.uses import Use, inferred, read_uses
from cordboard.findings import Finding, Severity, did_you_mean, near
from cordboard.jsontext import dump_json

MAX_INPUTS = 256 * 1024


@dataclass(frozen=True, slots=True)
class Subject:
    """A chain under examination, with its templates read."""

    chain: ChainShape
    uses: tuple[Use, ...]


def check_shape(chain: ChainShape) -> tuple[Finding, ...]:
    """Every finding about a chain whose shape is right: names, parameters, templates, graph, types."""
    uses, faults = read_uses(chain)
    subject = Subject(chain, uses)
    found = chain_of.from_iterable(check(subject) for check in CHECKS)
    return (*faults, *islice(found, MAX_FINDINGS))


def _names(subject: Subject) -> Iterator[Finding]:
    chain = subject.chain
    for kind, names in (("actions", chain.actions), ("params", chain.params)):
        for name in names:
            if not re.match(NAME_PATTERN, name):
                hint = "Letters, digits and `_`, a letter first, 64 at the most: templates use it as a name."
                yield Finding("chain/name", "is not a name that templates can use", f"{kind}.{name}", hint=hint)
            elif name in WORDS or (kind == "actions" and name in RESERVED_NAMES):
                yield Finding("chain/name", "is a word that templates use themselves", f"{kind}.{name}")


def _params(subject: Subject) -> Iterator[Finding]:
    used = {use.reference.path[0] for use in subject.uses if use.reference.root == "params" and use.reference.path}
    everything = any(use.reference.root == "params" and not use.reference.path for use in subject.uses)
    for name, param in subject.chain.params.items():
        path = f"params.{name}"
        if param.default is not None and param.required:
            yield Finding("chain/param", "is required and has a default", path, hint="Keep one of the two.")
        if param.default is not None and check_output({"type": param.type}, param.default):
            yield Finding("chain/param", f"its default is not of type {param.type}", f"{path}.default")
        if param.secret and (param.type != "string" or param.default is not None):
            yield Finding("chain/param", "a secret must be of type string and may not have a default", path)
        if name not in used and not everything:
            yield Finding("chain/unused-param", "no template uses it", path, severity=Severity.WARNING)


def _limits(subject: Subject) -> Iterator[Finding]:
    for name, action in subject.chain.actions.items():
        size = len(dump_json(action.inputs))
        if size > MAX_INPUTS:
            message = f"are {size} characters long as JSON; at most {MAX_INPUTS} are taken"
            yield Finding("chain/limit", message, f"actions.{name}.inputs")


def _dependencies(subject: Subject) -> Iterator[Finding]:
    actions = subject.chain.actions
    for name, action in actions.items():
        counts = Counter(action.depends_on)
        for index, other in enumerate(action.depends_on):
            path = f"actions.{name}.depends_on[{index}]"
            if other == name:
                yield Finding("chain/self-dependency", f"`{name}` waits for itself", path)
            elif other not in actions:
                hint = did_you_mean(near(other, actions))
                yield Finding("chain/unknown-dependency", f"there is no action `{other}`", path, hint=hint)
            elif counts[other] > 1 and other not in action.depends_on[index + 1 :]:
                message = f"`{other}` is listed {counts[other]} times"
                yield Finding("chain/duplicate-dependency", message, path, severity=Severity.WARNING)


def _loops(subject: Subject) -> Iterator[Finding]:
    for loop in graph.loops(graph.graph_of(inferred(subject.uses, subject.chain))):
        message = f"these actions wait for each other: {' → '.join(loop)}"
        yield Finding("chain/cycle", message, f"actions.{loop[0]}", hint="Take one of these dependencies out.")


def _references(subject: Subject) -> Iterator[Finding]:
    for use in subject.uses:
        finding = _reference(use, subject.chain)
        if finding is not None:
            yield finding


def _reference(use: Use, chain: ChainShape) -> Finding | None:
    root, path = use.reference.root, use.path
    if root == "params":
        return _param_reference(use, chain)
    if root in {"item", "item_index"}:
        return _item_reference(use, chain.actions[use.action])
    if root == use.action:
        return Finding("chain/self-reference", f"`{root}` names itself, before it has an output", path)
    if root in chain.actions:
        return _possibly_skipped(use, chain)
    if root in chain.params:
        return Finding("chain/unknown-name", f"`{root}` is a parameter", path, hint=f"Write `params.{root}`.")
    hint = did_you_mean(near(root, [*chain.actions, "params", "item"]))
    return Finding("chain/unknown-name", f"there is no action `{root}`", path, hint=hint)


def _param_reference(use: Use, chain: ChainShape) -> Finding | None:
    name = use.reference.path[0] if use.reference.path else None
    if name is None or name in chain.params:
        return None
    hint = did_you_mean(near(str(name), chain.params))
    return Finding("chain/unknown-param", f"the parameter `{name}` is not declared", use.path, hint=hint)


def _item_reference(use: Use, action: ActionShape) -> Finding | None:
    if action.for_each is not None and use.field == "inputs":
        return None
    where = "in the inputs of an action with `for_each`"
    return Finding("chain/item-outside", f"`{use.reference.root}` exists only {where}", use.path)


def _possibly_skipped(use: Use, chain: ChainShape) -> Finding | None:
    reasons = _why_absent(chain.actions[use.reference.root], chain.actions[use.action], chain)
    if use.reference.guarded or use.sure or not reasons:
        return None
    name = use.reference.root
    hint = f'Ask first: `{{{{ {use.reference} | default(null) }}}}`, or `when: "{{{{ {name} is defined }}}}"`.'
    return Finding("chain/possibly-skipped", f"`{name}` may have no output: {reasons}", use.path, hint=hint)


def _why_absent(upstream: ActionShape, action: ActionShape, chain: ChainShape) -> str:
    """Why an upstream action may end without output while the action runs; empty where it cannot."""
    rule = upstream.on_failure or chain.defaults.on_failure
    if upstream.when is not None and upstream.when != action.when:
        return "it is skipped where its `when` is false"
    if rule == "continue" and upstream.for_each is None:
        return "it may fail (`on_failure: continue`)"
    return ""


def _types(subject: Subject) -> Iterator[Finding]:
    return check_types(subject.chain, subject.uses)


Check = Callable[[Subject], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (_names, _params, _limits, _dependencies, _loops, _references, _types)
