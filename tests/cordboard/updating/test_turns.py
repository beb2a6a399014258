"""Writers who share a ledger take turns at a flow; a turn is a courtesy, and nobody waits for the dead."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from cordboard.records.ledger import Ledger
from cordboard.records.schema import turns
from cordboard.updating import turn as turn_module
from cordboard.updating.loop import PLAIN
from cordboard.updating.run import UpdateRun
from cordboard.updating.turn import LEASE_SECONDS, PATIENCE_SECONDS, Turn, line_up

SERVER = os.environ.get("CORDBOARD_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test").replace("+asyncpg", "")
PROMPT = "nodes: {menu: {prompt: Hello.}}\n"
HOLDER = """
import asyncio, sys
from cordboard.records.ledger import Ledger
from cordboard.updating import turn

async def hold():
    async with await Ledger.open(sys.argv[1]) as ledger:
        turn.LEASE_SECONDS = 1.0
        mine = await turn.line_up(ledger, "acme", "clinic", "update/clinic/1")
        print("mine", flush=True)
        await mine.keep()

asyncio.run(hold())
"""


class Clock:
    """Time that passes while somebody waits; `meanwhile` is done at each wait."""

    def __init__(self, meanwhile: Callable[[], Any] | None = None) -> None:
        self.now, self.meanwhile = 1_000_000.0, meanwhile

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.meanwhile:
            await self.meanwhile()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty ledger, on each database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/ledger.db"
        return
    name = f"cordboard_{uuid.uuid4().hex[:12]}"
    try:
        asyncio.run(_on_server(f'CREATE DATABASE "{name}"'))
    except (OSError, asyncpg.PostgresError) as error:
        pytest.skip(f"no PostgreSQL for tests ({type(error).__name__}); set CORDBOARD_TEST_POSTGRES")
    yield f"{SERVER.rpartition('/')[0]}/{name}"
    asyncio.run(_on_server(f'DROP DATABASE "{name}" WITH (FORCE)'))


async def _on_server(statement: str) -> None:
    connection = await asyncpg.connect(SERVER, timeout=5)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def queue(url: str, count: int, clock: Clock) -> AsyncIterator[list[Turn]]:
    """So many writers of one flow, in the order in which they came."""
    async with await Ledger.open(url, clock=clock) as ledger:
        yield [await line_up(ledger, "acme", "clinic", f"update/clinic/{number}") for number in range(count)]


async def places(ledger: Ledger) -> int:
    return len(await ledger.read(lambda connection: connection.execute(turns.select()).all()))


def test_who_came_first_has_the_first_turn_and_the_next_one_when_it_leaves(url: str) -> None:
    async def work() -> None:
        async with queue(url, 3, Clock()) as (first, second, third):
            assert [len(await each.ahead()) for each in (first, second, third)] == [0, 1, 2]
            await second.leave()
            assert [len(await each.ahead()) for each in (first, third)] == [0, 1]
            await first.leave()
            assert await third.ahead() == []

    asyncio.run(work())


def test_a_writer_that_leaves_twice_takes_nobody_elses_place(url: str) -> None:
    async def work() -> int:
        async with await Ledger.open(url, clock=Clock()) as ledger:
            first = await line_up(ledger, "acme", "clinic", "first")
            await first.leave()
            await line_up(ledger, "acme", "clinic", "next")
            await first.leave()
            return await places(ledger)

    assert asyncio.run(work()) == 1


def test_the_turn_of_a_dead_writer_passes_when_its_lease_ends(url: str) -> None:
    async def work() -> float:
        clock = Clock()
        async with queue(url, 2, clock) as (_dead, next_one):
            began = clock.now
            assert await next_one.comes(100, clock.sleep)
            return clock.now - began

    assert LEASE_SECONDS - 0.1 < asyncio.run(work()) < LEASE_SECONDS + 0.5


def test_writers_of_other_flows_and_tenants_do_not_wait_for_each_other(url: str) -> None:
    async def work() -> None:
        async with await Ledger.open(url, clock=Clock()) as ledger:
            await line_up(ledger, "acme", "clinic", "a")
            assert await (await line_up(ledger, "acme", "shop", "b")).ahead() == []
            assert await (await line_up(ledger, "other", "clinic", "c")).ahead() == []

    asyncio.run(work())


@pytest.mark.parametrize(("seconds", "waited"), [(2.0, 2.0), (1000.0, 3.0)])
def test_who_waits_too_long_for_a_writer_that_lives_goes_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, waited: float
) -> None:
    monkeypatch.setattr(turn_module, "PATIENCE_SECONDS", 3.0)  # less than a lease

    async def work() -> float:
        clock = Clock()
        async with queue(f"sqlite:///{tmp_path}/ledger.db", 2, clock) as (_slow, next_one):
            began = clock.now
            assert not await next_one.comes(seconds, clock.sleep)
            return clock.now - began

    assert asyncio.run(work()) == pytest.approx(waited, abs=0.1)


def test_a_clock_that_is_set_back_makes_nobody_wait_for_longer(tmp_path: Path) -> None:
    class SetBack(Clock):
        waited = 0.0

        async def sleep(self, seconds: float) -> None:
            self.waited += seconds
            self.now = 1_000_000.0 - 3600 + self.waited

    async def work() -> float:
        clock = SetBack()
        async with queue(f"sqlite:///{tmp_path}/ledger.db", 2, clock) as (_dead, next_one):
            await asyncio.wait_for(next_one.comes(1.0, clock.sleep), 20)
            return clock.waited

    assert asyncio.run(work()) == pytest.approx(1.0, abs=0.1)


def test_whoever_sees_others_leave_waits_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three writers, each of which takes its time: the last one waits for all, longer than it would for one."""
    monkeypatch.setattr(turn_module, "PATIENCE_SECONDS", 1.5)

    async def work() -> float:
        clock = Clock()
        async with queue(f"sqlite:///{tmp_path}/ledger.db", 4, clock) as (*before, last):
            began = clock.now

            async def pass_on() -> None:
                if before and clock.now > began + 4 - len(before):  # one a second
                    await before.pop(0).leave()

            clock.meanwhile = pass_on
            assert await last.comes(1000, clock.sleep)
            return clock.now - began

    assert asyncio.run(work()) == pytest.approx(3.0, abs=0.1)


