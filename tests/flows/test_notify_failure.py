"""People are told of each run that failed or crashed, once, also where their receiver was down; on a real server."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import AwaitingRetry, Crashed, Failed, Running, Scheduled

from blocks.webhook import WebhookEndpoint
from cordboard.errors import BadCall
from cordboard.sandbox.faults import Faults
from cordboard.sandbox.server import RunningSandbox
from flows.notify_failure import NotifyFailure, notify_failure
from flows.run_chain import run_chain
from tasks.failures import failures, secrets_of
from tests.flows.recovering import broken_off, with_client

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server", "home", "checkout")]

SECRET = "whsec_bm9ib2R5IGJ1dCB0aGlzIHRlc3QgaG9sZHMgaXQ="
DOWN = {"match": {"path": "/webhooks/*"}, "fault": {"status": 503}}
DAY = timedelta(days=1)


async def notify(box: RunningSandbox, crashed_minutes: float = 0) -> dict[str, Any]:
    """What the deployment does."""
    endpoint = WebhookEndpoint(url=f"{box.base_url}/webhooks/status", secret=SECRET)
    state = await notify_failure(NotifyFailure(crashed_minutes=crashed_minutes), "", endpoint, return_state=True)
    return dict(await state.aresult())


def told(box: RunningSandbox, run: FlowRun) -> list[tuple[str, str]]:
    """What the receiver took about a run: the event and the run's own words."""
    taken = [hook.inputs for hook in box.truth.webhooks if hook.status == 200]
    mine = [body for body in taken if body["payload"]["run_id"] == str(run.id)]
    return [(body["event"], body["payload"]["message"]) for body in mine]


def test_a_failure_is_told_once_and_again_where_the_run_was_retried_and_failed_again(vendor: Any) -> None:
    box = vendor()

    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Failed(name="Drifted", message="not the same: main"))
        await notify(box)
        await notify(box)
        assert told(box, run) == [("run.failed", "not the same: main")]
        for state in (AwaitingRetry(), Running(), Failed(message="again")):
            await client.set_flow_run_state(run.id, state, force=True)
        await notify(box)
        assert told(box, run) == [("run.failed", "not the same: main"), ("run.failed", "again")]

    with_client(work)


def test_a_crash_is_told_when_nobody_resumed_it(vendor: Any) -> None:
    box = vendor()

    async def work(client: PrefectClient) -> None:
        stays = await broken_off(client, Running(), Crashed(message="its process is gone"))
        resumed = await broken_off(client, Running(), Crashed(), AwaitingRetry())
        await notify(box, crashed_minutes=6)
        assert told(box, stays) == []
        await notify(box)
        assert told(box, stays) == [("run.crashed", "its process is gone")]
        assert told(box, resumed) == []

    with_client(work)


def test_what_the_receiver_does_not_take_waits_for_the_next_run(vendor: Any) -> None:
    box = vendor(DOWN)

    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Failed(message="while nobody listened"))
        first = await notify(box)
        assert first["told"] == first["pending"] >= 1
        box.sandbox.use_faults(Faults.of())
        for _ in range(500):  # its next try is due a second after the first
            if told(box, run):
                break
            await notify(box)
        assert told(box, run) == [("run.failed", "while nobody listened")]

    with_client(work)


def test_a_run_that_was_due_days_ago_and_failed_now_is_told_of() -> None:
    """As a batch that runs over a week-end, or an update that waited for its approval."""

    async def work(client: PrefectClient) -> None:
        now, long_ago = datetime.now(UTC), datetime.now(UTC) - timedelta(days=3)
        deployment = (await broken_off(client)).deployment_id
        due: State[Any] = Scheduled(scheduled_time=long_ago)
        run = await client.create_flow_run_from_deployment(UUID(str(deployment)), state=due)
        await client.set_flow_run_state(run.id, Failed(), force=True)
        assert run.expected_start_time and run.expected_start_time < now - DAY
        runs = [failure.run.id for failure in await failures(client, None, DAY, timedelta(), now + timedelta(hours=1))]
        assert run.id in runs
        later = await failures(client, None, DAY, timedelta(), now + timedelta(days=2))
        assert run.id not in [failure.run.id for failure in later]

    with_client(work)


def test_its_own_failures_and_those_of_other_code_are_left_out() -> None:
    async def work(client: PrefectClient) -> None:
        own = await broken_off(client, Running(), Failed(), flow=notify_failure, notice={})
        mine = await broken_off(client, Running(), Failed())
        elsewhere = await broken_off(client, Running(), Failed())
        await moved(client, elsewhere)
        assert own.deployment_id
        found = await failures(client, own.deployment_id, DAY, timedelta(), datetime.now(UTC))
        runs = {failure.run.id for failure in found}
        assert (mine.id in runs, own.id in runs, elsewhere.id in runs) == (True, False, False)

    with_client(work)


async def moved(client: PrefectClient, run: FlowRun) -> None:
    """Makes the run's deployment one of another checkout."""
    deployment = await client.read_deployment(UUID(str(run.deployment_id)))
    other = await run_chain.ato_deployment(deployment.name)
    other._path = "/srv/another"
    await other.aapply()


def test_a_secret_in_a_runs_own_words_is_masked(vendor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    box = vendor()
    monkeypatch.setenv("CXONE_CLIENT_SECRET", "canary-of-the-tenant")

    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Failed(message="the vendor said: canary-of-the-tenant is wrong"))
        await notify(box)
        assert told(box, run) == [("run.failed", "the vendor said: ******** is wrong")]

    with_client(work)


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("CORDBOARD_COMPLETION_SECRETS", "old-canary new-canary", "new-canary"),
        ("PREFECT_API_AUTH_STRING", "cordboard:canary", "canary"),
        ("CORDBOARD_LEDGER_URL", "postgresql://cordboard:can%40ary@db/cordboard", "can@ary"),
        ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "postgresql+asyncpg://p:canary@db/prefect", "canary"),
        ("CORDBOARD_ERP_URL", "https://erp.example.com/records?token=canary", "token=canary"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer canary", "canary"),
    ],
)
def test_parts_of_the_environment_that_are_secret_are_known(name: str, value: str, secret: str) -> None:
    assert secret in set(secrets_of({name: value, "CORDBOARD_HOME": "canary"}))


def test_without_a_receiver_it_says_how_to_give_one() -> None:
    with pytest.raises(BadCall, match="no receiver: choose a webhook block"):
        asyncio.run(notify_failure())
