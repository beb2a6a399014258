"""Brings one effect about, whatever is lost on the way.

    the ledger knows …              class           we …
    nothing, READY or FAILED        any             send it
    DONE                            any             give back the recorded result, send nothing
    SENT (its run died) or UNKNOWN  NATURAL         send it again, which is the same twice
                                    KEYED           send it again under the same key, while the vendor remembers it;
                                                    later as LOOKUP
                                    LOOKUP          wait until it has settled, ask: there, so it is DONE; not there, so
                                                    send it; no answer, so it is `unknown`
                                    NEITHER         send nothing; it is `unknown` until a person settles it

A call of ours that ends unknown goes the same way at once. The intent is durable before the first byte leaves; where it
cannot be written, nothing is sent. Where an outcome cannot be written, it is kept in `Unsettled`, and the next try in
this process writes it and sends nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import datetime

from cordboard.errors import CordboardError, LedgerUnavailable, SameIdOtherBody, WrongState
from cordboard.records.changes import WITHOUT_EFFECT
from cordboard.records.effects import EffectState, Entry, may_move
from cordboard.records.run import RunHandle
from cordboard.sending.asking import ask, settled_at
from cordboard.sending.journal import RunJournal
from cordboard.sending.order import Order, Sent, Unsettled
from cordboard.sending.recording import conclude_unknown, evidence, record
from cordboard.telemetry import labelled
from cordboard.vendors.session import Answer, VendorSession
from cordboard.vendors.wire import Outcome, Safety

ROUNDS = 4  # sends of one effect that each ended unknown and were found not to be there
_NEVER_LEFT = {"reason": "the ledger failed before it was sent"}
_STOPPED = {"reason": "cancelled before it was sent"}


async def send_once(run: RunHandle, session: VendorSession, order: Order, unsettled: Unsettled | None = None) -> Sent:
    """Brings one effect about, at most once unless a repeat is the same.

    Args:
        run: the ledger's handle of this run.
        session: the vendor's client.
        order: what to bring about.
        unsettled: kept by the caller between its tries of the same run, so that an answer outlives a ledger that
            fails for a while.

    Raises:
        LedgerUnavailable, StaleOwner, SameIdOtherBody: nothing more was sent.
    """
    unsettled = {} if unsettled is None else unsettled
    with labelled(effect=order.effect.key):
        try:
            return await _brought_about(run, session, order, unsettled)
        except WrongState:
            unsettled.pop(order.effect.logical_id, None)
            return await _in_other_hands(run, order)


async def _brought_about(run: RunHandle, session: VendorSession, order: Order, unsettled: Unsettled) -> Sent:
    if order.effect.logical_id in unsettled:
        left = unsettled[order.effect.logical_id]
        if left is not None:
            return await record(run, order, left, unsettled)
        order = await _never_left(run, order)
        del unsettled[order.effect.logical_id]
    known = order.known
    if known is not None and known.state not in WITHOUT_EFFECT and known.body_hash != order.effect.body_hash:
        raise SameIdOtherBody(order.effect.logical_id, known.body_hash, order.effect.body_hash)
    if known is not None and known.state is EffectState.DONE:
        return Sent(EffectState.DONE, known.result, reused=True)
    if order.look_up is None:
        if known is not None and not _may_repeat(order, known):
            return await _still_unknown(run, order, known)
        return await record(run, order, await _sent(run, session, order, unsettled), unsettled)
    return await _until_known(run, session, order, unsettled)


async def _until_known(run: RunHandle, session: VendorSession, order: Order, unsettled: Unsettled) -> Sent:
    """Sends, and asks what became of it where that is unknown, until one of both is sure."""
    look_up = order.look_up
    assert look_up is not None
    known, found, until = order.known, None, 0.0
    if known is not None and order.is_in_doubt:
        until = settled_at(order, known)
    if known is not None and order.is_in_doubt and not _may_repeat(order, known):
        found = await ask(run, session, order, look_up, until)
        order = replace(order, known=None)
    for _ in range(ROUNDS):
        if found is not None:
            return found
        sent = await record(run, order, await _sent(run, session, order, unsettled), unsettled)
        if sent.state is not EffectState.UNKNOWN:
            return sent
        order = replace(order, known=None, starting=())
        found = await ask(run, session, order, look_up, max(until, look_up.clock() + look_up.settle_seconds))
        found = found and replace(found, attempts=sent.attempts)
    if found is None:
        found = replace(sent, state=EffectState.FAILED)
        await record(run, order, found, unsettled)
    return found


def _may_repeat(order: Order, known: Entry) -> bool:
    """Whether what an earlier run left may be sent again as it is."""
    safety = order.request.operation.safety
    if not may_move(known.state, EffectState.SENT, str(safety)):
        return False
    if safety is not Safety.KEYED or order.look_up is None or not order.is_in_doubt:
        return True
    first = datetime.fromisoformat(known.created_at).timestamp()
    return order.look_up.clock() - first < order.key_seconds


async def _never_left(run: RunHandle, order: Order) -> Order:
    """Takes back an intent that nothing followed; what was in doubt before it still is."""
    known = order.known
    if known and order.is_in_doubt and (known.run_key, known.epoch) != (run.run_key, run.epoch):
        return order
    await run.refused(order.effect, _NEVER_LEFT)
    return replace(order, known=None)


async def _sent(run: RunHandle, session: VendorSession, order: Order, unsettled: Unsettled) -> Sent:
    """Makes the call, and puts what is open on record where it is cut off."""
    journal = RunJournal(run, order)
    try:
        answer = await session.call(
            order.request,
            timeout_seconds=order.timeout_seconds,
            attempts=order.attempts,
            deadline=order.deadline,
            journal=journal,
        )
    except asyncio.CancelledError:
        with contextlib.suppress(CordboardError):  # the ledger has the intent, which says as much as we could
            await asyncio.shield(_cut_off(run, order, journal))
        raise
    except LedgerUnavailable:
        if not journal.may_have_effect:
            unsettled[order.effect.logical_id] = None
        raise
    return _outcome(answer, order.is_in_doubt or answer.doubt)


def _outcome(answer: Answer, doubt: bool) -> Sent:
    verdict = answer.verdict
    if verdict.outcome is Outcome.ACCEPTED:
        sent = Sent(EffectState.DONE, verdict.value, proof=evidence(verdict))
    else:
        # Uncertain is uncertain in the ledger, also where a repeat is the same: the file may say otherwise tomorrow.
        state = EffectState.UNKNOWN if verdict.outcome is Outcome.UNKNOWN or doubt else EffectState.FAILED
        sent = Sent(state, error=evidence(verdict))
    return replace(sent, attempts=answer.attempts, latency_ms=answer.latency_ms)


async def _still_unknown(run: RunHandle, order: Order, known: Entry) -> Sent:
    """Says why it is not sent again; an intent without an outcome becomes UNKNOWN in the ledger first."""
    if known.state is EffectState.SENT:
        message = "it was sent before and its answer was never recorded; it may have taken effect"
        return await conclude_unknown(run, order, "interrupted", message, sent_at=known.updated_at)
    proof = dict(known.evidence or {})
    proof["message"] = f"still unknown since {known.updated_at}: {proof.get('message', 'no answer')}"
    shown = {name: proof[name] for name in proof if name not in order.context}
    return Sent(EffectState.UNKNOWN, error=shown, reused=True)


async def _in_other_hands(run: RunHandle, order: Order) -> Sent:
    """How it stands where another run sent it while we looked; nothing is put on record by us."""
    stands = (await run.entries([order.effect.logical_id], order.effect.operation)).get(order.effect.logical_id)
    if stands is not None and stands.state is EffectState.DONE:
        return Sent(EffectState.DONE, stands.result, reused=True)
    message = "another run has it in hand" + (f": {stands.run_key}" if stands else "")
    return Sent(EffectState.UNKNOWN, error={"kind": "in_other_hands", "message": message}, reused=True)


async def _cut_off(run: RunHandle, order: Order, journal: RunJournal) -> None:
    """Puts on record how a call stands whose caller was cancelled."""
    if journal.open and journal.may_have_effect:
        await conclude_unknown(run, order, "cancelled", "the run was cancelled while the call was open")
    elif journal.open:
        await run.refused(order.effect, _STOPPED)
