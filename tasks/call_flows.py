"""Call flows as Prefect tasks: read what is live, plan, register, read back."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

from prefect import get_run_logger, task
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from cordboard.errors import VendorFailed
from cordboard.ivr.canonical import content_hash
from cordboard.ivr.dialects.cxone import from_cxone
from cordboard.ivr.diff import differences
from cordboard.jsontext import digest
from cordboard.records.effects import EffectState
from cordboard.records.page import iso
from cordboard.registration.plan import (
    READ_SECONDS,
    hash_of,
    key_of,
    make_plan,
    read_live,
    registration,
    stored_differently,
)
from cordboard.registration.restore import keep_replaced
from cordboard.sending import Order, Sent, send_once
from cordboard.vendors.trace_context import traceparent
from tasks.data_actions import PROCESS_TROUBLE
from tasks.registration_run import RegistrationRun

#: Waits before the looks at a flow whose registration has no certain answer: a late commit may still come.
LOOKS_AFTER_SECONDS = (0.0, 0.5, 2.0)
#: A registration that has not taken effect after so long will not: no gateway keeps a request longer.
LATE_SECONDS = 600.0


@task(name="read-live-flow", task_run_name="read the live flow", persist_result=False)
async def read_and_plan(run: RegistrationRun) -> State[Any]:
    """Reads the flow as the vendor has it and plans what registering would change, into `run.plan`."""
    live = await read_live(run.connections.session, run.flow.id, _trace(run, "read"))
    run.plan = make_plan(run.flow, live, today=run.today)
    if not run.plan.is_sound:
        return Failed(name="Invalid", message=f"{len(run.plan.findings)} findings about the flow as it would be")
    changes = len(run.plan.differences)
    there = "there is no such flow yet" if live is None else f"{changes} change{'' if changes == 1 else 's'}"
    return Completed(message=there)


@task(name="register-flow", task_run_name="register {flow_id}", persist_result=False, **PROCESS_TROUBLE)
async def register(flow_id: str, run: RegistrationRun) -> State[Any]:
    """Registers the planned flow once, through the ledger, and keeps how it ended in `run.sent` and `run.status`.

    Args:
        flow_id: names the task run.
        run: the registration.
    """
    handle, plan = run.connections.handle, run.planned
    if run.minted is None:
        run.minted = registration(plan, handle.tenant, await handle.all_entries(), _trace(run, "register"))
    effect, request = run.minted
    run.key = key_of(request)
    await keep_replaced(handle, plan, effect.logical_id, "restore" if run.restoring else "file")
    order = Order(
        effect,
        request,
        timeout_seconds=READ_SECONDS,
        deadline=run.deadline,
        known=(await handle.entries([effect.logical_id], effect.operation)).get(effect.logical_id),
        context={"idempotency_key": run.key, "content_hash": content_hash(plan.flow)},
    )
    sent = await send_once(handle, run.connections.session, order, run.unsettled)
    run.sent = await _settled(run, order, sent) if sent.state is EffectState.UNKNOWN else sent
    if run.status == "planned":
        run.status = _STATUS[run.sent.state]  # type: ignore[assignment]
    get_run_logger().info("%s %s", flow_id, run.status)
    if run.sent.state is EffectState.DONE:
        return Completed(message=f"{sent.attempts} request{'' if sent.attempts == 1 else 's'}")
    return Failed(name=run.status.title(), message=str((run.sent.error or {}).get("message", "")))


@task(name="verify-flow", task_run_name="read {flow_id} back", persist_result=False)
async def verify(flow_id: str, run: RegistrationRun) -> State[Any]:
    """Reads the flow back and compares it with what was sent; an echo in the reply proves nothing.

    Args:
        flow_id: names the task run.
        run: the registration.
    """
    try:
        stored = await read_live(run.connections.session, flow_id, _trace(run, "verify"))
        run.differences = stored_differently(run.planned, stored)
        run.stored_hash = hash_of(stored)
    except VendorFailed as error:
        run.differences = (f"it could not be read back: {error}",)
    run.verified = not run.differences
    if run.verified:
        return Completed(message="the vendor has what was sent")
    run.status = "unverified"
    return Failed(name="Unverified", message="; ".join(run.differences[:5]))


async def settle_open(run: RegistrationRun) -> None:
    """Where nothing needs to be sent: concludes registrations whose answer was lost, and says which are in doubt.

    Those of this very content took effect, as the live flow shows: then this run is the one that says so. One of
    another content, sent a short while ago, may still replace what is live now.
    """
    handle, body = run.connections.handle, digest(run.planned.body)
    for entry in (await handle.all_entries()).values():
        if entry.state in {EffectState.SENT, EffectState.UNKNOWN} and entry.body_hash == body:
            proof = {"kind": "read_back", "message": "the live flow is what was sent", **(entry.evidence or {})}
            await handle.conclude(entry.effect, EffectState.DONE, result=run.planned.live, evidence=proof, attempts=0)
            run.status, run.verified = "registered", True
            run.key = (entry.evidence or {}).get("idempotency_key", "")
            run.sent = Sent(EffectState.DONE, run.planned.live, reused=True)
    run.doubts = await doubts(run)
    if run.doubts and run.status == "unchanged":
        run.status = "unknown"


async def doubts(run: RegistrationRun) -> tuple[str, ...]:
    """Registrations of other content that were sent a short while ago and may still take effect."""
    body, since = digest(run.planned.body), iso(time.time() - LATE_SECONDS)
    open_ones = [
        entry
        for entry in (await run.connections.handle.all_entries()).values()
        if entry.state in {EffectState.SENT, EffectState.UNKNOWN} and entry.body_hash != body
    ]
    return tuple(
        f"a registration that was sent at {entry.updated_at} has no answer and may still take effect; look again later"
        for entry in open_ones
        if entry.updated_at > since and (entry.evidence or {}).get("kind") != "conflict"
    )


async def _settled(run: RegistrationRun, order: Order, sent: Sent) -> Sent:
    """Looks whether a registration without a certain answer took effect. A 409 is answered in this way too."""
    conflict = (sent.error or {}).get("kind") == "conflict"
    stored: dict[str, Any] | None = None
    for seconds in LOOKS_AFTER_SECONDS:
        await asyncio.sleep(seconds)
        try:
            stored = await read_live(run.connections.session, run.flow.id, _trace(run, "settle"))
        except VendorFailed:
            continue
        if not stored_differently(run.planned, stored):
            proof = {**order.context, "kind": "read_back", "message": "the live flow is what was sent"}
            await run.connections.handle.conclude(
                order.effect, EffectState.DONE, result=stored, evidence=proof, attempts=0
            )
            run.status = "unchanged" if conflict and sent.attempts == 1 else "registered"
            return replace(sent, state=EffectState.DONE, output=stored, error=None)
    if conflict:
        run.status, run.differences = "conflict", _moved(run, stored)
    return sent


def _moved(run: RegistrationRun, stored: dict[str, Any] | None) -> tuple[str, ...]:
    """What the live flow has otherwise than the file."""
    live = None if stored is None else from_cxone(stored)
    return tuple(each.sentence for each in differences(live, run.planned.flow))


def _trace(run: RegistrationRun, step: str) -> str:
    return traceparent(run.connections.trace_id, f"{run.flow.id}/{step}")


_STATUS = {EffectState.DONE: "registered", EffectState.FAILED: "failed", EffectState.UNKNOWN: "unknown"}
