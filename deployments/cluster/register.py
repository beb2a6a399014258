"""Registers everything with the servers of a cluster: `python -m deployments.cluster.register`; again changes nothing.

Block types, the work pool, the deployments of `prefect.yaml` (that of the current folder, else the project's), the
automation that notices dead runs, and the schedule of `recover-runs`, which brings them back: without it a run whose
machine died would stay where it was.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.hardening import watch_for_zombies
from deployments.register_blocks import register_blocks

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

POOL, RECOVERY = "cordboard", "recover-runs/recover-runs"
PROJECT = Path(__file__).parents[2]


def deploy(folder: Path) -> None:
    """Registers the deployments; runs find their files under this folder.

    Args:
        folder: holds call flows, chains and batches, on each worker under the same path.

    Raises:
        CalledProcessError: Prefect refused, and said why.
    """
    own = folder / "prefect.yaml"
    file = own if own.is_file() else PROJECT / "prefect.yaml"
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)


async def make_pool(client: PrefectClient, kind: str) -> None:
    """Creates the work pool where there is none."""
    from prefect.client.schemas.actions import WorkPoolCreate  # noqa: PLC0415  Prefect reads its settings at import
    from prefect.exceptions import ObjectAlreadyExists  # noqa: PLC0415

    with contextlib.suppress(ObjectAlreadyExists):
        await client.create_work_pool(WorkPoolCreate(name=POOL, type=kind))


async def switch_recovery_on(client: PrefectClient) -> None:
    """Resumes the schedules of `recover-runs`, which `prefect.yaml` registers paused, and takes its limit away.

    A search that died with its machine would keep the only place until its lease ends, five minutes later, and every
    other search would be cancelled. Two at once do no harm: the ledger lets one of them work.
    """
    from prefect.client.schemas.actions import DeploymentUpdate  # noqa: PLC0415  Prefect reads its settings at import

    deployment = await client.read_deployment_by_name(RECOVERY)
    await client.update_deployment(deployment.id, DeploymentUpdate(concurrency_limit=None))
    for schedule in deployment.schedules:
        await client.update_deployment_schedule(deployment.id, schedule.id, active=True)


async def register(kind: str, folder: Path) -> None:
    """Does all of it, in order.

    Args:
        kind: type of the work pool.
        folder: see `deploy`.
    """
    from prefect.client.orchestration import get_client  # noqa: PLC0415  Prefect reads its settings at import

    await register_blocks()
    async with get_client() as client:
        await make_pool(client, kind)
        await watch_for_zombies(client)
        await asyncio.to_thread(deploy, folder)
        await switch_recovery_on(client)


def main(argv: Sequence[str] | None = None) -> int:
    """Registers with the server of `PREFECT_API_URL`."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.cluster.register", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--pool-type", default="process", help="type of the work pool (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        asyncio.run(register(options.pool_type, Path.cwd()))
    except subprocess.CalledProcessError as error:
        return int(error.returncode)
    print(f"Registered: blocks, work pool {POOL}, deployments, recovery of runs that broke off.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
