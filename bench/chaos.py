"""`make chaos`: batches started by several processes that are killed at random, against a vendor that fails at random.

    python -m bench.chaos [--safety CLASS]… [--starts N] [--kills N] [--workers N] [--seed N] [--keep FOLDER]

Every class of vendor in turn: KEYED and LOOKUP with 10,000 starts, NEITHER with 2,000. A fifth of all requests to start
something goes wrong, in twelve kinds, and a tenth of the look-ups. A checker of its own (`bench.chaos_checker`) then
compares what the vendor did with what the ledger says. Exits with 1 where it complains, where a class took more than
300 s or where fewer workers were killed than asked.
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.chaos_checker import Verdict, check
from bench.chaos_worker import limits, write_rows, write_trigger
from bench.vendor import LOOK_SECONDS, sandbox

STARTS = "/api/v2/workflows/instances"
FAULTY_SHARE, LOOK_UP_SHARE = 0.2, 0.1
MAX_SECONDS, LEAST = 300, 20
ROUNDS = 6  # in which workers are run again, at the most
FULL = {"keyed": 10_000, "lookup": 10_000, "neither": 2_000}


@dataclass(frozen=True, slots=True)
class Plan:
    """One class of vendor, and what is done to those who talk to it.

    Attributes:
        safety: `keyed`, `lookup` or `neither`.
        starts: rows of the batch.
        workers: processes that start it at the same time.
        kills: how many are killed on the way; each is replaced at once.
        seed: of faults and kills.
        timeout_seconds: for one call.
        late_seconds: how long after a call was given up the vendor may still start the instance.
        settle_seconds: how long the workers assume that it may; more than `late_seconds`.
        in_flight: calls that each worker has open.
        attempts: sends of one call before it is asked what became of it.
    """

    safety: str
    starts: int
    workers: int = 4
    kills: int = 20
    seed: int = 1
    timeout_seconds: float = 1.5
    late_seconds: float = 1.0
    settle_seconds: float = 3.0
    in_flight: int = 20
    attempts: int = 4


@dataclass
class Outcome:
    """What came of a plan.

    Attributes:
        verdict: of the checker.
        seconds: from the first worker to the last.
        kills: workers that were killed while they held a part of the batch.
        rounds: how often workers were run until nothing more could be settled.
        troubles: workers that ended by themselves before their work was done, with what they said.
    """

    verdict: Verdict = field(default_factory=Verdict)
    seconds: float = 0.0
    kills: int = 0
    rounds: int = 0
    troubles: list[str] = field(default_factory=list)


def conduct(plan: Plan, folder: Path, least: int = 1) -> Outcome:
    """Starts the batch, kills, starts again, and judges.

    Args:
        plan: what to do.
        folder: empty; ledger, logs and the vendor's truth stay there.
        least: how often each kind of fault must have occurred.
    """
    write_batch(plan, folder)
    outcome = Outcome()
    keyed, lag = plan.safety == "keyed", plan.late_seconds / 4
    workflow = {"lookup_lag_seconds": lag, "idempotency": keyed, "duration_seconds": 5}
    with sandbox(folder, workflow, faults(plan), plan.seed) as vendor:
        bounds = {**limits(folder, plan.in_flight), "CORDBOARD_RETRY_ATTEMPTS": str(plan.attempts)}
        storm = Storm(plan, folder, {**os.environ, **vendor, **bounds}, outcome)
        began = time.monotonic()
        storm.run(plan.kills)
        while outcome.rounds < ROUNDS and open_starts(folder / "ledger.db", plan.safety):
            storm.run()
        outcome.seconds = time.monotonic() - began
        wait_until_quiet(folder / "truth.jsonl", plan.timeout_seconds + plan.late_seconds)
    outcome.verdict = check(folder / "truth.jsonl", folder / "ledger.db", folder / "rows.csv", plan.safety, least)
    outcome.verdict.demand(outcome.kills == plan.kills, f"{outcome.kills} workers were killed, not {plan.kills}")
    return outcome


class Storm:
    """Workers on one batch, and those who are killed among them."""

    def __init__(self, plan: Plan, folder: Path, environment: Mapping[str, str], outcome: Outcome) -> None:
        self._plan, self._folder, self._environment, self._outcome = plan, folder, environment, outcome
        self._dice = random.Random(f"{plan.seed} {plan.safety}")
        self._started = Tail(folder / "truth.jsonl", b'"kind": "effect"')
        self._workers: list[subprocess.Popen[bytes]] = []

    def run(self, kills: int = 0) -> None:
        """Ends when every worker has ended by itself.

        Args:
            kills: how many are killed, each when the vendor has started so many instances, drawn at random.
        """
        self._outcome.rounds += 1
        moments = sorted(self._dice.randrange(1, int(self._plan.starts * 0.85)) for _ in range(kills))
        self._workers = [self._worker() for _ in range(self._plan.workers)]
        try:
            while self._workers:
                self._bury()
                if moments and self._started.lines() >= moments[0] and self._kill():
                    moments.pop(0)
                time.sleep(LOOK_SECONDS)
        finally:
            for worker in self._workers:
                worker.kill()
                worker.wait()

    def _bury(self) -> None:
        for worker in [each for each in self._workers if each.poll() is not None]:
            self._workers.remove(worker)
            if worker.returncode:
                said = (self._folder / "workers.log").read_text().strip().splitlines()
                self._outcome.troubles.append(f"exit {worker.returncode}: {said[-1] if said else ''}"[:300])

    def _kill(self) -> bool:
        """Kills one of those who hold a part of the batch: to kill one that only begins would prove little."""
        holders = holding(self._folder / "ledger.db")
        able = [worker for worker in self._workers if worker.pid in holders and worker.poll() is None]
        if not able:
            return False
        victim = self._dice.choice(able)
        victim.kill()
        victim.wait()
        self._workers.remove(victim)
        self._outcome.kills += 1
        self._workers.append(self._worker())
        return True

    def _worker(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "bench.chaos_worker", str(self._folder)]
        with (self._folder / "workers.log").open("ab") as log:
            return subprocess.Popen(command, env=dict(self._environment), stdout=log, stderr=log)


class Tail:
    """Counts the lines of a growing file that hold something, and reads no byte twice."""

    def __init__(self, file: Path, sign: bytes) -> None:
        self._file, self._sign, self._at, self._count = file, sign, 0, 0

    def lines(self) -> int:
        """How many there are by now."""
        with self._file.open("rb") as stream:
            stream.seek(self._at)
            some = stream.read()
        whole = some.rfind(b"\n") + 1
        self._at, self._count = self._at + whole, self._count + some[:whole].count(self._sign)
        return self._count


def holding(ledger: Path) -> set[int]:
    """The processes that hold a part of a batch."""
    owners = _asked(ledger, "SELECT owner FROM runs WHERE state = 'held'")
    return {int(owner.split(":")[1]) for (owner,) in owners}


def open_starts(ledger: Path, safety: str) -> int:
    """Starts that a further run may settle: for a vendor that cannot be asked, not those that are unknown."""
    ends = "('done', 'unknown')" if safety == "neither" else "('done')"
    ((count,),) = _asked(ledger, f"SELECT count(*) FROM effects WHERE state NOT IN {ends}")
    return int(count)


def _asked(ledger: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=30)) as database:
        return database.execute(query).fetchall()


# The vendor, and the batch ------------------------------------------------------------------------------------------


def faults(plan: Plan) -> list[dict[str, Any]]:
    """A fifth of all starts in equal shares of every kind, and a tenth of the look-ups."""
    too_long = plan.timeout_seconds + plan.late_seconds
    html = {"body": "<!doctype html><title>Please sign in</title>", "headers": {"content-type": "text/html"}}
    kinds: list[dict[str, Any]] = [
        {"rate_limited": {"retry_after": "0"}},
        {"status": 500},
        {"status": 500, "after_commit": True},
        {"status": 503},
        {"lost_reply": "before_commit"},
        {"lost_reply": "after_commit"},
        {"truncate": {"at": 0.5}},
        {"status": 200, "after_commit": True, **html},
        {"status": 204, "after_commit": True},
        {"hang": {"at": "before_commit", "seconds": too_long}},
        {"hang": {"at": "after_commit", "seconds": too_long}},
        {"late_commit": {"seconds": plan.late_seconds, "connection": "open"}},
    ]
    each = FAULTY_SHARE / len(kinds)
    # The first rule that fires decides, so a later one is drawn from what those before it have left.
    rules = [
        {"match": {"method": "POST", "path": STARTS, "probability": each / (1 - number * each)}, "fault": fault}
        for number, fault in enumerate(kinds)
    ]
    look_up = {"method": "GET", "path": STARTS, "probability": LOOK_UP_SHARE}
    return [*rules, {"match": look_up, "fault": {"status": 503}}]


def write_batch(plan: Plan, folder: Path) -> None:
    """The trigger and its rows, of every priority: each is a part of its own."""
    times = {"settle_seconds": plan.settle_seconds, "timeout_seconds": plan.timeout_seconds}
    write_trigger(folder, safety=plan.safety, **times)
    write_rows(folder / "rows.csv", ((f"A{number}", number % 10 + 1) for number in range(plan.starts)))


def wait_until_quiet(truth: Path, seconds: float) -> None:
    """Lets the vendor bring about what it was asked for and has not answered."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        if (size := truth.stat().st_size) != seen:
            seen, since = size, time.monotonic()
        time.sleep(LOOK_SECONDS)


