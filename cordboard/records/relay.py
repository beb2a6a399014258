"""Delivers an endpoint's messages in the background while a run goes on, and never holds the run up."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Self

from cordboard.errors import LedgerUnavailable
from cordboard.records.ledger import Ledger
from cordboard.records.outbox import Sender, claim_due, deliver_batch, is_due

POLL_SECONDS = 0.2


class Relay:
    """Takes messages out of the outbox for as long as it is entered.

    What it has not delivered when it is left stays in the outbox, for another relay or `deliver_due`.
    """

    def __init__(self, ledger: Ledger, sender: Sender, *, rng: random.Random | None = None) -> None:
        self._ledger, self._sender = ledger, sender
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._busy = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="webhook relay")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def flush(self, seconds: float) -> bool:
        """Waits until everything that comes due within the time was tried, and at most that time.

        Returns:
            Whether nothing is left that would come due within the time.
        """
        by = self._ledger.clock() + seconds
        with contextlib.suppress(TimeoutError, LedgerUnavailable):
            async with asyncio.timeout(seconds):
                while self._busy or await is_due(self._ledger, self._sender.ref, by):  # noqa: ASYNC110 - asks the ledger
                    await asyncio.sleep(POLL_SECONDS / 4)
                return True
        return False

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(LedgerUnavailable):  # the run itself meets it too, and tells
                await self._deliver()
            await asyncio.sleep(POLL_SECONDS)

    async def _deliver(self) -> None:
        self._busy = True
        try:
            while batch := await claim_due(self._ledger, self._sender.ref):
                await deliver_batch(self._ledger, self._sender, batch, self._rng)
        finally:
            self._busy = False
