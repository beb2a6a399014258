"""One effect at a vendor: intent, call, outcome. The only way in which Cordboard changes anything out there.

    the ledger knows …              class           we …
    nothing, READY or FAILED        any             send it
    DONE                            any             give back the recorded result, send nothing
    SENT (its run died) or UNKNOWN  NATURAL         send it again, which is the same twice
    SENT (its run died) or UNKNOWN  NEITHER         send nothing; it is `unknown` until a person settles it

The intent is durable before the first byte leaves; where it cannot be written, nothing is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

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
    """

    state: EffectState
    output: Any = None
    error: Mapping[str, Any] | None = None
    reused: bool = False
    attempts: int = 0
    latency_ms: float = 0.0


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


class _Journal:
    """Writes what the session does into the ledger, before it does it."""

    def __init__(self, run: RunHandle, order: Order) -> None:
        self._run, self._order = run, order
        self.attempts = 0

    async def sending(self, attempt: int) -> None:
        starting = () if self.attempts else self._order.starting
        await self._run.intend(self._order.effect, attempt, messages=starting)
        self.attempts = attempt

    async def refused(self, attempt: int, verdict: Verdict) -> None:
        if self._order.is_in_doubt:
            return  # this attempt had no effect; an earlier one may have
        await self._run.refused(self._order.effect, {"attempt": attempt, **evidence(verdict)})


async def send_once(run: RunHandle, session: VendorSession, order: Order) -> Sent:
    """Brings one effect about, at most once unless a repeat is the same.

    Args:
        run: the ledger's handle of this run.
        session: the vendor's client.
        order: what to bring about.

    Raises:
        LedgerUnavailable, StaleOwner, SameIdOtherBody: nothing more was sent.
    """
    known = order.known
    if known is not None and known.state is EffectState.DONE:
        return Sent(EffectState.DONE, known.result, reused=True)
    if known is not None and not may_move(known.state, EffectState.SENT, str(order.request.operation.safety)):
        return await _still_unknown(run, order, known)
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
        if journal.attempts:
            await asyncio.shield(_cut_off(run, order))
        raise
    sent = _outcome(answer, order)
    proof = {**order.context, **evidence(answer.verdict), "latency_ms": round(answer.latency_ms, 3)}
    await run.conclude(
        order.effect, sent.state, result=sent.output, evidence=proof, attempts=sent.attempts, messages=order.ended(sent)
    )
    return sent


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


def _outcome(answer: Answer, order: Order) -> Sent:
    verdict = answer.verdict
    if verdict.outcome is Outcome.ACCEPTED:
        return Sent(EffectState.DONE, verdict.value, attempts=answer.attempts, latency_ms=answer.latency_ms)
    # Uncertain is uncertain in the ledger, also where a repeat is the same: the file may say otherwise tomorrow.
    uncertain = verdict.outcome is Outcome.UNKNOWN or order.is_in_doubt
    state = EffectState.UNKNOWN if uncertain else EffectState.FAILED
    return Sent(state, error=evidence(verdict), attempts=answer.attempts, latency_ms=answer.latency_ms)


async def _still_unknown(run: RunHandle, order: Order, known: Entry) -> Sent:
    """Says why it is not sent again; an intent without an outcome becomes UNKNOWN in the ledger first."""
    if known.state is EffectState.SENT:
        message = "it was sent before and its answer was never recorded; it may have taken effect"
        proof = {**order.context, "kind": "interrupted", "message": message, "sent_at": known.updated_at}
        await run.conclude(order.effect, EffectState.UNKNOWN, evidence=proof, attempts=0)
    else:
        proof = dict(known.evidence or {})
        proof["message"] = f"still unknown since {known.updated_at}: {proof.get('message', 'no answer')}"
    return Sent(
        EffectState.UNKNOWN, error={name: proof[name] for name in proof if name not in order.context}, reused=True
    )


async def _cut_off(run: RunHandle, order: Order) -> None:
    proof = {**order.context, "kind": "cancelled", "message": "the run was cancelled while the call was open"}
    await run.conclude(order.effect, EffectState.UNKNOWN, evidence=proof, attempts=0)
