"""Judges what a cluster did by what the vendor says, what the ledger says, and how the runs ended.

The batch is judged by `bench.chaos_checker`, which shares no code with the product; the chains are judged here in the
same way: the ledger is copied from PostgreSQL into an SQLite file, table by table, and read from there.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from bench.chaos_checker import Verdict, judge, read_ledger, read_truth

TABLES = ("effects", "runs", "instances", "audit", "audit_head")
EXECUTE = "cxone.data_action.execute"


def copy_ledger(url: str, file: Path) -> None:
    """Copies a ledger's tables, each value as it stands.

    Args:
        url: of PostgreSQL, without a driver.
        file: of SQLite; made new.
    """
    file.unlink(missing_ok=True)
    with closing(sqlite3.connect(file)) as copy, copy:
        for table, rows in asyncio.run(_tables(url)).items():
            names = list(rows[0].keys()) if rows else ["seq"]
            copy.execute(f"CREATE TABLE {table} ({', '.join(names)})")
            places = ", ".join("?" * len(names))
            copy.executemany(f"INSERT INTO {table} VALUES ({places})", [tuple(row.values()) for row in rows])


async def _tables(url: str) -> dict[str, list[Any]]:
    connection = await asyncpg.connect(url)
    try:
        return {table: await connection.fetch(f"SELECT * FROM {table}") for table in TABLES}
    finally:
        await connection.close()


def check_cluster(
    folder: Path, batch: str, safety: str, chains: Mapping[str, str], states: Mapping[str, str], ended_at: float
) -> Verdict:
    """Judges a run that has ended.

    Args:
        folder: holds `truth.jsonl`, `ledger.db` (the copy) and `rows.csv`.
        batch: its run key.
        safety: `keyed`, `lookup` or `neither`.
        chains: the name by which the vendor knows each chain run, by its id.
        states: the type of each run's state at the end.
        ended_at: seconds since the epoch; who holds a run with a lease beyond it counts as alive.
    """
    vendor, books = read_truth(folder / "truth.jsonl"), read_ledger(folder / "ledger.db")
    of_batch = {key: row for key, row in books.effects.items() if row["run_key"].startswith(f"starts/{batch}/")}
    with closing(sqlite3.connect(folder / "ledger.db")) as ledger:
        query = "SELECT run_key FROM runs WHERE state = 'held' AND lease_until > ?"
        held = [name for (name,) in ledger.execute(query, (ended_at,))]
        ((resumed,),) = ledger.execute("SELECT count(*) FROM audit WHERE kind = 'recovery.resumed'")
    of_chains = [row for row in books.effects.values() if row["operation"] == EXECUTE]
    verdict = judge(vendor, replace(books, effects=of_batch, held=held), folder / "rows.csv", safety)
    still = [f"{run} {state}" for run, state in states.items() if state not in {"COMPLETED", "FAILED"}]
    verdict.demand_none(still, "runs that did not end")
    _check_chains(written(folder / "truth.jsonl"), of_chains, chains, states, verdict)
    verdict.figures["runs brought back"] = resumed
    return verdict


def written(truth: Path) -> dict[str, Counter[str]]:
    """What data actions changed at the vendor: for each chain, how often each step."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    with truth.open(encoding="utf-8") as stream:
        for line in stream:
            if '"definition_id": "def-write"' in line and '"kind": "effect"' in line and line.endswith("\n"):
                inputs = json.loads(line)["inputs"]
                found[inputs["n"]][inputs["step"]] += 1
    return found


def _check_chains(
    vendor: Mapping[str, Counter[str]],
    effects: list[dict[str, Any]],
    chains: Mapping[str, str],
    states: Mapping[str, str],
    verdict: Verdict,
) -> None:
    """No step twice; a chain that completed has all of them; one that did not says of which nobody knows."""
    steps = {"first", "one", "two", "three", "last"}
    twice = [f"{n} {step}" for n, some in vendor.items() for step, times in some.items() if times > 1]
    verdict.demand_none(twice, "steps of chains that came about twice")
    verdict.demand_none(vendor.keys() - set(chains.values()), "chains that nobody asked for")
    unknown = 0
    for run, n in chains.items():
        there, own = set(vendor.get(n, ())), [row for row in effects if row["run_key"] == f"cluster/{run}"]
        ends = Counter(row["state"] for row in own if row["subject"] != "read")
        unknown += ends["unknown"]
        whole = there == steps and ends == {"done": len(steps)}
        verdict.demand(states[run] != "COMPLETED" or whole, f"{n} completed with {sorted(there)}, {dict(ends)}")
        fits = ends["done"] <= len(there) <= ends["done"] + ends["unknown"]
        verdict.demand(fits, f"{n}: {len(there)} steps at the vendor, {dict(ends)} in the ledger")
        says_why = states[run] == "COMPLETED" or ends["unknown"] > 0
        verdict.demand(says_why, f"{n} did not complete and knows of no doubt: {dict(ends)}")
        bare = [row["subject"] for row in own if row["state"] == "unknown" and not row["evidence"]]
        verdict.demand_none(bare, f"steps of {n} unknown without evidence")
    verdict.figures["chains"] = dict(Counter(states[run] for run in chains))
    verdict.figures["steps"] = {
        "at the vendor": sum(sum(each.values()) for each in vendor.values()),
        "unknown": unknown,
    }
