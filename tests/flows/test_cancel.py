"""A run is told to stop while a call is open: by Ctrl-C, by SIGTERM, from the UI. It ends and leaves nothing half."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cordboard.records.audit import history
from cordboard.records.command import audit_verify
from cordboard.records.ledger import Ledger
from cordboard.sandbox.faults import Faults
from cordboard.settings import Settings

pytestmark = [pytest.mark.prefect]

CHAIN = """
    kind: chain
    name: stop
    defaults: {on_failure: continue}
    actions:
      look_up: {definition_id: def-echo, inputs: {step: look_up}, idempotent: true}
      open_case: {definition_id: def-echo, inputs: {step: open_case}, depends_on: [look_up]}
      set_tier: {definition_id: def-echo, inputs: {step: set_tier}, depends_on: [look_up], idempotent: true}
      close: {definition_id: def-echo, inputs: {step: close}, depends_on: [open_case, set_tier], idempotent: true}
    """
STUCK = [
    {"match": {"inputs": {"step": step}}, "fault": {"hang": {"at": "after_commit"}}}
    for step in ("open_case", "set_tier")
]


def sends(box: Any) -> Counter[str]:
    """How often the vendor was asked for each step."""
    return Counter(request.inputs["step"] for request in box.truth.requests)


def records() -> list[dict[str, Any]]:
    """What the ledger's audit record says of the run."""

    async def read() -> list[dict[str, Any]]:
        async with await Ledger.open(Settings.from_env(os.environ).ledger) as ledger:
            return await history(ledger, "", "stop/test")

    return asyncio.run(read())


def assert_nothing_is_half_written_and_a_rerun_goes_on(box: Any, run: Any) -> None:
    """Open calls are unknown: the write stays so, the idempotent one is sent again. The rest is sent once."""
    assert audit_verify(Settings.from_env(os.environ).ledger) == 0
    ends = {row["subject"]: row for row in records() if row["kind"] == "effect.concluded"}
    assert {subject: '"to":"unknown"' in row["detail"] for subject, row in ends.items()} == {
        "look_up": False,
        "open_case": True,
        "set_tier": True,
    }
    assert "cancelled while the call was open" in ends["open_case"]["detail"]
    assert records()[-1]["kind"] == "run.released"
    box.sandbox.use_faults(Faults())
    document = run(box, CHAIN)
    assert {name: action["status"] for name, action in document["actions"].items()} == {
        "look_up": "completed",
        "open_case": "unknown",
        "set_tier": "completed",
        "close": "completed",
    }
    assert "cancelled while the call was open" in document["failures"][0]["message"]
    assert sends(box) == {"look_up": 1, "open_case": 1, "set_tier": 2, "close": 1}


@pytest.mark.parametrize(("signal_", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_and_puts_its_open_calls_on_record(
    vendor: Any, start_anew: Any, run: Any, chain_file: Any, wait_until: Any, signal_: signal.Signals, code: int
) -> None:
    """Within seconds. The exit code is the shell's for that signal; what is said tells how to go on."""
    box = vendor(*STUCK)
    process = start_anew(box, "run-chain", chain_file(CHAIN), "--run-key", "test", "--json")
    wait_until(lambda: len(box.truth.effects) == 3)
    process.send_signal(signal_)
    printed, said = process.communicate(timeout=10)
    assert (process.returncode, printed) == (code, "")
    assert "--run-key" in said and "Traceback" not in said
    assert_nothing_is_half_written_and_a_rerun_goes_on(box, run)


@pytest.mark.slow
def test_a_run_cancelled_from_the_ui_ends_and_a_rerun_goes_on(
    vendor: Any,
    run: Any,
    chain_file: Any,
    wait_until: Any,
    prefect_server: str,
    home: Path,
    checkout: Path,
    tmp_path: Path,
) -> None:
    """On a process worker. The UI's button sets the state Cancelling, and the worker does the rest."""
    box = vendor(*STUCK)
    flow_run = asyncio.run(schedule(checkout, chain_file(CHAIN)))
    variables = {"PREFECT_API_URL": prefect_server, "PREFECT_HOME": str(home / "prefect"), **box.env()}
    with process_worker(home.parent / "worker.log", checkout, variables):
        wait_until(lambda: len(box.truth.effects) == 3, 60)
        asyncio.run(cancel(flow_run))
        wait_until(lambda: asyncio.run(state_of(flow_run)) == "CANCELLED", 60)
        wait_until(lambda: box.truth.in_flight == 0)
    assert_nothing_is_half_written_and_a_rerun_goes_on(box, run)


async def schedule(checkout: Path, chain: Path) -> UUID:
    """Makes a work pool and the deployment of prefect.yaml, and a run of it."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate

    from flows.run_chain import run_chain

    step = {"prefect.deployments.steps.set_working_directory": {"directory": str(checkout)}}
    async with get_client() as client:
        await client.create_work_pool(WorkPoolCreate(name="cancel", type="process"))
        deployment = await client.create_deployment(
            await client.create_flow(run_chain),
            "cancel",
            work_pool_name="cancel",
            entrypoint="flows.run_chain.run_chain",
            pull_steps=[step],
        )
        asked = {"chain": {"file": str(chain), "run_key": "test"}}
        return (await client.create_flow_run_from_deployment(deployment, parameters=asked)).id


async def cancel(flow_run: UUID) -> None:
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelling

    async with get_client() as client:
        await client.set_flow_run_state(flow_run, Cancelling())


async def state_of(flow_run: UUID) -> str:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        state = (await client.read_flow_run(flow_run)).state
        return state.type.value if state else ""


@contextmanager
def process_worker(log: Path, checkout: Path, variables: dict[str, str]) -> Iterator[None]:
    """A worker that takes runs from the pool while the block runs."""
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "cancel", "--type", "process"]
    environment = {**os.environ, "PREFECT_WORKER_QUERY_SECONDS": "1", **variables}
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=environment, cwd=checkout, stdout=output, stderr=output) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()
