"""How a tenant's completions stand in the ledger, for whoever watches: what waits, what is stuck, what runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select

from cordboard.completion.erp import erp_ref
from cordboard.completion.receiving import inbox_endpoint
from cordboard.records.changes import RUNNING
from cordboard.records.inbox import InboxState
from cordboard.records.ledger import Ledger
from cordboard.records.outbox import MessageState
from cordboard.records.schema import inbox, instances, outbox, pools, slots

MOST_WORKFLOWS = 100  # each is a series of its own where this is shown
COUNTED = 10_000  # of one kind; beyond that it is "that many or more"


@dataclass(frozen=True, slots=True)
class Standing:
    """How one tenant stands. Ages are seconds, 0 where nothing waits.

    Attributes:
        waiting: completions that are stored and not applied.
        waiting_age: how long the oldest of them has waited.
        unfit: completions that cannot be applied.
        erp_pending: records that the ERP has not taken yet.
        erp_pending_age: how old the oldest of them is.
        erp_dead: records that it will never get.
        running: instances that have not ended as far as we know, by workflow; the busiest hundred.
        running_age: how long the oldest of all of them has run.
        slots: places under a workflow's limit that starts hold which the vendor's last count cannot know, by workflow.
        counted: instances that ran when the vendor was last asked, for workflows with a limit.
        limits: those limits.
    """

    waiting: int = 0
    waiting_age: float = 0.0
    unfit: int = 0
    erp_pending: int = 0
    erp_pending_age: float = 0.0
    erp_dead: int = 0
    running: Mapping[str, int] = field(default_factory=dict)
    running_age: float = 0.0
    slots: Mapping[str, int] = field(default_factory=dict)
    counted: Mapping[str, int] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)


async def standing(ledger: Ledger, tenant: str) -> Standing:
    """Reads it, on one view of the ledger. Each count ends at 10,000, so that it costs little however much there is.

    Raises:
        LedgerUnavailable: the ledger cannot be read.
    """
    now = ledger.clock()
    return await ledger.read(lambda connection: _read(connection, tenant, now))


def _read(connection: Connection, tenant: str, now: float) -> Standing:
    new, pending = _message(tenant, InboxState.NEW), _record(tenant, MessageState.PENDING)
    runs = (instances.c.tenant == tenant) & (instances.c.status == RUNNING)
    limited = connection.execute(select(pools).where(pools.c.tenant == tenant).limit(MOST_WORKFLOWS)).all()
    return Standing(
        waiting=_count(connection, inbox.c.id, new),
        waiting_age=_age(now, connection.scalar(select(func.min(inbox.c.received_at)).where(new))),
        unfit=_count(connection, inbox.c.id, _message(tenant, InboxState.UNFIT)),
        erp_pending=_count(connection, outbox.c.seq, pending),
        erp_pending_age=_age(now, _oldest_record(connection, pending)),
        erp_dead=_count(connection, outbox.c.seq, _record(tenant, MessageState.DEAD)),
        running=_by_workflow(connection, instances.c.workflow_id, runs),
        running_age=_age(now, connection.scalar(select(func.min(instances.c.started_at)).where(runs))),
        slots=_by_workflow(connection, slots.c.workflow_id, slots.c.tenant == tenant),
        counted={row.workflow_id: row.counted for row in limited if row.counted is not None},
        limits={row.workflow_id: row.most for row in limited},
    )


def _message(tenant: str, state: InboxState) -> ColumnElement[bool]:
    return (inbox.c.state == state.value) & (inbox.c.endpoint == inbox_endpoint(tenant))


def _record(tenant: str, state: MessageState) -> ColumnElement[bool]:
    return (outbox.c.endpoint == erp_ref(tenant)) & (outbox.c.state == state.value)


def _count(connection: Connection, column: ColumnElement[object], where: ColumnElement[bool]) -> int:
    some = select(column).where(where).limit(COUNTED).subquery()
    return int(connection.scalar(select(func.count()).select_from(some)) or 0)


def _by_workflow(connection: Connection, workflow: ColumnElement[str], where: ColumnElement[bool]) -> dict[str, int]:
    some = select(workflow.label("workflow")).where(where).limit(COUNTED).subquery()
    many = func.count().label("many")
    busiest = select(some.c.workflow, many).group_by(some.c.workflow).order_by(many.desc()).limit(MOST_WORKFLOWS)
    return {row.workflow: row.many for row in connection.execute(busiest)}


def _oldest_record(connection: Connection, pending: ColumnElement[bool]) -> float | None:
    """By its number, since the outbox keeps its times for people to read."""
    oldest = select(outbox.c.created_at).where(pending).order_by(outbox.c.seq).limit(1)
    made = connection.scalar(oldest)
    return datetime.fromisoformat(made).timestamp() if made else None


def _age(now: float, since: float | None) -> float:
    return 0.0 if since is None else max(now - since, 0.0)
