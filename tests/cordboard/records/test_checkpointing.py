"""Checkpoints beside a run: when they come, that processes share them, and that no trouble of theirs is the run's.

Clock and sleep are handed in: a turn of the background task comes when the test says so.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cordboard.records import checkpointing
from cordboard.records.checkpointing import Checkpointing
from cordboard.records.checkpoints import CheckpointFile
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle

KEY = b"k" * 32
HUNG = """
import asyncio, os, sys
from pathlib import Path
from cordboard.records import checkpointing
from cordboard.records.checkpoints import CheckpointFile
from cordboard.records.ledger import Ledger
checkpointing.PATIENCE_SECONDS = 0.2
async def main():
    folder = Path(sys.argv[1])
    os.mkfifo(folder / "checkpoints.jsonl")  # whoever opens it waits for ever
    async with await Ledger.open(f"sqlite:///{folder}/ledger.db") as ledger:
        async with checkpointing.Checkpointing(ledger, CheckpointFile(folder, (b"k" * 32,))):
            async with await ledger.claim_run("acme", "r1") as run:
                await run.record("note", "n", {})
    print("done")
asyncio.run(main())
"""


class Time:
    """A clock that stands still, and a sleep that ends when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._asleep = asyncio.Event()
        self._wake = asyncio.Event()

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._asleep.set()
        await self._wake.wait()
        self._wake.clear()

    async def asleep(self) -> None:
        """Waits until the background task has done its turn."""
        async with asyncio.timeout(10):
            await self._asleep.wait()
        self._asleep.clear()

    async def turn(self, seconds: float) -> None:
        """Lets so much time pass and the background task do its turn."""
        self.now += seconds
        self._wake.set()
        await self.asleep()


Test = Callable[[Ledger, RunHandle], Awaitable[None]]


def on_a_run(url: str, test: Test) -> None:
    async def run_it() -> None:
        async with await Ledger.open(url) as ledger, await ledger.claim_run("acme", "r1") as run:
            await test(ledger, run)

    asyncio.run(run_it())


@asynccontextmanager
async def entered(ledger: Ledger, keep: CheckpointFile) -> AsyncIterator[Time]:
    passing = Time()
    async with Checkpointing(ledger, keep, clock=passing.clock, sleep=passing.sleep):
        await passing.asleep()
        yield passing


async def notes(run: RunHandle, many: int) -> None:
    await asyncio.gather(*(run.record("note", f"n{number}", {}) for number in range(many)))


@pytest.fixture
def keep(tmp_path: Path) -> CheckpointFile:
    return CheckpointFile(tmp_path / "apart", (KEY,))


def seqs(keep: CheckpointFile) -> list[int]:
    lines = keep.lines(size) if (size := keep.size()) else ()
    return [line.checkpoint.seq if line.checkpoint else -1 for line in lines]


def test_after_a_thousand_records(ledger_url: str, keep: CheckpointFile) -> None:
    async def test(ledger: Ledger, run: RunHandle) -> None:
        async with entered(ledger, keep) as passing:
            await notes(run, 998)
            await passing.turn(1)
            assert seqs(keep) == []
            await notes(run, 1)
            await passing.turn(1)
            assert seqs(keep) == [1000]
            await notes(run, 999)
            await passing.turn(1)
            assert seqs(keep) == [1000]

    on_a_run(ledger_url, test)


def test_sixty_seconds_after_a_record_without_one(sqlite_url: str, keep: CheckpointFile) -> None:
    async def test(ledger: Ledger, run: RunHandle) -> None:
        async with entered(ledger, keep) as passing:
            await passing.turn(59)
            assert seqs(keep) == []
            await passing.turn(1)
            assert seqs(keep) == [1]
            await passing.turn(1000)
            assert seqs(keep) == [1]  # nothing new
            await notes(run, 1)
            await passing.turn(1000)
            await passing.turn(59)
            assert seqs(keep) == [1]
            await passing.turn(1)
            assert seqs(keep) == [1, 2]

    on_a_run(sqlite_url, test)


def test_at_the_end_also_where_the_run_was_cancelled(sqlite_url: str, keep: CheckpointFile) -> None:
    async def test(ledger: Ledger, run: RunHandle) -> None:
        async with entered(ledger, keep):
            await notes(run, 5)
        assert seqs(keep) == [6]
        with pytest.raises(asyncio.CancelledError):
            async with entered(ledger, keep):
                await notes(run, 1)
                raise asyncio.CancelledError
        assert seqs(keep) == [6, 7]

    on_a_run(sqlite_url, test)


