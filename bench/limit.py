"""`python -m bench.limit`: eight processes start instances of one workflow under its limit, on SQLite and PostgreSQL.

    python -m bench.limit [--database sqlite|postgresql]… [--only CASE]… [--starts N] [--server URL]

*storm*: 8 batches of 500 starts, a process each, limit 50. How many instances the vendor ever ran at once, and how many
it ran on average between the first start and the last end, against the limit: that is the throughput that the limit
allows. *death*: a process is killed while it holds every place; how long until they are free. *fair*: two batches of
the same size; how far the second is when the first is through. *urgent*: an urgent batch comes to a limit that another
fills; how many of the other's starts come between its first and its last. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import func, select

from bench.chaos_worker import limits, write_rows, write_trigger
from bench.vendor import sandbox, wait_until
from cordboard.records.changes import LEASE_SECONDS
from cordboard.records.ledger import Ledger
from cordboard.records.schema import slots

LIMIT, PROCESSES, STARTS = 50, 8, 500
MIN_THROUGHPUT, MIN_FAIRNESS, MAX_BETWEEN = 0.9, 0.8, 0.2
BACK_WITHIN_SECONDS = 5.0  # beside the lease
SERVER = os.environ.get("CORDBOARD_TEST_POSTGRES", "postgresql+asyncpg://postgres@127.0.0.1:5432/postgres")
WAIT_SECONDS = 600.0
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """Where batches are started.

    Attributes:
        folder: for everything that is written.
        ledger_url: shared by all processes.
        limit: instances that may run at once.
        lasts: the shortest and the longest life of an instance, in seconds.
        delay_ms: how long a start takes before it has its effect.
    """

    folder: Path
    ledger_url: str
    limit: int = LIMIT
    lasts: tuple[float, float] = (1.0, 1.4)
    delay_ms: int = 0

    @contextmanager
    def vendor(self) -> Iterator[dict[str, str]]:
        """The vendor, and the environment of a worker."""
        write_trigger(self.folder, safety="keyed", settle_seconds=2.0, timeout_seconds=20.0, max_running=self.limit)
        shape = {"max_running": self.limit, "duration_seconds": list(self.lasts), "delay_ms": self.delay_ms}
        with sandbox(self.folder, shape) as environment:
            yield {**os.environ, **environment, **limits(self.folder, self.limit, self.ledger_url)}

    def write(self, batch: str, starts: int, priority: int = 5) -> None:
        """The rows of a batch."""
        write_rows(self.folder / f"{batch}.csv", ((f"{batch}-{number}", priority) for number in range(starts)))

    def worker(self, batch: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """A process that starts a batch."""
        command = [sys.executable, "-m", "bench.chaos_worker", str(self.folder)]
        with (self.folder / "workers.log").open("ab") as log:
            arguments = [*command, "--run-key", batch, "--rows", f"{batch}.csv"]
            return subprocess.Popen(arguments, env=dict(environment), stdout=log, stderr=log)

    def instances(self) -> list[Row]:
        """What the vendor started, in order."""
        lines = (self.folder / "truth.jsonl").read_text().splitlines(keepends=True)
        entries = (json.loads(line) for line in lines if line.endswith("\n") and '"kind": "effect"' in line)
        return sorted(entries, key=lambda entry: float(entry["at"]))

    def started(self, batch: str) -> int:
        """How many of a batch the vendor has started."""
        return sum(batch_of(entry) == batch for entry in self.instances())


def batch_of(entry: Row) -> str:
    """The batch of an instance."""
    return str(entry["inputs"]["context"]["customer"]).removeprefix("customer ").split("-")[0]


def ended(workers: list[subprocess.Popen[bytes]]) -> None:
    """Waits for all of them, and leaves none behind."""
    try:
        codes = [worker.wait(WAIT_SECONDS) for worker in workers]
        assert not any(codes), f"workers ended with {codes}"
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def storm(place: Place, starts: int) -> bool:
    """Eight batches at once."""
    batches = [f"b{number}" for number in range(PROCESSES)]
    with place.vendor() as environment:
        for batch in batches:
            place.write(batch, starts)
        ended([place.worker(batch, environment) for batch in batches])
    found = place.instances()
    most, used, refused = max(entry["running"] for entry in found), throughput(found, place.limit), refusals(place)
    whole = len(found) == len({entry["reference"] for entry in found}) == starts * PROCESSES
    print(f"  storm: {len(found):,} instances of {starts * PROCESSES:,}, at most {most} at once (bar {place.limit})")
    print(f"    throughput {used:.1%} of what the limit allows (bar {MIN_THROUGHPUT:.0%}); {refused} refusals")
    print(f"    at the end of the first batch, the slowest had {fairness(found):.0%} of its starts (of equal size)")
    return whole and most <= place.limit and used >= MIN_THROUGHPUT


def throughput(found: list[Row], limit: int) -> float:
    """Instances that ran on average from the first start to the last end, as a share of the limit."""
    seconds = max(entry["ends_at"] for entry in found) - found[0]["at"]
    return float(sum(entry["ends_at"] - entry["at"] for entry in found) / (limit * seconds))


def refusals(place: Place) -> int:
    """Starts that the vendor refused because it was full."""
    return sum('"status": 429' in line for line in (place.folder / "truth.jsonl").read_text().splitlines())


def fairness(found: list[Row]) -> float:
    """How much of the slowest batch was started when the first one was through."""
    totals, so_far = Counter(map(batch_of, found)), Counter[str]()
    for entry in found:
        so_far[batch_of(entry)] += 1
        if so_far[batch_of(entry)] == totals[batch_of(entry)]:
            break
    return min(so_far[batch] / total for batch, total in totals.items())


def death(place: Place, _starts: int) -> bool:
    """A process that holds every place is killed; another one waits."""
    takes = 4.0  # so long that all places are held when it dies
    place = replace(place, delay_ms=int(1000 * takes))
    with place.vendor() as environment:
        place.write("dead", 2 * place.limit)
        place.write("live", place.limit)
        victim = place.worker("dead", environment)
        waiting = [victim]
        try:
            wait_until(lambda: open_slots(place, "dead") == place.limit, 60)
            waiting.append(place.worker("live", environment))
            victim.kill()
            killed = time.monotonic()
            victim.wait()
            wait_until(lambda: open_slots(place, "dead") == 0, LEASE_SECONDS + 60)
            took = time.monotonic() - killed
            wait_until(lambda: place.started("live") > 0, 60)
            first = time.monotonic() - killed - takes
        finally:
            ended([*waiting[1:], place.worker("dead", environment)])
    found, bar = place.instances(), LEASE_SECONDS + BACK_WITHIN_SECONDS
    most, whole = max(entry["running"] for entry in found), len({entry["reference"] for entry in found}) == len(found)
    print(f"  death: places of the dead are free after {took:.1f} s (bar {bar:.0f}), used again after {first:.1f} s")
    print(f"    {len(found)} instances of {3 * place.limit}, at most {most} at once (bar {place.limit})")
    return max(took, first) <= bar and most <= place.limit and whole and len(found) == 3 * place.limit


def open_slots(place: Place, batch: str) -> int:
    """Places that a batch's calls keep, by the ledger."""

    async def count() -> int:
        query = select(func.count()).where(slots.c.run_key.startswith(f"starts/{batch}/"), slots.c.ended_tick.is_(None))
        async with await Ledger.open(place.ledger_url) as ledger:
            return int(await ledger.read(lambda connection: connection.scalar(query)) or 0)

    return asyncio.run(count())


