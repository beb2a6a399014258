"""What `cordboard audit` does: verify the chain, make a checkpoint of it, or show the records of one run."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TypeVar

from cordboard.errors import BadCall, CordboardError
from cordboard.records.audit import AuditReport, records_of, verify
from cordboard.records.checkpointing import checkpoint
from cordboard.records.checkpoints import CheckpointFile, keys_of
from cordboard.records.engine import ledger_url, sqlite_file
from cordboard.records.ledger import Ledger
from cordboard.records.vouching import CheckpointReport

__all__ = ["CheckpointFile", "audit_checkpoint", "audit_show", "audit_verify", "keys_of"]
T = TypeVar("T")
_CHAIN_ONLY = "Only the chain itself was checked, which whoever can write the database can write anew: "


def audit_verify(url: str, as_json: bool = False, keep: CheckpointFile | None = None) -> int:
    """Verifies the audit chain of a ledger against itself and its checkpoints, and prints what it found.

    Returns:
        0 whole, 1 broken or not what a checkpoint vouches for (the first of either is named), 2 there is no such
        ledger, 3 ledger or checkpoints cannot be read.
    """
    return _reported(lambda: _verify(url, as_json, keep))


def audit_checkpoint(url: str, keep: CheckpointFile, as_json: bool = False) -> int:
    """Makes a checkpoint of the last audit record.

    Returns:
        0 made, or there was one, 1 the chain is not what the last checkpoint vouches for, 2 there is no such ledger, 3
        the ledger cannot be read or the checkpoint not written.
    """
    return _reported(lambda: _checkpoint(url, keep, as_json))


def audit_show(url: str, run_key: str, tenant: str = "", as_json: bool = False) -> int:
    """Prints the audit records of one run, oldest first, as they are read.

    Returns:
        0 shown, 2 there is no such ledger or run, 3 it cannot be read.
    """
    return _reported(lambda: _show(url, run_key, tenant, as_json))


async def _verify(url: str, as_json: bool, keep: CheckpointFile | None) -> int:
    report = await _with_ledger(url, lambda ledger: verify(ledger, keep))
    if as_json:
        print(json.dumps(report.as_json()))
        return 0 if report.ok else 1
    _print_chain(report)
    if report.checkpoints:
        _print_checkpoints(report.checkpoints)
    else:
        print(_CHAIN_ONLY + (f"there is no {keep.path}." if keep else "CORDBOARD_CHECKPOINT_KEY is not set."))
    return 0 if report.ok else 1


def _print_chain(report: AuditReport) -> None:
    if report.first_fault is None:
        print(f"The audit chain is whole: {report.rows} records, head {report.head}")
    else:
        print(f"The audit chain is broken at record {report.first_fault.seq}: {report.first_fault.reason}.")


def _print_checkpoints(found: CheckpointReport) -> None:
    if fault := found.first_fault:
        made = f" made at {fault.at}" if fault.at else ""
        more = f" {found.faults - 1} more of {found.checked} are wrong." if found.faults > 1 else ""
        print(f"{found.file}:{fault.line}: the checkpoint{made} does not fit: {fault.reason}.{more}")
    elif found.last_at:
        vouch = "1 checkpoint vouches" if found.checked == 1 else f"{found.checked} checkpoints vouch"
        print(f"{vouch} for it, up to record {found.last_seq}, the last made at {found.last_at}.")
    print(f"Records after the last good checkpoint, for which only the chain itself speaks: {found.after_last}")


async def _checkpoint(url: str, keep: CheckpointFile, as_json: bool) -> int:
    made = await _with_ledger(url, lambda ledger: checkpoint(ledger, keep))
    if as_json:
        print(json.dumps({"file": str(keep.path), "checkpoint": asdict(made) if made else None}))
    elif made:
        print(f"{keep.path}: vouches for {made.seq} records, at {made.at}")
    else:
        print(f"{keep.path}: there is no new record since the last checkpoint")
    return 0


async def _show(url: str, run_key: str, tenant: str, as_json: bool) -> int:
    if not await _with_ledger(url, lambda ledger: _print_run(ledger, run_key, tenant, as_json)):
        raise BadCall(f"the ledger knows no run {run_key!r}{f' of tenant {tenant!r}' if tenant else ''}")
    return 0


async def _print_run(ledger: Ledger, run_key: str, tenant: str, as_json: bool) -> bool:
    is_any = False
    async for row in records_of(ledger, tenant, run_key):
        is_any = True
        line = f"{row['seq']:>8}  {row['at']}  {row['kind']:<18} {row['subject']}  {row['detail']}"
        print(json.dumps(row) if as_json else line)
    return is_any


async def _with_ledger(url: str, work: Callable[[Ledger], Awaitable[T]]) -> T:
    file = sqlite_file(ledger_url(url))
    if file is not None and not file.is_file():
        raise BadCall(f"there is no ledger at {file}")
    async with await Ledger.open(url) as ledger:
        return await work(ledger)


def _reported(job: Callable[[], Awaitable[int]]) -> int:
    async def main() -> int:
        return await job()

    try:
        return asyncio.run(main())
    except CordboardError as error:
        print(error, file=sys.stderr)
        return error.exit_code
