"""One transaction's worth of ledger changes, worked out in memory, then written in a constant number of statements.

A page is loaded with the rows that a batch of changes touches, every change is applied to it in order, and the page is
stored again together with its audit records and outgoing messages. A change that the rules refuse fails alone: it
leaves nothing on the page but, where a stale owner wrote, the record of its refusal.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal, Protocol

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update

from cordboard.errors import CordboardError
from cordboard.records.effects import Message
from cordboard.records.link import row_hash
from cordboard.records.schema import audit, audit_head, effects, inbox, instances, outbox, pools, runs, slots

Row = dict[str, Any]
RunId = tuple[str, str]
InstanceId = tuple[str, str]  # tenant, and the vendor's id
_CHUNK = 500  # bound parameters of one IN list


class Change(Protocol):
    """One change of the ledger, asked for by one caller."""

    @property
    def run_id(self) -> RunId:
        """Tenant and run key of the run whose row it needs."""

    @property
    def effect_key(self) -> str | None:
        """Key of the effect whose row it needs."""

    @property
    def instance_id(self) -> InstanceId | None:
        """The workflow instance whose row it needs."""

    def apply(self, page: Page) -> Any:
        """Does it on the page; raises CordboardError, before it changed anything, where the rules refuse it."""


@dataclass(frozen=True, slots=True)
class Work:
    """Statements of their own inside the batch's transaction, for what needs no page; `run` gets the time too."""

    run: Callable[[Connection, float], Any]


@dataclass(slots=True)
class Page:
    """The rows of one batch while it is worked out.

    Attributes:
        now: seconds since the epoch, the same for the whole batch.
        seq: number of the last audit record.
        head: hash of the last audit record.
        runs, effects, instances: rows by key, as the ledger has them and then as the batch leaves them.
        old_runs, old_effects, old_instances: keys of the rows that the ledger has.
        slots: what becomes of places under a workflow's limit, by effect: "free", "ended", or until when it is held.
        settled: what became of messages of the inbox.
    """

    now: float
    seq: int
    head: str
    runs: dict[RunId, Row] = field(default_factory=dict)
    effects: dict[str, Row] = field(default_factory=dict)
    old_runs: set[RunId] = field(default_factory=set)
    old_effects: set[str] = field(default_factory=set)
    changed_runs: set[RunId] = field(default_factory=set)
    changed_effects: set[str] = field(default_factory=set)
    instances: dict[InstanceId, Row] = field(default_factory=dict)
    old_instances: set[InstanceId] = field(default_factory=set)
    changed_instances: set[InstanceId] = field(default_factory=set)
    slots: dict[str, Literal["free", "ended"] | float] = field(default_factory=dict)
    settled: list[Row] = field(default_factory=list)
    records: list[Row] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)
    at: str = field(init=False)

    def __post_init__(self) -> None:
        self.at = iso(self.now)

    def put_run(self, run_id: RunId, **columns: Any) -> None:
        """Changes columns of a run's row, or makes the row."""
        blank: Row = {"tenant": run_id[0], "run_key": run_id[1], "created_at": self.at}
        self.runs[run_id] = {**self.runs.get(run_id, blank), **columns, "updated_at": self.at}
        self.changed_runs.add(run_id)

    def put_effect(self, key: str, **columns: Any) -> None:
        """Changes columns of an effect's row, or makes the row."""
        blank: Row = {"key": key, "attempts": 0, "created_at": self.at}
        self.effects[key] = {**self.effects.get(key, blank), **columns, "updated_at": self.at}
        self.changed_effects.add(key)

    def put_instance(self, instance_id: InstanceId, **columns: Any) -> None:
        """Changes columns of an instance's row, or makes the row."""
        blank: Row = {"tenant": instance_id[0], "instance_id": instance_id[1], "started_at": self.now, "ended_at": None}
        self.instances[instance_id] = {**self.instances.get(instance_id, blank), **columns}
        self.changed_instances.add(instance_id)

    def settle(self, inbox_id: str, state: str, detail: str = "") -> None:
        """Says what became of a message of the inbox."""
        self.settled.append({"its_id": inbox_id, "state": state, "detail": detail, "applied_at": self.now})

    def record(self, run_id: RunId, kind: str, subject: str, detail: str) -> None:
        """Adds a record to the audit chain; `detail` is canonical JSON."""
        self.seq += 1
        row: Row = {
            "seq": self.seq, "at": self.at, "tenant": run_id[0], "run_key": run_id[1],
            "kind": kind, "subject": subject, "detail": detail, "prev": self.head,
        }  # fmt: skip
        self.head = row["hash"] = row_hash(row)
        self.records.append(row)

    def post(self, run_id: RunId, messages: Iterable[tuple[Message, str]]) -> None:
        """Puts messages, each with its body as text, into the outbox."""
        self.messages.extend(
            {
                "id": f"msg_{uuid.uuid4().hex}", "tenant": run_id[0], "run_key": run_id[1],
                "endpoint": message.endpoint, "kind": message.kind, "body": body, "state": "pending",
                "attempts": 0, "next_at": self.now, "created_at": self.at, "updated_at": self.at,
            }
            for message, body in messages
        )  # fmt: skip


def write_batch(connection: Connection, batch: Sequence[Change | Work], now: float) -> list[Any]:
    """Applies a batch inside the caller's transaction.

    Returns:
        For each change its result, or the CordboardError with which the rules refused it.
    """
    changes = [item for item in batch if not isinstance(item, Work)]
    page = _load(connection, changes, now) if changes else None
    outcomes = [item if isinstance(item, Work) else _try(item, page) for item in batch]
    if page is not None:
        _store(connection, page)
    return [item.run(connection, now) if isinstance(item, Work) else item for item in outcomes]


