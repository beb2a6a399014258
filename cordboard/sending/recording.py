"""Puts on record how an effect ended, and insists where the ledger fails for a moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from cordboard.errors import LedgerUnavailable, WrongState
from cordboard.records.effects import EffectState
from cordboard.records.run import RunHandle
from cordboard.sending.order import Order, Sent, Unsettled
from cordboard.vendors.wire import Verdict


async def record(run: RunHandle, order: Order, sent: Sent, unsettled: Unsettled) -> Sent:
    """Concludes the effect. A ledger that fails gets a second or two to come back: an answer cannot be asked for twice.

    Raises:
        LedgerUnavailable: it did not come back; what was to be written stands in `unsettled`.
    """
    unsettled[order.effect.logical_id] = sent

    async def write() -> None:
        await conclude(run, order, sent)

    try:
        await write()
    except (LedgerUnavailable, WrongState):
        await _insist(write, run, order)
    del unsettled[order.effect.logical_id]
    return sent


async def conclude(run: RunHandle, order: Order, sent: Sent) -> None:
    """Puts an outcome on record, with its evidence and all that follows from it."""
    await run.conclude(
        order.effect,
        sent.state,
        result=sent.output,
        evidence={**order.context, **(sent.error or sent.proof), "latency_ms": round(sent.latency_ms, 3)},
        attempts=sent.attempts,
        messages=order.ended(sent),
        aftermath=order.aftermath(sent),
    )


async def conclude_unknown(run: RunHandle, order: Order, kind: str, message: str, **facts: Any) -> Sent:
    """Puts on record that it cannot be known, without that anything was sent now."""
    error = {"kind": kind, "message": message, **facts}
    sent = Sent(EffectState.UNKNOWN, error=error, reused=True)
    await run.conclude(
        order.effect,
        EffectState.UNKNOWN,
        evidence={**order.context, **error},
        attempts=0,
        messages=order.ended(sent),
        aftermath=order.aftermath(sent),
    )
    return sent


async def patiently(write: Callable[[], Awaitable[None]]) -> None:
    """Writes to the ledger, and tries for a second or two where it is unavailable.

    Raises:
        LedgerUnavailable: it did not come back.
    """
    retrying = AsyncRetrying(
        retry=retry_if_exception_type(LedgerUnavailable),
        wait=wait_random_exponential(multiplier=0.1, max=1),
        stop=stop_after_attempt(5),
        reraise=True,
    )
    await retrying(write)


def evidence(verdict: Verdict) -> dict[str, Any]:
    """What the vendor said, for people and for the ledger; empty fields are left out."""
    fields = {
        "kind": verdict.kind,
        "outcome": str(verdict.outcome),
        "message": verdict.message,
        "http_status": verdict.status,
        "code": verdict.code,
        "request_id": verdict.request_id,
        "retry_after_seconds": verdict.retry_after_seconds,
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}


async def _insist(write: Callable[[], Awaitable[None]], run: RunHandle, order: Order) -> None:
    """Tries again to conclude. A commit that seemed to fail may have gone through: then it is done already."""
    try:
        await patiently(write)
    except WrongState:
        stands = (await run.entries([order.effect.logical_id], order.effect.operation)).get(order.effect.logical_id)
        if stands is None or stands.state is not EffectState.DONE or stands.epoch != run.epoch:
            raise
