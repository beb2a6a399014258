"""`cordboard sandbox` as a process: what it prints, writes and refuses, and what a kill leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

EXECUTIONS = "/api/v2/dataactions/executions"
NOTIFY = {"definition_id": "def-notify", "inputs": {"contact": "CON-1"}}


def read_env_file(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines())


@pytest.fixture
def command(tmp_path, eventually):
    """Starts `cordboard sandbox` as a process and waits until it serves."""
    started = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
        env_file = tmp_path / "sandbox.env"
        line = [sys.executable, "-m", "cordboard", "sandbox", "--port", "0", "--env-file", str(env_file), *arguments]
        process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        eventually(lambda: env_file.exists() or process.poll() is not None, 20)
        return process, read_env_file(env_file) if env_file.exists() else {}

    yield start
    for process in started:
        process.kill()
        process.communicate()


def sign_in(http: httpx.Client, env: dict[str, str]) -> None:
    form = {"client_id": env["CXONE_CLIENT_ID"], "client_secret": env["CXONE_CLIENT_SECRET"]}
    token = http.post(env["CXONE_TOKEN_URL"], data={"grant_type": "client_credentials", **form}).json()
    http.headers["authorization"] = f"Bearer {token['access_token']}"


def test_the_command_prints_what_to_export_and_ends_with_zero(command):
    """What a person pastes and what a script waits for say the same."""
    process, env = command()
    with httpx.Client(base_url=env["CXONE_BASE_URL"]) as http:
        sign_in(http, env)
        assert http.post(EXECUTIONS, json=NOTIFY).status_code == 200
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert out.splitlines() == [f"export {name}={value}" for name, value in env.items()]
    ends = ("BASE_URL", "TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET")
    assert [*env] == [f"{vendor}_{end}" for vendor in ("CXONE", "GENESYS") for end in ends]
    assert env["CXONE_BASE_URL"] in err
    assert "def-notify" in err
    assert "clinic-menu" in err
    assert "wf_appointment_reminder" in err
    assert env["CXONE_CLIENT_SECRET"] not in err


def test_the_command_refuses_a_broken_file_with_two(command, tmp_path):
    """Exit code 2: the input is wrong, and every mistake is named."""
    broken = tmp_path / "broken.yaml"
    broken.write_text("kind: sandbox\nclients: []\n")
    process, _ = command("--definition", str(broken))
    _, err = process.communicate(timeout=10)
    assert process.returncode == 2
    assert f"{broken}:2" in err
    assert "data_actions" in err


def test_the_env_file_is_private(command, tmp_path):
    """It holds a secret."""
    command()
    assert (tmp_path / "sandbox.env").stat().st_mode & 0o777 == 0o600


def test_the_truth_file_survives_a_kill(command, tmp_path):
    """Whatever was answered before the kill stands in the file, each line whole."""
    truth = tmp_path / "truth.jsonl"
    process, env = command("--truth", str(truth))
    with httpx.Client(base_url=env["CXONE_BASE_URL"]) as http:
        sign_in(http, env)
        for number in range(25):
            body = {"definition_id": "def-notify", "inputs": {"contact": f"CON-{number}"}}
            http.post(EXECUTIONS, json=body, headers={"traceparent": "00-1-2-01"})
        process.kill()
    entries = [json.loads(line) for line in truth.read_text().splitlines()]
    effects = [entry for entry in entries if entry["kind"] == "effect"]
    assert [entry["seq"] for entry in entries] == list(range(1, 52))
    assert [entry["inputs"]["contact"] for entry in effects] == [f"CON-{number}" for number in range(25)]
    assert {entry["traceparent"] for entry in effects} == {"00-1-2-01"}
    assert env["CXONE_CLIENT_SECRET"] not in truth.read_text()


def test_the_command_reports_ends_and_its_truth_tells_of_starts_and_callbacks(command, tmp_path, receiver, eventually):
    """A checker in another process needs the file alone."""
    truth = tmp_path / "truth.jsonl"
    process, env = command("--truth", str(truth), "--callback-url", receiver.url)
    context = {"customerId": "C-1", "phone": "+15550100011", "hoursBefore": 24, "mayCall": True}
    body = {"workflowId": "wf_appointment_reminder", "context": context, "metadata": {"cordboardReference": "r-1"}}
    with httpx.Client(base_url=env["CXONE_BASE_URL"]) as http:
        sign_in(http, env)
        started = http.post("/api/v2/workflows/instances", json=body).json()
    eventually(lambda: '"callback"' in truth.read_text())
    process.kill()
    entries = [json.loads(line) for line in truth.read_text().splitlines()]
    (effect,) = [entry for entry in entries if entry["kind"] == "effect"]
    (callback,) = [entry for entry in entries if entry["kind"] == "callback"]
    assert (effect["instance_id"], effect["reference"], effect["running"]) == (started["id"], "r-1", 1)
    assert 0.2 <= effect["ends_at"] - effect["at"] <= 0.6
    assert (callback["instance_id"], callback["request_id"]) == (started["id"], effect["request_id"])
    assert callback["at"] >= effect["ends_at"]
    (arrival,) = receiver.arrivals
    assert arrival.json["context"] == {"customerId": "C-1", "routingDecision": "reminded"}


def test_the_command_says_why_it_cannot_start(command):
    """A port that is taken, and a truth file in a folder that is not there."""
    _, env = command()
    port = env["CXONE_BASE_URL"].rpartition(":")[2]
    whys = (
        (["--port", port], f"something listens on port {port} already; give another with --port"),
        (["--truth", "/nowhere/truth.jsonl"], "/nowhere/truth.jsonl"),
        (["--port", "70000"], "0-65535"),
    )
    for arguments, why in whys:
        line = [sys.executable, "-m", "cordboard", "sandbox", *arguments]
        ended = subprocess.run(line, check=False, capture_output=True, text=True, timeout=20)
        assert ended.returncode == 2, ended
        assert "cannot start the sandbox: " in ended.stderr and why in ended.stderr


def test_the_command_refuses_a_callback_url_that_is_none(command):
    """Before it serves."""
    process, _ = command("--callback-url", "127.0.0.1:80")
    _, err = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "callbacks.url" in err
    assert "such as http://127.0.0.1:8080/callbacks" in err
