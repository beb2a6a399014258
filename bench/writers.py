"""Many writers edit one live call flow at the same time: is every edit kept once, and does nobody starve?

    python -m bench.writers [--writers N] [--edits N] [--seed N]

Prints how many saves were tried for an edit: the limit is 1, where nobody is in the way; `median` and `most` of all
edits. Exits with 1 where an edit is lost or doubled, or one needed more than ten times the median.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cordboard.ivr.merge import NodeChange, Patch
from cordboard.records.ledger import Ledger
from cordboard.redaction import Redactor
from cordboard.sandbox.definition import default_definition
from cordboard.sandbox.server import RunningSandbox, running_sandbox
from cordboard.settings import Settings
from cordboard.updating.loop import bring_about
from cordboard.updating.model import Limits
from cordboard.updating.run import UpdateRun, update_key
from cordboard.vendors.login import GenesysLogin
from cordboard.vendors.session import VendorSession
from cordboard.vendors.transport import quiet_http_logs

FLOW_ID = "clinic-menu"


@dataclass(frozen=True, slots=True)
class Storm:
    """What came of it.

    Attributes:
        statuses: how the edits ended.
        attempts: saves that were tried, for each edit that was saved.
        missing: edits that the live flow does not hold.
        saves: saves that took effect.
        seconds: how long it took.
    """

    statuses: Counter[str]
    attempts: tuple[int, ...]
    missing: tuple[str, ...]
    saves: int
    seconds: float

    @property
    def is_fair(self) -> bool:
        """Whether the slowest edit needed at most ten times the median of attempts."""
        return max(self.attempts) <= 10 * statistics.median(self.attempts)


def storm(writers: int, edits: int, seed: int = 0, limits: Limits | None = None) -> Storm:
    """Lets writers edit one flow of a local vendor at the same time, each its edits in a row."""
    quiet_http_logs()
    with running_sandbox(default_definition()) as box, tempfile.TemporaryDirectory() as folder:
        ended, seconds = asyncio.run(_all(box, Path(folder), writers, edits, seed, limits or Limits(attempts=1000)))
        held = box.flows[FLOW_ID]["nodes"]["billing"].get("properties", {})
        wanted = {f"writer_{writer}_{edit}" for writer in range(writers) for edit in range(edits)}
        saves = len(box.truth.effects_on(FLOW_ID))
    attempts = tuple(run.attempts for run in ended if run.status == "saved")
    return Storm(Counter(run.status for run in ended), attempts, tuple(sorted(wanted - held.keys())), saves, seconds)


async def _all(
    box: RunningSandbox, folder: Path, writers: int, edits: int, seed: int, limits: Limits
) -> tuple[list[UpdateRun], float]:
    login, started = GenesysLogin.from_env(box.env()), time.perf_counter()
    async with await Ledger.open(f"sqlite:///{folder}/ledger.db", redactor=Redactor()) as ledger:

        async def writer(number: int) -> list[UpdateRun]:
            chance = random.Random(f"{seed}:{number}").random
            async with login.session(Settings(), Redactor(), "flows") as session:
                return [
                    await _edit(box, ledger, session, login.tenant("flows"), f"writer_{number}_{edit}", limits, chance)
                    for edit in range(edits)
                ]

        runs = await asyncio.gather(*map(writer, range(writers)))
    return [run for each in runs for run in each], time.perf_counter() - started


async def _edit(
    box: RunningSandbox, ledger: Ledger, session: VendorSession, tenant: str, name: str, limits: Limits, chance: Any
) -> UpdateRun:
    change = NodeChange(fields={"properties": {name: True}})
    patch = Patch(FLOW_ID, box.flows[FLOW_ID]["version"], nodes={"billing": change})
    async with await ledger.claim_run(tenant, update_key(patch), kind="ivr-update") as handle:
        run = UpdateRun(patch, session, ledger, handle, "1" * 32, date(2026, 1, 1), limits)
        await bring_about(run, chance=chance)
        return run


def main() -> int:
    """Runs it and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=20)
    parser.add_argument("--edits", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = storm(options.writers, options.edits, options.seed)
    print(f"{options.writers} writers, {options.edits} edits each, in {found.seconds:.1f} s: {dict(found.statuses)}")
    print(f"saves that took effect: {found.saves}; edits that are missing: {len(found.missing)}")
    middle, most = statistics.median(found.attempts), max(found.attempts)
    print(f"attempts an edit: median {middle:g}, most {most}, {most / middle:.1f} x the median (bar 10)")
    kept = not found.missing and found.saves == options.writers * options.edits == len(found.attempts)
    return 0 if kept and found.is_fair else 1


if __name__ == "__main__":
    sys.exit(main())
