"""Makes the golden ledgers beside it: one SQL dump for each point at which a process can end.

They were made once, with the first version of the ledger, and stay as they are: every later version must open them and
go on. Only a situation that is new is added: `python tests/cordboard/records/golden/make.py NAME…` from the checkout.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import tempfile
from pathlib import Path

from cordboard.records.effects import Effect, EffectState, Message
from cordboard.records.ledger import Ledger
from cordboard.records.owner import Owner
from cordboard.records.run import RunHandle

HERE = Path(__file__).parent
STARTED = 1_714_521_600.0  # 2024-05-01
OWNER = Owner("worker-7.example.net", 4711, "1000")
STEPS = {
    "claimed": (),
    "intended": ("intend",),
    "refused": ("intend", "refused"),
    "intended_again": ("intend", "refused", "intend"),
    "unknown": ("intend", "unknown"),
    "failed": ("intend", "failed"),
    "failed_unsent": ("failed",),
    "intended_after_failure": ("intend", "failed", "takeover", "intend"),
    "ready": ("intend", "ready"),
    "done": ("intend", "done"),
    "taken_over": ("intend", "takeover"),
    "released": ("intend", "done", "release"),
}
SAFETIES = {"intended": 4, "intended_again": 4, "unknown": 4, "taken_over": 2, "intended_after_failure": 2}
CLASSES = ("neither", "natural", "lookup", "keyed")
SITUATIONS = {
    f"{name}-{safety}": (steps, safety) for name, steps in STEPS.items() for safety in CLASSES[: SAFETIES.get(name, 1)]
}


async def live(run: RunHandle, effect: Effect, step: str) -> None:
    """One step of a run's life."""
    match step:
        case "intend":
            await run.intend(effect)
        case "refused":
            await run.refused(effect, {"status": 429})
        case "release":
            await run.release()
        case _:
            state, told = EffectState(step), [Message("ops", f"action.{step}", {"action_id": "notify"})]
            await run.conclude(effect, state, {"id": 7} if step == "done" else None, {"by": "vendor"}, 1, told)


async def make(name: str, file: Path) -> None:
    """Lives one situation and leaves the ledger as a process that is killed leaves it."""
    steps, safety = SITUATIONS[name]
    now = STARTED
    effect = Effect("acme", "cxone.dataactions.execute", "r1/notify", "ab" * 32, "notify", safety)
    ledger = await Ledger.open(f"sqlite:///{file}", clock=lambda: now)
    run = await ledger.claim_run("acme", "r1", owner=OWNER)
    for step in steps:
        now += 60
        if step == "takeover":
            run = await ledger.claim_run("acme", "r1", owner=OWNER)
        else:
            await live(run, effect, step)
    with sqlite3.connect(file) as database:
        (HERE / f"{name}.sql").write_text("\n".join(database.iterdump()) + "\n")
    await ledger.close()


if __name__ == "__main__":
    for situation in sys.argv[1:] or SITUATIONS:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(make(situation, Path(folder) / "ledger.db"))
