"""What to do with one action once its upstreams have ended: a pure decision, made before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cordboard.chains.binding import bind, bind_condition
from cordboard.chains.fingerprint import Fingerprint, fingerprint
from cordboard.chains.model import Action
from cordboard.chains.results import ActionResult, blocking
from cordboard.errors import BindError
from cordboard.jsontext import digest

MAX_ITEMS = 100_000


@dataclass(frozen=True, slots=True)
class Skip:
    """The action does not run.

    Attributes:
        reason: why, in words.
        blocks: whether its dependants are skipped as well.
    """

    reason: str
    blocks: bool


@dataclass(frozen=True, slots=True)
class Broken:
    """The action cannot be bound: nothing is sent.

    Attributes:
        message: the fault, naming the path and near names.
    """

    message: str


@dataclass(frozen=True, slots=True)
class Send:
    """One call with these inputs."""

    inputs: Any
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True)
class FanOut:
    """One call for each item, in order.

    Attributes:
        items: the inputs of each.
        prints: digest of each item's masked inputs; the same item twice has the same one.
        fingerprint: of all of them; what depends on the action is made from it.
    """

    items: tuple[Any, ...]
    prints: tuple[str, ...]
    fingerprint: Fingerprint


Step = Skip | Broken | Send | FanOut


def next_step(
    action: Action,
    params: Mapping[str, Any],
    upstream: Mapping[str, ActionResult],
    named_params: Mapping[str, Any] | None = None,
) -> Step:
    """Decides what to do with an action whose upstreams have all ended.

    Args:
        action: the action.
        params: the chain's parameters, bound.
        upstream: the result of every action it depends on.
        named_params: the same with a name in place of each secret; None where there is no secret. Of these the
            fingerprint is made: renewing a secret sends nothing again, another secret is another effect, and no
            digest of a secret is kept.
    """
    blockers = blocking(upstream)
    if blockers:
        return Skip(_because(blockers, upstream), blocks=True)
    outputs = {name: result.output for name, result in upstream.items() if result.available}
    context = {"params": params} | outputs
    named = context if named_params is None else {"params": named_params} | outputs
    path = f"actions.{action.id}"
    try:
        if action.when is not None and not bind_condition(action.when, context, f"{path}.when"):
            return Skip(f"its condition is not met: {action.when}", blocks=False)
        return _bound(action, context, named, upstream)
    except BindError as error:
        return Broken(str(error))


def _bound(
    action: Action, context: dict[str, Any], named: dict[str, Any], upstream: Mapping[str, ActionResult]
) -> Send | FanOut | Broken:
    prints = {name: result.fingerprint for name, result in upstream.items()}
    path = f"actions.{action.id}"
    if action.for_each is None:
        inputs = bind(action.inputs, context, f"{path}.inputs")
        shown = inputs if named is context else bind(action.inputs, named, f"{path}.inputs")
        return Send(inputs, fingerprint(action.definition_id, shown, prints))
    items = bind(action.for_each, context, f"{path}.for_each")
    if not isinstance(items, list):
        return Broken(f"{path}.for_each: must be a list, and it is {_kind(items)}")
    if len(items) > MAX_ITEMS:
        return Broken(f"{path}.for_each: {len(items)} items; at most {MAX_ITEMS} are taken in one action")
    bound = tuple(_each_item(action, context, items, path))
    shown_items = bound
    if named is not context:
        shown_items = tuple(_each_item(action, named, bind(action.for_each, named, f"{path}.for_each"), path))
    digests = tuple(digest(item) for item in shown_items)
    return FanOut(bound, digests, fingerprint(action.definition_id, list(digests), prints))


def _each_item(action: Action, context: dict[str, Any], items: list[Any], path: str) -> Iterator[Any]:
    for index, item in enumerate(items):
        yield bind(action.inputs, context | {"item": item, "item_index": index}, f"{path}.inputs (item {index})")


def _because(blockers: list[str], upstream: Mapping[str, ActionResult]) -> str:
    return "; ".join(
        f"{name} {'was skipped' if upstream[name].status == 'skipped' else f'ended {upstream[name].status}'}"
        for name in blockers
    )


def _kind(value: Any) -> str:
    names = {dict: "an object", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
