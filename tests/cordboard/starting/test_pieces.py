"""Every row of a batch is started once, whatever the vendor does and however often it is run."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cordboard.errors import VendorFailed
from cordboard.records.audit import verify
from cordboard.records.effects import Effect, EffectState
from cordboard.records.ledger import Ledger
from cordboard.records.schema import effects, instances, slots
from cordboard.starting.pieces import is_in_other_hands, start_piece
from tests.cordboard.starting.conftest import WORKFLOW, Place, vendor

POST = {"method": "POST", "path": "/api/v2/workflows/instances"}
FAULTS: list[dict[str, Any]] = [
    {"match": {**POST, "probability": 0.08}, "fault": {"lost_reply": "after_commit"}},
    {"match": {**POST, "probability": 0.08}, "fault": {"lost_reply": "before_commit"}},
    {"match": {**POST, "probability": 0.08}, "fault": {"status": 500}},
    {"match": {**POST, "probability": 0.05}, "fault": {"rate_limited": {"retry_after": "0"}}},
]


def states(place: Place) -> Counter[str]:
    """How the effects stand in the ledger."""

    async def main() -> Counter[str]:
        async with await Ledger.open(f"sqlite:///{place.folder / 'ledger.db'}") as ledger:
            assert (await verify(ledger)).ok
            return Counter(await ledger.read(lambda c: c.scalars(select(effects.c.state)).all()))

    return asyncio.run(main())


def test_each_row_becomes_one_instance_and_a_second_run_starts_nothing(place: Place) -> None:
    batch = place.batch(30)
    first = place.start(batch)
    assert (first.started, first.already, first.failed, first.unknown) == (30, 0, 0, 0)
    again = place.start(batch)
    assert (again.started, again.already) == (0, 30)
    assert len(set(place.references)) == len(place.references) == 30
    entry = place.box.truth.instances[0]
    assert entry.inputs["metadata"]["cordboardReference"] == entry.reference
    assert entry.inputs["metadata"]["source"] == "tests"


def test_a_key_means_the_same_start_in_every_batch_of_the_workflow(place: Place) -> None:
    place.start(place.batch(5, "sunday"))
    assert place.start(place.batch(6, "monday")).started == 1


def test_another_operation_may_have_the_same_id(place: Place) -> None:
    """A chain `wf_reminder` under the run key `A0` says nothing of the start of `A0`."""

    async def other() -> None:
        async with await Ledger.open(place.ledger) as ledger, await ledger.claim_run("acme", "chain") as run:
            effect = Effect("acme", "cxone.dataactions.execute", f"{WORKFLOW}/A0", "0" * 64, "A0", "neither")
            await run.intend(effect)
            await run.conclude(effect, EffectState.UNKNOWN)

    asyncio.run(other())
    ended = place.start(place.batch(2))
    assert (ended.started, ended.unknown, len(place.references)) == (2, 0, 2)


def test_without_a_key_the_content_counts_within_its_run_key(place: Place) -> None:
    assert place.start(place.batch(3, "sunday", key=None)).started == 3
    assert place.start(place.batch(3, "sunday", key=None)).started == 0
    assert place.start(place.batch(3, "monday", key=None)).started == 3


def test_a_key_with_other_content_is_refused_and_not_sent(place: Place) -> None:
    place.start(place.batch(2))
    other = place.batch(2, context={"customer": replace(place.batch(1).trigger.context["customer"], value="changed")})
    ended = place.start(other)
    assert (ended.failed, dict(ended.kinds), len(place.references)) == (2, {"other_content": 2}, 2)


@pytest.mark.parametrize("safety", ["keyed", "lookup"])
def test_lost_replies_and_failures_double_nothing_and_lose_nothing(tmp_path: Path, safety: str) -> None:
    with vendor(*FAULTS, idempotency=safety == "keyed") as box:
        place = Place(box, tmp_path)
        batch = place.batch(150, safety=safety)
        ended = place.start(batch)
        while ended.started + ended.already < 150:
            assert ended.failed + ended.unknown
            ended = place.start(batch)
        assert len(set(place.references)) == len(place.references) == 150
        assert len(box.truth.posts(POST["path"])) > 150
        assert states(place) == {"done": 150}


def test_where_nothing_can_be_found_out_it_is_listed_and_never_sent_again(tmp_path: Path) -> None:
    with vendor(*FAULTS, idempotency=False) as box:
        place = Place(box, tmp_path)
        batch = place.batch(150, safety="neither")
        first, again = place.start(batch), place.start(batch)
        assert first.unknown > 0
        assert (again.unknown, again.started + again.already + again.unknown) == (first.unknown, 150)
        assert not box.truth.duplicates()
        assert states(place) == {"done": 150 - first.unknown, "unknown": first.unknown}


def test_a_start_that_no_vendor_would_take_fails_alone(tmp_path: Path) -> None:
    refuse = {"match": {**POST, "inputs": {"context": {"customer": "C3"}}}, "fault": {"status": 422}}
    with vendor(refuse) as box:
        place = Place(box, tmp_path)
        ended = place.start(place.batch(8))
        assert (ended.started, ended.failed, dict(ended.kinds)) == (7, 1, {"rejected": 1})


def test_a_row_that_was_refused_can_be_mended_and_started_under_its_key(tmp_path: Path) -> None:
    refuse = {"match": {**POST, "inputs": {"context": {"customer": "C1"}}}, "fault": {"status": 422}}
    with vendor(refuse) as box:
        place = Place(box, tmp_path)
        rows = tmp_path / "rows.csv"
        rows.write_text("id,customer,priority\nA0,C0,5\nA1,C1,5\n")
        assert place.start(place.of(rows)).failed == 1
        rows.write_text("id,customer,priority\nA0,C0,5\nA1,C9,5\n")
        mended = place.start(place.of(rows, "mended"))
        assert (mended.started, mended.already, len(box.truth.instances)) == (1, 1, 2)


def test_what_every_start_would_meet_ends_the_run_at_once(place: Place) -> None:
    with pytest.raises(VendorFailed, match="no instance of wf_unknown can be started"):
        place.start(place.batch(200, workflow_id="wf_unknown"))
    assert len(place.box.truth.posts(POST["path"])) <= 60  # those that were open, and those on their way meanwhile


def test_a_vendor_that_takes_nothing_ends_the_run_after_its_patience(tmp_path: Path) -> None:
    busy = {"match": POST, "fault": {"rate_limited": {"retry_after": "0"}}}
    with vendor(busy) as box:
        place = Place(box, tmp_path)

        async def main() -> None:
            batch = place.batch(3)
            async with place.opened(batch, retry_attempts=1) as run:
                run.patience_seconds = 0.0
                with pytest.raises(VendorFailed, match="has started nothing for"):
                    await start_piece(run, batch.spool.pieces[0])

        asyncio.run(main())
        assert not box.truth.instances


@pytest.mark.parametrize("at_limit", [429, 400])
def test_the_limit_holds_and_every_start_gets_its_place(tmp_path: Path, at_limit: int) -> None:
    with vendor(max_running=3, at_limit=at_limit, duration_seconds=0.05) as box:
        place = Place(box, tmp_path)
        ended = place.start(place.batch(40, limit=3))
        assert (ended.started, box.truth.most_running(WORKFLOW)) == (40, 3)
        assert not [entry for entry in box.truth.requests if entry.status in {429, 400}]


def test_a_limit_that_nobody_told_us_makes_starts_wait(tmp_path: Path) -> None:
    """The vendor's own refusal, 429 or 400, is no failure of a start."""
    with vendor(max_running=4, at_limit=400, duration_seconds=0.05) as box:
        place = Place(box, tmp_path)
        ended = place.start(place.batch(12))
        assert (ended.started, ended.failed) == (12, 0)


