"""Waits until the instances of a batch have ended, by asking the vendor."""

from __future__ import annotations

from sqlalchemy import ColumnElement, func, select

from cordboard.completion.polling import BATCH, poll
from cordboard.records.changes import RUNNING
from cordboard.records.run import RunHandle
from cordboard.records.schema import instances
from cordboard.starting.model import Batch
from cordboard.starting.pieces import StartRun

FIRST_SECONDS, LONGEST_SECONDS = 0.5, 15.0  # between two rounds of questions


async def wait_for_ends(run: StartRun, handle: RunHandle, erp: str | None, seconds: float) -> dict[str, int]:
    """Asks for the instances that run until all have ended, or the time is over. Ends that are reported count too.

    Args:
        run: the batch, started.
        handle: a run that is held; its key stands on the audit record of the ends.
        erp: reference of the ERP's endpoint, where records are to be made.
        seconds: how long to wait at the most.

    Returns:
        How many instances have which status; those that are still `running` too.

    Raises:
        LedgerUnavailable: an end cannot be written.
    """
    until, pause = run.clock() + seconds, FIRST_SECONDS
    while left := (await ends(run)).get(RUNNING, 0):
        run.progress.waiting = f"the end of {left} instance{'' if left == 1 else 's'}"
        await _round(run, handle, erp, until)
        if run.clock() + pause >= until:
            break
        await run.sleep(pause)
        pause = min(pause * 1.5, LONGEST_SECONDS)
    run.progress.waiting = ""
    return await ends(run)


async def _round(run: StartRun, handle: RunHandle, erp: str | None, until: float) -> None:
    """Asks for each once, as long as there is time; some of them at a time are in memory."""
    last = ""
    while some := await _running(run, last):
        await poll(run.session, run.ledger, handle, run.batch.tenant, some, erp)
        if run.clock() >= until:
            break
        last = some[-1]


async def ends(run: StartRun) -> dict[str, int]:
    """How many instances of the batch have which status."""
    query = select(instances.c.status, func.count()).where(_of(run.batch)).group_by(instances.c.status)
    return await run.ledger.read(lambda connection: {row[0]: row[1] for row in connection.execute(query)})


async def _running(run: StartRun, after: str) -> list[str]:
    one = instances.c.instance_id
    still = select(one).where(_of(run.batch), instances.c.status == RUNNING, one > after)
    return await run.ledger.read(lambda connection: list(connection.scalars(still.order_by(one).limit(BATCH))))


def _of(batch: Batch) -> ColumnElement[bool]:
    mine = instances.c.run_key.startswith(f"{batch.ledger_key}/", autoescape=True)
    here = (instances.c.tenant == batch.tenant) & (instances.c.workflow_id == batch.trigger.workflow_id)
    return here & mine
