"""`python -m bench.audit [--records N]`: how fast the audit record is verified, against what reading it takes.

Read the ratios, not the seconds. The limit reads the same rows and makes one SHA-256 of the same bytes, without
checking anything; a verification makes one for each record, and compares. Exits with 1 above the bar.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import insert, update

from cordboard.jsontext import dump_json
from cordboard.records.audit import verify
from cordboard.records.checkpointing import checkpoint
from cordboard.records.checkpoints import CheckpointFile
from cordboard.records.ledger import Ledger
from cordboard.records.link import GENESIS, HASHED, row_hash
from cordboard.records.schema import audit, audit_head

MIN_A_SECOND, BATCH = 50_000, 10_000


def records(many: int) -> Iterator[dict[str, Any]]:
    """A chain of the records that a batch of starts leaves: an intent and an outcome for each."""
    prev = GENESIS
    for seq in range(1, many + 1):
        kind, before, after = ("effect.intended", "ready", "sent") if seq % 2 else ("effect.concluded", "sent", "done")
        facts = {
            "operation": "workflow.start", "logical_id": f"nightly/{seq // 2}", "body_hash": sha256(b"x").hexdigest(),
            "epoch": 1, "from": before, "to": after, "attempt": 1,
        }  # fmt: skip
        row = {
            "seq": seq, "at": f"2026-01-01T00:00:00.{seq % 10**6:06}+00:00", "tenant": "api.example/client",
            "run_key": "batch/nightly-2026-01-01", "kind": kind, "subject": f"row {seq // 2}",
            "detail": dump_json(facts), "prev": prev,
        }  # fmt: skip
        prev = row["hash"] = row_hash(row)
        yield row


async def fill(ledger: Ledger, many: int) -> None:
    """Writes the chain and its head."""
    batch: list[dict[str, Any]] = []
    for row in records(many):
        batch.append(row)
        if len(batch) == BATCH or row["seq"] == many:
            rows, batch = batch, []
            await ledger.write(lambda connection, _, rows=rows: connection.execute(insert(audit), rows))
    head = {"seq": row["seq"], "hash": row["hash"]}
    await ledger.write(lambda connection, _: connection.execute(update(audit_head).values(head)))


def limit(file: Path) -> float:
    """Seconds to read every row and to make one SHA-256 of what a verification hashes."""
    started, digest = time.perf_counter(), sha256()
    with sqlite3.connect(file) as database:
        for row in database.execute(f"SELECT {', '.join(HASHED)} FROM audit ORDER BY seq"):
            digest.update("".join(map(str, row)).encode())
    return time.perf_counter() - started


async def measured(work: Callable[[], Any]) -> float:
    """Seconds that it takes; the best of three, as the limit is."""
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        report = await work()
        best = min(best, time.perf_counter() - started)
        assert report.ok, report
    return best


async def run(many: int, folder: Path) -> int:
    """Fills a ledger, measures, prints."""
    keep = CheckpointFile(folder / "apart", (b"k" * 32,))
    async with await Ledger.open(f"sqlite:///{folder}/ledger.db") as ledger:
        await fill(ledger, many)
        await checkpoint(ledger, keep)
        ours = await measured(lambda: verify(ledger, keep))
        best = min(limit(folder / "ledger.db") for _ in range(3))
    rate = many / ours
    print(f"{many:,} records: verified in {ours:.2f} s, {rate:,.0f} a second (bar {MIN_A_SECOND:,})")
    print(f"  / limit (read and one SHA-256, {best:.2f} s) {ours / best:.2f}")
    return 0 if rate >= MIN_A_SECOND else 1


def main() -> int:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=200_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run(options.records, Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
