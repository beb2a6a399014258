"""Secrets go in everywhere, everything goes wrong, and then every place where anything is kept or shown is searched.

A canary is a secret with a core of letters and digits that no encoding but base64 changes: it is found as it stands,
URL-encoded, inside JSON, half masked, and as base64 wherever it begins. What chains are told and what they answer is
business data and no secret: it is kept in ledger, document and artifacts.
"""

from __future__ import annotations

import asyncio
import base64
import html
import json
import math
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import httpx
import pytest

from cordboard.sandbox.definition import default_definition
from cordboard.sandbox.faults import Faults
from cordboard.sandbox.server import RunningSandbox, running_sandbox
from tests.collector import Collector, collecting

pytestmark = [pytest.mark.prefect]

MARKER = "harmless-marker"  # goes in beside the secrets, and must be found: the search is not blind


def core(name: str) -> str:
    return sha256(name.encode()).hexdigest()[:24]


def secret(name: str) -> str:
    """A secret as nasty as a generator makes them: signs that URLs, forms, JSON, HTML and Python write differently."""
    return f"p+/=&%:?#@ ü<{core(name)}>'\"\\x"


def signing(name: str) -> str:
    return "whsec_" + base64.b64encode(core(name).encode()).decode()


OWN, GIVEN = "client secret in the environment", "client secret in a block given as parameter"
KEPT, ROTATED = "client secret in a block", "client secret that the block held before"
REFUSED, INVALID = "client secret that is refused", "client secret in a block that is not valid"
SIGNING, KEPT_SIGNING, MALFORMED = "signing secret", "signing secret in a block", "signing secret that is malformed"
HOOK_TOKEN, KEPT_HOOK_TOKEN = "token in the webhook URL", "token in the webhook URL of a block"
HOOK_PASSWORD, URL_PASSWORD = "password in the webhook URL", "password in the token URL"
LEDGER_PASSWORD, ELSEWHERE = "password in the ledger URL", "variable of another program"
PIN, KEPT_PIN = "secret parameter from the environment", "secret parameter from a block"
NAMES = (
    *(OWN, GIVEN, KEPT, ROTATED, REFUSED, INVALID, SIGNING, KEPT_SIGNING, MALFORMED),
    *(HOOK_TOKEN, KEPT_HOOK_TOKEN, HOOK_PASSWORD, URL_PASSWORD, LEDGER_PASSWORD, ELSEWHERE, PIN, KEPT_PIN),
)
RANDOM = Random("tokens 0")  # as a sandbox with seed 0 draws the tokens that it hands out
TOKENS = [f"{RANDOM.getrandbits(256):064x}" for _ in range(5)]
CANARIES = {name: core(name) for name in NAMES} | {f"access token {n}": token for n, token in enumerate(TOKENS, 1)}


