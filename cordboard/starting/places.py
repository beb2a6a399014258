"""Places under a workflow's limit, for the starts of this process."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Self

from cordboard.errors import CordboardError, LedgerUnavailable, VendorFailed
from cordboard.records.capacity import Asking, Taken, count_failed, counted, give_back, leave, take
from cordboard.records.ledger import Ledger
from cordboard.sending import evidence
from cordboard.starting.model import FOR_ALL, PATIENCE_SECONDS, Batch
from cordboard.vendors.cxone_workflows import count_running
from cordboard.vendors.session import VendorSession
from cordboard.vendors.wire import Outcome, Verdict

SHORTEST_POLL, LONGEST_POLL = 0.05, 0.5  # seconds between two looks at the ledger
COUNT_TIMEOUT_SECONDS = 10.0
AFTER_FAILURE_SECONDS = 2.0
MOST_AT_ONCE = 200
Ticket = tuple[int, int, str, str, "asyncio.Future[None]"]
"""Priority, order of arrival, effect key, run key, and who waits."""


class Places:
    """Hands out places, the most urgent start first; use it as an async context manager.

    Args:
        batch: whose limit holds.
        ledger: where all workers share it.
        session: asks the vendor for its count.
        holder: names this process.
        told: hears what is waited for.
        sleep: waits that many seconds.
        patience_seconds: how long every count may fail before nobody waits any longer.
        clock: monotonic seconds.
    """

    def __init__(  # noqa: PLR0913, PLR0917  each is handed in
        self,
        batch: Batch,
        ledger: Ledger,
        session: VendorSession,
        holder: str,
        told: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        assert batch.limit is not None
        self._batch, self._limit, self._ledger, self._session = batch, batch.limit, ledger, session
        self._holder, self._told, self._sleep = holder, told, sleep
        self._queue: list[Ticket] = []
        self._order, self._wake = count(), asyncio.Event()
        self._poll = SHORTEST_POLL
        self._patience_seconds, self._clock = patience_seconds, clock
        self._failing_since: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="places under the limit")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        with contextlib.suppress(CordboardError):  # then it is forgotten in a few seconds
            await self._ledger.write(lambda connection, _: leave(connection, self._asking(())))

    async def enter(self, effect_key: str, run_key: str, priority: int) -> None:
        """Waits for a place. It is given back by what the ledger is told of the start.

        Raises:
            LedgerUnavailable: no place can be had.
            VendorFailed: the vendor will never say how many instances run.
        """
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._queue, (priority, next(self._order), effect_key, run_key, future))
        self._wake.set()
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():  # the place was handed over in this very moment
                await asyncio.shield(self.give_back(effect_key, run_key))
            raise

    async def give_back(self, effect_key: str, run_key: str) -> None:
        """Gives back the place of a start that its run certainly did not send."""
        with contextlib.suppress(LedgerUnavailable):  # then its lease ends by itself
            await self._ledger.write(lambda connection, _: give_back(connection, [(effect_key, run_key)]))

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            waiting = self._waiting()
            if not waiting:
                self._told("")
                await self._wake.wait()
                continue
            try:
                await self._serve(waiting)
            except Exception as error:  # whatever it is, nobody may wait for a place that nobody hands out
                for *_, future in waiting:
                    if not future.done():
                        future.set_exception(error)

    def _waiting(self) -> list[Ticket]:
        self._queue = [ticket for ticket in self._queue if not ticket[4].done()]
        heapq.heapify(self._queue)
        return heapq.nsmallest(MOST_AT_ONCE, self._queue, key=lambda ticket: ticket[:2])

    async def _serve(self, waiting: Sequence[Ticket]) -> None:
        wanted = [(key, run_key) for _, _, key, run_key, _ in waiting]
        asking = self._asking(wanted, waiting[0][0])
        taken = await self._ledger.write(lambda connection, now: take(connection, now, asking))
        self._told(taken.reason)
        if taken.is_fresh:
            self._failing_since = None
        unclaimed = []
        for _, _, key, run_key, future in waiting[: taken.granted]:
            if future.done():  # cancelled while we asked
                unclaimed.append((key, run_key))
            else:
                future.set_result(None)
        if unclaimed:
            await self._ledger.write(lambda connection, _: give_back(connection, unclaimed))
        if taken.ticket is not None:
            await self._count(asking, taken)
        elif taken.granted < len(waiting):
            longest = min(max(taken.pause, SHORTEST_POLL), LONGEST_POLL)
            self._poll = SHORTEST_POLL if taken.granted else min(2 * self._poll, longest)
            await self._sleep(self._poll)

    async def _count(self, asking: Asking, taken: Taken) -> None:
        ticket = taken.ticket
        assert ticket is not None
        answer = await self._session.call(count_running(asking.workflow_id), timeout_seconds=COUNT_TIMEOUT_SECONDS)
        verdict = answer.verdict
        if verdict.kind in FOR_ALL:
            raise VendorFailed(f"the running instances of {asking.workflow_id} cannot be counted", evidence(verdict))
        if verdict.outcome is not Outcome.ACCEPTED:
            await self._count_failed(asking, verdict)
            return
        number = int(verdict.value)
        await self._ledger.write(lambda connection, now: counted(connection, now, asking, ticket, number))

    async def _count_failed(self, asking: Asking, verdict: Verdict) -> None:
        """Waits some more: a count that fails says neither "full" nor "free"."""
        trouble = verdict.message
        await self._ledger.write(
            lambda connection, now: count_failed(connection, now, asking, trouble, AFTER_FAILURE_SECONDS)
        )
        if self._failing_since is None:
            self._failing_since = self._clock()
        elif (silent := self._clock() - self._failing_since) > self._patience_seconds:
            said = f"the running instances of {asking.workflow_id} could not be counted for {silent:.0f} s"
            raise VendorFailed(said, evidence(verdict))

    def _asking(self, wanted: Sequence[tuple[str, str]], priority: int = 5) -> Asking:
        batch = self._batch
        return Asking(
            batch.tenant,
            batch.trigger.workflow_id,
            self._limit,
            batch.run_key,
            self._holder,
            priority,
            wanted,
        )
