"""`make chaos-cluster`: a cluster on one machine, its parts killed while it works; a checker of its own judges.

    python -m bench.cluster [--starts N] [--chains N] [--workers N] [--outage SECONDS] [--measured N] [--keep FOLDER]

PostgreSQL, Redis, two API servers, the services, a balancer, and workers that each have a host name and a process table
of their own. *Throughput*: starts a second with one worker and with all of them, at a vendor that takes 50 ms, nothing
broken. *Chaos*: one batch shared by all workers and many chains at once, while every fifth start meets a fault of the
vendor, and a machine, Redis, an API server, all servers together and another machine are killed. Exits with 1 where
something was lost or came about twice, or a run did not end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.chaos import Plan, Tail, faults
from bench.chaos_worker import write_rows, write_trigger
from bench.cluster_checker import check_cluster, copy_ledger
from bench.cluster_jobs import ACTIONS, Jobs, look, prepare, submit
from bench.cluster_measuring import Measured, report, sizes, throughput
from bench.cluster_parts import Cluster, Part, cluster
from bench.vendor import LOOK_SECONDS, sandbox

SETTLE_SECONDS = 1800.0
SAFETY = "lookup"
SEARCH_SECONDS, SILENT_MINUTES = 60.0, 4.0
DELAY_MS = 400
#: Generous, since the vendor shares two cores with everything else: where it stalls for longer than it is said to, a
#: start that was given up comes about after it was looked up, and there are two.
TIMEOUT_SECONDS, VENDOR_SETTLES_SECONDS = 3.0, 20.0


@dataclass(frozen=True, slots=True)
class Blow:
    """Parts that are killed at once, and started again.

    Attributes:
        at: share of the batch that the vendor has started by then.
        parts: names.
        seconds: how long they stay away.
    """

    at: float
    parts: tuple[str, ...]
    seconds: float


def blows(outage: float) -> list[Blow]:
    """What befalls the cluster, in this order."""
    return [
        Blow(0.05, ("worker-1",), 10),
        Blow(0.2, ("redis",), 10),
        Blow(0.35, ("api-1",), 15),
        Blow(0.5, ("api-1", "api-2", "services"), outage),
        Blow(0.8, ("worker-2",), 10),
    ]


# Chaos --------------------------------------------------------------------------------------------------------------


class Storm:
    """Strikes as the batch goes on."""

    def __init__(self, made: Cluster, started: Tail, starts: int, blows: Sequence[Blow]) -> None:
        self._made, self._started, self._starts = made, started, starts
        self._left, self._away = list(blows), list[tuple[float, Part]]()
        self.told: list[str] = []
        self._began = time.monotonic()

    def go_on(self) -> None:
        """Brings back what was away for long enough, or strikes if its moment has come."""
        for back, part in list(self._away):
            if time.monotonic() >= back:
                part.start()
                self._away.remove((back, part))
                self.told.append(f"  {self._started.lines():,} starts when {part.name} was back")
        if self._left and not self._away and self._started.lines() >= self._left[0].at * self._starts:
            self._strike(self._left.pop(0))

    def _strike(self, blow: Blow) -> None:
        at, started = time.monotonic() - self._began, self._started.lines()
        for name in blow.parts:
            self._made.parts[name].kill()
            self._away.append((time.monotonic() + blow.seconds, self._made.parts[name]))
        self.told.append(
            f"after {at:3.0f} s, {started:,} starts: {', '.join(blow.parts)} killed, {blow.seconds:g} s away"
        )

    def is_calm(self) -> bool:
        """Whether everything is up."""
        return not self._away

    def is_over(self) -> bool:
        """Whether nothing more will come."""
        return not self._left and not self._away


def chaos(made: Cluster, folder: Path, options: argparse.Namespace, measured: Measured) -> bool:
    """The batch and the chains under blows.

    Returns:
        Whether nothing was lost and nothing came about twice.
    """
    plan = Plan(SAFETY, options.starts, timeout_seconds=TIMEOUT_SECONDS, settle_seconds=VENDOR_SETTLES_SECONDS)
    write_trigger(folder, safety=SAFETY, settle_seconds=plan.settle_seconds, timeout_seconds=plan.timeout_seconds)
    write_rows(folder / "rows.csv", ((f"A{number}", number % 10 + 1) for number in range(options.starts)))
    workflow = {"lookup_lag_seconds": plan.late_seconds / 4, "duration_seconds": 5, "delay_ms": DELAY_MS}
    with sandbox(folder, workflow, faults(plan), plan.seed, ACTIONS) as vendor:
        for number in range(1, options.workers + 1):
            made.add_worker(number, vendor, options.runs)
        started = Tail(folder / "truth.jsonl", b'"instance_id"')
        began, chains = time.monotonic(), submit(folder, "chaos", 0, options.chains)
        jobs = submit(folder, "chaos", options.workers, 0)  # last, so that the blows fall while it works
        jobs.chains, jobs.states = chains.chains, {**chains.states, **jobs.states}
        storm = Storm(made, started, options.starts, blows(options.outage))
        settled = _settle(made, jobs, storm, measured)
        took, ended_at = time.monotonic() - began, time.time()
    copy_ledger(made.ledger_url, folder / "ledger.db")
    found = check_cluster(folder, "chaos", SAFETY, jobs.chains, jobs.states, ended_at)
    found.demand(settled, f"not settled after {SETTLE_SECONDS:.0f} s: {dict(jobs.open())}")
    print(f"chaos: {options.starts:,} starts, {options.chains} chains, {options.workers} workers: {took:.0f} s")
    for line in [*storm.told, *(f"{name}: {figure}" for name, figure in found.figures.items())]:
        print(f"  {line}")
    print(f"  runs of the batch: {dict(jobs.ended(jobs.batch))}")
    for complaint in found.complaints:
        print(f"  COMPLAINT: {complaint}")
    print("  nothing lost, nothing doubled" if not found.complaints else "  FAILED", flush=True)
    return not found.complaints


def _settle(made: Cluster, jobs: Jobs, storm: Storm, measured: Measured) -> bool:
    """Until every run has ended and every blow was struck."""
    until, over = time.monotonic() + SETTLE_SECONDS, threading.Event()
    watching = threading.Thread(target=_watch, args=(made, jobs, storm, measured, over))
    watching.start()
    try:
        while jobs.open() or not storm.is_over():
            storm.go_on()
            storm.told += [f"{name} ended by itself; started again" for name in made.revive()]
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_SECONDS)
    finally:
        over.set()
        watching.join()
    return True


def _watch(made: Cluster, jobs: Jobs, storm: Storm, measured: Measured, over: threading.Event) -> None:
    """Looks and measures, beside the storm: servers that are slow to answer must not keep it from its moments."""
    while not over.wait(2.0):
        with suppress(Exception):  # the servers begin to answer only just now, or have just been killed
            measured.take(made)
            if storm.is_calm():
                look(jobs)


def main() -> int:
    """Brings the cluster up, measures, breaks it, judges."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=10_000, help="of the batch that is disturbed")
    parser.add_argument("--chains", type=int, default=50, help="that run at the same time")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--runs", type=int, default=6, help="at once in one worker")
    parser.add_argument("--outage", type=float, default=60, help="seconds without any server")
    parser.add_argument(
        "--measured", type=int, default=10_000, help="starts of each measurement of throughput; 0: none"
    )
    parser.add_argument("--keep", type=Path, help="folder in which logs and ledgers are kept")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with cluster(folder) as made:
            os.environ.update(made.client, PREFECT_CLIENT_MAX_RETRIES="2", PREFECT_LOGGING_LEVEL="ERROR")
            prepare(options.chains + 10, SEARCH_SECONDS, SILENT_MINUTES)
            print(f"up after {time.monotonic() - began:.0f} s", flush=True)
            measured = Measured()
            if options.measured:
                throughput(made, folder, options.measured, options, measured)
            fine = chaos(made, folder, options, measured)
            report(measured, asyncio.run(sizes(made)))
        print(f"all of it: {time.monotonic() - began:.0f} s")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
