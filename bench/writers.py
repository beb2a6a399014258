"""Many writers edit one live call flow at the same time: is every edit kept once, and does nobody starve?

    python -m bench.writers [--writers N] [--edits N] [--ledgers N] [--foreign SHARE] [--seed N]

Prints how many saves were tried for an edit: the limit is 1, where nobody is in the way; `median` and `most` of all
edits. Exits with 1 where an edit is lost or doubled, or one needed more than ten times the median. The writers share
one ledger file, opened `--ledgers` times, as so many processes would. `--foreign 0.5` lets somebody who uses no ledger
of ours save first before every other save, at random.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from cordboard.ivr.merge import NodeChange, Patch
from cordboard.records.ledger import Ledger
from cordboard.redaction import Redactor
from cordboard.sandbox.definition import default_definition
from cordboard.sandbox.faults import Faults
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


@dataclass(frozen=True, slots=True)
class Setting:
    """Who edits.

    Attributes:
        writers: how many edit at the same time.
        edits: how many each makes, one after another.
        ledgers: how often their ledger is opened.
        foreign: the share of saves before which somebody else saves, from 0 up to 1.
        seed: of all chance.
        limits: of each edit.
    """

    writers: int
    edits: int
    ledgers: int = 1
    foreign: float = 0.0
    seed: int = 0
    limits: Limits = field(default_factory=lambda: Limits(attempts=1000, seconds=3600.0))


def storm(setting: Setting) -> Storm:
    """Lets writers edit one flow of a local vendor at the same time, each its edits in a row."""
    quiet_http_logs()
    names = {_name(writer, edit) for writer in range(setting.writers) for edit in range(setting.edits)}
    faults = _others(setting)
    with running_sandbox(default_definition(), faults) as box, tempfile.TemporaryDirectory() as folder:
        ended, seconds = asyncio.run(_all(box, Path(folder), setting))
        held = box.flows[FLOW_ID]["nodes"]["billing"].get("properties", {})
        saves = sum(entry.method == "PUT" for entry in box.truth.effects_on(FLOW_ID))
    attempts = tuple(run.attempts for run in ended if run.status == "saved")
    return Storm(Counter(run.status for run in ended), attempts, tuple(sorted(names - held.keys())), saves, seconds)


def _name(writer: int, edit: int) -> str:
    return f"writer_{writer}_{edit}"


def _others(setting: Setting) -> Faults:
    """Somebody who saves before a share of the saves; drawn for more saves than there will be."""
    draw, most = random.Random(f"others {setting.seed}"), 10 * setting.writers * setting.edits
    numbers = [number for number in range(1, most) if draw.random() < setting.foreign]
    edit = {"other_editor": {"nodes": {"billing": {"prompt": "Billing, edit {n}."}}}}
    return Faults.of({"match": {"method": "PUT", "nth": numbers}, "fault": edit}) if numbers else Faults()


async def _all(box: RunningSandbox, folder: Path, setting: Setting) -> tuple[list[UpdateRun], float]:
    login, started = GenesysLogin.from_env(box.env()), time.perf_counter()

    async def writer(number: int, ledger: Ledger) -> list[UpdateRun]:
        chance = random.Random(f"{setting.seed}:{number}").random
        async with login.session(Settings(), Redactor(), "flows") as session:
            tenant, names = login.tenant("flows"), [_name(number, edit) for edit in range(setting.edits)]
            return [await _edit(box, ledger, session, tenant, name, setting.limits, chance) for name in names]

    async with AsyncExitStack() as stack:
        url = f"sqlite:///{folder}/ledger.db"
        opened = [await Ledger.open(url, redactor=Redactor()) for _ in range(setting.ledgers)]
        ledgers = [await stack.enter_async_context(ledger) for ledger in opened]
        runs = await asyncio.gather(*map(writer, range(setting.writers), itertools.cycle(ledgers)))
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
    parser.add_argument("--ledgers", type=int, default=1)
    parser.add_argument("--foreign", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = storm(Setting(**vars(options)))
    print(f"{options.writers} writers, {options.edits} edits each, in {found.seconds:.1f} s: {dict(found.statuses)}")
    print(f"saves that took effect: {found.saves}; edits that are missing: {len(found.missing)}")
    middle, most = statistics.median(found.attempts), max(found.attempts)
    print(f"attempts an edit: median {middle:g}, most {most}, {most / middle:.1f} x the median (bar 10)")
    kept = not found.missing and found.saves == options.writers * options.edits == len(found.attempts)
    return 0 if kept and found.is_fair else 1


if __name__ == "__main__":
    sys.exit(main())
