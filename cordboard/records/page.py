"""One transaction's worth of ledger changes, worked out in memory, then written in a constant number of statements.

A page is loaded with the rows that a batch of changes touches, every change is applied to it in order, and the page is
stored again together with its audit records and outgoing messages. A change that the rules refuse fails alone: it
leaves nothing on the page but, where a stale owner wrote, the record of its refusal.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import Connection, Table, bindparam, insert, select, tuple_, update

from cordboard.errors import CordboardError
from cordboard.records.effects import Message
from cordboard.records.link import row_hash
from cordboard.records.schema import audit, audit_head, effects, outbox, runs

Row = dict[str, Any]
RunId = tuple[str, str]
_CHUNK = 500  # bound parameters of one IN list


class Change(Protocol):
    """One change of the ledger, asked for by one caller."""

    @property
    def run_id(self) -> RunId:
        """Tenant and run key of the run whose row it needs."""

    @property
    def effect_key(self) -> str | None:
        """Key of the effect whose row it needs."""

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
        runs, effects: rows by key, as the ledger has them and then as the batch leaves them.
        old_runs, old_effects: keys of the rows that the ledger has.
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
    for ids in chunks({change.run_id for change in changes}):
        for row in connection.execute(_RUNS, {"ids": ids}).mappings():
            page.runs[row["tenant"], row["run_key"]] = dict(row)
    for keys in chunks({change.effect_key for change in changes} - {None}):
        for row in connection.execute(_EFFECTS, {"keys": keys}).mappings():
            page.effects[row["key"]] = dict(row)
    page.old_runs, page.old_effects = set(page.runs), set(page.effects)
    return page


def _store(connection: Connection, page: Page) -> None:
    _put(connection, runs, [page.runs[run_id] for run_id in page.changed_runs if run_id not in page.old_runs])
    _put(connection, effects, [page.effects[key] for key in page.changed_effects if key not in page.old_effects])
    _change(connection, runs, [page.runs[run_id] for run_id in page.changed_runs if run_id in page.old_runs])
    _change(connection, effects, [page.effects[key] for key in page.changed_effects if key in page.old_effects])
    if page.messages:
        connection.execute(_POST, page.messages)
    if page.records:
        connection.execute(_RECORD, page.records)
        connection.execute(_MOVE_HEAD, {"seq": page.seq, "hash": page.head})


def _put(connection: Connection, table: Table, rows: list[Row]) -> None:
    if rows:
        connection.execute(_INSERTS[table.name], rows)


def _change(connection: Connection, table: Table, rows: list[Row]) -> None:
    if rows:
        keys = table.primary_key.columns.keys()
        connection.execute(_UPDATES[table.name], [row | {f"its_{key}": row[key] for key in keys} for row in rows])


def _update(table: Table) -> Any:
    keys = table.primary_key.columns
    return update(table).where(*(column == bindparam(f"its_{column.name}") for column in keys))


# Statements are made once: making one costs as much as running it. No upserts: SQLAlchemy compiles those anew each
# time, and a batch that loaded its rows under the write lock knows which of them are new.
_INSERTS = {table.name: insert(table) for table in (runs, effects)}
_UPDATES = {table.name: _update(table) for table in (runs, effects)}
_POST, _RECORD, _MOVE_HEAD = insert(outbox), insert(audit), update(audit_head)
_HEAD = select(audit_head.c.seq, audit_head.c.hash).with_for_update()

_RUNS = select(runs).where(tuple_(runs.c.tenant, runs.c.run_key).in_(bindparam("ids", expanding=True)))
_EFFECTS = select(effects).where(effects.c.key.in_(bindparam("keys", expanding=True)))
