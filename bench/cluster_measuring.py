"""What a cluster does and takes while nothing is broken, and the most that was seen of it at any time."""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]

from bench.chaos_worker import write_rows, write_trigger
from bench.cluster_jobs import look, submit
from bench.cluster_parts import Cluster, free_port

DELAY_MS, IN_FLIGHT = 50, 50


@dataclass
class Measured:
    """The most that was seen.

    Attributes:
        memory: of one process in MB, by kind.
        connections: to PostgreSQL: by database, those of all its clients together.
        runs: processes of flow runs at once.
    """

    memory: dict[str, float] = field(default_factory=dict)
    connections: dict[str, int] = field(default_factory=dict)
    runs: int = 0

    def take(self, made: Cluster) -> None:
        """Looks once."""
        for kind, sizes in made.memory().items():
            self.memory[kind] = max(self.memory.get(kind, 0.0), *sizes)
            self.runs = max(self.runs, len(sizes) if kind == "a run" else 0)
        for name, count in asyncio.run(_connections(made)).items():
            self.connections[name] = max(self.connections.get(name, 0), count)


async def _connections(made: Cluster) -> dict[str, int]:
    names, connection = made.databases(), await asyncpg.connect(made.ledger_url)
    try:
        query = "SELECT datname, count(*) AS n FROM pg_stat_activity WHERE pid <> pg_backend_pid() GROUP BY 1"
        return {names[row["datname"]]: row["n"] for row in await connection.fetch(query) if row["datname"] in names}
    finally:
        await connection.close()


async def sizes(made: Cluster) -> dict[str, float]:
    """Of both databases, in MB."""
    connection = await asyncpg.connect(made.ledger_url)
    try:
        query = "SELECT pg_database_size($1::name)"
        return {kind: await connection.fetchval(query, name) / 2**20 for name, kind in made.databases().items()}
    finally:
        await connection.close()


def throughput(made: Cluster, folder: Path, starts: int, options: argparse.Namespace, measured: Measured) -> None:
    """Starts a second, by the ledger, from the first intent to the last outcome; with one worker, then with all."""
    write_trigger(folder, safety="keyed", timeout_seconds=30)
    with _quick_vendor() as vendor:
        for workers in (1, options.workers):
            for number in range(1, workers + 1):
                made.add_worker(number, {**vendor, "CORDBOARD_IN_FLIGHT": str(IN_FLIGHT)}, options.runs)
            rows = ((f"W{workers}-{number}", number % 10 + 1) for number in range(starts))
            write_rows(folder / "rows.csv", rows)
            before = asyncio.run(sizes(made))
            jobs = submit(folder, f"measured-{workers}", workers, 0)
            while jobs.open():
                measured.take(made)
                look(jobs)
                time.sleep(1)
            took = asyncio.run(_took(made, f"starts/measured-{workers}/"))
            after = asyncio.run(sizes(made))
            print(
                f"throughput, {workers} worker{'s' * (workers > 1)}: {starts:,} starts in {took:.1f} s, "
                f"{starts / took:,.0f} a second; ends {dict(jobs.ended(jobs.batch))}; "
                f"ledger {(after['ledger'] - before['ledger']) * 10_000 / starts:+.1f} MB for 10,000",
                flush=True,
            )
            for part in made.of("worker"):
                part.kill()


async def _took(made: Cluster, prefix: str) -> float:
    connection = await asyncpg.connect(made.ledger_url)
    try:
        query = (
            "SELECT extract(epoch FROM max(updated_at::timestamptz) - min(created_at::timestamptz)) FROM effects"
            " WHERE starts_with(run_key, $1) AND state = 'done'"
        )
        return float(await connection.fetchval(query, prefix))
    finally:
        await connection.close()


@contextmanager
def _quick_vendor() -> Iterator[dict[str, str]]:
    """A vendor that costs next to nothing; yields the environment of its clients."""
    port = free_port()
    child = subprocess.Popen([sys.executable, "-m", "bench.vendor", str(port)])
    base = f"http://127.0.0.1:{port}/{DELAY_MS}"
    names = {
        "BASE_URL": base,
        "TOKEN_URL": f"{base}/oauth/token",
        "CLIENT_ID": "bench",
        "CLIENT_SECRET": "bench-secret",
    }
    try:
        yield {f"CXONE_{name}": value for name, value in names.items()}
    finally:
        child.terminate()
        child.wait()


def report(measured: Measured, found: Mapping[str, float]) -> None:
    """Prints what it takes."""
    print(
        "memory, the most of one process: " + ", ".join(f"{k} {v:.0f} MB" for k, v in sorted(measured.memory.items()))
    )
    print(f"processes of runs at once: {measured.runs}; connections: {measured.connections}")
    print("databases at the end: " + ", ".join(f"{name} {size:.0f} MB" for name, size in found.items()))
