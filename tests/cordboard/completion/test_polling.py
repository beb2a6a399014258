"""Instances that do not report are asked for; what the vendor says is applied as if they had."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import select

from cordboard.completion import polling
from cordboard.completion.applying import fence_of
from cordboard.completion.ended import LOST, Applied, Ended
from cordboard.completion.model import Completion
from cordboard.completion.polling import Polled, overdue, poll, reap
from cordboard.records.changes import RUNNING, Aftermath
from cordboard.records.effects import Effect, EffectState
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle
from cordboard.records.schema import instances, outbox
from cordboard.sandbox import Definition, Faults, RunningSandbox, default_definition, running_sandbox
from cordboard.settings import Settings
from cordboard.vendors.cxone_workflows import start_instance
from cordboard.vendors.login import CXoneLogin
from cordboard.vendors.session import VendorSession
from cordboard.vendors.wire import Safety

DAY = 86_400.0
RESULT = {"output": {"customerId": "C-1", "routingDecision": "sales"}}
WORKFLOWS = {
    "wf_quick": {"duration_seconds": 0, "result": RESULT},
    "wf_slow": {"duration_seconds": 600_000, "result": RESULT},
}
Work = Callable[[VendorSession, Ledger, RunHandle], Coroutine[Any, Any, None]]


def definition() -> Definition:
    return default_definition().changed(workflows=WORKFLOWS)


def run(url: str, box: RunningSandbox, work: Work, later: float = 0.0, **limits: Any) -> None:
    async def run_it() -> None:
        import time

        login = CXoneLogin.from_env(box.env())
        async with (
            await Ledger.open(url, clock=lambda: time.time() + later) as ledger,
            await ledger.claim_run("acme", "reaper") as handle,
            login.session(Settings(**limits), api="workflows") as session,
        ):
            await work(session, ledger, handle)

    asyncio.run(run_it())


async def started(session: VendorSession, ledger: Ledger, workflow: str, many: int = 1) -> list[str]:
    """Instances that were started, and stand in the ledger as a batch leaves them."""
    async with await ledger.claim_run("acme", "batch", kind="trigger") as batch:

        async def one(number: int) -> str:
            request = start_instance({"workflowId": workflow, "priority": 5, "context": {}}, safety=Safety.NEITHER)
            answer = await session.call(request, timeout_seconds=10)
            instance_id: str = answer.verdict.value["instance_id"]
            effect = Effect("acme", "start", f"{workflow}/{number}", "a" * 64, f"row {number}", "neither")
            await batch.intend(effect)
            await batch.conclude(effect, EffectState.DONE, aftermath=Aftermath(instance_id, workflow))
            return instance_id

        return await asyncio.gather(*(one(number) for number in range(many)))


def pass_time(ledger: Ledger, seconds: float) -> None:
    """Moves the ledger's clock on; the vendor's stays."""
    clock = ledger.clock
    ledger.clock = lambda: clock() + seconds  # type: ignore[misc]


async def statuses(ledger: Ledger) -> dict[str, str]:
    query = select(instances.c.instance_id, instances.c.status)
    return await ledger.read(lambda connection: {row[0]: row[1] for row in connection.execute(query)})


async def told(ledger: Ledger) -> int:
    return await ledger.read(lambda connection: len(connection.execute(select(outbox)).all()))


def test_the_reaper_applies_ends_closes_what_is_gone_and_leaves_what_runs(ledger_url: str) -> None:
    """Once: a second pass finds only what runs on."""

    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        quick = await started(session, ledger, "wf_quick", 3)
        (slow,) = await started(session, ledger, "wf_slow")
        effect = Effect("acme", "start", "gone", "a" * 64, "row", "neither")
        await handle.intend(effect)
        await handle.conclude(effect, EffectState.DONE, aftermath=Aftermath("inst-gone", "wf_slow"))
        assert await reap(session, ledger, handle, "erp/acme", DAY, 100) == Polled()  # none is a day old
        pass_time(ledger, DAY)
        assert await reap(session, ledger, handle, "erp/acme", DAY, 100) == Polled(ended=3, running=1, lost=1)
        assert await statuses(ledger) == dict.fromkeys(quick, "completed") | {slow: RUNNING, "inst-gone": LOST}
        assert await told(ledger) == 3
        assert await reap(session, ledger, handle, "erp/acme", DAY, 100) == Polled(running=1)

    with running_sandbox(definition()) as box:
        run(ledger_url, box, work)


def test_what_is_younger_than_five_minutes_is_not_given_up_whatever_the_reaper_is_told(sqlite_url: str) -> None:
    """The vendor may show it in a moment; given up, its place would be another's while it runs."""

    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        await started(session, ledger, "wf_slow")
        effect = Effect("acme", "start", "late", "a" * 64, "row", "neither")
        await handle.intend(effect)
        await handle.conclude(effect, EffectState.DONE, aftermath=Aftermath("inst-late", "wf_slow"))
        pass_time(ledger, 299)
        young = Polled(running=1, left=1, troubles={"not_found": 1})
        assert await reap(session, ledger, handle, None, 299, 100) == young
        pass_time(ledger, 1)
        assert await reap(session, ledger, handle, None, 300, 100) == Polled(running=1, lost=1)

    with running_sandbox(definition()) as box:
        run(sqlite_url, box, work)


