"""What a cluster is given to do: runs of the deployments, submitted and watched through Prefect's API as people do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
BATCH, CHAIN = "trigger-workflows/trigger-workflows", "run-chain/run-chain"
RECOVERY = "recover-runs/recover-runs"
CHAIN_FILE = """
kind: chain
name: cluster
params: {n: {type: string}}
defaults: {timeout_seconds: 30}
actions:
  read: {definition_id: def-read, inputs: {n: "{{ params.n }}"}, idempotent: true}
  first: {definition_id: def-write, inputs: {n: "{{ params.n }}", step: first}, depends_on: [read]}
  each:
    definition_id: def-write
    for_each: "{{ read.contacts }}"
    inputs: {n: "{{ params.n }}", step: "{{ item }}"}
    depends_on: [first]
  last: {definition_id: def-write, inputs: {n: "{{ params.n }}", step: last}, depends_on: [each]}
"""
STEPS = ("first", "one", "two", "three", "last")  # of each chain: what has an effect
ACTIONS = {
    "def-read": {"output": {"contacts": ["one", "two", "three"]}, "effect": False, "delay_ms": 200},
    "def-write": {"echo": True, "delay_ms": 1000},
}


@dataclass
class Jobs:
    """Runs that were submitted.

    Attributes:
        batch: ids of the runs that share the batch.
        chains: ids of chain runs, with the parameter by which the vendor knows each.
        states: the type of each run's state, as last seen.
    """

    batch: list[str] = field(default_factory=list)
    chains: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    def open(self) -> Counter[str]:
        """Runs that have not ended, by their state."""
        return Counter(state for state in self.states.values() if state not in ENDED)

    def ended(self, ids: Sequence[str]) -> Counter[str]:
        """How many of these runs are in which state."""
        return Counter(self.states[each] for each in ids)


def prepare(chains_at_once: int, search_seconds: float, silent_minutes: float) -> None:
    """Registers everything, as people do, and lets more chains run at once and broken runs be found sooner.

    Args:
        chains_at_once: in place of the deployment's limit of five.
        search_seconds: from one search for broken runs to the next, in place of five minutes.
        silent_minutes: see `recover-runs`.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415  reads the settings at import
    from prefect.client.schemas.actions import DeploymentUpdate  # noqa: PLC0415
    from prefect.client.schemas.schedules import IntervalSchedule  # noqa: PLC0415

    from deployments.cluster.register import register  # noqa: PLC0415

    async def work() -> None:
        await register("process", Path.cwd())
        async with get_client() as client:
            chain = await client.read_deployment_by_name(CHAIN)
            await client.update_deployment(chain.id, DeploymentUpdate(concurrency_limit=chains_at_once))
            recovery = await client.read_deployment_by_name(RECOVERY)
            asked = {"recovery": {**recovery.parameters["recovery"], "silent_minutes": silent_minutes}}
            await client.update_deployment(recovery.id, DeploymentUpdate(parameters=asked))
            often = IntervalSchedule(interval=timedelta(seconds=search_seconds))
            for schedule in recovery.schedules:
                await client.update_deployment_schedule(recovery.id, schedule.id, active=True, schedule=often)

    asyncio.run(work())


def submit(folder: Path, run_key: str, workers: int, chains: int) -> Jobs:
    """Submits one batch, as many runs of it as there are workers, and chains, all at once.

    Args:
        folder: holds `trigger.yaml` and `rows.csv`.
        run_key: of the batch.
        workers: runs that share it.
        chains: how many.
    """
    file = folder / "chain.yaml"
    file.write_text(CHAIN_FILE)
    batch = {"trigger": str(folder / "trigger.yaml"), "rows": str(folder / "rows.csv"), "run_key": run_key}
    wanted: list[tuple[str, dict[str, Any]]] = [(BATCH, {"start": {**batch, "dry_run": False}})] * workers
    wanted += [(CHAIN, {"chain": {"file": str(file), "params": {"n": f"n{n}"}}}) for n in range(chains)]
    ids = asyncio.run(_create(wanted))
    jobs = Jobs(ids[:workers], {each: f"n{n}" for n, each in enumerate(ids[workers:])})
    jobs.states = dict.fromkeys(ids, "SCHEDULED")
    return jobs


async def _create(wanted: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    from prefect.client.orchestration import get_client  # noqa: PLC0415  reads the settings at import

    async with get_client() as client:
        known = {name: (await client.read_deployment_by_name(name)).id for name in {name for name, _ in wanted}}
        made = [
            await client.create_flow_run_from_deployment(known[name], parameters=dict(parameters))
            for name, parameters in wanted
        ]
    return [str(run.id) for run in made]


def look(jobs: Jobs) -> None:
    """Asks for the state of every run that has not ended."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415  reads the settings at import
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId  # noqa: PLC0415

    async def work() -> None:
        ids = [UUID(each) for each, state in jobs.states.items() if state not in ENDED]
        async with get_client() as client:
            for some in (ids[start : start + 100] for start in range(0, len(ids), 100)):
                wanted = FlowRunFilter(id=FlowRunFilterId(any_=some))
                for run in await client.read_flow_runs(flow_run_filter=wanted):
                    jobs.states[str(run.id)] = run.state_type.value if run.state_type else "SCHEDULED"

    asyncio.run(work())