def forms(text: str) -> set[bytes]:
    """The text itself, and what it becomes inside base64, for each place at which it can begin there."""
    found = {text.encode()}
    for before in range(3):
        packed = base64.b64encode(b"." * before + text.encode())
        found.add(packed[math.ceil(before * 8 / 6) : (before + len(text)) * 8 // 6])
    return found


def places(text: str, sinks: dict[str, bytes]) -> list[str]:
    """The sinks that hold a text in any form."""
    return [name for name, content in sinks.items() if any(form in content for form in forms(text))]


CHAIN = """
kind: chain
name: leaks
params: {note: {type: string, default: none}, pin: {type: string, required: true, secret: true}}
defaults: {on_failure: continue, retries: 0, timeout_seconds: 10}
actions:
  leak: {definition_id: def-leak, on_failure: stop, inputs: {note: "{{ params.note }}"}}
  passed_on: {definition_id: def-echo, inputs: {all: "{{ leak }}", text: "It is {{ leak.plain }}"}}
  unlock: {definition_id: def-echo, inputs: {pin: "{{ params.pin }}", text: "It is {{ params.pin }}"}}
  each: {definition_id: def-echo, for_each: "{{ leak.list }}", inputs: {value: "{{ item }}"}}
"""
FAILING = (
    CHAIN
    + """
  no_such_key: {definition_id: def-echo, inputs: {x: "{{ leak.NEARLY }}"}}
  no_number: {definition_id: def-echo, inputs: {x: "{{ leak.plain | int }}"}}
  no_list: {definition_id: def-echo, for_each: "{{ leak.plain }}", inputs: {x: 1}}
  bad_type: {definition_id: def-leak, depends_on: [leak], output_schema: {properties: {plain: {type: integer}}}}
  bad_key: {definition_id: def-leak, depends_on: [leak], output_schema: {type: object, additionalProperties: false}}
  echoes: {definition_id: def-echo, depends_on: [leak], inputs: {fault: echoes}}
  says: {definition_id: def-echo, depends_on: [leak], inputs: {fault: says}}
  page: {definition_id: def-echo, depends_on: [leak], inputs: {fault: page}}
  moved: {definition_id: def-echo, depends_on: [leak], inputs: {fault: moved}}
  lost: {definition_id: def-echo, depends_on: [leak], inputs: {fault: lost}}
  cut_short: {definition_id: def-leak, depends_on: [leak], inputs: {fault: cut_short}}
""".replace("NEARLY", f"k{TOKENS[2][:-1]}x")
)


def leaking(*secrets: str) -> list[dict[str, Any]]:
    """Faults that make the vendor say what it should not, in every way in which a vendor may write it."""
    first, token = secrets[0], secrets[-1]
    said = {
        "plain": first,
        "list": [f"Bearer {each}" for each in secrets],
        "form": urlencode({"client_secret": first}),
        "quoted": json.dumps({"client_secret": first}),
        "packed": base64.b64encode(first.encode()).decode(),
        "marker": MARKER,
        **{f"k{each}": "as a key" for each in secrets},
    }
    envelope = {"id": "exec_1", "definition_id": "def-leak", "status": "completed", "output": said}
    error = {"message": f"{MARKER} {json.dumps(said)}", "code": token}
    kinds = {
        "echoes": {"echo_secrets": True},
        "says": {"status": 422, "body": error, "headers": {"x-request-id": token}},
        "page": {"status": 500, "body": f"<html>{said}</html>", "headers": {"content-type": "text/html"}},
        "moved": {"redirect": f"https://vendor.example/?token={token}"},
        "lost": {"lost_reply": "after_commit"},
        "cut_short": {"status": 200, "body": json.dumps(envelope)[:-9]},
    }
    rules = [{"match": {"inputs": {"fault": name}}, "fault": fault} for name, fault in kinds.items()]
    return [*rules, {"match": {"definition_id": "def-leak"}, "fault": {"status": 200, "body": envelope}}]


@dataclass
class Scene:
    """A vendor, a folder for everything that is written, a collector, and by name every sink that came of it."""

    box: RunningSandbox
    server: str
    folder: Path
    collector: Collector
    sinks: dict[str, bytes] = field(default_factory=dict)

    def variables(self, more: dict[str, str]) -> dict[str, str]:
        return {
            **self.box.env(),
            "CORDBOARD_HOME": str(self.folder / "home"),
            "CORDBOARD_RETRY_ATTEMPTS": "1",
            "CORDBOARD_WEBHOOK_URL": f"{self.box.base_url}/webhooks/env?token={core(HOOK_TOKEN)}",
            "CORDBOARD_WEBHOOK_SECRET": signing(SIGNING),
            "CORDBOARD_WEBHOOK_FLUSH_SECONDS": "0.2",
            "CORDBOARD_SECRET_PIN": secret(PIN),
            "AWS_SECRET_ACCESS_KEY": secret(ELSEWHERE),
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
            **more,
        }

    def process(self, name: str, chain: str, *args: str, **more: str) -> int:
        """Runs a chain in a process of its own, with every log at DEBUG."""
        debug = {f"PREFECT_LOGGING_{what}LEVEL": "DEBUG" for what in ("", "ROOT_", "HANDLERS_CONSOLE_")}
        prefect = {"PREFECT_API_URL": self.server, "PREFECT_HOME": str(self.folder / "prefect")}
        ended = subprocess.run(
            [sys.executable, "-m", "flows", "run-chain", self.file(chain), "--verbose", *args],
            env={**os.environ, **debug, **prefect, **self.variables(more)},
            cwd=Path(__file__).parents[2],
            check=False,
            capture_output=True,
        )
        self.sinks |= {f"standard output of {name}": ended.stdout, f"standard error of {name}": ended.stderr}
        return ended.returncode

    def here(self, name: str, job: Callable[[], Any], **more: str) -> None:
        """Does something in this process; what it raises or answers is a sink."""
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in self.variables(more).items():
                patch.setenv(variable, value)
            try:
                self.sinks[f"answer of {name}"] = repr(asyncio.run(job())).encode()
            except Exception as error:
                self.sinks[f"traceback of {name}"] = f"{error!r}\n{traceback.format_exc()}".encode()

    def file(self, chain: str) -> str:
        path = self.folder / "chain.yaml"
        path.write_text(chain)
        return str(path)


def play(scene: Scene) -> None:
    """Runs that succeed, fail and raise, each with secrets of its own."""
    from blocks.cxone import CXoneCredentials
    from flows.deliver_webhooks import deliver_webhooks
    from flows.run_chain import run_chain
    from tasks.opening import RunChain

    box, use = scene.box, lambda *faults: scene.box.sandbox.use_faults(Faults.of(*faults))
    own, given, refused = secret(OWN), secret(GIVEN), secret(REFUSED)
    urls = {"base_url": box.base_url, "token_url": f"{box.base_url}/oauth/token"}
    asyncio.run(save_blocks(box, urls))
    marked, blocks = ("--param", f"note={MARKER}"), ("--credentials", "canary", "--webhook", "canary")
    use({"match": {"path": "/webhooks/*"}, "fault": {"status": 503}}, *leaking(own, TOKENS[0]))
    assert scene.process("a run that succeeds", CHAIN, "--json", *marked, "--run-key", "succeeding") == 0
    use({"match": {"nth": [1]}, "fault": {"status": 401}}, *leaking(own, TOKENS[1], TOKENS[2]))
    assert scene.process("a run that fails", FAILING, *marked, CORDBOARD_LOG_FORMAT="json") == 1
    use(*leaking(secret(KEPT), TOKENS[3]))
    trap = scene.folder / "trap"
    trap.mkdir()
    (trap / "runs").write_text("a file where a folder must be")
    assert scene.process("a run that raises", FAILING, *blocks, CORDBOARD_HOME=str(trap)) == 1
    asked = RunChain(file=scene.file(FAILING))
    use(*leaking(given, TOKENS[4]))
    with_block = RunChain(file=asked.file, secrets={"pin": "canary"})
    login = CXoneCredentials(client_id="client-2", client_secret=given, **urls)
    scene.here("a block as parameter", lambda: run_chain(with_block, login))
    use({"match": {"path": "/oauth/token"}, "fault": {"echo_secrets": True}})
    basic = CXoneCredentials(client_id="client-2", client_secret=given, send_secret_in="basic_header", **urls)
    scene.here("a Basic header that comes back", lambda: run_chain(asked, basic))
    use(refusing(refused))
    scene.here(REFUSED, lambda: run_chain(asked), CXONE_CLIENT_SECRET=refused)
    scene.here(INVALID, lambda: CXoneCredentials(client_secret=secret(INVALID)))
    for name, variable, value in WRONG:
        scene.here(name, lambda: run_chain(asked), **{variable: value})
    scene.here("a late delivery", deliver_webhooks)


WRONG = (
    (MALFORMED, "CORDBOARD_WEBHOOK_SECRET", f"whsec_{secret(MALFORMED)}"),
    (HOOK_PASSWORD, "CORDBOARD_WEBHOOK_URL", f"https://me:{core(HOOK_PASSWORD)}@hooks.example/"),
    (URL_PASSWORD, "CXONE_TOKEN_URL", f"https://me:{core(URL_PASSWORD)}@vendor.example/token"),
    (LEDGER_PASSWORD, "CORDBOARD_LEDGER_URL", f"postgresql://me:{core(LEDGER_PASSWORD)}@127.0.0.1:9/ledger"),
)


def refusing(wrong: str) -> dict[str, Any]:
    """A token endpoint that repeats the secret that it refuses: quoted, in a URL, in a form."""
    said = f"{wrong!r} is wrong, see https://vendor.example/?client_secret={quote(wrong)} or {urlencode({'s': wrong})}"
    body = {"error": "invalid_client", "error_description": said}
    return {"match": {"path": "/oauth/token"}, "fault": {"status": 401, "body": body}}


async def save_blocks(box: RunningSandbox, urls: dict[str, str]) -> None:
    """Three block documents; the secret of one was rotated."""
    from prefect.blocks.system import Secret

    from blocks.cxone import CXoneCredentials
    from blocks.webhook import WebhookEndpoint

    for name in (ROTATED, KEPT):
        block = CXoneCredentials(client_id="client-1", client_secret=secret(name), **urls)
        await block.save("canary", overwrite=True)
    await Secret(value=secret(KEPT_PIN)).save("canary", overwrite=True)
    url = f"{box.base_url}/webhooks/block?token={core(KEPT_HOOK_TOKEN)}"
    await WebhookEndpoint(url=url, secret=signing(KEPT_SIGNING)).save("canary", overwrite=True)


@pytest.fixture(scope="module")
def sinks(prefect_server: str, prefect_keeps: Any, kept_log: StringIO, tmp_path_factory: Any) -> dict[str, bytes]:
    """Everything that is left after those runs, by the name of the place."""
    clients = [{"id": f"client-{n}", "secret": secret(name)} for n, name in enumerate((OWN, KEPT, GIVEN))]
    definition = default_definition().changed(clients=clients, data_actions={"def-echo": {"echo": True}})
    folder = tmp_path_factory.mktemp("secrets")
    with running_sandbox(definition) as box, collecting() as collector:
        scene = Scene(box, prefect_server, folder, collector)
        play(scene)
        scene.sinks["spans and metrics"] = b"".join(collector.raw)
        execution = f"{box.base_url}/api/v2/dataactions/executions/none"
        answers = [httpx.get(execution, headers={"authorization": f"bearer {token}"}).status_code for token in TOKENS]
        assert answers == [404] * len(TOKENS), "a token was never handed out"
        scene.sinks["webhooks that arrived"] = "\n".join(map(repr, box.truth.webhooks)).encode()
    scene.sinks["log records"] = kept_log.getvalue().encode()
    files = {f"file {path.relative_to(folder)}": path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return scene.sinks | prefect_keeps() | files


@pytest.mark.parametrize("name", CANARIES)
def test_no_secret_is_in_any_place(sinks: dict[str, bytes], name: str) -> None:
    assert places(CANARIES[name], sinks) == []


def test_the_search_reaches_every_place(sinks: dict[str, bytes]) -> None:
    """What is no secret travelled the same ways and is found there, and the logs were at their most talkative."""
    assert set(places(MARKER, sinks)) >= {
        *("standard output of a run that succeeds", "standard error of a run that fails"),
        *("traceback of a block as parameter", "log records", "webhooks that arrived"),
        *(f"{kind} of the API" for kind in ("flow_runs", "task_runs", "logs", "artifacts")),
        *("database", "file home/ledger.db", "file home/runs/leaks/succeeding.json"),
    }
    assert b"client-1" in sinks["block_documents of the API"]
    assert all(name in sinks["spans and metrics"] for name in (b"leaks/succeeding", b"cordboard.request_id"))
    assert b'"request_id": ' in sinks["standard error of a run that fails"]
    assert all(b"DEBUG" in sinks[name] for name in sinks if name.startswith("standard error") or name == "log records")


@pytest.mark.parametrize("before", ["", "a", "bc"])
@pytest.mark.parametrize("write", [str, quote, quote_plus, html.escape, repr, json.dumps])
@pytest.mark.parametrize("pack", [str, json.dumps, lambda text: base64.b64encode(text.encode()).decode()])
def test_the_search_finds_a_secret_however_it_is_written(
    before: str, write: Callable[[str], str], pack: Callable[[str], str]
) -> None:
    line = pack(f"{before}{write(secret('planted'))} and more")
    assert places(core("planted"), {"here": line.encode(), "there": b"nothing"}) == ["here"]
