"""Completions through the real flows: from the inbox, and from the vendor's own answer, into the sandbox's ERP."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from cordboard.completion.applying import RUN_KEY
from cordboard.completion.model import Completion
from cordboard.completion.receiving import inbox_endpoint
from cordboard.errors import BadCall
from cordboard.records.changes import Aftermath
from cordboard.records.effects import Effect, EffectState
from cordboard.records.inbox import receive
from cordboard.records.ledger import Ledger
from cordboard.sandbox import Faults, RunningSandbox, default_definition, running_sandbox
from cordboard.settings import Settings
from cordboard.vendors.login import CXoneLogin

pytestmark = [pytest.mark.prefect]

SECRET = "whsec_dGhlIHJlY2VpdmVyIGhvbGRzIHRoZSBzYW1lIQ=="


@pytest.fixture
def box(prefect_server: str, home: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSandbox]:
    """A sandbox with an ERP, and the environment of a worker that talks to it."""
    definition = default_definition().changed(workflows={"wf_1": {"duration_seconds": 0}}, erp={"secret": SECRET})
    with running_sandbox(definition) as running:
        for name, value in running.env().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("CORDBOARD_ERP_URL", f"{running.base_url}/erp/records")
        monkeypatch.setenv("CORDBOARD_ERP_SECRET", SECRET)
        yield running


def tenant() -> str:
    return CXoneLogin.from_env(os.environ).tenant("workflows")


async def reported(numbers: range, status: str = "completed") -> str:
    """Completions that the receiver took in; gives back our id of the last."""
    last = ""
    async with await Ledger.open(Settings.from_env(os.environ).ledger) as ledger:
        for number in numbers:
            completion = Completion(f"inst-{number}", "wf_1", status, {"customerId": f"C-{number}"})
            kept = await receive(ledger, inbox_endpoint(tenant()), f"msg_{number}_{status}", completion.as_text())
            last = kept.inbox_id
    return last


async def sync(inbox_id: str | None = None) -> tuple[str, dict[str, Any]]:
    """Name and document of a run."""
    from flows.sync_completion import sync_completion

    state = await sync_completion(UUID(inbox_id) if inbox_id else None, return_state=True)
    return str(state.name), await state.aresult(raise_on_failure=True)


async def reap(minutes: float) -> tuple[str, dict[str, Any]]:
    from flows.reap_instances import ReapInstances, reap_instances

    state = await reap_instances(ReapInstances(report_within_minutes=minutes), return_state=True)
    return str(state.name), await state.aresult(raise_on_failure=False)


def externals(box: RunningSandbox) -> Counter[str | None]:
    return Counter(entry.external_id for entry in box.truth.erp)


def test_a_run_applies_all_that_waits_and_the_erp_has_each_instance_once(box: RunningSandbox) -> None:
    """Not only the one that its event named; and a second run finds nothing to do."""

    async def run() -> None:
        last = await reported(range(30))
        await reported(range(5), status="failed")
        name, document = await sync(last)
        assert name == "Completed"
        assert document == {
            "status": "completed", "ended": 30, "repeated": 0, "contradicted": 5, "unfit": 0,
            "erp": {"delivered": 30, "pending": 0, "dead": 0}, "inbox_id": last,
        }  # fmt: skip
        assert (await sync())[1]["erp"] == {"delivered": 0, "pending": 0, "dead": 0}

    asyncio.run(run())
    assert externals(box) == {f"inst-{number}": 1 for number in range(30)}


def test_a_second_run_at_the_same_time_says_that_another_is_at_it(box: RunningSandbox) -> None:
    async def run() -> None:
        await reported(range(1))
        async with (
            await Ledger.open(Settings.from_env(os.environ).ledger) as ledger,
            await ledger.claim_run(tenant(), RUN_KEY),
        ):
            name, document = await sync()
        assert (name, document["status"]) == ("Busy", "busy")

    asyncio.run(run())
    assert externals(box) == {}


def test_without_an_erp_completions_are_applied_all_the_same(
    box: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CORDBOARD_ERP_URL")

    async def run() -> None:
        await reported(range(2))
        document = (await sync())[1]
        assert (document["ended"], document["erp"]) == (2, None)

    asyncio.run(run())


def test_an_erp_without_a_secret_is_named_before_anything_is_done(
    box: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CORDBOARD_ERP_SECRET")
    with pytest.raises(BadCall, match="whsec_"):
        asyncio.run(sync())


def test_an_erp_that_was_down_hears_when_it_is_back(box: RunningSandbox, wait_until: Callable[..., None]) -> None:
    box.sandbox.use_faults(Faults.of({"match": {"path": "/erp/*"}, "fault": {"status": 503}}))

    async def run() -> dict[str, Any]:
        return (await sync())[1]

    asyncio.run(reported(range(3)))
    assert asyncio.run(run())["erp"] == {"delivered": 0, "pending": 3, "dead": 0}
    box.sandbox.use_faults(Faults())
    wait_until(lambda: asyncio.run(run())["erp"]["pending"] == 0)
    assert externals(box) == {f"inst-{number}": 1 for number in range(3)}


def test_what_was_given_up_is_tried_again_when_somebody_says_so(box: RunningSandbox) -> None:
    """The ERP was gone for good, and a report was unfit: a plain run leaves both as they are."""
    from flows.sync_completion import sync_completion

    box.sandbox.use_faults(Faults.of({"match": {"path": "/erp/*"}, "fault": {"status": 410}}))

    async def run() -> None:
        await reported(range(2))
        await reported(range(1), status="running")
        document = (await sync())[1]
        assert (document["unfit"], document["erp"]) == (1, {"delivered": 0, "pending": 0, "dead": 2})
        box.sandbox.use_faults(Faults())
        assert (await sync())[1]["erp"] == {"delivered": 0, "pending": 0, "dead": 2}
        state = await sync_completion(retry_given_up=True, return_state=True)
        document = await state.aresult()
        assert (document["unfit"], document["erp"]) == (1, {"delivered": 2, "pending": 0, "dead": 0})

    asyncio.run(run())
    assert externals(box) == {"inst-0": 1, "inst-1": 1}


def test_the_reaper_asks_the_vendor_and_tells_the_erp(box: RunningSandbox) -> None:
    """An instance whose callback was lost ends as one that reported; nothing is told twice."""

    async def run() -> None:
        instance = await started()
        assert (await reap(60))[1]["ended"] == 0
        name, document = await reap(0)
        assert (name, document["ended"], document["erp"]["delivered"]) == ("Completed", 1, 1)
        assert (await reap(0))[1]["ended"] == 0
        assert externals(box) == {instance: 1}

    asyncio.run(run())


def test_a_reaper_that_gets_no_answer_fails_and_closes_nothing(
    box: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORDBOARD_RETRY_ATTEMPTS", "1")

    async def run() -> None:
        await started()
        box.sandbox.use_faults(Faults.of({"match": {"method": "GET"}, "fault": {"status": 503}}))
        name, document = await reap(0)
        assert (name, document["left"], document["lost"]) == ("Unanswered", 1, 0)

    asyncio.run(run())


async def started() -> str:
    """An instance that runs, as the ledger knows it after a batch."""
    from cordboard.vendors.cxone_workflows import start_instance
    from cordboard.vendors.wire import Safety

    login, settings = CXoneLogin.from_env(os.environ), Settings.from_env(os.environ)
    async with (
        login.session(settings, api="workflows") as session,
        await Ledger.open(settings.ledger) as ledger,
        await ledger.claim_run(tenant(), "batch") as handle,
    ):
        request = start_instance({"workflowId": "wf_1", "priority": 5, "context": {}}, safety=Safety.NEITHER)
        answer = await session.call(request, timeout_seconds=10)
        instance: str = answer.verdict.value["instance_id"]
        effect = Effect(tenant(), "start", "row", "a" * 64, "row", "neither")
        await handle.intend(effect)
        await handle.conclude(effect, EffectState.DONE, aftermath=Aftermath(instance, "wf_1"))
    return instance
