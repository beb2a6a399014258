"""Whether the audit chain is the one that its checkpoints vouch for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, bindparam, select

from cordboard.records.checkpoints import Checkpoint, CheckpointFile, Line
from cordboard.records.schema import audit, audit_head

_CHUNK = 500  # checkpoints in memory at a time, and bound parameters of one IN list
_HASHES = select(audit.c.seq, audit.c.hash).where(audit.c.seq.in_(bindparam("seqs", expanding=True)))


@dataclass(frozen=True, slots=True)
class CheckpointFault:
    """A checkpoint that is not what it was, or that the chain is not what it was when the checkpoint was made.

    Attributes:
        line: of the file, from 1.
        reason: what is wrong, in one sentence.
        seq: number of the record that the checkpoint names; None where the line is no checkpoint.
        at: when the checkpoint was made; None likewise.
    """

    line: int
    reason: str
    seq: int | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True)
class CheckpointReport:
    """What checking every checkpoint found.

    Attributes:
        file: where they stand.
        checked: lines that were read.
        faults: how many of them are wrong.
        first_fault: the first of those, or None.
        last_seq: number of the last record that a good checkpoint vouches for; 0 without one.
        last_at: when that checkpoint was made, or None.
        after_last: records that lie after it, for which only the chain itself speaks.
    """

    file: str
    checked: int
    faults: int
    first_fault: CheckpointFault | None
    last_seq: int
    last_at: str | None
    after_last: int

    @property
    def ok(self) -> bool:
        """Whether the chain is the one that all of them vouch for."""
        return self.faults == 0


def check_checkpoints(connection: Connection, keep: CheckpointFile, end: int) -> CheckpointReport:
    """Holds every checkpoint that begins before byte `end` against the chain, in bounded memory.

    The end is taken before the view of the ledger is, so that no checkpoint is met whose record the view lacks.

    Raises:
        CheckpointsUnavailable: the file cannot be read.
    """
    ledger = connection.scalar(select(audit.c.hash).where(audit.c.seq == 1))
    head = connection.scalar(select(audit_head.c.seq)) or 0
    checked, faults, first, last, before = 0, 0, None, None, 0
    for chunk in _chunks(keep.lines(end)):
        hashes = _hashes(connection, chunk)
        for line in chunk:
            checked += 1
            if fault := _fault(line, ledger, hashes, head, before):
                faults, first = faults + 1, first or fault
            else:
                last = line.checkpoint
            before = line.checkpoint.seq if line.checkpoint else before
    seq, at = (last.seq, last.at) if last else (0, None)
    return CheckpointReport(str(keep.path), checked, faults, first, seq, at, max(0, head - seq))


def _fault(line: Line, ledger: str | None, hashes: dict[int, str], head: int, before: int) -> CheckpointFault | None:
    said = line.checkpoint
    if said is None:
        return CheckpointFault(line.number, line.reason)
    reason = _reason(said, ledger, hashes.get(said.seq), head, before)
    return CheckpointFault(line.number, reason, said.seq, said.at) if reason else None


def _reason(said: Checkpoint, ledger: str | None, found: str | None, head: int, before: int) -> str:
    if found is None:
        return f"record {said.seq}, for which it vouches, is missing: the chain ends at {head}"
    if ledger != said.ledger:
        return "the chain begins with another record: it was written anew, or the checkpoints are of another ledger"
    if found != said.hash:
        return f"record {said.seq} is not the one for which it vouches: it, or one before it, was changed"
    if said.seq <= before:
        return f"it vouches for record {said.seq}, after one for record {before}: lines were moved or repeated"
    return ""


def _hashes(connection: Connection, lines: Iterable[Line]) -> dict[int, str]:
    seqs = [line.checkpoint.seq for line in lines if line.checkpoint]
    return {row.seq: row.hash for row in connection.execute(_HASHES, {"seqs": seqs})} if seqs else {}


def _chunks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while chunk := list(islice(lines, _CHUNK)):
        yield chunk
