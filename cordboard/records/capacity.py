"""A workflow's limit of concurrent instances, held by all workers together.

The vendor's own count is the authority. A count knows of every start whose call had ended when it began, so the
instances that may run now are at most

    the last count + the starts whose calls had not ended when that count began

Each start takes a slot before its call. When the call has ended, the slot carries the pool's tick; a count that begins
later moves the tick on, and when its number is there, the slots with earlier ticks are in it and go. Nothing has to be
known of an instance's end, other clients of the tenant are counted too, and a count that fails changes nothing: who
has no number waits.

The slots of a holder that died stay until its run's lease has passed, or for one lease from when its run was taken up
again; then they count as ended.

Times are those of the machines' clocks. What lies further ahead than clocks differ was written before a clock was set
back, and is taken for old: else nobody would count until the old time had come again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, func, insert, select, text, update

from cordboard.records.changes import HELD
from cordboard.records.page import chunks
from cordboard.records.schema import pools, runs, slots, waiters
from cordboard.records.shares import affordable, served, share

OPEN_SECONDS = 15.0  # an open slot's own lease, until its run's is looked at
COUNTING_SECONDS = 20.0  # somebody who counts for longer is dead
LIVE_SECONDS = 3.0  # a batch that asked this recently still waits
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds from one count to the next
FRESH_SECONDS = 5.0  # an older count is taken anew, as others start instances too
SKEW_SECONDS = 60.0  # by which the clocks of machines differ at the most


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
    """

    tenant: str
    workflow_id: str
    limit: int
    batch: str
    holder: str
    priority: int
    wanted: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a batch got.

    Attributes:
        granted: how many of those that it wanted, from the first on.
        ticket: the number under which it is to count now; None where nobody has to, or another one does.
        reason: what the rest waits for; empty where there is none.
        is_fresh: whether a count is known that is not too old.
        pause: seconds from one count to the next.
    """

    granted: int
    ticket: int | None
    reason: str
    is_fresh: bool = True
    pause: float = 0.0


def take(connection: Connection, now: float, asking: Asking) -> Taken:
    """Takes as many slots as there are and as are the batch's share, and says whether to count."""
    pool = _locked(connection, asking)
    live = _live(connection, now, asking)
    somebody_died = _end_of_the_dead(connection, now, pool)
    used = _slots_used(connection, pool)
    occupied = None if pool.counted is None else pool.counted + used
    age = _age(now, pool.counted_at)
    stale = occupied is None or age > FRESH_SECONDS
    free = 0 if stale or occupied is None else asking.limit - occupied
    has_one = set() if stale else _with_slots(connection, asking)
    granted, new = affordable(asking.wanted, has_one, _share(live, asking, free))
    _insert_slots(connection, now, asking, granted)
    rest = len(asking.wanted) - len(granted)
    occupied = None if occupied is None else occupied + new
    reason = _reason(asking, pool, live, occupied, stale=stale) if rest else ""
    _note_waiter(connection, now, asking, live, len(granted), rest, reason)
    ticket = None
    due = stale or somebody_died or age >= pool.pause
    somebody_counts = _age(now, pool.counting_until) < 0
    if rest and due and not somebody_counts:
        ticket = pool.tick + 1
        connection.execute(
            update(pools).where(_pool(asking)).values(tick=ticket, counting_until=now + COUNTING_SECONDS)
        )
    return Taken(len(granted), ticket, reason, not stale, pool.pause)


def counted(connection: Connection, now: float, asking: Asking, ticket: int, number: int) -> None:
    """Takes a count in, and learns how often that is worth while: a tenth of the limit should come free each time."""
    pool = _locked(connection, asking)
    if ticket <= pool.counted_tick:
        return
    used = _slots_used(connection, pool)
    connection.execute(delete(slots).where(_mine(pool), slots.c.ended_tick < ticket))
    after = number + _slots_used(connection, pool)
    freed = asking.limit if pool.counted is None else pool.counted + used - after
    values = {"counted": number, "counted_tick": ticket, "counted_at": now, "counting_until": 0.0, "trouble": None}
    connection.execute(
        update(pools).where(_pool(asking)).values(**values, pause=_pause(pool.pause, freed, asking.limit))
    )


