"""Places under a workflow's limit: none is kept by a start that sends nothing, or by a worker that is gone."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cordboard.errors import LedgerUnavailable, VendorFailed
from cordboard.records.capacity import Asking, counted, take
from cordboard.records.effects import EffectState
from cordboard.records.ledger import Ledger
from cordboard.records.owner import Owner
from cordboard.records.schema import slots
from cordboard.starting.model import Progress
from cordboard.starting.orders import effect_of
from cordboard.starting.pieces import start_piece
from cordboard.starting.places import Places
from tests.cordboard.starting.conftest import TRIGGER, WORKFLOW, Place, vendor

CUSTOMER = TRIGGER.context["customer"]
POSTS = {"method": "POST", "path": "/api/v2/workflows/instances"}
COUNTS = {"method": "GET", "path": "/api/v2/workflows/instances"}
DEAD = Owner(socket.gethostname(), 2**22 + 7, "1")  # no process has this id


async def left_by_a_dead_worker(place: Place, batch: Any, count: int) -> None:
    """So many starts of the first piece are on their way, and the process that sent them is no more."""
    async with place.opened(replace(batch, limit=None)) as run:
        piece = batch.spool.pieces[0]
        run_key = f"{batch.ledger_key}/{piece.name}"
        handle = await run.ledger.claim_run("acme", run_key, owner=DEAD)
        sent = [effect_of(batch, start) for start in piece.read()][:count]
        wanted = [(effect.key, run_key) for effect in sent]
        asking = Asking("acme", WORKFLOW, batch.limit, batch.run_key, "dead", 5, wanted)
        ticket = (await run.ledger.write(lambda c, now: take(c, now, asking))).ticket
        await run.ledger.write(lambda c, now: counted(c, now, asking, ticket, 0))
        assert (await run.ledger.write(lambda c, now: take(c, now, asking))).granted == count
        for effect in sent:
            await handle.intend(effect)
        run.ledger._runs.discard(handle)  # a killed process gives nothing back
        handle._renewal.cancel()


def test_the_places_of_a_killed_worker_come_back_to_who_takes_its_piece_up(tmp_path: Path) -> None:
    with vendor(max_running=2, duration_seconds=0.05) as box:
        place = Place(box, tmp_path)
        batch = place.batch(6, limit=2)
        asyncio.run(left_by_a_dead_worker(place, batch, 2))

        async def main() -> Progress:
            async with place.opened(batch, lease_seconds=1.0) as run:
                await asyncio.wait_for(start_piece(run, batch.spool.pieces[0]), 20)
                return run.progress

        assert asyncio.run(main()).started == 6
        assert box.truth.most_running(WORKFLOW) <= 2


def test_a_start_that_is_not_sent_again_takes_no_place(tmp_path: Path) -> None:
    """`neither`: three starts whose answers were lost are still unknown, and the others get every place."""
    lost = {
        "match": {"method": "POST", "path": "/api/v2/workflows/instances", "nth": [1, 2, 3]},
        "fault": {"lost_reply": "before_commit"},
    }
    with vendor(lost, idempotency=False, max_running=2, duration_seconds=0.05) as box:
        place = Place(box, tmp_path)
        three = place.batch(3, limit=2, safety="neither", settle_seconds=0.1)
        assert place.start(three).unknown == 3

        async def main() -> Progress:
            batch = place.batch(8, limit=2, safety="neither", settle_seconds=0.1)
            async with place.opened(batch) as run:
                await asyncio.wait_for(start_piece(run, batch.spool.pieces[0]), 20)
                return run.progress

        ended = asyncio.run(main())
        assert (ended.unknown, ended.started) == (3, 5)


async def waits(what: Any) -> None:
    """Until something is so; a loop that gets nowhere ends with the test's own timeout."""
    async with asyncio.timeout(10):
        while not what():
            await asyncio.sleep(0.01)


def count_of_slots(place: Place) -> int:
    async def main() -> int:
        async with await Ledger.open(place.ledger) as ledger:
            return len(await ledger.read(lambda c: c.execute(select(slots)).all()))

    return asyncio.run(main())