def test_urgent_starts_come_first(tmp_path: Path) -> None:
    with vendor(max_running=1, duration_seconds=0.02) as box:
        place = Place(box, tmp_path)
        rows = tmp_path / "rows.csv"
        rows.write_text("id,customer,priority\n" + "".join(f"A{n},C{n},{10 - n}\n" for n in range(10)))
        place.start(place.of(rows, limit=1))
        assert [entry.inputs["priority"] for entry in box.truth.instances] == list(range(1, 11))


def test_instances_are_on_record_and_no_place_is_left_behind(tmp_path: Path) -> None:
    with vendor(max_running=2, duration_seconds=0.05) as box:
        place = Place(box, tmp_path)
        place.start(place.batch(6, limit=2))

        async def main() -> tuple[list[Any], int]:
            async with await Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
                rows = await ledger.read(lambda c: c.execute(select(instances)).all())
                return list(rows), len(await ledger.read(lambda c: c.execute(select(slots)).all()))

        rows, open_slots = asyncio.run(main())
        assert {row.instance_id for row in rows} == {entry.instance_id for entry in box.truth.instances}
        assert {row.status for row in rows} == {"running"}
        assert open_slots <= 2  # those that no count has seen yet; the next count takes them


def test_a_run_that_is_stopped_waits_for_what_it_has_sent(tmp_path: Path) -> None:
    """A call that is cut off could never be known; those that had not left are not sent at all."""
    with vendor(idempotency=False, delay_ms=300) as box:
        place = Place(box, tmp_path)
        batch = place.batch(40, safety="neither")

        async def main() -> None:
            async with place.opened(batch, in_flight=5) as run:
                task = asyncio.create_task(start_piece(run, batch.spool.pieces[0]))
                while box.truth.in_flight < 5:
                    await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

        asyncio.run(main())
        found = states(place)
        assert found["unknown"] == found["sent"] == 0
        left = found["done"]  # one more than may be open had its intent on record already
        assert left == len(box.truth.instances)
        assert 5 <= left <= 6
        assert place.start(batch).started == 40 - left
        assert not box.truth.duplicates()


