"""What waits: batches for places, messages for their receivers or for us, and instances that report no end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Column, Connection, and_, func, literal, select, true

from cordboard.records.changes import RUNNING
from cordboard.records.inbox import InboxState
from cordboard.records.outbox import MessageState
from cordboard.records.schema import inbox, instances, outbox, pools, waiters

WAITER_SECONDS = 60.0  # a batch that has not asked for longer has gone without a word
LONG_SECONDS = 24 * 3600.0
COUNTED = 10_000  # instances that are counted by workflow; beyond that only all of them together


@dataclass(frozen=True, slots=True)
class Waiter:
    """A process of a batch that waits for places under a workflow's limit.

    Attributes:
        tenant, workflow_id, batch, holder: who waits for what.
        wants: starts that wait.
        reason: what for.
        seen_seconds: since it last asked.
        limit: instances that may run at once.
        counted: the vendor's last count of them, or None.
    """

    tenant: str
    workflow_id: str
    batch: str
    holder: str
    wants: int
    reason: str
    seen_seconds: float
    limit: int | None
    counted: int | None


@dataclass(frozen=True, slots=True)
class Queue:
    """Messages of one endpoint, of the outbox or the inbox.

    Attributes:
        endpoint: its reference.
        waiting: messages that wait.
        overdue_seconds: how long the one has waited that is due for the longest; 0 where none is due.
        stuck: messages that nobody will try again: dead ones, or unfit ones.
        trouble: what went wrong with one of those that are stuck, else with one that waits.
    """

    endpoint: str
    waiting: int
    overdue_seconds: float
    stuck: int
    trouble: str


@dataclass(frozen=True, slots=True)
class LongRunning:
    """Instances of a workflow that have run for long without reporting an end.

    Attributes:
        tenant, workflow_id: whose.
        count: how many; of very many tenants' worth of instances only the oldest are counted.
        oldest_id: the one that has run for longest.
        oldest_seconds: for how long.
    """

    tenant: str
    workflow_id: str
    count: int
    oldest_id: str
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """All that waits.

    Attributes:
        waiters: processes that wait for places.
        outbox: messages to others, by endpoint; endpoints at which nothing waits are left out.
        inbox: messages from others.
        instances: that run for long.
    """

    waiters: tuple[Waiter, ...]
    outbox: tuple[Queue, ...]
    inbox: tuple[Queue, ...]
    instances: tuple[LongRunning, ...]

    def as_json(self) -> dict[str, Any]:
        """All of it as a JSON object."""
        return asdict(self)


def waiting(connection: Connection, now: float, tenant: str = "", long_seconds: float = LONG_SECONDS) -> Waiting:
    """Reads what waits.

    Args:
        connection: of the ledger.
        now: seconds since the epoch.
        tenant: whose; empty means everybody's. What others send us belongs to no tenant and is always there.
        long_seconds: instances that have run for longer are named.
    """
    return Waiting(
        tuple(_waiters(connection, now, tenant)),
        tuple(_outbox(connection, now, tenant)),
        tuple(_inbox(connection, now)),
        tuple(_long_running(connection, now, tenant, long_seconds)),
    )


def _waiters(connection: Connection, now: float, tenant: str) -> Iterator[Waiter]:
    pool = and_(pools.c.tenant == waiters.c.tenant, pools.c.workflow_id == waiters.c.workflow_id)
    asked = and_(waiters.c.seen_at > now - WAITER_SECONDS, waiters.c.wants > 0)
    query = select(waiters, pools.c.most, pools.c.counted).select_from(waiters.outerjoin(pools, pool)).where(asked)
    if tenant:
        query = query.where(waiters.c.tenant == tenant)
    for row in connection.execute(query.order_by(waiters.c.tenant, waiters.c.workflow_id, waiters.c.priority)):
        seen = round(now - row.seen_at, 3)
        identity = (row.tenant, row.workflow_id, row.batch, row.holder)
        yield Waiter(*identity, row.wants, row.reason, seen, row.most, row.counted)


def _outbox(connection: Connection, now: float, tenant: str) -> Iterator[Queue]:
    whose = outbox.c.tenant == tenant if tenant else true()
    for endpoint in _steps(connection, outbox.c.endpoint):
        here = and_(outbox.c.endpoint == endpoint, whose)
        pending, dead = (and_(here, outbox.c.state == each.value) for each in (MessageState.PENDING, MessageState.DEAD))
        count, first = connection.execute(select(func.count(), func.min(outbox.c.next_at)).where(pending)).one()
        stuck = connection.scalar(select(func.count()).select_from(outbox).where(dead)) or 0
        if count or stuck:
            said = select(outbox.c.last_error).where(dead if stuck else pending).limit(1)
            late = max(now - first, 0.0) if count else 0.0
            yield Queue(endpoint, count, round(late, 3), stuck, connection.scalar(said) or "")


def _inbox(connection: Connection, now: float) -> Iterator[Queue]:
    new, unfit = (inbox.c.state == each.value for each in (InboxState.NEW, InboxState.UNFIT))
    found: dict[str, tuple[int, float]] = {}
    first = func.min(inbox.c.received_at)
    for row in connection.execute(select(inbox.c.endpoint, func.count(), first).where(new).group_by(inbox.c.endpoint)):
        found[row[0]] = (row[1], now - row[2])
    stuck = select(inbox.c.endpoint, func.count(), func.max(inbox.c.detail)).where(unfit).group_by(inbox.c.endpoint)
    bad = {row[0]: (row[1], row[2] or "") for row in connection.execute(stuck)}
    for endpoint in sorted({*found, *bad}):
        count, late = found.get(endpoint, (0, 0.0))
        yield Queue(endpoint, count, round(late, 3), *bad.get(endpoint, (0, "")))


def _long_running(connection: Connection, now: float, tenant: str, long_seconds: float) -> Iterator[LongRunning]:
    for each in [tenant] if tenant else list(_steps(connection, instances.c.tenant)):
        old = and_(
            instances.c.tenant == each, instances.c.status == RUNNING, instances.c.started_at < now - long_seconds
        )
        columns = (instances.c.workflow_id, instances.c.instance_id, instances.c.started_at)
        oldest = select(*columns).where(old).order_by(instances.c.started_at).limit(COUNTED)
        found: dict[str, list[Any]] = {}
        for row in connection.execute(oldest):
            found.setdefault(row.workflow_id, []).append(row)
        for workflow_id, rows in found.items():
            age = round(now - rows[0].started_at, 3)
            yield LongRunning(each, workflow_id, len(rows), rows[0].instance_id, age)


def _steps(connection: Connection, column: Column[Any]) -> Iterator[str]:
    """Every value of a column that an index begins with, by one step in the index for each."""
    query = select(func.min(column))
    found = connection.scalar(query)
    while found is not None:
        yield found
        found = connection.scalar(query.where(column > literal(found)))