def test_a_start_with_other_content_takes_no_place(tmp_path: Path) -> None:
    with vendor(max_running=1, duration_seconds=0.05) as box:
        place = Place(box, tmp_path)
        place.start(place.batch(3, limit=1))
        batch = place.batch(4, limit=1, context={"customer": replace(CUSTOMER, value="changed")})
        ended = place.start(batch)
        assert (ended.started, dict(ended.kinds)) == (1, {"other_content": 3})


def test_a_start_that_another_run_has_in_hand_keeps_no_place_of_ours(tmp_path: Path) -> None:
    """It was nobody's when we looked, and is done when we come to it."""
    with vendor(max_running=2, duration_seconds=0.05) as box:
        place = Place(box, tmp_path)
        batch = place.batch(1, "monday", limit=2)
        (start,) = batch.spool.starts()
        effect = effect_of(batch, start)

        async def main() -> Progress:
            async with place.opened(batch) as run, await run.ledger.claim_run("acme", "starts/sunday/1") as other:
                enter = run.places.enter

                async def late(*asked: Any) -> None:
                    await enter(*asked)
                    await other.intend(effect)
                    await other.conclude(effect, EffectState.DONE, {"instance_id": "theirs"})

                run.places.enter = late
                await start_piece(run, batch.spool.pieces[0])
                return run.progress

        ended = asyncio.run(main())
        assert (ended.started, ended.already, len(box.truth.instances)) == (0, 1, 0)
        assert count_of_slots(place) == 0


def test_counts_that_fail_for_too_long_end_the_run(tmp_path: Path) -> None:
    broken = {"match": COUNTS, "fault": {"status": 503}}
    with vendor(broken, max_running=2) as box:
        place = Place(box, tmp_path)
        batch = place.batch(3, limit=2)

        async def main() -> str:
            async with place.opened(replace(batch, limit=None), retry_attempts=1) as run:
                told: list[str] = []
                passing = iter([0.0, 1.0, 601.0, 602.0, 603.0])
                places = Places(batch, run.ledger, run.session, "here", told.append, patience_seconds=600.0,
                                clock=lambda: next(passing, 700.0))  # fmt: skip
                async with places:
                    run.places = places
                    with pytest.raises(VendorFailed, match="could not be counted for") as caught:
                        await start_piece(run, batch.spool.pieces[0])
                assert any("which failed" in said and "503" in said for said in told)
                return str(caught.value)

        assert "wf_reminder" in asyncio.run(main())
        assert box.truth.instances == ()


def test_a_count_that_fails_for_a_while_is_waited_for(tmp_path: Path) -> None:
    broken = {"match": {**COUNTS, "nth": [1]}, "fault": {"status": 503}}
    with vendor(broken, max_running=2, duration_seconds=0.05) as box:
        place = Place(box, tmp_path)
        assert place.start(place.batch(3, limit=2), retry_attempts=1).started == 3


def test_a_tenant_that_may_not_count_is_told_at_once(tmp_path: Path) -> None:
    with vendor({"match": COUNTS, "fault": {"status": 403}}) as box:
        place = Place(box, tmp_path)
        with pytest.raises(VendorFailed, match="running instances of wf_reminder cannot be counted"):
            place.start(place.batch(3, limit=2))
        assert box.truth.instances == ()


def test_a_run_that_is_stopped_while_it_waits_for_a_place_leaves_none_behind(tmp_path: Path) -> None:
    with vendor(max_running=2, duration_seconds=60) as box:
        place = Place(box, tmp_path)
        batch = place.batch(5, limit=2)

        async def main() -> int:
            async with place.opened(batch) as run:
                task = asyncio.create_task(start_piece(run, batch.spool.pieces[0]))
                await waits(lambda: run.progress.started == 2)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                rows = await run.ledger.read(lambda c: c.execute(select(slots.c.ended_tick)).all())
                return sum(row.ended_tick is None for row in rows)

        assert asyncio.run(main()) == 0
        assert len(box.truth.instances) == 2


