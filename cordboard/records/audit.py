"""Verifies the audit chain: any record that was changed, removed, added or moved shows.

Each record carries the hash of the one before it, and the head, kept apart, the number and hash of the last: so a cut
tail and a chain that was hashed anew from some record on show too. Whoever can write the whole database can rewrite all
of it; against that, keep the head that a verification prints in another place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, select

from cordboard.records.ledger import Ledger
from cordboard.records.link import GENESIS, row_hash
from cordboard.records.schema import audit, audit_head

_CHUNK = 2_000  # rows in memory at a time
_BEYOND = "it stands after the last record that the chain's head names"


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
        head: hash of the last record, to be kept in another place.
    """

    rows: int
    first_fault: Fault | None
    head: str

    @property
    def ok(self) -> bool:
        """Whether the chain is whole."""
        return self.first_fault is None

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {"ok": self.ok, **asdict(self)}


async def verify(ledger: Ledger) -> AuditReport:
    """Reads the whole chain once, in order, in bounded memory.

    Raises:
        LedgerUnavailable: the ledger cannot be read.
    """
    return await ledger.read(_verify)


async def history(ledger: Ledger, tenant: str, run_key: str) -> list[dict[str, Any]]:
    """The audit records of one run, oldest first; `detail` is canonical JSON text.

    The ledger names a chain's run `chain/run key`; either that or the run key alone is taken. An empty tenant is any.

    Raises:
        LedgerUnavailable: the ledger cannot be read.
    """
    named = (audit.c.run_key == run_key) | audit.c.run_key.endswith(f"/{run_key}", autoescape=True)
    mine = (audit.c.tenant == tenant) & named if tenant else named
    query = select(audit).where(mine).order_by(audit.c.seq)
    return await ledger.read(lambda connection: [dict(row) for row in connection.execute(query).mappings()])


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


def check_chain(rows: Iterable[Mapping[str, Any]], head_seq: int, head_hash: str) -> AuditReport:
    """Checks records, in the order in which they are given, against each other and against the head."""
    seq, prev = 0, GENESIS
    for row in rows:
        reason = _BEYOND if seq == head_seq else _reason(row, seq + 1, prev)
        if reason:
            return AuditReport(seq, Fault(min(seq + 1, row["seq"]), reason), head_hash)
        seq, prev = row["seq"], row["hash"]
    if seq < head_seq:
        return AuditReport(
            seq, Fault(seq + 1, f"missing: the chain ends at {seq}, its head says {head_seq}"), head_hash
        )
    if prev != head_hash:
        return AuditReport(seq, Fault(seq, "the chain's last record is not the one that its head names"), head_hash)
    return AuditReport(seq, None, head_hash)


def _reason(row: Mapping[str, Any], expected: int, prev: str) -> str:
    if row["seq"] != expected:
        return f"expected record {expected}, found {row['seq']}: a record was removed, added or moved"
    if row["prev"] != prev:
        return "it does not follow the record before it"
    if row["hash"] != row_hash(row):
        return "its content is not what was recorded"
    return ""


def _verify(connection: Connection) -> AuditReport:
    head = connection.execute(select(audit_head.c.seq, audit_head.c.hash)).one_or_none()
    if head is None:
        return AuditReport(0, Fault(0, "the head of the chain was removed"), GENESIS)
    return check_chain(_stream(connection), head.seq, head.hash)


def _stream(connection: Connection) -> Iterator[Mapping[str, Any]]:
    names, last = audit.columns.keys(), None
    while True:
        query = select(audit).order_by(audit.c.seq).limit(_CHUNK)
        rows = connection.execute(query if last is None else query.where(audit.c.seq > last)).all()
        if not rows:
            return
        yield from (dict(zip(names, row, strict=True)) for row in rows)
        last = rows[-1].seq
