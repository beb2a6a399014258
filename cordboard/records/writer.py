"""Group commit: whatever callers ask for at the same time becomes durable in one transaction.

A commit with `synchronous=FULL` costs the better part of a millisecond however much it holds. One writer takes all that
is queued, commits it, and only then answers the callers, so the more are waiting, the cheaper each becomes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from cordboard.errors import LedgerUnavailable
from cordboard.records.page import Change, Work

MAX_BATCH = 256
Commit = Callable[[Sequence[Change | Work]], Awaitable[list[Any]]]


class GroupCommit:
    """Queues changes and commits them in batches, in the order in which they came."""

    def __init__(self, commit: Commit) -> None:
        """Starts the writer.

        Args:
            commit: makes a batch durable and returns, for each change, its result or the error that refused it.
        """
        self._commit = commit
        self._queue: deque[tuple[Change | Work, asyncio.Future[Any]]] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._task = asyncio.create_task(self._run(), name="ledger writer")

    def submit(self, change: Change | Work) -> asyncio.Future[Any]:
        """Queues a change. It is written even if nobody waits for the future any more.

        Raises:
            LedgerUnavailable: the ledger was closed.
        """
        if self._closed:
            raise LedgerUnavailable("the ledger was closed; nothing can be written any more")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append((change, future))
        self._wake.set()
        return future

    async def close(self) -> None:
        """Writes what is queued and ends the writer."""
        self._closed = True
        self._wake.set()
        await self._task

    async def _run(self) -> None:
        try:
            while not (self._closed and not self._queue):
                await self._wake.wait()
                await asyncio.sleep(0)  # callers just answered get to queue their next change into this batch
                self._wake.clear()
                while self._queue:
                    await self._commit_batch()
        finally:  # also where the event loop ends first: nobody may wait for a writer that is gone
            self._closed = True
            for _, future in self._queue:
                _answer(future, LedgerUnavailable("the ledger's writer has ended; this was not written"))

    async def _commit_batch(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_BATCH))]
        try:
            outcomes = await self._commit([change for change, _ in batch])
        except Exception as error:  # every caller must hear of it, and the writer must live on
            outcomes = [error] * len(batch)
        for (_, future), outcome in zip(batch, outcomes, strict=True):
            _answer(future, outcome)


def _answer(future: asyncio.Future[Any], outcome: Any) -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