def count_failed(connection: Connection, now: float, asking: Asking, trouble: str, wait_seconds: float) -> None:
    """Takes in that a count failed: nobody counts for a while, and nobody who has no number starts anything."""
    connection.execute(update(pools).where(_pool(asking)).values(trouble=trouble, counting_until=now + wait_seconds))


def give_back(connection: Connection, held: Sequence[tuple[str, str]]) -> None:
    """Frees slots of starts that their run certainly did not send.

    Args:
        connection: of a transaction that writes.
        held: effect keys, each with the key of the run that took the slot. One that another run has in hand stays.
    """
    for key, run_key in held:
        connection.execute(delete(slots).where(slots.c.effect_key == key, slots.c.run_key == run_key))


def let_go(connection: Connection, tenant: str, workflow_id: str, run_key: str, until: float) -> None:
    """Says of the slots that an earlier holder of a run left open when they count as ended.

    Whoever takes the run up holds it from now on, so that its lease says nothing about them any more.
    """
    left = and_(slots.c.tenant == tenant, slots.c.workflow_id == workflow_id, slots.c.run_key == run_key)
    connection.execute(update(slots).where(left, slots.c.ended_tick.is_(None)).values(run_key="", lease_until=until))


def leave(connection: Connection, asking: Asking) -> None:
    """Takes a process of a batch off the list of those that wait."""
    connection.execute(delete(waiters).where(_waiting_for(asking), _its(asking)))


def _locked(connection: Connection, asking: Asking) -> Row[Any]:
    """The pool's row, made where there is none; its lock lets one batch at a time decide."""
    found = connection.execute(select(pools).where(_pool(asking)).with_for_update()).one_or_none()
    if found is None:
        values = {"tenant": asking.tenant, "workflow_id": asking.workflow_id, "most": asking.limit}
        values |= {"pause": SHORTEST_PAUSE}
        connection.execute(_NEW_POOL, values)
        found = connection.execute(select(pools).where(_pool(asking)).with_for_update()).one()
    if found.most != asking.limit:
        connection.execute(update(pools).where(_pool(asking)).values(most=asking.limit))
    return found


def _end_of_the_dead(connection: Connection, now: float, pool: Row[Any]) -> bool:
    """Lets slots of the dead count as ended; whether there were any."""
    alive = exists().where(
        runs.c.tenant == slots.c.tenant,
        runs.c.run_key == slots.c.run_key,
        runs.c.state == HELD,
        runs.c.lease_until >= now,
    )
    dead = and_(_mine(pool), slots.c.ended_tick.is_(None), slots.c.lease_until < now, ~alive)
    return connection.execute(update(slots).where(dead).values(ended_tick=pool.tick)).rowcount > 0


def _slots_used(connection: Connection, pool: Row[Any]) -> int:
    return int(connection.scalar(select(func.count()).select_from(slots).where(_mine(pool))) or 0)


def _with_slots(connection: Connection, asking: Asking) -> set[str]:
    """The starts wanted that have a slot already: what a run that died, or an unknown end, left of them."""
    here = and_(slots.c.tenant == asking.tenant, slots.c.workflow_id == asking.workflow_id)
    parts = chunks(key for key, _ in asking.wanted)
    return {
        key
        for keys in parts
        for key in connection.scalars(select(slots.c.effect_key).where(here, slots.c.effect_key.in_(keys)))
    }


def _share(live: Sequence[Row[Any]], asking: Asking, free: int) -> int:
    return share(live, asking.batch, asking.priority, max(free, 0), asking.limit)


