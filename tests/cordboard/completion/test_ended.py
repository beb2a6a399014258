"""What a completion does to an instance: once, in one transaction, whatever came before it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select

from cordboard.completion.applying import fence_of
from cordboard.completion.ended import LOST, Applied, Ended, Lost, SetAside
from cordboard.completion.model import Completion
from cordboard.errors import StaleOwner
from cordboard.records.audit import verify
from cordboard.records.changes import RUNNING, Aftermath, Fenced
from cordboard.records.effects import Effect, EffectState
from cordboard.records.inbox import receive
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle
from cordboard.records.schema import audit, inbox, instances, outbox, slots
from cordboard.redaction import Redactor

NOW = 1_700_000_000.0
ERP = "erp/acme"
START = Effect("acme", "cxone.workflow.start", "batch/row-1", "a" * 64, "row-1", "keyed")
Work = Callable[[Ledger, RunHandle], Coroutine[Any, Any, None]]


def said(status: str = "completed", workflow: str = "wf_1", instance: str = "inst-1", **context: Any) -> Completion:
    return Completion(instance, workflow, status, context)


@asynccontextmanager
async def at_work(url: str) -> AsyncIterator[tuple[Ledger, RunHandle]]:
    async with (
        await Ledger.open(url, clock=lambda: NOW) as ledger,
        await ledger.claim_run("acme", "completions", kind="completions") as handle,
    ):
        yield ledger, handle


def run(url: str, work: Work) -> None:
    async def run_it() -> None:
        async with at_work(url) as (ledger, handle):
            await work(ledger, handle)
            assert (await verify(ledger)).ok

    asyncio.run(run_it())


async def start(ledger: Ledger) -> None:
    """An instance as a batch starts one: a slot, an intent, an answer."""

    def take_slot(connection: Connection, now: float) -> None:
        row = {"effect_key": START.key, "tenant": "acme", "workflow_id": "wf_1", "run_key": "batch"}
        connection.execute(insert(slots), {**row, "lease_until": now + 60})

    await ledger.write(take_slot)
    async with await ledger.claim_run("acme", "batch", kind="trigger") as batch:
        await batch.intend(START)
        await batch.conclude(START, EffectState.DONE, result={"id": "inst-1"}, aftermath=Aftermath("inst-1", "wf_1"))


async def end(ledger: Ledger, handle: RunHandle, completion: Completion, **more: Any) -> Applied:
    return Applied(await ledger.submit(Ended(fence_of(handle), completion, **({"erp": ERP} | more))))


async def rows(ledger: Ledger, table: Any) -> list[dict[str, Any]]:
    return await ledger.read(lambda connection: [dict(row) for row in connection.execute(select(table)).mappings()])


async def instance(ledger: Ledger, instance_id: str = "inst-1") -> dict[str, Any]:
    (found,) = [row for row in await rows(ledger, instances) if row["instance_id"] == instance_id]
    return found


async def audited(ledger: Ledger) -> list[tuple[str, str]]:
    return [(row["kind"], row["subject"]) for row in await rows(ledger, audit) if row["kind"].startswith("instance.")]


async def records(ledger: Ledger) -> list[dict[str, Any]]:
    return [json.loads(row["body"]) for row in await rows(ledger, outbox) if row["endpoint"] == ERP]


def test_a_running_instance_ends_its_place_is_free_and_the_erp_is_told(ledger_url: str) -> None:
    async def work(ledger: Ledger, handle: RunHandle) -> None:
        await start(ledger)
        message = await receive(ledger, "completions/acme", "msg_1", "{}")
        completion = said("Completed", customerId={"n": 7}, routingDecision="sales")
        assert await end(ledger, handle, completion, inbox_id=message.inbox_id) is Applied.ENDED
        found = await instance(ledger)
        assert (found["status"], found["ended_at"], found["run_key"]) == ("completed", NOW, "batch")
        assert await rows(ledger, slots) == []
        record = {"externalId": "inst-1", "workflowId": "wf_1", "finalStatus": "Completed"}
        assert await records(ledger) == [{**record, "customerData": {"n": 7}, "routingResult": "sales"}]
        assert await audited(ledger) == [("instance.ended", "inst-1")]
        assert [(row["state"], row["applied_at"]) for row in await rows(ledger, inbox)] == [("applied", NOW)]

    run(ledger_url, work)


def test_a_callback_before_the_reply_to_the_start_is_kept_and_the_reply_changes_nothing_of_it(ledger_url: str) -> None:
    """The ERP hears at once; the start then finds that its instance has ended, and frees its place."""

    async def work(ledger: Ledger, handle: RunHandle) -> None:
        assert await end(ledger, handle, said()) is Applied.ENDED
        assert (await instance(ledger))["run_key"] == ""
        await start(ledger)
        found = await instance(ledger)
        assert (found["status"], found["run_key"], found["effect_key"]) == ("completed", "batch", START.key)
        assert found["ended_at"] == NOW
        assert await rows(ledger, slots) == []
        assert await end(ledger, handle, said()) is Applied.REPEATED
        assert len(await records(ledger)) == 1

    run(ledger_url, work)


def test_the_same_end_again_changes_nothing_and_another_end_is_put_on_record(ledger_url: str) -> None:
    async def work(ledger: Ledger, handle: RunHandle) -> None:
        await start(ledger)
        outcomes = [await end(ledger, handle, said(status)) for status in ("failed", "FAILED", "completed", "failed")]
        assert outcomes == [Applied.ENDED, Applied.REPEATED, Applied.CONTRADICTED, Applied.REPEATED]
        assert (await instance(ledger))["status"] == "failed"
        assert [record["finalStatus"] for record in await records(ledger)] == ["failed"]
        assert await audited(ledger) == [("instance.ended", "inst-1"), ("instance.contradicted", "inst-1")]

    run(ledger_url, work)


def test_an_end_that_is_spelled_in_two_ways_is_the_same_end(sqlite_url: str) -> None:
    """A callback says `canceled`, and the vendor that is asked `cancelled`."""

    async def work(ledger: Ledger, handle: RunHandle) -> None:
        await start(ledger)
        spelled = ("canceled", "Cancelled", "CANCELED", "failed")
        outcomes = [await end(ledger, handle, said(status)) for status in spelled]
        assert outcomes == [Applied.ENDED, Applied.REPEATED, Applied.REPEATED, Applied.CONTRADICTED]
        assert (await instance(ledger))["status"] == "canceled"  # as it was said

    run(sqlite_url, work)


def test_many_reports_in_one_transaction_are_one_end(ledger_url: str) -> None:
    async def work(ledger: Ledger, handle: RunHandle) -> None:
        await start(ledger)
        asked = [end(ledger, handle, said(instance=f"inst-{number % 3}")) for number in range(60)]
        outcomes = await asyncio.gather(*asked)
        assert outcomes.count(Applied.ENDED) == 3
        assert sorted(record["externalId"] for record in await records(ledger)) == ["inst-0", "inst-1", "inst-2"]

    run(ledger_url, work)


@pytest.mark.parametrize(("status", "workflow"), [("running", "wf_1"), ("odd", "wf_1"), ("completed", "wf_2")])
def test_what_is_no_end_or_of_another_workflow_is_set_aside_with_its_reason(
    sqlite_url: str, status: str, workflow: str
) -> None:
    async def work(ledger: Ledger, handle: RunHandle) -> None:
        await start(ledger)
        message = await receive(ledger, "completions/acme", "msg_1", "{}")
        assert await end(ledger, handle, said(status, workflow), inbox_id=message.inbox_id) is Applied.UNFIT
        assert (await instance(ledger))["status"] == RUNNING
        assert await records(ledger) == []
        (row,) = await rows(ledger, inbox)
        assert row["state"] == "unfit" and ("no word for an end" in row["detail"] or "'wf_1'" in row["detail"])

    run(sqlite_url, work)


def test_a_vendor_that_does_not_say_the_workflow_is_believed(sqlite_url: str) -> None:
    async def work(ledger: Ledger, handle: RunHandle) -> None:
        await start(ledger)
        assert await end(ledger, handle, said(workflow="")) is Applied.ENDED
        assert [record["workflowId"] for record in await records(ledger)] == ["wf_1"]

    run(sqlite_url, work)


def test_one_vendor_id_of_two_tenants_is_two_instances(sqlite_url: str) -> None:
    async def work(ledger: Ledger, handle: RunHandle) -> None:
        async with await ledger.claim_run("globex", "completions") as other:
            assert await end(ledger, handle, said()) is Applied.ENDED
            assert await end(ledger, other, said("failed"), erp="erp/globex") is Applied.ENDED
        assert {(row["tenant"], row["status"]) for row in await rows(ledger, instances)} == {
            ("acme", "completed"), ("globex", "failed"),
        }  # fmt: skip
        assert {(row["tenant"], row["endpoint"]) for row in await rows(ledger, outbox)} == {
            ("acme", ERP), ("globex", "erp/globex"),
        }  # fmt: skip

    run(sqlite_url, work)


def test_without_an_erp_the_end_is_applied_and_no_record_is_made(sqlite_url: str) -> None:
    async def work(ledger: Ledger, handle: RunHandle) -> None:
        assert await end(ledger, handle, said(), erp=None) is Applied.ENDED
        assert await rows(ledger, outbox) == []

    run(sqlite_url, work)


def test_known_secrets_do_not_reach_the_erp(sqlite_url: str) -> None:
    async def work(ledger: Ledger, handle: RunHandle) -> None:
        await end(ledger, handle, said(customerId="x-hunter2-y"), redactor=Redactor(["hunter2"]))
        assert [record["customerData"] for record in await records(ledger)] == ["x-********-y"]

    run(sqlite_url, work)


def test_an_owner_that_was_overtaken_can_apply_nothing(ledger_url: str) -> None:
    async def work(ledger: Ledger, handle: RunHandle) -> None:
        old = Fenced(("acme", "completions"), handle.epoch - 1)
        for change in (Ended(old, said(), None, ERP), Lost(old, "inst-1"), SetAside(old, "x", "y")):
            with pytest.raises(StaleOwner):
                await ledger.submit(change)
        assert await rows(ledger, instances) == await rows(ledger, outbox) == []

    run(ledger_url, work)


def test_a_lost_instance_frees_its_place_tells_nobody_and_may_still_report(ledger_url: str) -> None:
    async def work(ledger: Ledger, handle: RunHandle) -> None:
        await start(ledger)
        assert await ledger.submit(Lost(fence_of(handle), "inst-1")) is True
        assert await ledger.submit(Lost(fence_of(handle), "inst-1")) is False
        assert await ledger.submit(Lost(fence_of(handle), "never heard of")) is False
        assert ((await instance(ledger))["status"], await rows(ledger, slots), await records(ledger)) == (LOST, [], [])
        assert await end(ledger, handle, said()) is Applied.ENDED
        assert len(await records(ledger)) == 1
        assert await audited(ledger) == [("instance.lost", "inst-1"), ("instance.ended", "inst-1")]
        assert await ledger.submit(Lost(fence_of(handle), "inst-1")) is False

    run(ledger_url, work)
