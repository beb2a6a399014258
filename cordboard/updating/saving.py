"""Saves a proposal once, over the very version that it was made for, and finds out what became of a lost answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from cordboard.errors import VendorFailed
from cordboard.ivr.canonical import verify
from cordboard.jsontext import digest
from cordboard.records.effects import Effect, EffectState
from cordboard.sending import Order, Sent, send_once
from cordboard.updating.kept import Kept, keep_intended, keep_saved, saves_of
from cordboard.updating.proposing import saved_body
from cordboard.updating.reading import read_live, read_version
from cordboard.updating.run import UpdateRun
from cordboard.vendors.genesys import save_flow

SAVE_SECONDS = 60.0
#: Waits before the looks at a flow whose save has no certain answer: a late commit may still come.
LOOKS_AFTER_SECONDS = (0.0, 0.5, 2.0)
#: The live flow can be saved over no more: whatever becomes of a request for an older version, it has no effect.
_TOO_LATE = {"kind": "conflict", "message": "somebody else saved first: this save can take effect no more"}


async def save(run: UpdateRun, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Saves the proposal, and keeps how it ended in `run.sent` and, unless it is to be made anew, in `run.status`.

    Raises:
        LedgerUnavailable: nothing more was sent.
    """
    proposal, handle = run.proposed, run.handle
    body = saved_body(proposal.flow)
    request = save_flow(run.flow_id, body, proposal.version, run.trace(f"save {proposal.version}"))
    operation, content = request.operation, digest(body)
    logical_id = f"{handle.run_key}@{proposal.version}/{content[:16]}"
    effect = Effect(handle.tenant, operation.name, logical_id, content, run.flow_id, operation.safety)
    kept = Kept(logical_id, proposal.version, proposal.body, body)
    await keep_intended(handle, run.flow_id, kept)
    order = Order(
        effect,
        request,
        timeout_seconds=SAVE_SECONDS,
        deadline=run.deadline,
        known=(await handle.entries([logical_id])).get(logical_id),
        context={"version": proposal.version},
    )
    sent = await send_once(handle, run.session, order, run.unsettled)
    run.attempts += 1
    run.latencies.append(sent.latency_ms)
    if sent.state is EffectState.UNKNOWN:
        sent = await _settled(run, effect, kept, sent, sleep)
    run.sent = sent
    if sent.state is EffectState.DONE:
        run.status, run.version = "saved", sent.output["version"]
        await keep_saved(handle, run.flow_id, sent.output["version"], sent.output)
    elif not is_overtaken(sent):
        run.status = "failed" if sent.state is EffectState.FAILED else "unknown"


def is_overtaken(sent: Sent) -> bool:
    """Whether a save certainly had no effect because somebody else saved first."""
    return sent.state is EffectState.FAILED and (sent.error or {}).get("kind") == "conflict"


async def _settled(
    run: UpdateRun, effect: Effect, kept: Kept, sent: Sent, sleep: Callable[[float], Awaitable[None]]
) -> Sent:
    """Looks whether a save without a certain answer took effect, until the flow shows it or time is up."""
    for seconds in LOOKS_AFTER_SECONDS:
        await sleep(seconds)
        try:
            found = await looked_up(run, effect, kept, await read_live(run))
        except VendorFailed:
            continue
        if found is not None:
            return replace(found, attempts=sent.attempts, latency_ms=sent.latency_ms)
    return sent


async def looked_up(run: UpdateRun, effect: Effect, kept: Kept, live: Mapping[str, Any]) -> Sent | None:
    """How a save ended, as the next version shows; None where nobody can tell (yet)."""
    after = kept.version + 1
    if live["version"] < after:
        return None
    stored = live if live["version"] == after else await read_version(run, after)
    if stored is None:
        return None
    if verify(kept.sent, stored):
        await run.handle.conclude(effect, EffectState.FAILED, evidence=_TOO_LATE, attempts=0)
        return Sent(EffectState.FAILED, error=_TOO_LATE)
    proof = {"kind": "read_back", "message": f"version {after} is what was sent"}
    await run.handle.conclude(effect, EffectState.DONE, result=dict(stored), evidence=proof, attempts=0)
    return Sent(EffectState.DONE, dict(stored), reused=True, proof=proof)


async def read_back(run: UpdateRun) -> None:
    """Reads back what was saved and compares it with what was sent; an echo in the reply proves nothing."""
    sent = (await saves_of(run.ledger, run.handle)).values()
    wanted = next((kept.sent for kept in reversed(list(sent)) if kept.version + 1 == run.version), None)
    try:
        live = await read_live(run)
        stored = live if live["version"] == run.version else await read_version(run, run.version or 0)
    except VendorFailed as error:
        run.verified, run.differences, run.status = False, (f"it could not be read back: {error}",), "unverified"
        return
    if wanted is None:
        return
    if stored is None:
        run.notes += (f"version {run.version} cannot be read any more: somebody saved version {live['version']} since",)
        return
    run.differences = verify(wanted, stored)
    run.verified = not run.differences
    run.status = "saved" if run.verified else "unverified"
