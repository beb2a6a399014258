"""What a cluster needs beside its deployments is registered, and registering again changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import IntervalSchedule

from deployments.cluster import register
from flows.recover_runs import recover_runs

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Names of our own: other tests are on this server too."""
    name = f"cluster-{uuid4().hex[:6]}"
    monkeypatch.setattr(register, "POOL", name)
    monkeypatch.setattr(register, "RECOVERY", f"recover-runs/{name}")
    yield name


def test_recovery_is_on_and_the_pool_is_there_however_often_it_is_registered(pool: str) -> None:
    async def work() -> None:
        async with get_client() as client:
            paused = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=300), active=False)
            deployment = await recover_runs.ato_deployment(pool, schedules=[paused], concurrency_limit=1)
            deployment_id = UUID(str(await deployment.aapply()))
            try:
                for _ in range(2):
                    await register.make_pool(client, "process")
                    await register.switch_recovery_on(client)
                    assert await schedules(client, deployment_id) == [(True, 300)]
                    assert (await client.read_deployment(deployment_id)).global_concurrency_limit is None
                    assert (await client.read_work_pool(pool)).type == "process"
            finally:
                await client.delete_deployment(deployment_id)

    asyncio.run(work())


async def schedules(client: PrefectClient, deployment_id: UUID) -> list[tuple[bool, float]]:
    found = (await client.read_deployment(deployment_id)).schedules
    return [
        (each.active, each.schedule.interval.total_seconds())
        for each in found
        if isinstance(each.schedule, IntervalSchedule)
    ]
