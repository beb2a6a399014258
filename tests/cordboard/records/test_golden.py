"""Ledgers that an older version left behind, one for each point at which a process can end, still open and resume."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from cordboard.errors import WrongState
from cordboard.records.audit import verify
from cordboard.records.effects import EffectState
from cordboard.records.ledger import Ledger

READY, SENT, DONE, FAILED, UNKNOWN = EffectState
DUMPS = sorted((Path(__file__).parent / "golden").glob("*.sql"))
# By situation: where the effect stands once the new owner has settled what was left open, and whether it is sent again.
EXPECTED = {
    "claimed-neither": (None, True),
    "intended-neither": (UNKNOWN, False),
    "intended-lookup": (UNKNOWN, False),
    "intended-natural": (SENT, True),
    "intended-keyed": (SENT, True),
    "refused-neither": (READY, True),
    "intended_again-neither": (UNKNOWN, False),
    "intended_again-lookup": (UNKNOWN, False),
    "intended_again-natural": (SENT, True),
    "intended_again-keyed": (SENT, True),
    "unknown-neither": (UNKNOWN, False),
    "unknown-lookup": (UNKNOWN, False),
    "unknown-natural": (UNKNOWN, True),
    "unknown-keyed": (UNKNOWN, True),
    "failed-neither": (FAILED, True),
    "failed_unsent-neither": (FAILED, True),
    "intended_after_failure-neither": (UNKNOWN, False),
    "intended_after_failure-natural": (SENT, True),
    "ready-neither": (READY, True),
    "done-neither": (DONE, False),
    "taken_over-neither": (UNKNOWN, False),
    "taken_over-natural": (SENT, True),
    "released-neither": (DONE, False),
}


def test_every_situation_has_its_ledger() -> None:
    assert {dump.stem for dump in DUMPS} == set(EXPECTED)


@pytest.mark.parametrize("dump", DUMPS, ids=lambda dump: dump.stem)
def test_an_older_ledger_resumes(dump: Path, tmp_path: Path) -> None:
    """What is done is not sent again, what may be out is unknown unless a repeat is safe, the rest goes on."""
    state, sent_again = EXPECTED[dump.stem]
    file = tmp_path / "ledger.db"
    with sqlite3.connect(file) as database:
        database.executescript(dump.read_text())

    async def resume() -> None:
        async with await Ledger.open(f"sqlite:///{file}") as ledger, await ledger.claim_run("acme", "r1") as run:
            await run.settle_unknown(await run.left_open())
            entry = (await run.entries(["r1/notify"])).get("r1/notify")
            assert (entry and entry.state) == state
            if entry and state is DONE:
                assert entry.result == {"id": 7}
            if entry and not sent_again:
                with pytest.raises(WrongState):
                    await run.intend(entry.effect)
            elif entry:
                await run.intend(entry.effect)
                await run.conclude(entry.effect, DONE, {"id": 8})
                assert (await run.all_entries())["r1/notify"].attempts == entry.attempts + 1
            assert (await verify(ledger)).ok

    asyncio.run(resume())
