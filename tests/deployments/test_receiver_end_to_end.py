"""A vendor's POST ends as a record in the ERP: Prefect's server, a worker, receiver and sandbox, each a process."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deployments.receiving import CHECKOUT, SECRET, completion, post, receiver, signed

pytestmark = [pytest.mark.prefect, pytest.mark.slow, pytest.mark.timeout(240)]

PREFECT = [sys.executable, "-m", "prefect", "--no-prompt"]
(DEPLOYMENT,) = [
    each
    for each in yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())["deployments"]
    if each["name"] == "sync-completion"
]


@contextmanager
def child(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=dict(environment), cwd=CHECKOUT, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def records(truth: Path) -> Counter[str]:
    """What reached the ERP, by the sandbox's own account."""
    lines = [json.loads(line) for line in truth.read_text().splitlines()] if truth.exists() else []
    return Counter(line["external_id"] for line in lines if line["kind"] == "erp")


def variables(file: Path) -> dict[str, str]:
    """What the sandbox wrote of its address and credentials."""
    from dotenv import dotenv_values

    return {name: value for name, value in dotenv_values(file).items() if value}


@contextmanager
def switched_on(api: str) -> Iterator[None]:
    """The deployment with its trigger, as `make up` has them; taken away again at the end."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    async def pool() -> None:
        async with get_client() as client:
            with suppress(ObjectAlreadyExists):
                await client.create_work_pool(WorkPoolCreate(name="cordboard", type="process"))

    async def switch_on(trigger: str) -> None:
        async with get_client() as client:
            for automation in await client.read_automations_by_name(trigger):
                await client.resume_automation(automation.id)

    asyncio.run(pool())
    command = [*PREFECT, "deploy", "--name", "sync-completion"]
    environment = {**os.environ, "PREFECT_API_URL": api, "PYTHONPATH": str(CHECKOUT)}
    subprocess.run(command, env=environment, cwd=CHECKOUT, check=True, capture_output=True, timeout=120)
    asyncio.run(switch_on(DEPLOYMENT["triggers"][0]["name"]))
    found = httpx.get(f"{api}/deployments/name/sync-completion/sync-completion", trust_env=False).json()
    try:
        yield
    finally:
        httpx.delete(f"{api}/deployments/{found['id']}", trust_env=False).raise_for_status()


def runs(api: str) -> list[dict[str, Any]]:
    """The flow's runs, as the UI lists them."""
    asked = {"flows": {"name": {"any_": ["sync-completion"]}}, "deployments": {"name": {"any_": ["sync-completion"]}}}
    found: list[dict[str, Any]] = httpx.post(f"{api}/flow_runs/filter", json=asked, trust_env=False).json()
    return found


def test_a_post_to_the_receiver_ends_as_one_record_in_the_erp(
    prefect_server: str, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    """Nobody starts the flow but the receiver's event, and the run's page says which message it was."""
    truth, env_file, ledger = tmp_path / "truth.jsonl", tmp_path / "sandbox.env", f"sqlite:///{tmp_path}/ledger.db"
    sandbox = [sys.executable, "-m", "cordboard", "sandbox", "--truth", str(truth), "--env-file", str(env_file)]
    with ExitStack() as stack:
        stack.enter_context(child(sandbox, os.environ, tmp_path / "sandbox.log"))
        wait_until(lambda: env_file.exists() and "CXONE_CLIENT_SECRET" in variables(env_file))
        given = variables(env_file)
        settings = {
            **given,
            "PREFECT_API_URL": prefect_server,
            "CORDBOARD_HOME": str(tmp_path / "home"),
            "CORDBOARD_LEDGER_URL": ledger,
            "CORDBOARD_TENANT": "acme",
            "CORDBOARD_ERP_URL": f"{given['CXONE_BASE_URL']}/erp/records",
            "CORDBOARD_ERP_SECRET": SECRET,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PYTHONPATH": str(CHECKOUT),
        }
        stack.enter_context(switched_on(prefect_server))
        worker = [*PREFECT, "worker", "start", "--pool", "cordboard", "--name", "end to end"]
        stack.enter_context(child(worker, {**os.environ, **settings}, tmp_path / "worker.log"))
        _, url = stack.enter_context(receiver(ledger, **settings))
        with httpx.Client(trust_env=False, timeout=20) as client:
            statuses = [
                post(client, url, completion(number % 3), signed(completion(number % 3), f"msg_{number % 6}"))
                for number in range(12)
            ]
            assert sorted(filter(None, statuses)) == [200] * 6 + [202] * 6
            wait_until(lambda: len(records(truth)) == 3, 150)
            numbers = client.get(f"{url}/metrics").text
            assert "cordboard_events_told_total 0.0" not in numbers and "cordboard_events_failed_total 0.0" in numbers
            wait_until(lambda: "Completed" in {each["state_name"] for each in runs(prefect_server)}, 60)
            done = [each for each in runs(prefect_server) if each["state_name"] == "Completed"]
    assert records(truth) == {"inst-0": 1, "inst-1": 1, "inst-2": 1}
    assert done and all(len(each["parameters"]["inbox_id"]) == 36 for each in done)
