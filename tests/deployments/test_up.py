"""`make up` as a person meets it: everything starts, a run from the UI's form works, Ctrl-C leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_up_runs_a_deployment_with_a_block_and_stops_whole(
    tmp_path: Path, checkout: Path, wait_until: Callable[..., None]
) -> None:
    port, sandbox_port, receiver_port = free_port(), free_port(), free_port()
    home = tmp_path / "home"
    environment = {
        **os.environ,
        "CORDBOARD_HOME": str(home),
        "CORDBOARD_PORT": str(port),
        "CORDBOARD_SANDBOX_PORT": str(sandbox_port),
        "CORDBOARD_RECEIVER_PORT": str(receiver_port),
    }
    environment.pop("PREFECT_HOME", None)
    printed = tmp_path / "up.txt"
    with printed.open("wb") as output:
        up = subprocess.Popen([sys.executable, "-m", "deployments.up"], env=environment, stdout=output, cwd=checkout)
    try:
        wait_until(lambda: "Ctrl-C stops it all." in printed.read_text() or up.poll() is not None, 240)
        assert up.poll() is None, printed.read_text()
        run = run_with_the_sandboxes_block(f"http://127.0.0.1:{port}/api")
        wait_until(lambda: state_of(f"http://127.0.0.1:{port}/api", run) in {"Completed", "Failed", "Crashed"}, 120)
        assert state_of(f"http://127.0.0.1:{port}/api", run) == "Completed"
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(60)
    assert up.returncode == 0
    assert not any(is_open(each) for each in (port, sandbox_port, receiver_port))
    assert (home / "ledger.db").stat().st_mode & 0o077 == 0


def run_with_the_sandboxes_block(api: str) -> str:
    """Creates a run the way the UI's form does: the block as a reference, the chain as a group of fields."""
    deployment = httpx.get(f"{api}/deployments/name/run-chain/run-chain").raise_for_status().json()
    assert [schedule["active"] for schedule in deployment["schedules"]] == [False]
    parameters: dict[str, Any] = {
        "chain": {"file": "examples/customer_sync.yaml", "params": {"account_id": "ACC-1002"}, "run_key": ""},
        "credentials": {"$ref": {"block_document_slug": "cxone-credentials/sandbox"}},
        "webhook": {"$ref": {"block_document_slug": "cordboard-webhook/sandbox"}},
    }
    body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    made = httpx.post(f"{api}/deployments/{deployment['id']}/create_flow_run", json=body).raise_for_status()
    return str(made.json()["id"])


def state_of(api: str, run: str) -> str:
    return str(httpx.get(f"{api}/flow_runs/{run}").raise_for_status().json()["state_name"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