def test_what_one_process_vouched_for_another_need_not(sqlite_url: str, keep: CheckpointFile) -> None:
    async def test(ledger: Ledger, run: RunHandle) -> None:
        async with entered(ledger, keep) as one, entered(ledger, keep) as other:
            await notes(run, 1100)
            await one.turn(1)
            await other.turn(1)
            await other.turn(1000)
            await notes(run, 10)
            await other.turn(59)
            assert seqs(keep) == [1101]
        assert seqs(keep) == [1101, 1111]

    on_a_run(sqlite_url, test)


def test_without_a_key_there_is_nothing_to_do(sqlite_url: str) -> None:
    async def test(ledger: Ledger, run: RunHandle) -> None:
        before = asyncio.all_tasks()
        async with Checkpointing(ledger, None):
            assert asyncio.all_tasks() == before

    on_a_run(sqlite_url, test)


def test_trouble_with_the_folder_is_told_once_and_tried_again_ever_more_rarely(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "apart"
    blocked.touch()
    keep = CheckpointFile(blocked, (KEY,))

    async def test(ledger: Ledger, run: RunHandle) -> None:
        async with entered(ledger, keep) as passing:
            await notes(run, 1000)
            for _ in range(7):
                await passing.turn(1)
            assert passing.slept[1:] == [10, 20, 40, 80, 160, 300, 300]
            blocked.unlink()
            await passing.turn(300)
            assert seqs(keep) == [1001]
            assert passing.slept[-1] == 0.25

    with caplog.at_level(logging.INFO, "cordboard"):
        on_a_run(sqlite_url, test)
    [told] = caplog.records
    assert told.levelname == "WARNING"
    assert f"{keep.path} cannot be" in told.getMessage()


def test_a_chain_that_is_not_the_one_vouched_for_is_an_error_in_the_log_and_the_run_goes_on(
    sqlite_url: str, keep: CheckpointFile, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(ledger: Ledger, run: RunHandle) -> None:
        async with entered(ledger, keep):
            await notes(run, 5)
        await ledger.write(
            lambda connection, _: connection.exec_driver_sql("UPDATE audit SET hash = 'x' WHERE seq = 6")
        )
        async with entered(ledger, keep):
            await notes(run, 5)
        assert seqs(keep) == [6]

    on_a_run(sqlite_url, test)
    [told] = [record for record in caplog.records if record.name.startswith("cordboard")]
    assert told.levelname == "ERROR"
    assert "cordboard audit verify" in told.getMessage()


def test_a_ledger_that_cannot_be_read_is_trouble_too(
    sqlite_url: str, keep: CheckpointFile, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(ledger: Ledger, run: RunHandle) -> None:
        await ledger.write(lambda connection, _: connection.exec_driver_sql("ALTER TABLE audit_head RENAME TO gone"))
        async with entered(ledger, keep):
            pass
        await ledger.write(lambda connection, _: connection.exec_driver_sql("ALTER TABLE gone RENAME TO audit_head"))

    on_a_run(sqlite_url, test)
    assert "no checkpoint of the audit record was made: the ledger" in caplog.text


def test_a_share_that_hangs_holds_up_neither_the_run_nor_the_end_of_the_process(tmp_path: Path) -> None:
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", HUNG, str(tmp_path)], capture_output=True, text=True, timeout=30, check=True
    )
    assert ended.stdout == "done\n"
    assert "has not answered within 0.2 s" in ended.stderr
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("how", ["cancelled", "late"])
def test_an_answer_for_which_nobody_waits_any_more_is_dropped(
    how: str, tmp_path: Path, recwarn: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A share that answers after all, when the wait was given up or the event loop has ended."""
    os.mkfifo(tmp_path / "pipe")

    async def ask() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await checkpointing._apart((tmp_path / "pipe").read_bytes)
        if how == "cancelled":
            with (tmp_path / "pipe").open("wb"):
                pass
            while any(thread.name == "checkpoints" for thread in threading.enumerate()):
                await asyncio.sleep(0)
            await asyncio.sleep(0)

    asyncio.run(ask())
    if how == "late":
        with (tmp_path / "pipe").open("wb"):
            pass
    assert [str(warning.message) for warning in recwarn] == []
    assert caplog.text == ""
