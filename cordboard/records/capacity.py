"""A workflow's limit of concurrent instances, held by all workers together.

The vendor's own count is the authority. A count knows of every start whose call had ended when it began, so the
instances that may run now are at most

    the last count + the starts whose calls had not ended when that count began

Each start takes a slot before its call. When the call has ended, the slot carries the pool's tick; a count that begins
later moves the tick on, and when its number is there, the slots with earlier ticks are in it and go. Nothing has to be
known of an instance's end, other clients of the tenant are counted too, and a count that fails changes nothing: who
has no number waits.

The slots of a holder that died stay until its run's lease has passed; then they count as ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, func, insert, select, text, update

from cordboard.records.changes import HELD
from cordboard.records.page import chunks
from cordboard.records.schema import pools, runs, slots, waiters

OPEN_SECONDS = 15.0  # an open slot's own lease, until its run's is looked at
COUNTING_SECONDS = 20.0  # somebody who counts for longer is dead
LIVE_SECONDS = 3.0  # a batch that asked this recently still waits
FRESH_SECONDS = 5.0  # an older count is taken anew, as others start instances too


@dataclass(frozen=True, slots=True)
class Asking:
    """A batch that wants slots.

    Attributes:
        tenant, workflow_id: whose limit it is.
        limit: instances that may run at once.
        batch: fair shares are those of batches.
        holder: the process of the batch that asks.
        priority: 1 (highest) to 10, of the most urgent start that waits.
        wanted: effect keys, the most urgent first, each with the key of the run that holds it.
        interval: seconds between two counts.
        reason: what it waits for, as it saw it last.
    """

    tenant: str
    workflow_id: str
    limit: int
    batch: str
    holder: str
    priority: int
    wanted: Sequence[tuple[str, str]]
    interval: float = 1.0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a batch got.

    Attributes:
        granted: how many of those that it wanted, from the first on.
        ticket: the number under which it is to count now; None where nobody has to, or another one does.
        occupied: instances that may run now, with those granted; None where no count has succeeded yet.
        reason: what the rest waits for; empty where there is none.
    """

    granted: int
    ticket: int | None
    occupied: int | None
    reason: str


def take(connection: Connection, now: float, asking: Asking) -> Taken:
    """Takes as many slots as there are and as are the batch's share, and says whether to count."""
    pool = _locked(connection, asking)
    live = _live(connection, now, asking)
    _end_of_the_dead(connection, now, pool)
    used = _slots_used(connection, pool)
    occupied = None if pool.counted is None else pool.counted + used
    stale = occupied is None or now > pool.counted_at + max(FRESH_SECONDS, asking.interval)
    free = 0 if stale or occupied is None else asking.limit - occupied
    granted = asking.wanted[: _share(live, asking, max(free, 0))]
    _insert_slots(connection, now, asking, granted)
    rest = len(asking.wanted) - len(granted)
    occupied = None if occupied is None else occupied + len(granted)
    reason = _reason(asking, pool, live, occupied, stale=stale) if rest else ""
    _note_waiter(connection, now, asking, live, len(granted), rest, reason)
    ticket = None
    due = stale or now >= pool.counted_at + asking.interval
    if rest and len(granted) >= free and due and now >= pool.counting_until:
        ticket = pool.tick + 1
        connection.execute(
            update(pools).where(_pool(asking)).values(tick=ticket, counting_until=now + COUNTING_SECONDS)
        )
    return Taken(len(granted), ticket, occupied, reason)


def counted(connection: Connection, now: float, asking: Asking, ticket: int, number: int) -> int:
    """Takes a count in.

    Returns:
        Instances that may run now.
    """
    pool = _locked(connection, asking)
    if ticket > pool.counted_tick:
        known = slots.c.ended_tick < ticket
        connection.execute(delete(slots).where(_mine(pool), known))
        values = {"counted": number, "counted_tick": ticket, "counted_at": now, "counting_until": 0.0, "trouble": None}
        connection.execute(update(pools).where(_pool(asking)).values(values))
        return number + _slots_used(connection, pool)
    return int(pool.counted or 0) + _slots_used(connection, pool)


def count_failed(connection: Connection, now: float, asking: Asking, trouble: str, wait_seconds: float) -> None:
    """Takes in that a count failed: nobody counts for a while, and nobody who has no number starts anything."""
    connection.execute(update(pools).where(_pool(asking)).values(trouble=trouble, counting_until=now + wait_seconds))


def give_back(connection: Connection, keys: Sequence[str]) -> None:
    """Frees slots of starts that were certainly not sent."""
    for some in chunks(keys):
        connection.execute(delete(slots).where(slots.c.effect_key.in_(some)))


def leave(connection: Connection, asking: Asking) -> None:
    """Takes a process of a batch off the list of those that wait."""
    connection.execute(delete(waiters).where(_waiting_for(asking), _its(asking)))


def _locked(connection: Connection, asking: Asking) -> Row[Any]:
    """The pool's row, made where there is none; its lock lets one batch at a time decide."""
    found = connection.execute(select(pools).where(_pool(asking)).with_for_update()).one_or_none()
    if found is None:
        values = {"tenant": asking.tenant, "workflow_id": asking.workflow_id, "most": asking.limit}
        connection.execute(_NEW_POOL, values)
        found = connection.execute(select(pools).where(_pool(asking)).with_for_update()).one()
    if found.most != asking.limit:
        connection.execute(update(pools).where(_pool(asking)).values(most=asking.limit))
    return found


