"""The ledger's tables, the same on SQLite and PostgreSQL, and the version that guards them.

Times that code compares (`lease_until`, `next_at`) are seconds since the epoch; times that people read (`at`,
`created_at`, `updated_at`) are ISO 8601 in UTC. JSON stands in text columns in its canonical form.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    select,
    text,
    update,
)

from cordboard.errors import LedgerUnavailable
from cordboard.records.link import GENESIS

VERSION = 3  # 2: instances, capacity, inbox, and indexes of the audit record; 3: indexes of what is open
_OPENING_LOCK = 0x0C02DB0A2D  # any constant: PostgreSQL's advisory lock while the tables are made

#: What is open is a few rows of very many; its indexes hold only those, for queries that say the same, word for word.
HELD_RUNS = text("state = 'held'")
OPEN_EFFECTS = text("state IN ('sent', 'unknown')")

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

runs = Table(
    "runs",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("run_key", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("owner", Text, nullable=False),
    Column("lease_until", Float(53), nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Index("runs_held", "tenant", "run_key", sqlite_where=HELD_RUNS, postgresql_where=HELD_RUNS),
)

effects = Table(
    "effects",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("run_key", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("logical_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body_hash", Text, nullable=False),
    Column("safety", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("result", Text),
    Column("evidence", Text),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Index("effects_by_id", "tenant", "logical_id"),
    Index("effects_by_run", "tenant", "run_key"),
    Index("effects_open", "updated_at", "key", sqlite_where=OPEN_EFFECTS, postgresql_where=OPEN_EFFECTS),
)

outbox = Table(
    "outbox",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False),
    Column("tenant", Text, nullable=False),
    Column("run_key", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float(53), nullable=False),
    Column("last_error", Text),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    UniqueConstraint("id"),
    Index("outbox_due", "endpoint", "state", "next_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("tenant", Text, nullable=False),
    Column("run_key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("prev", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("audit_by_run", "tenant", "run_key"),
    Index("audit_by_subject", "tenant", "subject"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)

#: One row for each instance of a workflow that we started, or that reported to us before the answer to its start did.
instances = Table(
    "instances",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("instance_id", String(200), primary_key=True),
    Column("workflow_id", Text, nullable=False),
    Column("run_key", Text, nullable=False),  # empty where it reported before its start was answered
    Column("effect_key", String(64), nullable=False),  # the same
    Column("status", Text, nullable=False),  # `running`, the vendor's word for its end, or `lost`
    Column("started_at", Float(53), nullable=False),
    Column("ended_at", Float(53)),
    Index("instances_by_status", "tenant", "status", "started_at"),
    Index("instances_by_effect", "effect_key"),
)

#: What others sent us, as it came; durable before it is answered. An event carries the `id` alone.
inbox = Table(
    "inbox",
    metadata,
    Column("id", String(36), primary_key=True),  # a UUID of ours
    Column("endpoint", Text, nullable=False),
    Column("message_id", String(200), nullable=False),  # the sender's
    Column("body", Text, nullable=False),
    Column("state", Text, nullable=False),  # `new`, `applied`, `repeated`, `unfit`
    Column("detail", Text),
    Column("received_at", Float(53), nullable=False),
    Column("applied_at", Float(53)),
    UniqueConstraint("endpoint", "message_id"),
    Index("inbox_by_state", "state", "received_at"),
)

#: A workflow's limit of concurrent instances: what the vendor counted last, and the order of counts and starts.
pools = Table(
    "pools",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("workflow_id", Text, primary_key=True),
    Column("most", Integer, nullable=False),
    Column("tick", BigInteger, nullable=False),  # moves on with each count that begins
    Column("counted", Integer),  # None until a first count succeeded
    Column("counted_tick", BigInteger, nullable=False),
    Column("counted_at", Float(53), nullable=False),
    Column("counting_until", Float(53), nullable=False),  # somebody counts just now
    Column("pause", Float(53), nullable=False),  # seconds from one count to the next, learnt by all workers together
    Column("trouble", Text),  # why the last count failed
)

#: Starts that the vendor's last count cannot know yet.
slots = Table(
    "slots",
    metadata,
    Column("effect_key", String(64), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("workflow_id", Text, nullable=False),
    Column("run_key", Text, nullable=False),  # empty where no run keeps it open any more
    Column("ended_tick", BigInteger),  # of the pool, when the call had ended; None while it is open
    Column("lease_until", Float(53), nullable=False),  # then an open one of no live run counts as ended
    Index("slots_by_pool", "tenant", "workflow_id"),
)

#: Batches that wait for slots, so that each gets its share.
waiters = Table(
    "waiters",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("workflow_id", Text, primary_key=True),
    Column("batch", Text, primary_key=True),
    Column("holder", Text, primary_key=True),  # one of the processes that work on it
    Column("priority", Integer, nullable=False),
    Column("served", BigInteger, nullable=False),
    Column("seen_at", Float(53), nullable=False),
    Column("wants", Integer, nullable=False),
    Column("reason", Text, nullable=False),
)

#: Writers of one live call flow, in the order in which they came; the first whose lease has not ended has its turn.
turns = Table(
    "turns",
    metadata,
    Column("place", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("tenant", Text, nullable=False),
    Column("flow_id", Text, nullable=False),
    Column("run_key", Text, nullable=False),
    Column("lease_until", Float(53), nullable=False),
    Index("turns_by_flow", "tenant", "flow_id", "place"),
    sqlite_autoincrement=True,  # else the place of one who left is given to another
)

_ADDED_LATER = ("audit_by_run", "audit_by_subject", "runs_held", "effects_open")


def prepare(connection: Connection) -> None:
    """Makes the tables where there are none, inside the caller's write transaction.

    Raises:
        LedgerUnavailable: a newer Cordboard made this ledger.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _OPENING_LOCK})
    metadata.create_all(connection)
    found = connection.scalar(select(schema_version.c.version))
    if found is None:
        connection.execute(insert(schema_version), {"version": VERSION})
        connection.execute(insert(audit_head), {"id": 1, "seq": 0, "hash": GENESIS})
    elif found < VERSION:
        for index in (*audit.indexes, *runs.indexes, *effects.indexes):
            if index.name in _ADDED_LATER:
                index.create(connection, checkfirst=True)
        connection.execute(update(schema_version).values(version=VERSION))
    elif found > VERSION:
        raise LedgerUnavailable(
            f"this ledger has schema version {found}, made by a newer Cordboard (this one knows {VERSION}): upgrade"
        )
