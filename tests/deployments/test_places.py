"""What was made for the sandbox starts nothing at a tenant, and the other way round; on a real server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.states import Scheduled

from cordboard.sandbox.definition import default_definition
from deployments.deploying import hold_back, serve
from flows.run_chain import run_chain
from tests.deployments.upping import CHECKOUT

ENVIRONMENT = """
import json, os
from deployments import up
up._take_out_logins()
print(json.dumps({**os.environ, **up._environment(up.Ports.stated(os.environ))}))
"""
OURS = ("TENANT", "ERP_URL", "ERP_SECRET", "WEBHOOK_URL", "WEBHOOK_SECRET", "COMPLETION_SECRETS")
VENDORS = ("CLIENT_ID", "CLIENT_SECRET", "BASE_URL", "TOKEN_URL", "SCOPES", "ORG_ID", "REGION")
STATED = [f"CORDBOARD_{name}" for name in (*OURS, "COMPLETION_SHARED_SECRETS")] + [
    f"{vendor}_{name}" for vendor in ("CXONE", "GENESYS") for name in VENDORS
]


@pytest.fixture
def pool(prefect_server: str) -> Iterator[str]:
    """A work pool, deleted again with all that is in it."""
    name = f"places-{uuid4().hex[:8]}"

    async def make() -> None:
        async with get_client() as client:
            await client.create_work_pool(WorkPoolCreate(name=name, type="process"))

    async def remove() -> None:
        async with get_client() as client:
            await client.delete_work_pool(name)

    asyncio.run(make())
    yield name
    asyncio.run(remove())


async def deployed(pool: str, place: str) -> UUID:
    """A deployment for a place, that no file has."""
    name = f"old-{uuid4().hex[:8]}"
    made = await run_chain.ato_deployment(
        name, tags=[place], work_pool_name=pool, work_queue_name=place, parameters={"chain": {"file": "a.yaml"}}
    )
    return UUID(str(await made.aapply()))


def waiting_at(deployment: UUID, **more: Any) -> AutomationCore:
    """What a person makes in the UI to start a deployment by an event."""
    trigger = EventTrigger(expect={"somebody.calls"}, posture=Posture.Reactive, threshold=1)
    started = RunDeployment(deployment_id=deployment)
    return AutomationCore(name=f"mine-{uuid4().hex[:8]}", trigger=trigger, actions=[started], **more)


@pytest.mark.prefect
def test_a_run_that_waits_for_the_tenant_does_not_begin_while_the_sandbox_is_served(pool: str) -> None:
    async def begun(client: PrefectClient) -> set[UUID]:
        return {each.flow_run.id for each in await client.get_scheduled_flow_runs_for_work_pool(pool)}

    async def main() -> None:
        async with get_client() as client:
            await serve(client, pool, "tenant")
            runs = {}
            for place in ("tenant", "sandbox"):
                made = await client.create_flow_run_from_deployment(await deployed(pool, place), state=Scheduled())
                runs[place] = made.id
            assert await begun(client) == {runs["tenant"]}
            await serve(client, pool, "sandbox")
            assert await begun(client) == {runs["sandbox"]}

    asyncio.run(main())


@pytest.mark.prefect
def test_deployments_and_automations_of_the_other_place_are_switched_off_and_named(pool: str) -> None:
    """Such as a deployment that is no longer in the file: its nightly schedule would go on at the tenant."""

    async def main() -> None:
        async with get_client() as client:
            theirs, ours, in_the_file = [await deployed(pool, place) for place in ("tenant", "sandbox", "tenant")]
            known = await client.read_deployment(in_the_file)
            file = [{"entrypoint": known.entrypoint, "name": known.name, "triggers": [{"enabled": False}]}]
            made = [waiting_at(each) for each in (theirs, ours, in_the_file)]
            ids = [await client.create_automation(each) for each in made]
            held = await hold_back(client, "sandbox", file)
            gone = await client.read_deployment(theirs)
            assert {gone.name, made[0].name, made[2].name} <= set(held)
            assert not {made[1].name, known.name} & set(held)
            assert [(await client.read_deployment(each)).paused for each in (theirs, ours, in_the_file)] == [
                True,
                False,
                False,
            ]
            found = [(await client.read_automation(each)).enabled for each in ids]  # type: ignore[union-attr]
            assert found == [False, True, False]
            assert await hold_back(client, "sandbox", file) == []
            for each in ids:
                await client.delete_automation(each)

    asyncio.run(main())


def test_the_sandbox_gets_nothing_of_a_tenant(tmp_path: Path) -> None:
    """Else what is tried there reaches the real ERP, or counts as started under the tenant's name, and never is."""
    environ = os.environ | dict.fromkeys(STATED, "canary") | {"CORDBOARD_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-c", ENVIRONMENT]
    done = subprocess.run(command, env=environ, cwd=CHECKOUT, capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert [name for name, value in found.items() if value == "canary"] == []
    assert found["CXONE_CLIENT_ID"] == default_definition().clients[0].id
