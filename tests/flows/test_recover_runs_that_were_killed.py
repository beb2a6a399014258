"""A run's process is killed outright, alone or together with its worker; the search lets it go on, each effect once."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.flows import EntrypointType
from prefect.states import Scheduled

from cordboard.sandbox.faults import Faults
from flows.run_chain import run_chain
from tests.flows.recovering import recovered

pytestmark = [pytest.mark.prefect, pytest.mark.slow, pytest.mark.timeout(240)]

CHECKOUT = Path(__file__).parents[2]
CHAIN = """
    kind: chain
    name: killed
    actions:
      first: {definition_id: def-echo, inputs: {step: first}}
      second: {definition_id: def-echo, inputs: {step: second}, depends_on: [first], idempotent: true}
      third: {definition_id: def-echo, inputs: {step: third}, depends_on: [second]}
    """
HANG = {"match": {"inputs": {"step": "second"}}, "fault": {"hang": {"at": "before_commit"}}}


def test_a_run_whose_process_was_killed_goes_on(
    prefect_server: str, home: Path, vendor: Any, chain_file: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    """First the process alone, which its worker reports; then both, and nobody reports anything."""
    box, pool = vendor(HANG), f"recover-{uuid4().hex[:6]}"
    start, state = on_pool(pool, chain_file(CHAIN))
    environment = {**os.environ, **box.env(), "PREFECT_API_URL": prefect_server, "PYTHONPATH": str(CHECKOUT)}
    environment |= {"PREFECT_WORKER_QUERY_SECONDS": "1", "CORDBOARD_HOME": str(home)}

    def broken_off_in_the_middle(*also: subprocess.Popen[bytes]) -> Any:
        run = start()
        wait_until(lambda: box.truth.in_flight == 1 and sent(home), 60)
        for process in also:
            process.kill()
            process.wait()
        for pid in processes_of(run.id):
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: box.truth.in_flight == 0)
        box.sandbox.use_faults(Faults())
        return run

    def goes_on(run: Any) -> bool:
        """Whether it completed. A second reporter may call it crashed once more; the next search resumes it again."""
        if state(run) == "Crashed":
            asyncio.run(recovered(run, stable=4.0, verify=2.0))
        return state(run) == "Completed"

    with ExitStack() as stack:
        worker = stack.enter_context(working(pool, environment, tmp_path / "worker.log"))
        first = broken_off_in_the_middle()
        wait_until(lambda: state(first) == "Crashed", 60)
        wait_until(lambda: asyncio.run(recovered(first, stable=4.0, verify=2.0))["did"] == "resume", 60)
        wait_until(lambda: goes_on(first), 90)
        assert Counter(entry.inputs["step"] for entry in box.truth.effects) == {"first": 1, "second": 1, "third": 1}

        box.sandbox.use_faults(Faults.of(HANG))
        zombie = broken_off_in_the_middle(worker)
        assert state(zombie) == "Running"
        wait_until(lambda: asyncio.run(recovered(zombie, stable=1.0, silent=3.0))["did"] == "resume", 60)
        stack.enter_context(working(pool, environment, tmp_path / "another.log"))
        wait_until(lambda: goes_on(zombie), 90)
        assert Counter(entry.inputs["step"] for entry in box.truth.effects) == {"first": 2, "second": 2, "third": 2}


def on_pool(pool: str, chain: Path) -> tuple[Callable[[], Any], Callable[[Any], str]]:
    """A deployment of the chain on a pool of its own: how to start a run of it, and how to ask for a run's state."""

    async def deploy() -> UUID:
        async with get_client() as client:
            await client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        deployment = await run_chain.ato_deployment(
            pool,
            parameters={"chain": {"file": str(chain)}},
            work_pool_name=pool,
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        return UUID(str(await deployment.aapply()))

    deployment_id = asyncio.run(deploy())

    def start() -> Any:
        async def create() -> Any:
            async with get_client() as client:
                return await client.create_flow_run_from_deployment(deployment_id, state=Scheduled())

        return asyncio.run(create())

    def state(run: Any) -> str:
        async def read() -> str:
            async with get_client() as client:
                return str((await client.read_flow_run(run.id)).state_name)

        return asyncio.run(read())

    return start, state


@contextmanager
def working(pool: str, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--name", log.stem]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=CHECKOUT, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def sent(home: Path) -> bool:
    with closing(sqlite3.connect(f"file:{home}/ledger.db?mode=ro", uri=True)) as database:
        return database.execute("SELECT count(*) FROM effects WHERE state = 'sent'").fetchone()[0] == 1


def processes_of(run_id: UUID) -> list[int]:
    found = []
    for each in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"PREFECT__FLOW_RUN_ID={run_id}".encode() in each.read_bytes().split(b"\0"):
                found.append(int(each.parent.name))
        except OSError:
            continue
    return found
