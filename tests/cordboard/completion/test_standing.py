"""What stands in the ledger of one tenant's completions, as an operator is to see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sqlalchemy import insert, update

from cordboard.completion.erp import erp_ref
from cordboard.completion.model import Completion
from cordboard.completion.receiving import inbox_endpoint
from cordboard.completion.standing import Standing, standing
from cordboard.records.capacity import Asking, take
from cordboard.records.changes import Aftermath
from cordboard.records.effects import Effect, EffectState, Message
from cordboard.records.inbox import receive
from cordboard.records.ledger import Ledger
from cordboard.records.schema import inbox, outbox, pools

Work = Callable[[Ledger], Coroutine[Any, Any, None]]


class Clock:
    """Seconds since the epoch, moved by hand."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def run(url: str, clock: Clock, work: Work) -> None:
    async def run_it() -> None:
        async with await Ledger.open(url, clock=clock) as ledger:
            await work(ledger)

    asyncio.run(run_it())


async def started(ledger: Ledger, tenant: str, workflow: str, many: int) -> None:
    """Instances that run, and records for the ERP, as a batch and a reaper leave them."""
    async with await ledger.claim_run(tenant, f"batch/{workflow}") as handle:
        for number in range(many):
            effect = Effect(tenant, "start", f"{workflow}/{number}", "a" * 64, f"row {number}", "neither")
            message = Message(erp_ref(tenant), "instance.ended", {"n": number})
            await handle.intend(effect)
            aftermath = Aftermath(f"{workflow}-{number}", workflow)
            await handle.conclude(effect, EffectState.DONE, aftermath=aftermath, messages=[message])


def test_an_empty_ledger_stands_at_nought(ledger_url: str) -> None:
    async def work(ledger: Ledger) -> None:
        assert await standing(ledger, "acme") == Standing()

    run(ledger_url, Clock(), work)


def test_what_waits_what_is_stuck_and_what_runs_is_counted_for_one_tenant(ledger_url: str) -> None:
    clock = Clock()

    async def work(ledger: Ledger) -> None:
        for tenant, many in (("acme", 3), ("globex", 5)):
            for number in range(many):
                body = Completion(f"inst-{number}", "wf_1", "completed").as_text()
                await receive(ledger, inbox_endpoint(tenant), f"msg_{number}", body)
            await started(ledger, tenant, "wf_quick", many)
        await started(ledger, "acme", "wf_slow", 1)

        def settle(connection: Any, now: float) -> None:
            connection.execute(update(inbox).where(inbox.c.message_id == "msg_2").values(state="unfit"))
            connection.execute(update(outbox).where(outbox.c.body == '{"n":2}').values(state="dead"))
            asking = Asking("acme", "wf_slow", 7, "b", "h", 5, [("k1", "r"), ("k2", "r")])
            take(connection, now, asking)
            connection.execute(update(pools).values(counted=4, counted_at=now))
            assert take(connection, now, asking).granted == 2

        await ledger.write(settle)
        clock.now += 90
        found = await standing(ledger, "acme")
        assert (found.waiting, found.unfit, found.erp_pending, found.erp_dead) == (2, 1, 3, 1)
        assert (found.waiting_age, found.erp_pending_age, found.running_age) == (90, 90, 90)
        assert found.running == {"wf_quick": 3, "wf_slow": 1}
        assert (found.slots, found.counted, found.limits) == ({"wf_slow": 2}, {"wf_slow": 4}, {"wf_slow": 7})

    run(ledger_url, clock, work)


def test_many_workflows_are_no_more_than_a_hundred_series_and_a_clock_set_back_is_no_negative_age(
    sqlite_url: str,
) -> None:
    clock = Clock()

    async def work(ledger: Ledger) -> None:
        from cordboard.records.schema import instances

        row = {"tenant": "acme", "run_key": "", "effect_key": "", "status": "running", "started_at": clock.now}
        rows = [{**row, "instance_id": f"i-{n}", "workflow_id": f"wf-{max(n, 30)}"} for n in range(150)]
        await ledger.write(lambda connection, _: connection.execute(insert(instances), rows))
        clock.now -= 3600
        found = await standing(ledger, "acme")
        assert (len(found.running), found.running["wf-30"], found.running_age) == (100, 31, 0)

    run(sqlite_url, clock, work)
