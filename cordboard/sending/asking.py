"""Asks the vendor what became of an effect that may be out there."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from cordboard.records.effects import EffectState, Entry
from cordboard.records.run import RunHandle
from cordboard.sending.order import LookUp, Order, Sent
from cordboard.sending.recording import conclude, conclude_unknown, evidence
from cordboard.vendors.session import VendorSession
from cordboard.vendors.wire import Outcome

NOT_THERE = "the vendor was asked after the time in which it would have come about, and it is not there"


def settled_at(order: Order, known: Entry) -> float:
    """When a "not there" about what another run left proves something, in seconds since the epoch.

    An intent without an outcome may be a call that is still open: it leaves within one timeout and ends within another.
    A call that was cancelled may be worked on until its timeout, for all we know.
    """
    assert order.look_up is not None
    told = datetime.fromisoformat(known.updated_at).timestamp()
    open_for = 2 * order.timeout_seconds if known.state is EffectState.SENT else 0.0
    if (known.evidence or {}).get("kind") == "cancelled":
        open_for = order.timeout_seconds
    return told + open_for + order.look_up.settle_seconds


async def ask(run: RunHandle, session: VendorSession, order: Order, look_up: LookUp, at: float) -> Sent | None:
    """Waits until an answer proves something, asks, and puts the answer on record.

    Args:
        run: the ledger's handle.
        session: the vendor's client.
        order: what was to be brought about; `known` is what another run left of it, if any.
        look_up: how to ask.
        at: when to ask at the earliest, in seconds since the epoch.

    Returns:
        DONE where it is there; UNKNOWN where that cannot be found out; None where it is certainly not there, and may
        be sent again.

    Raises:
        WrongState: another run has it in hand.
    """
    if (wait := at - look_up.clock()) > 0:
        await look_up.sleep(wait)
    answer = await session.call(look_up.request(), timeout_seconds=order.timeout_seconds)
    verdict = answer.verdict
    if verdict.outcome is not Outcome.ACCEPTED:
        return await conclude_unknown(
            run, order, "look_up_failed", f"the vendor could not be asked what became of it: {verdict.message}"
        )
    result = look_up.result(verdict.value)
    if result is None:
        seen = order.known.attempts if order.known else None
        await run.refused(order.effect, {"kind": "not_there", "message": NOT_THERE}, seen)
        return None
    proof = {**evidence(verdict), "looked_up": True}
    found = Sent(EffectState.DONE, result, latency_ms=answer.latency_ms, proof=proof)
    await conclude(run, order, found)
    return replace(found, attempts=0)
