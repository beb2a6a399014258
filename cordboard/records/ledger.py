"""The ledger: the one truth about what was sent and what came of it.

The intent is durable before the first byte leaves, the outcome after it; every write carries the run's epoch, so an
owner that was overtaken can write no more; the audit record and the outgoing messages share the transaction. Where the
intent cannot be written, nothing may be sent.

    async with await Ledger.open(settings.ledger) as ledger:
        async with await ledger.claim_run("acme", "nightly-2024-05-01") as run:
            await run.intend(effect, attempt=1)
            ...                                                    # send it
            await run.conclude(effect, EffectState.DONE, result=output)
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

from sqlalchemy import URL, Connection

from cordboard.errors import LedgerUnavailable
from cordboard.records.changes import LEASE_SECONDS, Claim, Fenced, Hold
from cordboard.records.effects import require_text
from cordboard.records.engine import explained, ledger_url, make_file, open_database, sqlite_file
from cordboard.records.owner import Owner
from cordboard.records.page import Change, RunId, Work, write_batch
from cordboard.records.run import RunHandle
from cordboard.records.schema import prepare
from cordboard.records.writer import GroupCommit
from cordboard.redaction import Redactor
from cordboard.telemetry import current
from cordboard.telemetry.metrics import COMMITS

T = TypeVar("T")


class Ledger:
    """An open ledger. Use `Ledger.open`; close it, so that runs still held are given back."""

    def __init__(self, url: URL, clock: Callable[[], float], redactor: Redactor, lease_seconds: float) -> None:
        self.clock = clock
        self.lease_seconds = lease_seconds
        self.redactor = redactor
        self._url = url
        self._system = {"db.system.name": url.get_backend_name()}
        self._database = open_database(url)
        self._writer = GroupCommit(self._commit)
        self._runs: set[RunHandle] = set()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        clock: Callable[[], float] = time.time,
        redactor: Redactor | None = None,
        lease_seconds: float = LEASE_SECONDS,
    ) -> Ledger:
        """Opens a ledger, and makes it where there is none.

        Args:
            url: SQLAlchemy URL, `sqlite:///path` or `postgresql://…`.
            clock: seconds since the epoch.
            redactor: masks known secrets in everything that is written.
            lease_seconds: how long a run stays taken when its host falls silent; renewed every third of it.

        Raises:
            BadCall: the URL is none of a ledger.
            LedgerUnavailable: it cannot be opened, or a newer Cordboard made it.
        """
        parsed = ledger_url(url)
        with explained(parsed):
            if file := sqlite_file(parsed):
                make_file(file)
            ledger = cls(parsed, clock, redactor or Redactor(), lease_seconds)
        try:
            await ledger.write(lambda connection, _: prepare(connection))
        except BaseException:
            await ledger.close()
            raise
        return ledger

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Gives back the runs still held, writes what is queued and closes the database."""
        for run in tuple(self._runs):
            await run.release()
        await self._writer.close()
        await self._database.close()

    async def claim_run(self, tenant: str, run_key: str, kind: str = "chain", owner: Owner | None = None) -> RunHandle:
        """Takes a run, in a new epoch: what earlier owners still try to write is refused from now on.

        Args:
            tenant: whose run it is.
            run_key: what makes it this run and no other; effects of an earlier try are found under it.
            kind: what kind of job it is.
            owner: who takes it; this process by default.

        Raises:
            RunBusy: a live process holds it.
            LedgerUnavailable: the claim cannot be written.
        """
        require_text(tenant=tenant, run_key=run_key, kind=kind)
        run_id = (tenant, run_key)
        claimed = self.submit(Claim(run_id, kind, owner or Owner.current(), self.lease_seconds))
        try:
            epoch = await asyncio.shield(claimed)
        except asyncio.CancelledError:
            claimed.add_done_callback(lambda ended: self._let_go(run_id, ended))
            raise
        handle = RunHandle(self, Fenced(run_id, epoch), self._runs.discard)
        self._runs.add(handle)
        return handle

    def _let_go(self, run_id: RunId, claimed: asyncio.Future[int]) -> None:
        """Gives back a run whose claim nobody waited for; else this process would hold it to its end."""
        if not claimed.cancelled() and claimed.exception() is None:
            with contextlib.suppress(LedgerUnavailable):
                release = self.submit(Hold(Fenced(run_id, claimed.result()), release=True))
                release.add_done_callback(asyncio.Future.exception)  # nobody waits: hear it, drop it

    def submit(self, change: Change | Work) -> asyncio.Future[Any]:
        """Queues a change for the next commit; the future ends when it is durable."""
        return self._writer.submit(change)

    async def write(self, work: Callable[[Connection, float], T]) -> T:
        """Runs statements in the next commit's transaction; they get the connection and the time."""
        result: T = await self.submit(Work(work))
        return result

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs statements on one consistent view of the ledger, beside any writer.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        with explained(self._url):
            return await self._database.read(work)

    async def _commit(self, batch: Sequence[Change | Work]) -> list[Any]:
        with explained(self._url), current().timed(COMMITS, self._system):
            return await self._database.write(lambda connection: write_batch(connection, batch, self.clock()))

    def __repr__(self) -> str:
        return f"Ledger({self._url.render_as_string(hide_password=True)})"