def test_two_workers_share_a_batch_and_do_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cordboard.starting.spool.PIECE", 10)
    with vendor(duration_seconds=5) as box:
        place = Place(box, tmp_path)
        batch = place.batch(60)

        async def main() -> None:
            async with place.opened(batch) as one, place.opened(batch) as two:

                async def work(run: Any) -> int:
                    dealt_with = [await start_piece(run, piece) for piece in batch.spool.pieces]
                    return sum(each is None for each in dealt_with)

                passed_over = await asyncio.gather(work(one), work(two))
                assert sum(passed_over) > 0
                assert one.progress.started + two.progress.started == 60

        asyncio.run(main())
        assert len(set(place.references)) == len(place.references) == 60


def test_a_piece_is_in_other_hands_while_its_worker_lives(place: Place) -> None:
    batch = place.batch(3)

    async def main() -> list[bool]:
        async with place.opened(batch) as run:
            piece, seen = batch.spool.pieces[0], []
            async with await run.ledger.claim_run("acme", f"starts/sunday/{piece.name}"):
                seen.append(await is_in_other_hands(run, piece))
            return [*seen, await is_in_other_hands(run, piece)]

    assert asyncio.run(main()) == [True, False]


def test_a_start_that_another_run_left_open_is_asked_for_first(tmp_path: Path) -> None:
    """Two batches with the same key: what the other one sent may be there, or may yet come."""
    lost = {"match": {**POST, "nth": [1]}, "fault": {"lost_reply": "after_commit"}}
    with vendor(lost, idempotency=False) as box:
        place = Place(box, tmp_path)
        batch = place.batch(1, "monday", safety="lookup")

        async def leave_open() -> None:
            from cordboard.starting.orders import effect_of

            async with (
                place.opened(batch) as run,
                await run.ledger.claim_run("acme", "starts/sunday/05-000000") as other,
            ):
                (start,) = batch.spool.pieces[0].read()
                await other.intend(effect_of(batch, start))

        asyncio.run(leave_open())
        ended = place.start(batch)
        assert (ended.started, len(box.truth.instances)) == (1, 1)
        assert states(place) == {EffectState.DONE: 1}
