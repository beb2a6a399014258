"""`make up` as a process of its own, and a client that signs in as the UI does."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import yaml
from cryptography.fernet import Fernet
from dotenv import dotenv_values
from standardwebhooks import Webhook

CHECKOUT = Path(__file__).parents[2]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text())["deployments"]
TRIGGERS = [(each["name"], trigger["name"]) for each in DEPLOYMENTS for trigger in each.get("triggers", ())]
TRIGGERED = {trigger for _, trigger in TRIGGERS}
SECRET = "whsec_bm9ib2R5IGJ1dCB0aGlzIHRlc3QgaG9sZHMgaXQ="
POSTGRES = os.environ.get("CORDBOARD_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432").rstrip("/")
ENDS = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def settings(home: Path) -> tuple[dict[str, str], list[int]]:
    """The environment of `make up` on free ports, and the ports."""
    ports = [free_port() for _ in range(3)]
    names = ("CORDBOARD_PORT", "CORDBOARD_SANDBOX_PORT", "CORDBOARD_RECEIVER_PORT")
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_HOME"}
    return {
        **environment,
        **{name: str(port) for name, port in zip(names, ports, strict=True)},
        "CORDBOARD_HOME": str(home),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",  # one by one they are half of its work
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    }, ports


@contextmanager
def own_database(name: str) -> Iterator[dict[str, str]]:
    """Variables that put the server on the local PostgreSQL, as several runs at once need; none without one."""
    try:
        asyncio.run(_statement(f"CREATE DATABASE {name}"))
    except (OSError, asyncpg.PostgresError):
        yield {}
        return
    url = f"{POSTGRES}/{name}".replace("postgresql:", "postgresql+asyncpg:")
    try:
        yield {
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": url,
            "PREFECT_SERVER_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        }
    finally:
        asyncio.run(_statement(f"DROP DATABASE {name} WITH (FORCE)"))


def is_in_the_database(environment: dict[str, str], text: str) -> bool:
    """Whether it stands anywhere in the server's database, in clear. One on SQLite is a file below the home."""
    url = environment.get("PREFECT_SERVER_DATABASE_CONNECTION_URL", "").replace("+asyncpg", "")
    if not url:
        return text.encode() in (Path(environment["CORDBOARD_HOME"]) / "prefect/prefect.db").read_bytes()
    return bool(asyncio.run(_statement("SELECT position($1 in database_to_xml(true, false, '')::text)", text, url=url)))


async def _statement(text: str, *given: str, url: str = f"{POSTGRES}/postgres") -> Any:
    connection = await asyncpg.connect(url, timeout=3)
    try:
        return await connection.fetchval(text, *given)
    finally:
        await connection.close()


@contextmanager
def up(
    environment: dict[str, str], printed: Path, wait_until: Callable[..., None]
) -> Iterator[subprocess.Popen[bytes]]:
    """`make up`, ready; it is stopped as Ctrl-C does, and everything must have ended then."""
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "deployments.up"], env=environment, stdout=output, cwd=CHECKOUT
        )
    try:
        wait_until(lambda: "Ctrl-C stops it all." in printed.read_text() or process.poll() is not None, 300)
        assert process.poll() is None, printed.read_text()
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