def iso(seconds: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """The values in lists short enough for one IN list."""
    every = list(values)
    return (every[start : start + _CHUNK] for start in range(0, len(every), _CHUNK))


def _try(change: Change, page: Page | None) -> Any:
    assert page is not None
    try:
        return change.apply(page)
    except CordboardError as refusal:
        return refusal


def _load(connection: Connection, changes: Sequence[Change], now: float) -> Page:
    # On PostgreSQL this row is the one lock: it lets one batch write at a time, as BEGIN IMMEDIATE does on SQLite.
    head = connection.execute(_HEAD).one()
    page = Page(now, head.seq, head.hash)
    for wanted in _by_tenant(change.run_id for change in changes):
        for row in connection.execute(_RUNS, wanted).mappings():
            page.runs[row["tenant"], row["run_key"]] = dict(row)
    for keys in chunks({change.effect_key for change in changes} - {None}):
        for row in connection.execute(_EFFECTS, {"keys": keys}).mappings():
            page.effects[row["key"]] = dict(row)
    for wanted in _by_tenant(change.instance_id for change in changes if change.instance_id):
        for row in connection.execute(_INSTANCES, wanted).mappings():
            page.instances[row["tenant"], row["instance_id"]] = dict(row)
    page.old_runs, page.old_effects, page.old_instances = set(page.runs), set(page.effects), set(page.instances)
    return page


def _by_tenant(ids: Iterable[tuple[str, str]]) -> Iterator[Row]:
    """Parameters that look rows up by their tenant and the rest of their key.

    Not `(tenant, run_key) IN (…)`: for that SQLite goes through the whole table, with every batch.
    """
    for tenant, some in groupby(sorted(set(ids)), key=itemgetter(0)):
        for keys in chunks(key for _, key in some):
            yield {"tenant": tenant, "keys": keys}


def _store(connection: Connection, page: Page) -> None:
    _write(connection, runs, page.runs, page.changed_runs, page.old_runs)
    _write(connection, effects, page.effects, page.changed_effects, page.old_effects)
    _write(connection, instances, page.instances, page.changed_instances, page.old_instances)
    _move_slots(connection, page)
    if page.settled:
        connection.execute(_SETTLE, page.settled)
    if page.messages:
        connection.execute(_POST, page.messages)
    if page.records:
        connection.execute(_RECORD, page.records)
        connection.execute(_MOVE_HEAD, {"seq": page.seq, "hash": page.head})


def _write(connection: Connection, table: Table, rows: Mapping[Any, Row], changed: set[Any], old: set[Any]) -> None:
    if new := [rows[key] for key in changed if key not in old]:
        connection.execute(_INSERTS[table.name], new)
    if known := [rows[key] for key in changed if key in old]:
        names = table.primary_key.columns.keys()
        connection.execute(_UPDATES[table.name], [row | {f"its_{name}": row[name] for name in names} for row in known])


def _move_slots(connection: Connection, page: Page) -> None:
    """Frees, ends or holds places under limits; effects that have none are passed over."""
    for statement, moves in (
        (_FREE_SLOT, [{"its_key": key} for key, move in page.slots.items() if move == "free"]),
        (_END_SLOT, [{"its_key": key} for key, move in page.slots.items() if move == "ended"]),
        (_HOLD_SLOT, [{"its_key": key, "until": at} for key, at in page.slots.items() if isinstance(at, float)]),
    ):
        if moves:
            connection.execute(statement, moves)


def _update(table: Table) -> Any:
    keys = table.primary_key.columns
    return update(table).where(*(column == bindparam(f"its_{column.name}") for column in keys))


# Statements are made once: making one costs as much as running it. No upserts: SQLAlchemy compiles those anew each
# time, and a batch that loaded its rows under the write lock knows which of them are new.
_INSERTS = {table.name: insert(table) for table in (runs, effects, instances)}
_UPDATES = {table.name: _update(table) for table in (runs, effects, instances)}
_POST, _RECORD, _MOVE_HEAD = insert(outbox), insert(audit), update(audit_head)
_HEAD = select(audit_head.c.seq, audit_head.c.hash).with_for_update()

_KEYS: Any = bindparam("keys", expanding=True)
_RUNS = select(runs).where(runs.c.tenant == bindparam("tenant"), runs.c.run_key.in_(_KEYS))
_EFFECTS = select(effects).where(effects.c.key.in_(_KEYS))
_INSTANCES = select(instances).where(instances.c.tenant == bindparam("tenant"), instances.c.instance_id.in_(_KEYS))
_SETTLE = (
    update(inbox)
    .where(inbox.c.id == bindparam("its_id"))
    .values({name: bindparam(name) for name in ("state", "detail", "applied_at")})
)
_ITS_SLOT = slots.c.effect_key == bindparam("its_key")
_FREE_SLOT = delete(slots).where(_ITS_SLOT)
_HOLD_SLOT = update(slots).where(_ITS_SLOT).values(lease_until=bindparam("until"), run_key="")
_END_SLOT = (
    update(slots)
    .where(_ITS_SLOT)
    .values(
        ended_tick=select(pools.c.tick)
        .where(pools.c.tenant == slots.c.tenant, pools.c.workflow_id == slots.c.workflow_id)
        .scalar_subquery()
    )
)
