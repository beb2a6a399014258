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
)

from cordboard.errors import LedgerUnavailable
from cordboard.records.link import GENESIS

VERSION = 1
_OPENING_LOCK = 0x0C02DB0A2D  # any constant: PostgreSQL's advisory lock while the tables are made

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
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)


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
    elif found > VERSION:
        raise LedgerUnavailable(
            f"this ledger has schema version {found}, made by a newer Cordboard (this one knows {VERSION}): upgrade"
        )