class Server:
    """The server of `make up`, by its HTTP interface."""

    def __init__(self, home: Path) -> None:
        kept = dotenv_values(home / "prefect.env")
        self.url, self.sign_in = str(kept["PREFECT_API_URL"]), str(kept["PREFECT_API_AUTH_STRING"])
        signed = {"Authorization": f"Basic {base64.b64encode(self.sign_in.encode()).decode()}"}
        self.http = httpx.Client(base_url=f"{self.url}/", headers=signed, timeout=60, trust_env=False)
        name = uuid4().hex  # a second token for one name takes the first one's place
        token = self.http.get("csrf-token", params={"client": name}).raise_for_status().json()["token"]
        self.http.headers.update({"Prefect-Csrf-Token": token, "Prefect-Csrf-Client": name})

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """One request, again as long as the database is busy."""
        while (reply := self.http.request(method, path, json=body or None)).status_code == 503:
            time.sleep(0.5)
        return reply.raise_for_status().json() if reply.content else None

    def deployment(self, name: str) -> dict[str, Any]:
        """A deployment by its name, which is its flow's too unless the file says otherwise."""
        (found,) = [each for each in self.deployments() if each["name"] == name]
        return found

    def deployments(self) -> list[dict[str, Any]]:
        """All of them."""
        found: list[dict[str, Any]] = self.ask("POST", "deployments/filter", limit=200)
        return found

    def automations(self) -> dict[str, dict[str, Any]]:
        """All of them, by name."""
        return {each["name"]: each for each in self.ask("POST", "automations/filter", limit=200)}

    def start(self, name: str, state: dict[str, Any] | None = None, **parameters: Any) -> str:
        """Creates a run as the UI's form does, with the deployment's parameters but for those given; gives its id."""
        body = {"parameters": parameters, "state": state or {"type": "SCHEDULED"}}
        made = self.ask("POST", f"deployments/{self.deployment(name)['id']}/create_flow_run", **body)
        return str(made["id"])

    def crash(self, name: str, why: str, **parameters: Any) -> str:
        """Creates a run whose process is gone, as the watch for dead runs says it."""
        later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
        run = self.start(name, later, **parameters)
        self.ask("POST", f"flow_runs/{run}/set_state", state={"type": "CRASHED", "message": why})
        return run

    def run(self, run_id: str) -> dict[str, Any]:
        """A run."""
        found: dict[str, Any] = self.ask("GET", f"flow_runs/{run_id}")
        return found

    def runs(self) -> list[dict[str, Any]]:
        """All of them."""
        found: list[dict[str, Any]] = self.ask("POST", "flow_runs/filter", limit=200)
        return found

    def count(self, *deployments: str) -> int:
        """How many runs these deployments have had."""
        counted: int = self.ask("POST", "flow_runs/count", deployments={"name": {"any_": deployments}})
        return counted

    def is_idle(self) -> bool:
        """Whether every run has ended."""
        open_runs = {"state": {"type": {"not_any_": sorted(ENDS)}}}
        return bool(self.ask("POST", "flow_runs/count", flow_runs=open_runs) == 0)

    def switch(self, name: str, *, on: bool) -> None:
        """What a person does in the UI with the schedules of a deployment."""
        deployment = self.deployment(name)
        for schedule in deployment["schedules"]:
            self.ask("PATCH", f"deployments/{deployment['id']}/schedules/{schedule['id']}", active=on)

    def add_a_schedule(self, name: str) -> None:
        """Adds one to a deployment, as a person does in the UI; it is on."""
        every_day = {"schedule": {"interval": 86_400}, "active": True}
        path = f"deployments/{self.deployment(name)['id']}/schedules"
        self.http.post(path, json=[every_day]).raise_for_status()

    def switched_on(self) -> set[str]:
        """Deployments with a schedule that is on, and triggers that are."""
        automations, found = self.automations(), self.deployments()
        schedules = {each["name"] for each in found if any(one["active"] for one in each["schedules"])}
        return schedules | {name for name in TRIGGERED if automations[name]["enabled"]}

    def start_runs_with(self, command: str) -> None:
        """Makes the pool's worker start runs with this command from now on."""
        template = self.ask("GET", "work_pools/cordboard")["base_job_template"]
        template["variables"]["properties"]["command"]["default"] = command
        self.ask("PATCH", "work_pools/cordboard", base_job_template=template)


@dataclass
class Receiver:
    """Takes signed messages, and keeps those that verify."""

    url: str = ""
    heard: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver of webhooks of somebody else's making, on a free port."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.heard.append(dict(Webhook(SECRET).verify(body, {k.lower(): v for k, v in self.headers.items()})))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found.url = f"http://127.0.0.1:{server.server_port}/hooks"
        yield found
        server.shutdown()


def doctor(environment: dict[str, str], **more: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Exit code and checks of `cordboard doctor`."""
    command = [sys.executable, "-m", "cordboard", "doctor", "--json"]
    environment = {**environment, **more}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=120)
    return done.returncode, {check["name"]: check for check in json.loads(done.stdout)["checks"]}


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