def fair(place: Place, _starts: int) -> bool:
    """Two batches of the same size and priority."""
    place = replace(place, limit=10, lasts=(0.4, 0.6))
    with place.vendor() as environment:
        for batch in ("one", "two"):
            place.write(batch, 200)
        ended([place.worker(batch, environment) for batch in ("one", "two")])
    share, most = fairness(place.instances()), max(entry["running"] for entry in place.instances())
    print(
        f"  fair: when one of two batches was through, the other had {share:.0%} (bar {MIN_FAIRNESS:.0%}), most {most}"
    )
    return share >= MIN_FAIRNESS and most <= place.limit


def urgent(place: Place, _starts: int) -> bool:
    """An urgent batch comes later than another."""
    place = replace(place, limit=10, lasts=(0.4, 0.6))
    with place.vendor() as environment:
        place.write("calm", 250, priority=5)
        place.write("rush", 50, priority=1)
        calm = place.worker("calm", environment)
        wait_until(lambda: place.started("calm") > 20, 60)
        ended([place.worker("rush", environment), calm])
    found = [batch_of(entry) for entry in place.instances()]
    first, last = found.index("rush"), len(found) - found[::-1].index("rush")
    between = found[first:last].count("calm") / found.count("rush")
    print(
        f"  urgent: {between:.0%} as many calm starts between the first and the last urgent one (bar {MAX_BETWEEN:.0%})"
    )
    return between <= MAX_BETWEEN


CASES: Mapping[str, Callable[[Place, int], bool]] = {"storm": storm, "death": death, "fair": fair, "urgent": urgent}


@contextmanager
def ledger_url(database: str, server: str, folder: Path) -> Iterator[str]:
    """An empty ledger."""
    if database == "sqlite":
        yield f"sqlite:///{folder / 'ledger.db'}"
        return
    name = f"cordboard_{uuid.uuid4().hex[:12]}"
    asyncio.run(on_server(server, f'CREATE DATABASE "{name}"'))
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        asyncio.run(on_server(server, f'DROP DATABASE "{name}" WITH (FORCE)'))


async def on_server(server: str, statement: str) -> None:
    """Runs a statement outside a transaction."""
    connection = await asyncpg.connect(server.replace("+asyncpg", ""), timeout=10)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def main() -> int:
    """Goes through the databases and the cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", action="append", choices=("sqlite", "postgresql"))
    parser.add_argument("--only", action="append", choices=tuple(CASES))
    parser.add_argument("--starts", type=int, default=STARTS, help="of each of the eight batches")
    parser.add_argument("--server", default=SERVER, help="PostgreSQL server, as a URL")
    options = parser.parse_args()
    fine = True
    for database in options.database or ("sqlite", "postgresql"):
        print(f"{database}:", flush=True)
        for name in options.only or CASES:
            with tempfile.TemporaryDirectory() as scratch, ledger_url(database, options.server, Path(scratch)) as url:
                good = CASES[name](Place(Path(scratch), url), options.starts)
                print("    " + ("well" if good else "MISSED"), flush=True)
                fine = good and fine
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
