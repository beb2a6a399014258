"""One effect at a vendor: intent, call, outcome. The only way in which Cordboard changes anything out there.

    the ledger knows …              class           we …
    nothing, READY or FAILED        any             send it
    DONE                            any             give back the recorded result, send nothing
    SENT (its run died) or UNKNOWN  NATURAL         send it again, which is the same twice
    SENT (its run died) or UNKNOWN  NEITHER         send nothing; it is `unknown` until a person settles it

The intent is durable before the first byte leaves; where it cannot be written, nothing is sent. Where an outcome cannot
be written, it is kept in `Unsettled`, and the next try in this process writes it and sends nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from cordboard.errors import CordboardError, LedgerUnavailable, WrongState
from cordboard.records.effects import Effect, EffectState, Entry, Message, may_move
from cordboard.records.run import RunHandle
from cordboard.vendors.session import Answer, VendorSession
from cordboard.vendors.wire import Outcome, Request, Verdict


@dataclass(frozen=True, slots=True)
class Sent:
    """How one effect stands after `send_once`.

    Attributes:
        state: DONE, FAILED or UNKNOWN.
        output: what the vendor answered, where DONE.
        error: `kind`, `message` and evidence where not DONE.
        reused: whether the ledger knew the result and nothing was sent.
        attempts: requests sent now.
        latency_ms: the last exchange, milliseconds.
        proof: what the vendor said, where DONE.
    """

    state: EffectState
    output: Any = None
    error: Mapping[str, Any] | None = None
    reused: bool = False
    attempts: int = 0
    latency_ms: float = 0.0
    proof: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """One effect to bring about.

    Attributes:
        effect: what the ledger calls it.
        request: what is sent.
        timeout_seconds: for each attempt.
        attempts: sends at the most; None takes the session's limit.
        deadline: monotonic time after which nothing is sent.
        known: what an earlier run left in the ledger.
        context: kept in the evidence, such as the parts of a fingerprint.
        starting: messages that leave with the first intent.
        ended: the messages that leave with the outcome.
    """

    effect: Effect
    request: Request
    timeout_seconds: float
    attempts: int | None = None
    deadline: float | None = None
    known: Entry | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    starting: Sequence[Message] = ()
    ended: Callable[[Sent], Sequence[Message]] = lambda _: ()

    @property
    def is_in_doubt(self) -> bool:
        """Whether it may have taken effect in an earlier run. Only an answer that it has lifts the doubt."""
        return self.known is not None and self.known.state in {EffectState.SENT, EffectState.UNKNOWN}


#: What this process knows of effects and the ledger could not be told yet, by logical id: how one ended, or None where
#: its intent may be recorded and certainly nothing was sent.
Unsettled = MutableMapping[str, Sent | None]

_NEVER_LEFT = {"reason": "the ledger failed before it was sent"}
_STOPPED = {"reason": "cancelled before it was sent"}


class _Journal:
    """Writes what the session does into the ledger, before it does it, and knows what may be out.

    Attributes:
        attempts: intents of this call.
        doubt: whether an effect may exist that no answer has told of: from an earlier run, or an earlier attempt.
        open: whether the ledger says SENT on our account.
        out: whether the latest attempt may have had an effect.
    """

    def __init__(self, run: RunHandle, order: Order) -> None:
        self._run, self._order = run, order
        self.attempts, self.doubt, self.open, self.out = 0, order.is_in_doubt, False, False

    async def sending(self, attempt: int) -> None:
        starting = () if self.attempts else self._order.starting
        self.doubt, self.out = self.doubt or self.out, False
        await self._run.intend(self._order.effect, attempt, messages=starting, in_doubt=self.doubt)
        self.attempts, self.open = attempt, True

    def leaving(self) -> None:
        self.out = True

    async def refused(self, attempt: int, verdict: Verdict) -> None:
        self.out = False
        if not self.doubt:  # else this attempt had no effect, and an earlier one may have
            await self._run.refused(self._order.effect, {"attempt": attempt, **evidence(verdict)})
            self.open = False

    @property
    def may_have_effect(self) -> bool:
        return self.out or self.doubt


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
    if order.effect.logical_id in unsettled:
        left = unsettled[order.effect.logical_id]
        if left is not None:
            return await _record(run, order, left, unsettled)
        await run.refused(order.effect, _NEVER_LEFT)
        del unsettled[order.effect.logical_id]
        order = replace(order, known=None)
    known = order.known
    if known is not None and known.state is EffectState.DONE:
        return Sent(EffectState.DONE, known.result, reused=True)
    if known is not None and not may_move(known.state, EffectState.SENT, str(order.request.operation.safety)):
        return await _still_unknown(run, order, known)
    return await _record(run, order, await _sent(run, session, order, unsettled), unsettled)


async def _sent(run: RunHandle, session: VendorSession, order: Order, unsettled: Unsettled) -> Sent:
    """Makes the call, and puts what is open on record where it is cut off."""
    journal = _Journal(run, order)
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


async def _record(run: RunHandle, order: Order, sent: Sent, unsettled: Unsettled) -> Sent:
    """Concludes the effect. A ledger that fails gets a second or two to come back: an answer cannot be asked for twice.

    Raises:
        LedgerUnavailable: it did not come back; what was to be written stands in `unsettled`.
    """
    unsettled[order.effect.logical_id] = sent
    proof = {**order.context, **(sent.error or sent.proof), "latency_ms": round(sent.latency_ms, 3)}

    async def conclude() -> None:
        await run.conclude(
            order.effect,
            sent.state,
            result=sent.output,
            evidence=proof,
            attempts=sent.attempts,
            messages=order.ended(sent),
        )

    try:
        await conclude()
    except (LedgerUnavailable, WrongState):
        await _insist(conclude, run, order)
    del unsettled[order.effect.logical_id]
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


async def _insist(conclude: Callable[[], Awaitable[None]], run: RunHandle, order: Order) -> None:
    """Tries again to conclude. A commit that seemed to fail may have gone through: then it is done already."""
    try:
        await patiently(conclude)
    except WrongState:
        stands = (await run.entries([order.effect.logical_id])).get(order.effect.logical_id)
        if stands is None or stands.state is not EffectState.DONE or stands.epoch != run.epoch:
            raise


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
        return await _end_unknown(run, order, "interrupted", message, sent_at=known.updated_at)
    proof = dict(known.evidence or {})
    proof["message"] = f"still unknown since {known.updated_at}: {proof.get('message', 'no answer')}"
    shown = {name: proof[name] for name in proof if name not in order.context}
    return Sent(EffectState.UNKNOWN, error=shown, reused=True)


async def _cut_off(run: RunHandle, order: Order, journal: _Journal) -> None:
    """Puts on record how a call stands whose caller was cancelled."""
    if journal.open and journal.may_have_effect:
        await _end_unknown(run, order, "cancelled", "the run was cancelled while the call was open")
    elif journal.open:
        await run.refused(order.effect, _STOPPED)


async def _end_unknown(run: RunHandle, order: Order, kind: str, message: str, **facts: str) -> Sent:
    error = {"kind": kind, "message": message, **facts}
    sent = Sent(EffectState.UNKNOWN, error=error, reused=True)
    proof = {**order.context, **error}
    await run.conclude(order.effect, EffectState.UNKNOWN, evidence=proof, attempts=0, messages=order.ended(sent))
    return sent
