"""Turns at one live flow, for all writers that share a ledger: a lost race costs each a merge and a rehearsal.

A turn is a courtesy and no condition: what keeps edits apart is `If-Match`. Writers queue in the ledger, and the first
has its turn. Whoever waits and sees nobody leave for long goes on without, and so does everybody where the ledger keeps
no queue at the moment. A place ends with its lease, which a writer that is killed renews no more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from sqlalchemy import Connection, delete, insert, select, update

from cordboard.errors import LedgerUnavailable
from cordboard.records.ledger import Ledger
from cordboard.records.schema import turns
from cordboard.updating.run import UpdateRun

LEASE_SECONDS = 5.0
#: A writer that saw nobody ahead of it leave for so long goes on without a turn.
PATIENCE_SECONDS = 30.0
_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.02, 0.5  # for each place ahead: who comes late looks seldom
_FORGOTTEN_SECONDS = 60.0  # places whose lease ended so long ago are taken out of the table


class Turn:
    """A place in the queue of one flow's writers."""

    def __init__(self, ledger: Ledger, flow: tuple[str, str], place: int) -> None:
        self._ledger, self._flow, self._place = ledger, flow, place
        self._is_renewed = True

    async def ahead(self) -> list[int]:
        """The places before this one whose holders live; none where it is this one's turn.

        Raises:
            LedgerUnavailable: the ledger cannot be read.
        """
        mine = (turns.c.tenant == self._flow[0]) & (turns.c.flow_id == self._flow[1])
        live = (turns.c.place < self._place) & (turns.c.lease_until > self._ledger.clock())
        query = select(turns.c.place).where(mine, live).order_by(turns.c.place)
        return await self._ledger.read(lambda connection: list(connection.scalars(query)))

    async def comes(self, seconds: float, sleep: Callable[[float], Awaitable[None]]) -> bool:
        """Waits until it is this one's turn; not longer than that, and not where nothing moves.

        Raises:
            LedgerUnavailable: the ledger cannot be read.
        """
        waited = moved = slept = 0.0
        began, ahead = time.monotonic(), await self.ahead()
        while ahead and waited < min(seconds, moved + PATIENCE_SECONDS):
            look = min(_LOOK_SECONDS * len(ahead), _LONGEST_LOOK_SECONDS)
            await sleep(look)
            slept += look
            waited = max(slept, time.monotonic() - began)  # the ledger's clock may be set back meanwhile
            before, ahead = ahead, await self.ahead()
            if ahead != before:
                moved = waited
        return not ahead

    async def unheld(self, asking: Awaitable[bool]) -> bool:
        """Lets the lease run out meanwhile, since a person may take hours to answer."""
        self._is_renewed = False
        try:
            return await asking
        finally:
            self._is_renewed = True

    async def keep(self) -> None:
        """Renews the lease until it is cancelled."""
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            if self._is_renewed:
                with suppress(LedgerUnavailable):
                    await self.renew()

    async def renew(self) -> None:
        """Prolongs the lease.

        Raises:
            LedgerUnavailable: it was not prolonged.
        """
        await self._ledger.write(self._renew)

    async def leave(self) -> None:
        """Leaves the queue. Where the ledger cannot be told, the lease ends by itself."""
        with suppress(LedgerUnavailable):
            await self._ledger.write(self._leave)

    def _renew(self, connection: Connection, now: float) -> None:
        mine = turns.c.place == self._place
        connection.execute(update(turns).where(mine).values(lease_until=now + LEASE_SECONDS))

    def _leave(self, connection: Connection, _now: float) -> None:
        connection.execute(delete(turns).where(turns.c.place == self._place))


async def line_up(ledger: Ledger, tenant: str, flow_id: str, run_key: str) -> Turn:
    """Takes the last place in the queue of a flow's writers.

    Raises:
        LedgerUnavailable: there is no queue at the moment.
    """

    def take(connection: Connection, now: float) -> int:
        old = select(turns.c.place).where(turns.c.lease_until < now - _FORGOTTEN_SECONDS)
        connection.execute(delete(turns).where(turns.c.place.in_(old.with_for_update(skip_locked=True))))
        row = {"tenant": tenant, "flow_id": flow_id, "run_key": run_key, "lease_until": now + LEASE_SECONDS}
        key = connection.execute(insert(turns), row).inserted_primary_key
        assert key is not None
        return int(key[0])

    return Turn(ledger, (tenant, flow_id), await ledger.write(take))


@asynccontextmanager
async def turn(run: UpdateRun, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> AsyncIterator[Turn | None]:
    """Waits for this run's turn at its flow, half of the time that the run has left at the most, and ends it after.

    Gives None where the ledger keeps no queue at the moment; the run goes on all the same.
    """
    mine: Turn | None = None
    with suppress(LedgerUnavailable):
        mine = await line_up(run.ledger, run.handle.tenant, run.flow_id, run.handle.run_key)
    if mine is None:
        yield None
        return
    renewal = asyncio.create_task(mine.keep(), name=f"turn at {run.flow_id}")
    try:
        with suppress(LedgerUnavailable):
            await mine.comes((run.deadline - time.monotonic()) / 2, sleep)
        yield mine
    finally:
        renewal.cancel()
        await mine.leave()
