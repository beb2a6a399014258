"""Instances that do not report are asked for; what the vendor says is applied as if they had."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from sqlalchemy import select

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
        assert await reap(session, ledger, handle, "erp/acme", 0, 100) == Polled(ended=3, running=1, lost=1)
        assert await statuses(ledger) == dict.fromkeys(quick, "completed") | {slow: RUNNING, "inst-gone": LOST}
        assert await told(ledger) == 3
        assert await reap(session, ledger, handle, "erp/acme", 0, 100) == Polled(running=1)

    with running_sandbox(definition()) as box:
        run(ledger_url, box, work, later=1.0)


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


def test_overdue_instances_come_oldest_first_and_page_by_page(sqlite_url: str) -> None:
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
        run(sqlite_url, box, work)
