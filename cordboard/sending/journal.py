"""Puts every send on record before it happens, and knows what may be out."""

from __future__ import annotations

from cordboard.records.run import RunHandle
from cordboard.sending.order import Order
from cordboard.sending.recording import evidence
from cordboard.vendors.wire import Verdict


class RunJournal:
    """Writes what the session does into the ledger, before it does it.

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
        """Puts the intent on record."""
        starting = () if self.attempts else self._order.starting
        self.doubt, self.out = self.doubt or self.out, False
        self._order.leaving()
        known = self._order.known
        seen = known.attempts if known else 0
        await self._run.intend(self._order.effect, attempt, messages=starting, in_doubt=self.doubt, seen=seen)
        self.attempts, self.open = attempt, True

    def leaving(self) -> None:
        """Takes in that the request may be out from now on."""
        self.out = True

    async def refused(self, attempt: int, verdict: Verdict) -> None:
        """Puts on record that an attempt had no effect, unless an earlier one may have."""
        self.out = False
        if not self.doubt:
            await self._run.refused(self._order.effect, {"attempt": attempt, **evidence(verdict)})
            self.open = False

    @property
    def may_have_effect(self) -> bool:
        """Whether an effect may exist that no answer has told of."""
        return self.out or self.doubt