def test_a_lease_that_is_renewed_goes_on_and_the_places_of_the_dead_are_cleared_away(url: str) -> None:
    async def work() -> int:
        clock = Clock()
        async with await Ledger.open(url, clock=clock) as ledger:
            for name in ("dead", "dead too"):
                await line_up(ledger, "acme", "clinic", name)
            living = await line_up(ledger, "acme", "clinic", "living")
            clock.now += 100
            await living.renew()
            assert len(await (await line_up(ledger, "acme", "clinic", "new")).ahead()) == 1
            return await places(ledger)

    assert asyncio.run(work()) == 2


def test_without_a_queue_an_edit_is_saved_all_the_same(clinic: Any, edit: Any, office: Any) -> None:
    async def breaks(place: Any) -> UpdateRun:
        await place.ledger.write(lambda connection, _: turns.drop(connection))
        run: UpdateRun = await place.update(edit(PROMPT))
        return run

    assert office(clinic(), breaks).status == "saved"


def test_nobody_waits_while_a_person_is_asked(
    clinic: Any, edit: Any, office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn_module, "LEASE_SECONDS", 0.2)
    seen: dict[str, bool] = {}

    async def asks(place: Any) -> UpdateRun:
        async def comes(run: UpdateRun, seconds: float) -> bool:
            other = await line_up(run.ledger, run.handle.tenant, run.flow_id, "another")
            try:
                return await other.comes(seconds, asyncio.sleep)
            finally:
                await other.leave()

        async def join(run: UpdateRun) -> None:
            seen["while it is joined"] = await comes(run, 0.6)
            await PLAIN.join(run)

        async def agree(run: UpdateRun) -> bool:
            seen["while a person is asked"] = await comes(run, 5.0)
            return True

        run: UpdateRun = await place.update(edit(PROMPT), steps=replace(PLAIN, join=join, agree=agree))
        return run

    assert office(clinic(), asks).status == "saved"
    assert seen == {"while it is joined": False, "while a person is asked": True}


def test_a_round_queues_and_leaves_at_its_end_however_it_ends(clinic: Any, edit: Any, office: Any) -> None:
    async def refuse(run: UpdateRun) -> bool:
        assert await places(run.ledger) == 1
        return False

    async def fail(_: UpdateRun) -> None:
        raise RuntimeError

    async def left(place: Any) -> int:
        assert (await place.update(edit(PROMPT), steps=replace(PLAIN, agree=refuse))).status == "declined"
        with pytest.raises(RuntimeError):
            await place.update(edit(PROMPT), steps=replace(PLAIN, save=fail))
        await place.update(edit(PROMPT))
        return await places(place.ledger)

    assert office(clinic(), left) == 0


def test_a_plan_does_not_queue(clinic: Any, edit: Any, update: Any) -> None:
    async def join(run: UpdateRun) -> None:
        assert await places(run.ledger) == 0
        await PLAIN.join(run)

    assert update(clinic(), edit(PROMPT), steps=replace(PLAIN, join=join), dry_run=True).status == "planned"


@pytest.mark.slow
def test_a_writer_that_is_killed_in_its_turn_stops_the_others_for_its_lease_at_most(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    with subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"

        async def next_one() -> float:
            async with await Ledger.open(url) as ledger:
                mine = await line_up(ledger, "acme", "clinic", "update/clinic/2")
                assert not await mine.comes(1.5, asyncio.sleep), "it lives, and renews its lease"
                holder.kill()
                began = time.monotonic()
                assert await mine.comes(PATIENCE_SECONDS, asyncio.sleep)
                return time.monotonic() - began

        assert asyncio.run(next_one()) < 1 + 2, "its lease, and some time for a busy machine"
