"""Several processes on one ledger, and processes that die: real ones, really killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from cordboard.errors import RunBusy
from cordboard.records.audit import history, verify
from cordboard.records.effects import EffectState
from cordboard.records.ledger import Ledger
from cordboard.records.owner import Owner
from cordboard.records.schema import audit, runs
from tests.thorough import count

PREAMBLE = """
import asyncio, os, sys, resource, signal
from cordboard.errors import LedgerUnavailable
from cordboard.records.effects import Effect, EffectState
from cordboard.records.ledger import Ledger
def effect(name): return Effect("acme", "op", name, "a" * 64, name, "neither")
def tell(text): os.write(1, (text + "\\n").encode())
"""
HOLD = """
async def main():
    ledger = await Ledger.open(sys.argv[1])
    run = await ledger.claim_run("acme", "r1")
    await run.intend(effect("one"))
    tell("held")
    await asyncio.Event().wait()
asyncio.run(main())
"""
STREAM = """
async def main():
    ledger = await Ledger.open(sys.argv[1])
    run = await ledger.claim_run("acme", "r1")
    async def worker(number):
        for turn in range(10**6):
            name = f"{number}-{turn}"
            await run.intend(effect(name))
            tell(name)
    await asyncio.gather(*(worker(number) for number in range(16)))
asyncio.run(main())
"""
WRITE_500 = """
async def main():
    async with await Ledger.open(sys.argv[1]) as ledger:
        async with await ledger.claim_run("acme", f"run-{sys.argv[2]}") as run:
            for start in range(0, 500, 25):
                names = (f"{sys.argv[2]}-{number}" for number in range(start, start + 25))
                await asyncio.gather(*(run.intend(effect(name)) for name in names))
asyncio.run(main())
"""
DISK_FULL = """
async def main():
    async with await Ledger.open(sys.argv[1]) as ledger:
        run = await ledger.claim_run("acme", "r1")
        await run.intend(effect("before"))
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, unlimited[1]))
        for name in ("during", "during too"):
            try:
                await run.intend(effect(name))
                tell("sent")
            except LedgerUnavailable as error:
                tell(str(error))
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        await run.intend(effect("after"))
        tell(",".join(await run.all_entries()))
asyncio.run(main())
"""
READ_ONLY = """
async def main():
    try:
        await Ledger.open(sys.argv[1])
    except LedgerUnavailable as error:
        tell(str(error))
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
asyncio.run(main())
"""


@contextmanager
def child(script: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PREAMBLE + script, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout
    return (line.strip() for line in process.stdout)


def test_a_run_of_a_live_process_is_busy_and_after_its_death_it_is_free(sqlite_url: str) -> None:
    """The second start names the process that holds the run; once that is killed, nobody has to wait for a lease."""

    async def claim() -> int:
        async with await Ledger.open(sqlite_url) as ledger, await ledger.claim_run("acme", "r1") as run:
            assert [entry.effect.logical_id for entry in await run.left_open()] == ["one"]
            return run.epoch

    with child(HOLD, sqlite_url) as holder:
        assert next(lines_of(holder)) == "held"
        with pytest.raises(RunBusy, match=f"process {holder.pid} on .* Wait for it, or end that process"):
            asyncio.run(claim())
        holder.kill()
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # dead, and not reaped yet: a zombie holds nothing
        assert asyncio.run(claim()) == 2


def test_a_later_process_with_the_same_id_is_not_the_owner() -> None:
    me = Owner.current()
    assert me.is_here()
    assert me.is_alive()
    assert Owner.parse(str(me)) == me
    assert not replace(me, started="1").is_alive()
    assert not replace(me, pid=2**22 + 1).is_alive()
    assert not Owner(me.host, 2**22 + 1, "").is_alive()


def test_an_earlier_release_does_not_take_a_live_process_for_a_dead_one() -> None:
    """It reads host, id and start out of the text, and looks the process up where the host is its own."""
    me = Owner.current()
    host, pid, start = str(me).split(":", 2)
    assert (pid, start) == (str(me.pid), me.started)
    assert host != me.host  # so the lease decides
    assert Owner.parse(f"{me.host}:{pid}:{start}") == replace(me, table="")  # and what it wrote is understood


def test_a_process_of_another_process_table_is_not_looked_for_in_ours(sqlite_url: str) -> None:
    """Containers that use their host's network all have its name, and each counts its processes from 1."""
    me = Owner.current()
    assert replace(me, table="").is_here()  # as it was written before tables were told apart
    neighbour = replace(me, pid=2**22 + 1, table=f"{me.table}0")
    assert Owner.parse(str(neighbour)) == neighbour

    async def run_it() -> None:
        async with await Ledger.open(sqlite_url) as ledger:
            await ledger.claim_run("acme", "r1", owner=neighbour)
            with pytest.raises(RunBusy, match=f"process {neighbour.pid} on {me.host}.*lease ends"):
                await ledger.claim_run("acme", "r1")

    asyncio.run(run_it())


