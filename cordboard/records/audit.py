"""Verifies the audit chain, and reads it: any record that was changed, removed, added or moved shows.

Each record carries the hash of the one before it, and the head, kept apart, the number and hash of the last: so a cut
tail and a chain that was hashed anew from some record on show too. Whoever can write the whole database can rewrite all
of it; against that stand signed checkpoints, kept in another place (`checkpoints`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, or_, select
from sqlalchemy.exc import DBAPIError

from cordboard.records.checkpoints import CheckpointFile
from cordboard.records.ledger import Ledger
from cordboard.records.link import GENESIS, HASHED, link_hash
from cordboard.records.schema import audit, audit_head
from cordboard.records.vouching import CheckpointReport, check_checkpoints

COLUMNS = (*HASHED, "hash")  # of a record while it is verified: a plain tuple, since dicts cost more than the hashing
_SEQ, _PREV = COLUMNS.index("seq"), COLUMNS.index("prev")
_CHUNK = 2_000  # rows in memory at a time
_BEYOND = "it stands after the last record that the chain's head names"
_ROWS = select(*(audit.c[name] for name in COLUMNS)).order_by(audit.c.seq).limit(bindparam("size"))
_ROWS_AFTER = _ROWS.where(audit.c.seq > bindparam("after"))


@dataclass(frozen=True, slots=True)
class Fault:
    """The first place at which the chain is broken.

    Attributes:
        seq: number of the record that is wrong or missing.
        reason: what is wrong with it, in one sentence.
    """

    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What a verification found.

    Attributes:
        rows: records that were found good, from the first on.
        first_fault: where the chain breaks, or None.
        head: hash of the last record.
        checkpoints: what the checkpoints say; None where there is no key or no file, and the chain alone was checked.
    """

    rows: int
    first_fault: Fault | None
    head: str
    checkpoints: CheckpointReport | None = None

    @property
    def ok(self) -> bool:
        """Whether the chain is whole, and the one that the checkpoints vouch for."""
        return self.first_fault is None and (self.checkpoints is None or self.checkpoints.ok)

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {"ok": self.ok, **asdict(self)}


async def verify(ledger: Ledger, keep: CheckpointFile | None = None) -> AuditReport:
    """Reads the whole chain once, in order, in bounded memory, and holds it against every checkpoint.

    Args:
        ledger: whose chain.
        keep: its checkpoints; without them only the chain itself is checked.

    Raises:
        LedgerUnavailable: the ledger cannot be read.
        CheckpointsUnavailable: the checkpoints cannot be read.
    """
    # Before the view of the ledger begins: no checkpoint may be newer than that.
    end = await asyncio.to_thread(keep.size) if keep else None

    def work(connection: Connection) -> AuditReport:
        found = _verify(connection)
        if keep is None or end is None:
            return found
        return replace(found, checkpoints=check_checkpoints(connection, keep, end))

    return await ledger.read(work)


async def records_of(ledger: Ledger, tenant: str, run_key: str) -> AsyncIterator[dict[str, Any]]:
    """The audit records of one run, oldest first, a few in memory at a time; `detail` is canonical JSON text.

    The run key is taken as the ledger names it; only where no run is called that, as the end of `chain/run key`. An
    empty tenant is any.

    Raises:
        LedgerUnavailable: the ledger cannot be read.
    """
    names = await ledger.read(lambda connection: _runs_named(connection, tenant, run_key))
    if not names:
        return
    mine = or_(*(and_(audit.c.tenant == name[0], audit.c.run_key == name[1]) for name in names))
    query = select(audit).where(mine).order_by(audit.c.seq).limit(_CHUNK)
    rows = await _mappings(ledger, query)
    while rows:
        for row in rows:
            yield row
        rows = await _mappings(ledger, query.where(audit.c.seq > rows[-1]["seq"]))


async def history(ledger: Ledger, tenant: str, run_key: str) -> list[dict[str, Any]]:
    """The same, all at once, for runs that have few.

    Raises:
        LedgerUnavailable: the ledger cannot be read.
    """
    return [row async for row in records_of(ledger, tenant, run_key)]


async def told(ledger: Ledger, tenant: str, run_key: str, kind: str) -> frozenset[str]:
    """The subjects of which a run has a record of this kind, such as the actions that it told to be completed.

    Raises:
        LedgerUnavailable: the ledger cannot be read.
    """
    mine = (audit.c.tenant == tenant) & (audit.c.run_key == run_key) & (audit.c.kind == kind)
    query = select(audit.c.subject).where(mine).distinct()
    return await ledger.read(lambda connection: frozenset(connection.scalars(query)))


