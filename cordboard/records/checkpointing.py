"""When checkpoints are made: now, and beside a run for as long as it goes on."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, select

from cordboard.errors import ChainDiffers
from cordboard.records.checkpoints import VERSION, Checkpoint, CheckpointFile
from cordboard.records.ledger import Ledger
from cordboard.records.page import iso
from cordboard.records.schema import audit, audit_head

T = TypeVar("T")
RECORDS, SECONDS = 1_000, 60.0
POLL_SECONDS = 0.25  # a ledger takes some thousand records a second; to look costs a fraction of a millisecond
REST_SECONDS, MAX_REST_SECONDS = 10.0, 300.0  # after trouble: a thread that a dead share holds is lost each time
PATIENCE_SECONDS = 5.0  # with the folder, at the end of a run

log = logging.getLogger("cordboard.checkpoints")


async def checkpoint(ledger: Ledger, keep: CheckpointFile) -> Checkpoint | None:
    """Vouches for every record up to the last one there is.

    Returns:
        The checkpoint, which is on the disk; None where there is one of the last record already, or no record.

    Raises:
        ChainDiffers: the record of the last checkpoint is missing or another one.
        CheckpointsUnavailable: the file cannot be read or written.
        LedgerUnavailable: the ledger cannot be read.
    """
    last = await _apart(keep.last)
    made = await ledger.read(lambda connection: _next(connection, last, keep, ledger.clock()))
    if made is None:
        return None
    new = await _apart(partial(keep.add, made))
    return made if new else None


def _next(connection: Connection, last: Checkpoint | None, keep: CheckpointFile, now: float) -> Checkpoint | None:
    seq, head = connection.execute(select(audit_head.c.seq, audit_head.c.hash)).one_or_none() or (0, "")
    hashes = select(audit.c.seq, audit.c.hash).where(audit.c.seq.in_([1, seq, last.seq if last else 1]))
    found = {row.seq: row.hash for row in connection.execute(hashes)}
    if last and (found.get(1), found.get(last.seq)) != (last.ledger, last.hash):
        raise ChainDiffers(
            f"the audit record is not the one for which the checkpoint of {last.at} in {keep.path} vouches: record "
            f"{last.seq} is missing or another one. Run `cordboard audit verify`. If these are checkpoints of another "
            "ledger, set CORDBOARD_CHECKPOINT_DIR to this ledger's own folder."
        )
    if not seq or (last and last.seq >= seq):
        return None
    if 1 not in found or found.get(seq) != head:
        raise ChainDiffers("the audit record is broken: its first or last record is missing or another one")
    return Checkpoint(VERSION, found[1], seq, head, iso(now))


class Checkpointing:
    """Makes checkpoints in the background for as long as it is entered, and one when it is left.

    A new one comes when 1,000 records have none, or one record has had none for 60 seconds; it looks four times a
    second. Processes on one ledger share them: what one vouched for, the others need not. It never holds up or fails
    what goes on inside: trouble with the folder or the ledger goes to the log, and is tried again later.
    """

    def __init__(
        self,
        ledger: Ledger,
        keep: CheckpointFile | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
    ) -> None:
        """Names ledger and file; nothing is done yet.

        Args:
            ledger: whose chain.
            keep: the file; None, as without a key, makes no checkpoints.
            clock: seconds, from anywhere on.
            sleep: waits that many seconds.
        """
        self._ledger, self._keep = ledger, keep
        self._clock, self._sleep = clock, sleep
        self._task: asyncio.Task[None] | None = None
        self._vouched = 0  # number of the last record that a checkpoint vouches for
        self._since: float | None = None  # when a record was first seen for which none does
        self._said, self._rest = "", REST_SECONDS / 2

    async def __aenter__(self) -> Self:
        if self._keep:
            self._task = asyncio.create_task(self._run(self._keep), name="checkpoints")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is None or self._keep is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._tried(self._make(self._keep))

    async def _run(self, keep: CheckpointFile) -> None:
        while True:
            await self._sleep(POLL_SECONDS if await self._tried(self._look(keep)) else self._rest)

    async def _look(self, keep: CheckpointFile) -> None:
        seq = await self._ledger.read(lambda connection: connection.scalar(select(audit_head.c.seq))) or 0
        now = self._clock()
        if seq <= self._vouched:
            self._since = None
            return
        self._since = now if self._since is None else self._since
        if not self._is_due(seq, now):
            return
        last = await _apart(keep.last)
        if last and last.seq > self._vouched:  # another process was faster
            self._vouched, self._since = last.seq, now
        if self._is_due(seq, now):
            await self._make(keep)

    def _is_due(self, seq: int, now: float) -> bool:
        return seq - self._vouched >= RECORDS or (self._since is not None and now - self._since >= SECONDS)

    async def _make(self, keep: CheckpointFile) -> None:
        made = await checkpoint(self._ledger, keep)
        if made:
            self._vouched, self._since = made.seq, None

    async def _tried(self, job: Awaitable[None]) -> bool:
        """Whether it went well; the same trouble is told once."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await job
        except Exception as error:  # whatever it is, what goes on inside is worth more
            self._tell(error)
            self._rest = min(2 * self._rest, MAX_REST_SECONDS)
            return False
        self._said, self._rest = "", REST_SECONDS / 2
        return True

    def _tell(self, error: Exception) -> None:
        said = str(error) or f"{self._keep} has not answered within {PATIENCE_SECONDS:g} s"
        if said != self._said:
            level = logging.ERROR if isinstance(error, ChainDiffers) else logging.WARNING
            log.log(level, "no checkpoint of the audit record was made: %s", said)
        self._said = said


async def _apart(call: Callable[[], T]) -> T:
    """Runs it in a thread for which nobody has to wait: on a share that hangs, a call may never end."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        done: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            done.set_result(call())
        except Exception as error:  # the caller's to hear
            done.set_exception(error)
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(_answer, future, done)

    threading.Thread(target=run, name="checkpoints", daemon=True).start()
    return await future


def _answer(future: asyncio.Future[T], done: concurrent.futures.Future[T]) -> None:
    if future.done():  # its caller was cancelled
        return
    if error := done.exception():
        future.set_exception(error)
    else:
        future.set_result(done.result())