def test_the_result_of_the_vendor_is_what_the_erp_hears(sqlite_url: str) -> None:
    import json

    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        (quick,) = await started(session, ledger, "wf_quick")
        assert (await poll(session, ledger, handle, "acme", [quick], "erp/acme")).ended == 1
        body = await ledger.read(lambda connection: connection.scalar(select(outbox.c.body)))
        record = {"externalId": quick, "workflowId": "wf_quick", "finalStatus": "completed"}
        assert json.loads(body or "") == {**record, "customerData": "C-1", "routingResult": "sales"}
        late = Completion(quick, "wf_quick", "COMPLETED", {})
        assert await ledger.submit(Ended(fence_of(handle), late, None, "erp/acme")) is Applied.REPEATED

    with running_sandbox(definition()) as box:
        run(sqlite_url, box, work)


def test_what_was_just_started_is_not_lost_because_the_vendor_does_not_show_it_yet(sqlite_url: str) -> None:
    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        found = await poll(session, ledger, handle, "acme", ["inst-new", "../etc", ""], None)
        assert found == Polled(left=3, troubles={"not_found": 1, "bad_id": 2})
        with pytest.raises(ValueError, match="'globex'"):
            await poll(session, ledger, handle, "globex", [], None)

    with running_sandbox(definition()) as box:
        run(sqlite_url, box, work)


def test_a_vendor_in_trouble_closes_nothing_and_is_not_asked_for_all_of_them(sqlite_url: str) -> None:
    """The first batch shows it; the rest is for a later run."""
    down = Faults.of({"match": {"path": "/api/v2/workflows/instances/*"}, "fault": {"status": 503}})

    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        await started(session, ledger, "wf_slow", 250)
        found = await reap(session, ledger, handle, None, 0, 5_000)
        assert (found.left, found.lost, found.ended) == (200, 0, 0)
        assert sum(found.troubles.values()) == 200
        assert Counter((await statuses(ledger)).values()) == {RUNNING: 250}

    with running_sandbox(definition(), down) as box:
        run(sqlite_url, box, work, later=1.0, retry_attempts=1, retry_total_seconds=1.0)


def test_a_vendor_that_knows_none_of_ours_makes_none_of_them_lost(sqlite_url: str) -> None:
    """It is the wrong address, or another tenant's; the right one then finds all of them as they are."""

    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        ids = await started(session, ledger, "wf_slow", 3)
        with running_sandbox(definition()) as elsewhere:
            async with CXoneLogin.from_env(elsewhere.env()).session(Settings(), api="workflows") as wrong:
                pass_time(ledger, DAY)
                found = await reap(wrong, ledger, handle, "erp/acme", DAY, 100)
        assert (found, found.is_unanswered) == (Polled(left=3, troubles={"not_found": 3}), False)
        assert await statuses(ledger) == dict.fromkeys(ids, RUNNING)
        assert await reap(session, ledger, handle, "erp/acme", DAY, 100) == Polled(running=3)

    with running_sandbox(definition()) as box:
        run(sqlite_url, box, work)


def test_one_that_is_gone_is_lost_as_soon_as_the_vendor_knows_a_younger_one(sqlite_url: str) -> None:
    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        effect = Effect("acme", "start", "gone", "a" * 64, "row", "neither")
        await handle.intend(effect)
        await handle.conclude(effect, EffectState.DONE, aftermath=Aftermath("inst-gone", "wf_slow"))
        pass_time(ledger, DAY)
        assert await reap(session, ledger, handle, None, DAY, 100) == Polled(left=1, troubles={"not_found": 1})
        (young,) = await started(session, ledger, "wf_slow")
        assert await reap(session, ledger, handle, None, DAY, 100) == Polled(lost=1)
        assert await statuses(ledger) == {"inst-gone": LOST, young: RUNNING}

    with running_sandbox(definition()) as box:
        run(sqlite_url, box, work)


