"""From a checked start to what is sent, and under which name the ledger knows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from cordboard.jsontext import digest
from cordboard.records.changes import Aftermath
from cordboard.records.effects import MAX_TEXT, Effect, EffectState, Entry
from cordboard.sending import LookUp, Order, Sent
from cordboard.starting.model import Batch
from cordboard.triggers.model import Start
from cordboard.vendors.cxone_workflows import REFERENCE, Instance, find_instances, start_instance, started
from cordboard.vendors.trace_context import traceparent
from cordboard.vendors.wire import Safety

OPERATION = "cxone.workflow.start"
KEY_SECONDS = 20 * 3600.0  # the vendor remembers a key for 24 hours; the rest is for clocks and waits
_LOOKING_UP_SECONDS = 120.0  # how long asking may take beyond the settle time


def effect_of(batch: Batch, start: Start) -> Effect:
    """The effect of a start; its key is also our reference at the vendor."""
    logical_id = logical_id_of(batch, start)
    return Effect(batch.tenant, OPERATION, logical_id, digest(start.body), start.key, batch.trigger.safety)


def logical_id_of(batch: Batch, start: Start) -> str:
    """What makes a start this start and no other, in the ledger."""
    logical_id = batch.logical_id(start.key)
    return digest(logical_id) if len(logical_id.encode()) > MAX_TEXT else logical_id


def order_of(  # noqa: PLR0913, PLR0917  all that a start is made of
    batch: Batch, start: Start, effect: Effect, trace_id: str, known: Entry | None, leaving: Callable[[], None]
) -> Order:
    """What is sent for a start.

    Args:
        batch: to which it belongs.
        start: the row.
        effect: what the ledger calls it.
        trace_id: of the run.
        known: what the ledger knows of it.
        leaving: called before it is sent.
    """
    trigger, safety = batch.trigger, Safety(batch.trigger.safety)
    trace = traceparent(trace_id, effect.key)
    body = {**start.body, "metadata": {**start.body["metadata"], REFERENCE: effect.key}}
    # The vendor may remember a refusal under a key as well: a row that was mended goes under another one.
    key = digest([effect.key, effect.body_hash]) if safety is Safety.KEYED else ""
    return Order(
        effect,
        start_instance(body, safety=safety, idempotency_key=key, traceparent=trace),
        trigger.timeout_seconds,
        known=known,
        context={"line": start.line},
        look_up=_look_up(batch, effect, trace),
        key_seconds=KEY_SECONDS,
        aftermath=lambda sent: _aftermath(batch, sent),
        leaving=leaving,
    )


def _look_up(batch: Batch, effect: Effect, trace: str) -> LookUp | None:
    trigger = batch.trigger
    if trigger.safety == "neither":
        return None
    return LookUp(partial(find_instances, trigger.workflow_id, effect.key, trace), _first, trigger.settle_seconds)


def _first(found: tuple[Instance, ...]) -> Mapping[str, Any] | None:
    return started(found[0]) if found else None


def _aftermath(batch: Batch, sent: Sent) -> Aftermath:
    """A start that may be asked for keeps its place for as long as that takes."""
    trigger = batch.trigger
    hold = trigger.settle_seconds + (0.0 if trigger.safety == "neither" else _LOOKING_UP_SECONDS)
    instance_id = str(sent.output["instance_id"]) if sent.state is EffectState.DONE else ""
    return Aftermath(instance_id, trigger.workflow_id, hold)