def test_a_place_that_is_handed_over_as_its_start_is_cancelled_goes_back(tmp_path: Path) -> None:
    with vendor(max_running=2) as box:
        place = Place(box, tmp_path)
        batch = place.batch(1, limit=2)

        async def main() -> int:
            async with place.opened(batch) as run:
                tickets: list[Any] = []

                def told(_: str) -> None:
                    """Called in the very step in which places are handed over."""
                    tickets.extend(run.places._queue)
                    if tickets and tickets[0][4].done():
                        task.cancel()

                run.places._told = told
                task = asyncio.create_task(run.places.enter("key", "starts/sunday/1", 5))
                with pytest.raises(asyncio.CancelledError):
                    await task
                return len(await run.ledger.read(lambda c: c.execute(select(slots)).all()))

        assert asyncio.run(main()) == 0


def test_a_ledger_that_fails_leaves_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> None:
        raise LedgerUnavailable("the ledger is gone")

    with vendor(max_running=2) as box:
        place = Place(box, tmp_path)
        monkeypatch.setattr("cordboard.starting.places.take", gone)
        with pytest.raises(LedgerUnavailable, match="the ledger is gone"):
            place.start(place.batch(250, limit=2))
        assert box.truth.instances == ()


@pytest.mark.parametrize(("first", "then"), [(1, 4), (4, 1)], ids=["raised", "lowered"])
def test_a_limit_that_was_changed_between_two_runs_holds(tmp_path: Path, first: int, then: int) -> None:
    with vendor(max_running=None, duration_seconds=0.1) as box:
        place = Place(box, tmp_path)
        place.start(place.batch(4, limit=first))
        assert box.truth.most_running(WORKFLOW) <= first
        place.start(place.batch(12, limit=then))
        assert box.truth.most_running(WORKFLOW) <= max(first, then)
        assert len(box.truth.instances) == 12


def test_batches_with_different_limits_both_come_to_their_end(tmp_path: Path) -> None:
    with vendor(max_running=None, duration_seconds=0.05) as box:
        place = Place(box, tmp_path)
        one = place.batch(20, "one", limit=4)
        two = place.batch(20, "two", limit=1, key="two-{{ row.id }}")

        async def main() -> list[int]:
            async with place.opened(one) as here, place.opened(two) as there, asyncio.timeout(30):
                await asyncio.gather(start_piece(here, one.spool.pieces[0]), start_piece(there, two.spool.pieces[0]))
                return [here.progress.started, there.progress.started]

        assert asyncio.run(main()) == [20, 20]
        assert box.truth.most_running(WORKFLOW) <= 4


def test_credentials_that_are_revoked_on_the_way_end_the_run(tmp_path: Path) -> None:
    """Not every one of fifty thousand rows has to meet them."""
    revoked = {"match": {**POSTS, "nth": list(range(11, 400))}, "fault": {"status": 403}}
    with vendor(revoked) as box:
        place = Place(box, tmp_path)
        with pytest.raises(VendorFailed, match="no instance of wf_reminder can be started"):
            place.start(place.batch(300), in_flight=5)
        assert len(box.truth.instances) == 10
        assert len(box.truth.posts(POSTS["path"])) < 60


@pytest.mark.parametrize("safety", ["keyed", "lookup", "neither"])
def test_the_limit_holds_on_each_database_also_after_lost_replies(tmp_path: Path, ledger_url: str, safety: str) -> None:
    lost = {"match": {**POSTS, "nth": [2, 5]}, "fault": {"lost_reply": "after_commit"}}
    with vendor(lost, max_running=3, duration_seconds=0.05, idempotency=safety == "keyed") as box:
        place = Place(box, tmp_path, ledger_url)
        batch = place.batch(12, limit=3, safety=safety)
        ended = place.start(batch)
        assert (ended.started + ended.unknown, box.truth.most_running(WORKFLOW)) == (12, 3)
        assert not box.truth.duplicates()
        assert not [entry for entry in box.truth.requests if entry.status in {429, 400}]
        again = place.start(batch)
        assert (again.started, again.already) == (0, ended.started)