def test_one_that_is_gone_is_lost_where_the_vendor_knows_one_that_completed(sqlite_url: str) -> None:
    """Else the last one of a quiet day would stay open, and each run of the reaper would fail for it."""

    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        (quick,) = await started(session, ledger, "wf_quick")
        assert (await poll(session, ledger, handle, "acme", [quick], None)).ended == 1
        effect = Effect("acme", "start", "gone", "a" * 64, "row", "neither")
        await handle.intend(effect)
        await handle.conclude(effect, EffectState.DONE, aftermath=Aftermath("inst-gone", "wf_slow"))
        pass_time(ledger, DAY)
        with running_sandbox(definition()) as elsewhere:
            async with CXoneLogin.from_env(elsewhere.env()).session(Settings(), api="workflows") as wrong:
                left = Polled(left=1, troubles={"not_found": 1})
                assert await reap(wrong, ledger, handle, None, DAY, 100) == left
        assert await reap(session, ledger, handle, None, DAY, 100) == Polled(lost=1)

    with running_sandbox(definition()) as box:
        run(sqlite_url, box, work)


def test_instances_for_which_the_vendor_never_answers_hold_none_of_the_others_up(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that stopped, at such or at its limit, is followed by one that goes on behind them, and comes round."""
    monkeypatch.setattr(polling, "BATCH", 4)

    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        odd = await started(session, ledger, "wf_slow", 4)
        quick = await started(session, ledger, "wf_quick", 6)
        faults = [{"match": {"path": f"/api/v2/workflows/instances/{each}"}, "fault": {"status": 500}} for each in odd]
        box.sandbox.use_faults(Faults.of(*faults))
        assert await reap(session, ledger, handle, None, 0, 5) == Polled(left=4, troubles={"server_error": 4})
        assert await reap(session, ledger, handle, None, 0, 5) == Polled(ended=5)
        box.sandbox.use_faults(Faults())
        assert await reap(session, ledger, handle, None, 0, 100) == Polled(ended=1, running=4)
        assert {(await statuses(ledger))[each] for each in quick} == {"completed"}

    with running_sandbox(definition()) as box:
        run(sqlite_url, box, work, later=1.0, retry_attempts=1, retry_total_seconds=1.0)


def test_an_instance_of_a_clock_that_ran_ahead_is_asked_for_at_once(sqlite_url: str) -> None:
    """Its start lies in the future since the clock was set back: it would not be overdue for all that time."""

    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        (ahead,) = await started(session, ledger, "wf_slow")
        pass_time(ledger, -DAY)
        (usual,) = await started(session, ledger, "wf_quick")
        assert await overdue(ledger, "acme", ledger.clock() - 60, 10) == [ahead]
        assert await overdue(ledger, "acme", ledger.clock() + 60, 10) == [usual, ahead]

    with running_sandbox(definition()) as box:
        run(sqlite_url, box, work)


def test_what_seems_to_have_started_in_the_future_is_not_given_up(sqlite_url: str) -> None:
    """The clock of its host may run ahead: it may have started just now, so that the vendor does not show it yet."""

    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        pass_time(ledger, -DAY)
        await started(session, ledger, "wf_slow")
        pass_time(ledger, DAY)
        effect = Effect("acme", "start", "ahead", "a" * 64, "row", "neither")
        await handle.intend(effect)
        await handle.conclude(effect, EffectState.DONE, aftermath=Aftermath("inst-ahead", "wf_slow"))
        pass_time(ledger, -600)  # as a host sees it whose clock is right
        found = Polled(running=1, left=1, troubles={"not_found": 1})
        assert await reap(session, ledger, handle, None, 3_600, 100) == found
        assert (await statuses(ledger))["inst-ahead"] == RUNNING

    with running_sandbox(definition()) as box:
        run(sqlite_url, box, work)


def test_whatever_id_the_vendor_gave_an_instance_it_is_asked_for_under_that_one(sqlite_url: str) -> None:
    """Over real HTTP: escaped once on the way, and never a part of the path that leads elsewhere."""
    ids = ["urn:uuid:0-1", "a b", "\u00e9", "+1=~,@", "x" * 200]

    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        found = await poll(session, ledger, handle, "acme", [*ids, "a/../b"], None)
        assert found == Polled(left=6, troubles={"not_found": 5, "bad_id": 1})

    with running_sandbox(definition()) as box:
        run(sqlite_url, box, work)
        asked = {entry.path for entry in box.truth.requests if entry.method == "GET"}
    assert asked == {f"/api/v2/workflows/instances/{each}" for each in ids}


def test_overdue_instances_come_oldest_first_and_page_by_page(ledger_url: str) -> None:
    async def work(session: VendorSession, ledger: Ledger, handle: RunHandle) -> None:
        await started(session, ledger, "wf_slow", 45)
        found: list[str] = []
        while page := await overdue(ledger, "acme", ledger.clock(), 10, found[-1] if found else ""):
            found += page
        order = select(instances.c.instance_id).order_by(instances.c.started_at, instances.c.instance_id)
        assert found == await ledger.read(lambda connection: list(connection.scalars(order)))
        assert len(set(found)) == 45
        assert await overdue(ledger, "globex", ledger.clock(), 10) == []
        assert await reap(session, ledger, handle, None, 0, 20) == Polled(running=20)

    with running_sandbox(definition()) as box:
        run(ledger_url, box, work)
