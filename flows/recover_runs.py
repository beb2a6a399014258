"""Recover flow runs that broke off: find those that crashed or fell silent, and let what is open go on."""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_table_artifact
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.runtime import deployment
from prefect.states import Completed
from pydantic import BaseModel, Field

from cordboard.errors import RunBusy
from cordboard.records.ledger import Ledger
from cordboard.recovery.judging import Bounds
from cordboard.settings import Settings
from tasks.process import beside_the_point, cancelled_by_sigterm
from tasks.recovery import Recovery, alive_here, recover

TENANT, RUN_KEY = "cordboard", "recover-runs"  # its place in the ledger, where no tenant is set


class RecoverRuns(BaseModel):
    """Which runs to resume."""

    stable_seconds: float = Field(
        default=10,
        ge=0,
        le=3600,
        title="Stable for (seconds)",
        description="A crash is reported twice; a run whose state is younger than this is looked at next time.",
        json_schema_extra={"position": 0},
    )
    silent_minutes: float = Field(
        default=10,
        ge=0,
        le=7 * 24 * 60,
        title="Silent for (minutes)",
        description="A run that says it is running has died where it gave no sign of life for this long, and no process"
        " of it is found. Must be longer than three heartbeats of Prefect.",
        json_schema_extra={"position": 1},
    )
    most_resumes: int = Field(
        default=3,
        ge=0,
        le=100,
        title="Resumes of one run",
        description="At the most; a run that breaks off each time needs a person.",
        json_schema_extra={"position": 2},
    )
    within_hours: float = Field(
        default=24,
        gt=0,
        le=366 * 24,
        title="Not older than (hours)",
        description="Runs that were due earlier are left to people.",
        json_schema_extra={"position": 3},
    )
    verify_seconds: float = Field(
        default=10,
        ge=0,
        le=600,
        title="Verify after (seconds)",
        description="Wait this long, then look whether a late report has overwritten what was set.",
        json_schema_extra={"position": 4},
    )
    dry_run: bool = Field(
        default=False,
        title="Look only",
        description="Say what would be done, and change nothing.",
        json_schema_extra={"position": 5},
    )


@flow(name="recover-runs", persist_result=False)
async def recover_runs(recovery: RecoverRuns | None = None) -> State[Any]:
    """Resumes runs of this project's deployments that crashed or fell silent, each under its own run key.

    Nothing is sent by it: a run that is resumed goes on by what the ledger says. Runs that somebody cancelled or
    paused, of other projects, or that a live process has in hand are left alone.

    Args:
        recovery: Which runs to resume.

    Returns:
        Completed; with the name Busy where another one is at it. The data is the document of the search.

    Raises:
        LedgerUnavailable: the ledger cannot be read or written.
    """
    asked, settings = recovery or RecoverRuns(), Settings.from_env(os.environ)
    bounds = Bounds(asked.stable_seconds, asked.silent_minutes * 60, asked.most_resumes)
    async with cancelled_by_sigterm(), get_client() as client, await Ledger.open(settings.ledger) as ledger:
        try:
            handle = await ledger.claim_run(settings.tenant or TENANT, RUN_KEY, kind="recovery")
        except RunBusy:
            return Completed(name="Busy", message="another process recovers runs already", data={"status": "busy"})
        async with handle:
            search = Recovery(
                client,
                ledger,
                handle,
                settings.home,
                bounds,
                timedelta(hours=asked.within_hours),
                alive_here(),
                asked.dry_run,
                await _own_deployment(client),
            )
            await recover(search, asked.verify_seconds)
    return await _told(search.rows, dry_run=asked.dry_run)


async def _own_deployment(client: PrefectClient) -> DeploymentResponse | None:
    return await client.read_deployment(UUID(str(deployment.id))) if deployment.id else None


async def _told(rows: list[dict[str, str]], *, dry_run: bool) -> State[Any]:
    did = Counter(row["did"] for row in rows)
    for row in rows:
        get_run_logger().info("%s: %s, since %s", row["run"], row["did"], row["why"])
    if rows:
        async with beside_the_point("the table of the runs"):
            what = "What would be done" if dry_run else "What was done"
            await acreate_table_artifact(
                rows, key="recovered-runs", description=f"{what} with runs that broke off, and why"
            )
    said = ", ".join(f"{count} {name}" for name, count in sorted(did.items())) or "no run broke off"
    return Completed(
        message=said, data={"status": "planned" if dry_run else "completed", "counts": dict(did), "runs": rows}
    )