def _pause(pause: float, freed: int, limit: int) -> float:
    if freed >= max(limit // 10, 1):
        return max(pause / 2, SHORTEST_PAUSE)
    return min(pause * 1.5, LONGEST_PAUSE) if freed <= 0 else pause


def _reason(asking: Asking, pool: Row[Any], live: Sequence[Row[Any]], occupied: int | None, *, stale: bool) -> str:
    if stale:
        failed = f", which failed: {pool.trouble}" if pool.trouble else ""
        return f"the vendor's count of running instances{failed}"
    others = {row.batch for row in live if row.wants > 0} - {asking.batch}
    # The pool has the limit of whoever asked last: where it is not ours, somebody who waits has given another one.
    is_other = bool(others) and pool.most != asking.limit
    differs = f"; another batch has given the limit {pool.most}: give all the same" if is_other else ""
    if occupied is not None and occupied < asking.limit:
        return f"its turn: {len(others)} other batch{'' if len(others) == 1 else 'es'} of this workflow{differs}"
    return f"a place: up to {occupied} of {asking.limit} instances run{differs}"


def _insert_slots(connection: Connection, now: float, asking: Asking, granted: Sequence[tuple[str, str]]) -> None:
    rows = [
        {
            "key": key, "tenant": asking.tenant, "workflow": asking.workflow_id, "run": run, "now": now,
            "until": now + OPEN_SECONDS,
        }
        for key, run in granted
    ]  # fmt: skip
    if rows:
        connection.execute(_NEW_SLOT, rows)


def _note_waiter(  # noqa: PLR0913, PLR0917  one row
    connection: Connection, now: float, asking: Asking, live: Sequence[Row[Any]], granted: int, rest: int, reason: str
) -> None:
    values = {"priority": asking.priority, "seen_at": now, "wants": rest, "reason": reason}
    mine = update(waiters).where(_waiting_for(asking), _its(asking)).values(served=waiters.c.served + granted, **values)
    if any((row.batch, row.holder) == (asking.batch, asking.holder) for row in live):
        connection.execute(mine)
        return
    # A newcomer begins level with those that wait, else it would take every slot until it had caught up.
    so_far = served(live)
    level = max(min(so_far.values(), default=0) - so_far.get(asking.batch, 0), 0)
    identity = {name: getattr(asking, name) for name in ("tenant", "workflow_id", "batch", "holder")}
    gone = ~waiters.c.seen_at.between(now - LIVE_SECONDS, now + SKEW_SECONDS)
    connection.execute(delete(waiters).where(_waiting_for(asking), gone))
    connection.execute(insert(waiters).values(served=level + granted, **identity, **values))


def _live(connection: Connection, now: float, asking: Asking) -> Sequence[Row[Any]]:
    """The processes that asked for slots of this workflow a moment ago."""
    moment = waiters.c.seen_at.between(now - LIVE_SECONDS, now + SKEW_SECONDS)
    return connection.execute(select(waiters).where(_waiting_for(asking), moment)).all()


def _age(now: float, at: float) -> float:
    """Seconds since a time; negative where it is yet to come."""
    return now - at if at <= now + SKEW_SECONDS else float("inf")


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
    "INSERT INTO pools (tenant, workflow_id, most, tick, counted_tick, counted_at, counting_until, pause)"
    " VALUES (:tenant, :workflow_id, :most, 0, 0, 0, 0, :pause) ON CONFLICT DO NOTHING"
)
# A slot that another live run has open stays its own: both may be about to send the same start.
_NEW_SLOT = text(
    "INSERT INTO slots (effect_key, tenant, workflow_id, run_key, lease_until)"
    " VALUES (:key, :tenant, :workflow, :run, :until)"
    " ON CONFLICT (effect_key) DO UPDATE SET lease_until = :until, ended_tick = NULL, run_key ="
    " CASE WHEN slots.ended_tick IS NULL AND EXISTS (SELECT 1 FROM runs WHERE runs.tenant = slots.tenant"
    " AND runs.run_key = slots.run_key AND runs.state = 'held' AND runs.lease_until >= :now)"
    " THEN slots.run_key ELSE :run END"
)
