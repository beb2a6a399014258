"""Says what a batch waits for, by what its workers put into the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, func, select

from cordboard.records.capacity import LIVE_SECONDS, SKEW_SECONDS
from cordboard.records.changes import HELD
from cordboard.records.ledger import Ledger
from cordboard.records.owner import Owner
from cordboard.records.page import iso
from cordboard.records.schema import pools, runs, slots, waiters
from cordboard.starting.model import Batch


async def explain(batch: Batch, ledger: Ledger) -> dict[str, Any]:
    """Who works on the batch, how full the workflow is, who else waits, and what for.

    Returns:
        `sentences` for people, and the same as fields: `workers` (None without a run key), `limit`, `counted`,
        `counted_at`, `open`, `waiting`.

    Raises:
        LedgerUnavailable: the ledger cannot be read.
    """
    now = ledger.clock()
    facts = await ledger.read(lambda connection: _facts(connection, batch, now))
    return {**facts, "sentences": list(_sentences(batch, facts))}


def _facts(connection: Connection, batch: Batch, now: float) -> dict[str, Any]:
    tenant, workflow_id = batch.tenant, batch.trigger.workflow_id
    pool = connection.execute(
        select(pools).where(pools.c.tenant == tenant, pools.c.workflow_id == workflow_id)
    ).one_or_none()
    here = (waiters.c.tenant == tenant) & (waiters.c.workflow_id == workflow_id)
    moment = waiters.c.seen_at.between(now - LIVE_SECONDS, now + SKEW_SECONDS)
    rows = connection.execute(_BY_URGENCY.where(here, moment, waiters.c.wants > 0))
    waiting = [
        {"batch": row.batch, "priority": row.priority, "wants": row.wants, "reason": row.reason}
        for row in rows.all()
    ]  # fmt: skip
    used = select(func.count()).where(slots.c.tenant == tenant, slots.c.workflow_id == workflow_id)
    return {
        "workers": _workers(connection, batch, now) if batch.run_key else None,
        "limit": pool.most if pool else None,
        "counted": pool.counted if pool else None,
        "counted_at": iso(pool.counted_at) if pool and pool.counted is not None else None,
        "trouble": pool.trouble if pool else None,
        "open": connection.scalar(used) or 0,
        "waiting": waiting,
    }


def _workers(connection: Connection, batch: Batch, now: float) -> int:
    """Processes that hold a run of the batch."""
    pieces = runs.c.run_key.startswith(f"{batch.ledger_key}/", autoescape=True)
    held = (runs.c.tenant == batch.tenant) & pieces & (runs.c.state == HELD) & (runs.c.lease_until >= now)
    holders = map(Owner.parse, connection.scalars(select(runs.c.owner.distinct()).where(held)))
    return sum(not holder.is_here() or holder.is_alive() for holder in holders)


def _sentences(batch: Batch, facts: dict[str, Any]) -> Iterator[str]:
    workers = facts["workers"]
    if workers is None:
        yield f"each single start has a run key of its own, and none was given: this is of all of {_workflow(batch)}"
    else:
        yield f"{_count(workers, 'worker')} on batch {batch.run_key}" if workers else "nobody works on it"
    if facts["limit"] is None:
        yield f"no limit of {_workflow(batch)} is known to the ledger"
    elif facts["counted"] is None:
        yield "the vendor's running instances were not counted yet"
    else:
        up_to = facts["counted"] + facts["open"]
        yield (
            f"{_count(facts['counted'], 'instance')} ran when the vendor was asked at {facts['counted_at']}, "
            f"and {_count(facts['open'], 'start')} came since: up to {up_to} of {facts['limit']}"
        )
    if facts["limit"] is not None and batch.limit is not None and facts["limit"] != batch.limit:
        yield f"another batch has given the limit {facts['limit']}, and this one {batch.limit}: give all the same"
    if facts["trouble"]:
        yield f"the last count failed: {facts['trouble']}"
    for each in facts["waiting"]:
        whose = "this batch" if each["batch"] == batch.run_key else f"batch {each['batch']}"
        wants = _count(each["wants"], "start")
        yield f"{whose} (priority {each['priority']}) waits with {wants} for {each['reason']}"


def _workflow(batch: Batch) -> str:
    return batch.trigger.workflow_id


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


_BY_URGENCY = select(waiters).order_by(waiters.c.priority, waiters.c.batch, waiters.c.holder)
