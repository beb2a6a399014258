"""Saves a proposal once, over the very version that it was made for, and finds out what became of a lost answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from cordboard.errors import BadCall, VendorFailed
from cordboard.ivr.canonical import without_bookkeeping
from cordboard.ivr.dialects.genesys import from_genesys
from cordboard.jsontext import digest
from cordboard.records.effects import Effect, EffectState
from cordboard.sending import Order, Sent, send_once
from cordboard.updating.comparing import not_as_sent, whose
from cordboard.updating.kept import Kept, keep_intended, keep_read, saves_of, version_kept
from cordboard.updating.proposing import changes_between, saved_body
from cordboard.updating.reading import read_live, version_shown
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
    run.kept[logical_id] = kept
    await keep_intended(run.ledger, handle, run.flow_id, kept)
    order = Order(
        effect,
        request,
        timeout_seconds=SAVE_SECONDS,
        deadline=run.deadline,
        known=(await handle.entries([logical_id], operation.name)).get(logical_id),
        context={"version": proposal.version},
    )
    sent = await send_once(handle, run.session, order, run.unsettled)
    run.attempts += 1
    if sent.attempts:
        run.latencies.append(sent.latency_ms)
    if sent.state is EffectState.UNKNOWN:
        sent = await _settled(run, effect, kept, sent, sleep)
    _stand(run, sent, proposal.version)


def _stand(run: UpdateRun, sent: Sent, over: int) -> None:
    """Says how the update stands after a save over a version."""
    run.sent = sent
    if sent.state is EffectState.DONE:
        run.status, run.version = "saved", sent.output["version"]
        if run.version != over + 1 and not sent.reused:
            _note(run, f"saved over version {over} as version {run.version}: see what became of version {over + 1}")
    elif is_overtaken(sent):
        run.refused.append(over)
    elif sent.state is EffectState.FAILED:
        is_late = (sent.error or {}).get("kind") == "deadline" and run.refused
        run.status = "overtaken" if is_late else "failed"
    else:
        run.status = "unknown"


def say_why_refused(run: UpdateRun) -> None:
    """Where the last saves were refused over the same version: then nobody saved in between, as far as can be seen."""
    if len(run.refused) > 1 and run.refused[-1] == run.refused[-2]:
        why = "somebody may hold it locked, or the vendor shows an old one"
        _note(run, f"version {run.refused[-1]} is live still, and saves over it were refused as too late: {why}")


def _note(run: UpdateRun, sentence: str) -> None:
    run.notes = (*(note for note in run.notes if note != sentence), sentence)


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
        except (VendorFailed, BadCall):  # also a flow that seems to be gone: what was sent is on record
            continue
        if found is not None:
            return replace(found, attempts=sent.attempts, latency_ms=sent.latency_ms)
    return sent


async def looked_up(run: UpdateRun, effect: Effect, kept: Kept, live: Mapping[str, Any]) -> Sent | None:
    """How a save ended, as the next version shows; None where nobody can tell (yet). A dry run records nothing of it.

    Raises:
        VendorFailed: the next version cannot be read at the moment.
    """
    if live["version"] <= kept.version or not kept.sent:
        return None
    after = kept.version + 1
    stored = live if live["version"] == after else await version_shown(run, after) or live
    found = whose(kept.replaced, kept.sent, stored)
    unclear = f"version {stored['version']} may be this save, stored otherwise than it was sent, or somebody else's"
    run.notes = tuple(note for note in run.notes if note != unclear)  # an earlier look may have seen less
    if found == "theirs" and stored["version"] == after:
        if not run.dry_run:
            await run.handle.conclude(effect, EffectState.FAILED, evidence=_TOO_LATE, attempts=0)
        return Sent(EffectState.FAILED, error=_TOO_LATE)
    if found == "ours" or (found == "ours, altered" and stored["version"] == after):
        proof = {"kind": "read_back", "message": f"version {stored['version']} holds what was sent"}
        if not run.dry_run:
            await run.handle.conclude(effect, EffectState.DONE, result=dict(stored), evidence=proof, attempts=0)
        return Sent(EffectState.DONE, dict(stored), reused=True, proof=proof)
    if stored["version"] != after:
        return None
    _note(run, unclear)
    return None


async def read_back(run: UpdateRun, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Reads back what was saved and compares it with what was sent; an echo in the reply proves nothing."""
    kept = await _kept_of(run)
    try:
        stored, now = await _stored(run, sleep)
    except (VendorFailed, BadCall) as error:
        run.verified, run.differences, run.status = False, (f"it could not be read back: {error}",), "unverified"
        return
    if stored is None and now > (run.version or 0):
        _note(run, f"version {run.version} cannot be read any more: somebody saved version {now} since")
    elif stored is None:
        run.verified, run.status = False, "unverified"
        run.differences = (f"the vendor still shows version {now}, and not {run.version}, which it said it had saved",)
    else:
        await keep_read(run.ledger, run.handle, run.flow_id, stored)
        if kept is None:
            run.verified, run.status = False, "unverified"
            run.differences = ("what was sent held a secret of ours and is not kept: it cannot be compared any more",)
        else:
            run.differences = not_as_sent(kept.replaced, kept.sent, stored)
            run.verified = not run.differences
            run.status = "saved" if run.verified else "unverified"
        if now > stored["version"]:
            _note(run, f"somebody saved since: version {now} is live by now")


async def _stored(run: UpdateRun, sleep: Callable[[float], Awaitable[None]]) -> tuple[Mapping[str, Any] | None, int]:
    """What the vendor has of the saved version, and which version is live; a replica may lag behind for a while."""
    version, now = run.version or 0, 0
    for seconds in LOOKS_AFTER_SECONDS:
        await sleep(seconds)
        live = await read_live(run)
        now = live["version"]
        if now >= version:
            if now == version:
                return live, now
            stored = await version_shown(run, version)
            return stored or await version_kept(run.ledger, run.handle, run.flow_id, version), now
    return None, now


async def changes_of_save(run: UpdateRun) -> tuple[str, ...]:
    """What the save that is done changed, where the proposal does not say it: an earlier run made it."""
    if run.proposal is not None and run.proposal.differences:
        return ()
    kept = await _kept_of(run)
    if kept is None:
        return ()
    before, after = (without_bookkeeping(from_genesys(dict(each))) for each in (kept.replaced, kept.sent))
    return tuple(each.sentence for each in changes_between(before, after))


async def _kept_of(run: UpdateRun) -> Kept | None:
    """What was sent by the save that is done."""
    kept = {**await saves_of(run.ledger, run.handle), **run.kept}
    done = [name for name, entry in (await run.handle.all_entries()).items() if entry.state is EffectState.DONE]
    found = next((kept[name] for name in reversed(done) if name in kept), None)
    return found if found is not None and found.sent else None