def _end_of_the_dead(connection: Connection, now: float, pool: Row[Any]) -> None:
    alive = exists().where(
        runs.c.tenant == slots.c.tenant,
        runs.c.run_key == slots.c.run_key,
        runs.c.state == HELD,
        runs.c.lease_until >= now,
    )
    dead = and_(_mine(pool), slots.c.ended_tick.is_(None), slots.c.lease_until < now, ~alive)
    connection.execute(update(slots).where(dead).values(ended_tick=pool.tick))


def _slots_used(connection: Connection, pool: Row[Any]) -> int:
    return int(connection.scalar(select(func.count()).select_from(slots).where(_mine(pool))) or 0)


def _share(live: Sequence[Row[Any]], asking: Asking, free: int) -> int:
    """How many slots the batch may take now.

    More urgent batches come first; those of the same priority get the same number each over time.
    """
    others = [row for row in live if row.batch != asking.batch and row.wants > 0]
    free = max(free - sum(row.wants for row in others if row.priority < asking.priority), 0)
    served = _served(live)
    equal = [served[row.batch] for row in others if row.priority == asking.priority]
    if not equal:
        return free
    turn = -(-free // (len({row.batch for row in others}) + 1))
    return min(free, max(min(equal) - served.get(asking.batch, 0) + turn, 0))


def _served(live: Sequence[Row[Any]]) -> dict[str, int]:
    """Slots that each batch got, over all its processes."""
    served: dict[str, int] = {}
    for row in live:
        served[row.batch] = served.get(row.batch, 0) + row.served
    return served


def _reason(asking: Asking, pool: Row[Any], live: Sequence[Row[Any]], occupied: int | None, *, stale: bool) -> str:
    if stale:
        failed = f" failed: {pool.trouble}" if pool.trouble else ""
        return f"the vendor's count of running instances{failed}"
    if occupied is not None and occupied < asking.limit:
        others = len({row.batch for row in live if row.wants > 0} - {asking.batch})
        return f"its turn: {others} other batch{'' if others == 1 else 'es'} of this workflow"
    return f"a place: up to {occupied} of {asking.limit} instances run"


def _insert_slots(connection: Connection, now: float, asking: Asking, granted: Sequence[tuple[str, str]]) -> None:
    rows = [
        {"key": key, "tenant": asking.tenant, "workflow": asking.workflow_id, "run": run, "until": now + OPEN_SECONDS}
        for key, run in granted
    ]
    if rows:
        connection.execute(_NEW_SLOT, rows)


def _note_waiter(  # noqa: PLR0913, PLR0917  one row
    connection: Connection, now: float, asking: Asking, live: Sequence[Row[Any]], granted: int, rest: int, reason: str
) -> None:
    values = {"priority": asking.priority, "seen_at": now, "wants": rest, "reason": asking.reason or reason}
    mine = update(waiters).where(_waiting_for(asking), _its(asking)).values(served=waiters.c.served + granted, **values)
    if any((row.batch, row.holder) == (asking.batch, asking.holder) for row in live):
        connection.execute(mine)
        return
    # A newcomer begins level with those that wait, else it would take every slot until it had caught up.
    served = _served(live)
    level = max(min(served.values(), default=0) - served.get(asking.batch, 0), 0)
    identity = {name: getattr(asking, name) for name in ("tenant", "workflow_id", "batch", "holder")}
    connection.execute(delete(waiters).where(_waiting_for(asking), waiters.c.seen_at <= now - LIVE_SECONDS))
    connection.execute(insert(waiters).values(served=level + granted, **identity, **values))


def _live(connection: Connection, now: float, asking: Asking) -> Sequence[Row[Any]]:
    """The processes that asked for slots of this workflow a moment ago."""
    query = select(waiters).where(_waiting_for(asking), waiters.c.seen_at > now - LIVE_SECONDS)
    return connection.execute(query).all()


def _pool(asking: Asking) -> ColumnElement[bool]:
    return and_(pools.c.tenant == asking.tenant, pools.c.workflow_id == asking.workflow_id)


def _mine(pool: Row[Any]) -> ColumnElement[bool]:
    return and_(slots.c.tenant == pool.tenant, slots.c.workflow_id == pool.workflow_id)


def _waiting_for(asking: Asking) -> ColumnElement[bool]:
    return and_(waiters.c.tenant == asking.tenant, waiters.c.workflow_id == asking.workflow_id)


def _its(asking: Asking) -> ColumnElement[bool]:
    return and_(waiters.c.batch == asking.batch, waiters.c.holder == asking.holder)


# Both databases know these forms; SQLAlchemy's own differ by dialect.
_NEW_POOL = text(
    "INSERT INTO pools (tenant, workflow_id, most, tick, counted_tick, counted_at, counting_until)"
    " VALUES (:tenant, :workflow_id, :most, 0, 0, 0, 0) ON CONFLICT DO NOTHING"
)
_NEW_SLOT = text(
    "INSERT INTO slots (effect_key, tenant, workflow_id, run_key, lease_until)"
    " VALUES (:key, :tenant, :workflow, :run, :until)"
    " ON CONFLICT (effect_key) DO UPDATE SET run_key = :run, lease_until = :until, ended_tick = NULL"
)