async def about(ledger: Ledger, tenant: str, subject: str, kind: str, limit: int = 1_000) -> list[dict[str, Any]]:
    """The latest audit records about one subject whose kind begins so, of whichever run, oldest first.

    Raises:
        LedgerUnavailable: the ledger cannot be read.
    """
    mine = (audit.c.tenant == tenant) & (audit.c.subject == subject) & audit.c.kind.startswith(kind, autoescape=True)
    query = select(audit).where(mine).order_by(audit.c.seq.desc()).limit(limit)
    return await ledger.read(lambda connection: [dict(row) for row in connection.execute(query).mappings()][::-1])


def check_chain(rows: Iterable[Sequence[Any]], head_seq: int, head_hash: str) -> AuditReport:
    """Checks records, in the order in which they are given, against each other and against the head.

    Args:
        rows: each with the values of `COLUMNS`.
        head_seq: number of the last record, by the chain's head.
        head_hash: its hash, by the chain's head.
    """
    seq, prev = 0, GENESIS
    for row in rows:
        if seq == head_seq or row[_SEQ] != seq + 1 or row[_PREV] != prev or not _is_intact(row):
            reason = _BEYOND if seq == head_seq else _reason(row, seq + 1, prev)
            return AuditReport(seq, Fault(min(seq + 1, row[_SEQ]), reason), head_hash)
        seq, prev = row[_SEQ], row[-1]
    if seq < head_seq:
        return AuditReport(
            seq, Fault(seq + 1, f"missing: the chain ends at {seq}, its head says {head_seq}"), head_hash
        )
    if prev != head_hash:
        return AuditReport(seq, Fault(seq, "the chain's last record is not the one that its head names"), head_hash)
    return AuditReport(seq, None, head_hash)


def _is_intact(row: Sequence[Any]) -> bool:
    try:
        return bool(link_hash(*row[:-1]) == row[-1])
    except (TypeError, ValueError):  # a column that holds bytes, a number or no Unicode: nobody of ours wrote it
        return False


def _reason(row: Sequence[Any], expected: int, prev: str) -> str:
    if row[_SEQ] != expected:
        return f"expected record {expected}, found {row[_SEQ]}: a record was removed, added or moved"
    if row[_PREV] != prev:
        return "it does not follow the record before it"
    return "its content is not what was recorded"


def _verify(connection: Connection) -> AuditReport:
    heads = connection.execute(select(audit_head.c.seq, audit_head.c.hash)).all()
    if len(heads) != 1:
        reason = "a second head was added to the chain" if heads else "the head of the chain was removed"
        return AuditReport(0, Fault(0, reason), GENESIS)
    return check_chain(_stream(connection), heads[0].seq, heads[0].hash)


def _stream(connection: Connection) -> Iterator[Sequence[Any]]:
    rows = _chunk(connection, None, _CHUNK)
    while rows:
        yield from rows
        rows = _chunk(connection, rows[-1][_SEQ], _CHUNK)


def _chunk(connection: Connection, after: int | None, size: int) -> Sequence[Sequence[Any]]:
    """Up to so many records; a text column that holds no text, which SQLite allows, is a record of its own."""
    query = _ROWS if after is None else _ROWS_AFTER
    try:
        return connection.execute(query, {"size": size, "after": after}).all()
    except DBAPIError as error:
        if "decode" not in str(error.orig).lower():
            raise
    if size > 1:
        return _chunk(connection, after, size // 2)
    following = select(audit.c.seq, audit.c.prev).order_by(audit.c.seq).limit(1)
    seq, prev = connection.execute(following if after is None else following.where(audit.c.seq > after)).one()
    return [tuple({"seq": seq, "prev": prev}.get(name) for name in COLUMNS)]


def _runs_named(connection: Connection, tenant: str, run_key: str) -> list[tuple[str, str]]:
    tenants = [tenant] if tenant else list(_tenants(connection))
    exact = [(each, run_key) for each in tenants if _is_any(connection, each, run_key)]
    if exact:
        return exact
    ending = audit.c.run_key.endswith(f"/{run_key}", autoescape=True)
    query = select(audit.c.tenant, audit.c.run_key).where(audit.c.tenant.in_(tenants), ending).distinct()
    return [(each, name) for each, name in connection.execute(query) if name.endswith(f"/{run_key}")]


def _tenants(connection: Connection) -> Iterator[str]:
    """Every tenant, by one step in the index for each."""
    query = select(func.min(audit.c.tenant))
    found = connection.scalar(query)
    while found is not None:
        yield found
        found = connection.scalar(query.where(audit.c.tenant > found))


def _is_any(connection: Connection, tenant: str, run_key: str) -> bool:
    query = select(audit.c.seq).where(audit.c.tenant == tenant, audit.c.run_key == run_key).limit(1)
    return connection.execute(query).first() is not None


async def _mappings(ledger: Ledger, query: Any) -> list[dict[str, Any]]:
    return await ledger.read(lambda connection: [dict(row) for row in connection.execute(query).mappings()])
