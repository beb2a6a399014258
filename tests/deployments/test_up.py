"""`make up` as a person meets it: all of it starts, hardened, a run from the UI's form works, Ctrl-C stops it."""

from __future__ import annotations

import base64
import json
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
from dotenv import dotenv_values

from cordboard.sandbox.definition import default_definition
from cordboard.sandbox.server import environment as sandbox_variables

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
        assert passwords_in(home).isdisjoint(printed.read_text().split())
        with client_of(home) as client:
            run = run_with_the_sandboxes_block(client)
            wait_until(lambda: state_of(client, run) in {"Completed", "Failed", "Crashed"}, 120)
            assert state_of(client, run) == "Completed"
        the_doctor_is_content(environment, sandbox_port)
        the_doctor_sees_a_wrong_password(environment)
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(60)
    assert up.returncode == 0
    assert not any(is_open(each) for each in (port, sandbox_port, receiver_port))
    assert [path for path in (home, *home.rglob("*")) if path.stat().st_mode & 0o077] == []


def passwords_in(home: Path) -> set[str]:
    kept = dotenv_values(home / "prefect.env")["PREFECT_API_AUTH_STRING"] or ""
    return {kept, kept.partition(":")[2], (home / "prefect.key").read_text().strip()}


def client_of(home: Path) -> httpx.Client:
    """A client as the UI is one: signed in, with a token against forged requests. Without either it is refused."""
    kept = dotenv_values(home / "prefect.env")
    url = str(kept["PREFECT_API_URL"])
    assert httpx.get(f"{url}/admin/version").status_code == 401
    signed = {"Authorization": f"Basic {base64.b64encode(str(kept['PREFECT_API_AUTH_STRING']).encode()).decode()}"}
    assert httpx.post(f"{url}/flows/count", headers=signed).status_code == 403
    token = httpx.get(f"{url}/csrf-token", params={"client": "test"}, headers=signed).raise_for_status().json()["token"]
    headers = {**signed, "Prefect-Csrf-Token": token, "Prefect-Csrf-Client": "test"}
    return httpx.Client(base_url=f"{url}/", headers=headers, timeout=30)


def doctor(environment: dict[str, str], **more: str) -> tuple[int, dict[str, dict[str, str]]]:
    command = [sys.executable, "-m", "cordboard", "doctor", "--json"]
    environment = {**environment, **more}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=60)
    return done.returncode, {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def the_doctor_is_content(environment: dict[str, str], sandbox_port: int) -> None:
    """All of it is green, with no more of a set-up than the home that `make up` wrote."""
    login = sandbox_variables(default_definition(), f"http://127.0.0.1:{sandbox_port}")
    code, found = doctor(environment, **login)
    assert (code, [check for check in found.values() if check["mend"]]) == (0, [])
    assert found["prefect workers"]["message"] == "1 online"
    assert {name for name in found if name.startswith("prefect")} == {
        "prefect",
        *(f"prefect {each}" for each in ("sign-in", "address", "cors", "csrf", "encryption", "leases", "heartbeat")),
        *(f"prefect {each}" for each in ("results", "workers")),
    }
    assert {check["standing"] for name, check in found.items() if name.startswith("prefect")} == {"ok"}


def the_doctor_sees_a_wrong_password(environment: dict[str, str]) -> None:
    code, found = doctor(environment, PREFECT_API_AUTH_STRING="cordboard:wrong-canary")
    assert (code, found["prefect sign-in"]["standing"]) == (1, "error")
    assert "Set PREFECT_API_AUTH_STRING to the server's" in found["prefect sign-in"]["mend"]
    assert "wrong-canary" not in json.dumps(found)


def run_with_the_sandboxes_block(client: httpx.Client) -> str:
    """Creates a run the way the UI's form does: the block as a reference, the chain as a group of fields."""
    deployment = client.get("deployments/name/run-chain/run-chain").raise_for_status().json()
    assert [schedule["active"] for schedule in deployment["schedules"]] == [False]
    parameters: dict[str, Any] = {
        "chain": {"file": "examples/customer_sync.yaml", "params": {"account_id": "ACC-1002"}, "run_key": ""},
        "credentials": {"$ref": {"block_document_slug": "cxone-credentials/sandbox"}},
        "webhook": {"$ref": {"block_document_slug": "cordboard-webhook/sandbox"}},
    }
    body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    made = client.post(f"deployments/{deployment['id']}/create_flow_run", json=body).raise_for_status()
    return str(made.json()["id"])


def state_of(client: httpx.Client, run: str) -> str:
    return str(client.get(f"flow_runs/{run}").raise_for_status().json()["state_name"])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
