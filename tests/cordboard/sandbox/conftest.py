"""A plain HTTP client for the sandbox: no code of the vendor client, which is the other side."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from cordboard.sandbox import DebugEngine, Definition, Faults, RunningSandbox, default_definition, running_sandbox

EXECUTIONS = "/api/v2/dataactions/executions"
FLOWS = "/api/v2/flows"
DEBUG = "/api/v2/flows/debug"
INSTANCES = "/api/v2/workflows/instances"


@dataclass
class Api:
    """What a test does over HTTP."""

    box: RunningSandbox
    http: httpx.Client

    def ask_token(self, **form: str) -> httpx.Response:
        env = self.box.env()
        credentials = {"client_id": env["CXONE_CLIENT_ID"], "client_secret": env["CXONE_CLIENT_SECRET"]}
        return self.http.post("/oauth/token", data={"grant_type": "client_credentials", **credentials, **form})

    def sign_in(self, **form: str) -> Api:
        self.http.headers["authorization"] = f"Bearer {self.ask_token(**form).json()['access_token']}"
        return self

    def execute(self, definition_id: str, inputs: Any, **headers: str) -> httpx.Response:
        body = {"definition_id": definition_id, "inputs": inputs}
        return self.http.post(EXECUTIONS, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def register(self, flow: Any, key: str = "key-1", **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(FLOWS, json=flow, headers={"idempotency-key": key, **named})

    def read(self, flow_id: str) -> httpx.Response:
        return self.http.get(f"{FLOWS}/{flow_id}")

    def save(self, flow: Any, if_match: Any = None, **headers: str) -> httpx.Response:
        precondition = {} if if_match is None else {"if-match": str(if_match)}
        return self.http.put(f"{FLOWS}/{flow['id']}", json=flow, headers={**precondition, **headers})

    def simulate(self, flow_id: str, dtmf: str = "", speech: str = "", **further: Any) -> httpx.Response:
        return self.http.post(DEBUG, json={"flowId": flow_id, "input": {"dtmf": dtmf, "speech": speech}, **further})

    def start_instance(self, workflow_id: str = "wf", key: str | None = None, **body: Any) -> httpx.Response:
        headers = {} if key is None else {"idempotency-key": key}
        return self.http.post(INSTANCES, json={"workflowId": workflow_id, **body}, headers=headers)

    def find(self, **query: Any) -> dict[str, Any]:
        return self.http.get(INSTANCES, params=query).json()

    def running(self, workflow_id: str = "wf") -> int:
        return self.find(workflowId=workflow_id, status="running", pageSize=1)["totalCount"]

    def notify(self, contact: str = "CON-1", **headers: str) -> httpx.Response:
        return self.execute("def-notify", {"contact": contact}, **headers)


@pytest.fixture
def start() -> Iterator[Callable[..., Api]]:
    """Starts a sandbox with the given rules, and signs in; `changes` change the default definition."""
    with ExitStack() as stack:

        def starter(
            *rules: dict[str, Any],
            seed: int = 0,
            timeout: float = 5.0,
            clock: Callable[[], float] = time.time,
            engine: DebugEngine | None = None,
            callback_url: str | None = None,
            **changes: Any,
        ) -> Api:
            definition: Definition = default_definition().changed(**changes)
            faults, handed_in = Faults.of(*rules), {"clock": clock, "engine": engine, "callback_url": callback_url}
            box = stack.enter_context(running_sandbox(definition, faults, seed, **handed_in))
            http = stack.enter_context(httpx.Client(base_url=box.base_url, timeout=timeout, trust_env=False))
            return Api(box, http).sign_in()

        yield starter


@dataclass
class Arrival:
    """A callback as it arrived, before it was answered."""

    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver(ThreadingHTTPServer):
    """Takes callbacks over real HTTP; `statuses` are its first answers, `after` all others."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.url = f"http://127.0.0.1:{self.server_port}/callbacks"
        self.arrivals: list[Arrival] = []
        self.statuses: list[int] = []
        self.after = 204
        self.on_arrival: Callable[[Arrival], None] = lambda _: None

    @property
    def instances(self) -> list[str]:
        return [arrival.json["instanceId"] for arrival in tuple(self.arrivals)]


class _Answering(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        arrival = Arrival(body, {name.lower(): value for name, value in self.headers.items()})
        self.server.on_arrival(arrival)
        self.server.arrivals.append(arrival)
        status = self.server.statuses.pop(0) if self.server.statuses else self.server.after
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of callbacks."""
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def menu() -> dict[str, Any]:
    """A small main menu, as it is registered."""
    ways = [("start", "menu", "true", "default"), ("menu", "sales", "dtmf == '1'", "conditional")]
    ways += [("menu", "menu", "no_input", "conditional"), ("menu", "sales", "default", "default")]
    return {
        "id": "main_menu",
        "name": "Main menu",
        "type": "IVR",
        "connections": [
            {
                "id": f"conn_{number:012x}",
                "source_node_id": f"node_{source}",
                "target_node_id": f"node_{target}",
                "condition": condition,
                "type": kind,
            }
            for number, (source, target, condition, kind) in enumerate(ways)
        ],
        "nodes": [
            {"id": "node_start", "type": "start"},
            {"id": "node_menu", "type": "decision"},
            {"id": "node_sales", "type": "terminal"},
        ],
    }


@pytest.fixture
def clinic() -> dict[str, Any]:
    """A small menu of Genesys Cloud, as it is saved."""

    def node(name: str, kind: str, **ways: str) -> dict[str, Any]:
        named = {way.replace("_", " == "): target for way, target in ways.items()}
        conditions = [{"condition": way, "destinationNodeId": target} for way, target in named.items()]
        return {"id": name, "type": kind, "transitionConditions": conditions}

    nodes = [
        node("ask", "menu", dtmf_1="doctor", dtmf_2="bill", default="doctor"),
        node("doctor", "queue", default="bye"),
        node("bill", "queue", **{"else": "bye"}),
        node("bye", "disconnect"),
    ]
    return {"id": "clinic", "name": "Clinic", "startNodeId": "ask", "nodes": {each["id"]: each for each in nodes}}


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits until a predicate holds."""

    def wait(predicate: Callable[[], bool], seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        while not predicate():
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.005)

    return wait