def report(plan: Plan, outcome: Outcome) -> bool:
    """Prints what came of it.

    Returns:
        Whether all is well.
    """
    found = outcome.verdict
    found.demand(outcome.seconds <= MAX_SECONDS, f"it took {outcome.seconds:.0f} s, more than {MAX_SECONDS}")
    print(
        f"{plan.safety.upper()}: {plan.starts:,} starts, {plan.workers} workers, {outcome.kills} killed, "
        f"{outcome.rounds} rounds: {outcome.seconds:.1f} s (bar {MAX_SECONDS} s)"
    )
    for name, figure in found.figures.items():
        print(f"  {name}: {figure}")
    for trouble in outcome.troubles:
        print(f"  a worker gave up: {trouble}")
    for complaint in found.complaints:
        print(f"  COMPLAINT: {complaint}")
    print("  the checker is content" if not found.complaints else "  FAILED", flush=True)
    return not found.complaints


def main() -> int:
    """Goes through the classes of vendors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--safety", action="append", choices=tuple(FULL), help="only this class; may stand twice")
    parser.add_argument("--starts", type=int, help="in place of the full number")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder in which ledgers and logs are kept")
    options = parser.parse_args()
    fine = True
    for safety in options.safety or FULL:
        starts = options.starts or FULL[safety]
        plan = Plan(safety, starts, options.workers, options.kills, options.seed)
        least = LEAST if starts >= FULL[safety] else 1
        with tempfile.TemporaryDirectory() as scratch:
            folder = options.keep / safety if options.keep else Path(scratch)
            folder.mkdir(parents=True, exist_ok=True)
            fine = report(plan, conduct(plan, folder, least)) and fine
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
