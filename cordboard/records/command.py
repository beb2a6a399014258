"""What `cordboard audit` does: verify the chain, or show the records of one run."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from cordboard.errors import BadCall, CordboardError
from cordboard.records.audit import history, verify
from cordboard.records.engine import ledger_url, sqlite_file
from cordboard.records.ledger import Ledger

T = TypeVar("T")


def audit_verify(url: str, as_json: bool = False) -> int:
    """Verifies the audit chain of a ledger and prints what it found.

    Returns:
        0 whole, 1 broken (the first bad record is named), 2 there is no such ledger, 3 it cannot be read.
    """
    return _reported(lambda: _verify(url, as_json))


def audit_show(url: str, run_key: str, tenant: str = "", as_json: bool = False) -> int:
    """Prints the audit records of one run, oldest first.

    Returns:
        0 shown, 2 there is no such ledger or run, 3 it cannot be read.
    """
    return _reported(lambda: _show(url, run_key, tenant, as_json))


async def _verify(url: str, as_json: bool) -> int:
    report = await _with_ledger(url, verify)
    if as_json:
        print(json.dumps(report.as_json()))
    elif report.first_fault is None:
        print(f"The audit chain is whole: {report.rows} records, head {report.head}")
    else:
        print(f"The audit chain is broken at record {report.first_fault.seq}: {report.first_fault.reason}.")
    return 0 if report.ok else 1


async def _show(url: str, run_key: str, tenant: str, as_json: bool) -> int:
    rows = await _with_ledger(url, lambda ledger: history(ledger, tenant, run_key))
    if not rows:
        raise BadCall(f"the ledger knows no run {run_key!r}{f' of tenant {tenant!r}' if tenant else ''}")
    for row in rows:
        line = f"{row['seq']:>8}  {row['at']}  {row['kind']:<18} {row['subject']}  {row['detail']}"
        print(json.dumps(row) if as_json else line)
    return 0


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
