"""A schedule makes runs. With the wrong SQLAlchemy, Prefect's scheduler silently makes none; hence the pin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun

from flows.run_chain import run_chain

pytestmark = [pytest.mark.prefect]


def test_the_scheduler_creates_runs_of_a_deployment(prefect_server: str, wait_until: Callable[..., None]) -> None:
    async def deploy() -> UUID:
        parameters: dict[str, Any] = {"chain": {"file": "examples/customer_sync.yaml"}}
        deployment = await run_chain.ato_deployment("scheduled", interval=timedelta(hours=1), parameters=parameters)
        return UUID(str(await deployment.aapply()))

    async def scheduled(deployment_id: UUID) -> list[FlowRun]:
        async with get_client() as client:
            mine = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment_id]))
            return await client.read_flow_runs(flow_run_filter=mine)

    deployment_id = asyncio.run(deploy())
    wait_until(lambda: asyncio.run(scheduled(deployment_id)), 90)
    assert {run.state_name for run in asyncio.run(scheduled(deployment_id))} == {"Scheduled"}