def test_a_run_of_another_host_is_busy_until_its_lease_passes(ledger_url: str) -> None:
    """Nobody can look into another host: its lease decides, and whoever renews it keeps the run."""

    async def run_it() -> None:
        now = 1_700_000_000.0
        async with await Ledger.open(ledger_url, clock=lambda: now) as ledger:
            far = await ledger.claim_run("acme", "r1", owner=Owner("far-away", 7, "1"))
            for wait, renew in ((29, True), (29, False)):
                now += wait
                with pytest.raises(RunBusy, match=r"process 7 on far-away.*lease ends at 2023"):
                    await ledger.claim_run("acme", "r1")
                if renew:
                    await far.renew()
            now += 2
            assert (await ledger.claim_run("acme", "r1")).epoch == 2

    asyncio.run(run_it())


def test_a_lease_is_renewed_in_the_background_until_the_run_is_lost(sqlite_url: str) -> None:
    """A long run keeps its lease without a write of its own; an overtaken one is refused once and falls silent."""

    async def run_it() -> None:
        now = 1_700_000_000.0
        async with await Ledger.open(sqlite_url, clock=lambda: now, lease_seconds=0.06) as ledger:

            async def reached(column: Any, wanted: Any) -> None:
                async with asyncio.timeout(10):
                    while await ledger.read(lambda c: c.scalar(select(func.max(column)))) < wanted:
                        await asyncio.sleep(0.005)

            await ledger.claim_run("acme", "r1")
            now += 10
            await reached(runs.c.lease_until, now + 0.06)
            await ledger.write(lambda c, _: c.execute(update(runs).values(epoch=2)))  # as a claim elsewhere does
            await reached(audit.c.seq, 2)
            await ledger.claim_run("acme", "r2")
            for _ in range(4):
                now += 10
                await reached(runs.c.lease_until, now + 0.06)
            assert [row["kind"] for row in await history(ledger, "acme", "r1")] == ["run.claimed", "write.refused"]

    asyncio.run(run_it())


def test_of_many_that_claim_one_run_at_once_one_gets_it(ledger_url: str) -> None:
    async def run_it() -> None:
        async with await Ledger.open(ledger_url) as ledger:
            claims = (ledger.claim_run("acme", "r1") for _ in range(20))
            outcomes = await asyncio.gather(*claims, return_exceptions=True)
            assert sum(isinstance(outcome, RunBusy) for outcome in outcomes) == 19

    asyncio.run(run_it())


def test_a_kill_loses_no_intent_whose_caller_went_on(ledger_url: str) -> None:
    """Killed in mid-stream: every intent that returned, after which a request may have left, is in the ledger."""

    async def left() -> set[str]:
        async with await Ledger.open(ledger_url) as ledger:
            assert (await verify(ledger)).ok
            async with await ledger.claim_run("acme", "r1") as run:
                return {entry.effect.logical_id for entry in await run.left_open()}

    with child(STREAM, ledger_url) as writer:
        lines = lines_of(writer)
        returned = [next(lines) for _ in range(400)]
        os.kill(writer.pid, signal.SIGKILL)
        returned += [line for line in lines if line]
        writer.wait()
    complete = returned[:-1]  # the kill may have cut the last line
    assert len(complete) >= 399
    assert set(complete) <= asyncio.run(left())


@pytest.mark.timeout(120)
def test_many_processes_write_one_linear_chain(ledger_url: str) -> None:
    """No gap, no fork, no `database is locked`, though all of them open the ledger at the same moment."""
    many = count(4, 8) if ledger_url.startswith("sqlite") else 4

    async def check() -> None:
        async with await Ledger.open(ledger_url) as ledger:
            report = await verify(ledger)
            assert (report.ok, report.rows) == (True, many * (500 + 2))
            for number in range(many):
                assert len(await history(ledger, "acme", f"run-{number}")) == 502

    command = [sys.executable, "-c", PREAMBLE + WRITE_500, ledger_url]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(many)]
    assert [writer.wait() for writer in writers] == [0] * many
    asyncio.run(check())


def test_a_full_disk_stops_the_sending_and_nothing_else(sqlite_url: str) -> None:
    """While the disk takes nothing no intent returns, so nothing is sent; when there is space again work goes on."""
    with child(DISK_FULL, sqlite_url) as process:
        first, second, names = lines_of(process)
    assert "the ledger" in first
    assert "free some space" in first
    assert "free some space" in second
    assert names == "before,after"


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)
    with child(READ_ONLY, f"sqlite:///{folder / 'ledger.db'}") as process:
        said = next(lines_of(process))
    assert str(folder / "ledger.db") in said
    assert "give this user" in said


def test_an_effect_of_a_killed_run_stays_sent_until_somebody_settles_it(sqlite_url: str) -> None:
    async def state() -> EffectState:
        async with await Ledger.open(sqlite_url) as ledger, await ledger.claim_run("acme", "r1") as run:
            return (await run.entries(["one"]))["one"].state

    with child(HOLD, sqlite_url) as holder:
        assert next(lines_of(holder)) == "held"
        holder.kill()
        holder.wait()
    assert asyncio.run(state()) is EffectState.SENT
