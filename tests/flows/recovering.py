"""Runs that broke off in every way, and what a search for them does; against the real server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import Scheduled

from cordboard.records.audit import about
from cordboard.records.ledger import Ledger
from cordboard.recovery.judging import Bounds
from cordboard.settings import Settings
from flows.recover_runs import RUN_KEY, TENANT
from flows.run_chain import run_chain
from tasks.recovery import Recovery, recover

CHAIN = {"chain": {"file": "examples/customer_sync.yaml", "params": {"account_id": "ACC-1"}}}
Work = Callable[[PrefectClient], Awaitable[Any]]


def with_client(work: Work) -> Any:
    async def main() -> Any:
        async with get_client() as client:
            return await work(client)

    return asyncio.run(main())


async def broken_off(client: PrefectClient, *states: State[Any], flow: Any = run_chain, **parameters: Any) -> FlowRun:
    """A run of a deployment of its own that went through these states."""
    deployment = await flow.ato_deployment(f"recover-{uuid4().hex[:8]}", parameters=parameters or CHAIN)
    run = await client.create_flow_run_from_deployment(UUID(str(await deployment.aapply())), state=Scheduled())
    for state in states:
        await client.set_flow_run_state(run.id, state, force=True)
    return await client.read_flow_run(run.id)


async def recovered(run: FlowRun, **asked: Any) -> dict[str, str]:
    """What a search does with the run, without the patience that the flow has by default."""
    given = {
        "stable": 0.0,
        "silent": 0.0,
        "most": 3,
        "verify": 0.0,
        "dry_run": False,
        "alive": frozenset(),
        "ours": None,
    } | asked
    bounds = Bounds(given["stable"], given["silent"], given["most"])
    settings = Settings.from_env(os.environ)
    async with (
        get_client() as client,
        await Ledger.open(settings.ledger) as ledger,
        await ledger.claim_run(TENANT, RUN_KEY) as handle,
    ):
        day = timedelta(days=1)
        search = Recovery(client, ledger, handle, settings.home, bounds, day, given["alive"], given["dry_run"])
        search.ours = given["ours"]
        await recover(search, given["verify"])
    rows = {row["id"]: row for row in search.rows}
    return rows.get(str(run.id), {"did": "not looked at", "why": ""})


async def state_of(client: PrefectClient, run: FlowRun) -> str:
    return str((await client.read_flow_run(run.id)).state_name)


async def records(run: FlowRun) -> list[dict[str, Any]]:
    async with await Ledger.open(Settings.from_env(os.environ).ledger) as ledger:
        return await about(ledger, TENANT, str(run.id), "recovery.")
