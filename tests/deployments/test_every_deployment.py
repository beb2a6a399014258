"""One `make up`, in which every deployment of `prefect.yaml` runs once and every trigger of it fires.

What is looked for is taken from the file itself. One run goes the whole way of a worker; the others are started in
processes forked from one that has imported Prefect, by the same worker.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from cordboard.sandbox.definition import default_definition
from cordboard.sandbox.server import environment as sandbox_variables
from cordboard.sandbox.server import running_sandbox
from deployments.up import COMPLETION_TRIGGER, WEBHOOK_SECRET, register
from tests.deployments.forking import forked_runs
from tests.deployments.receiving import SECRET as RECEIVED_WITH
from tests.deployments.receiving import completion, signed
from tests.deployments.terminal import Terminal, on_a_terminal
from tests.deployments.upping import (
    CHECKOUT,
    DEPLOYMENTS,
    SECRET,
    TRIGGERED,
    TRIGGERS,
    Receiver,
    Server,
    doctor,
    is_in_the_database,
    is_open,
    own_database,
    receiving,
)
from tests.deployments.upping import settings as settings_of
from tests.deployments.upping import up as made_up

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

NAMES = [deployment["name"] for deployment in DEPLOYMENTS]
CANARY = "canary-3f1c-of-the-tenant"
STARTED_BY_A_TRIGGER = {name for name, _ in TRIGGERS}
GONE = "Its process is gone."
NO_CHAIN = {"file": "no/such/chain.yaml"}


class Up:
    """What runs, and what it is reached by; `stop` is Ctrl-C."""

    def __init__(
        self, home: Path, environment: dict[str, str], ports: list[int], printed: Path, stop: Callable[[], None]
    ) -> None:
        self.home, self.environment, self.ports, self.printed, self.stop = home, environment, ports, printed, stop
        self.server = Server(home)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, wait_until: Callable[..., None]) -> Iterator[Up]:
    """`make up`; at its end it must stop whole and have left nothing for others to read."""
    folder = tmp_path_factory.mktemp("up")
    home, printed = folder / "home", folder / "up.txt"
    environment, ports = settings_of(home)
    environment["CORDBOARD_COMPLETION_SECRETS"] = RECEIVED_WITH  # a tenant's, with which nothing is signed here
    with own_database(f"cordboard_up_{os.getpid()}") as database:
        environment |= database
        with ExitStack() as stack:
            process = stack.enter_context(made_up(environment, printed, wait_until))
            yield Up(home, environment, ports, printed, stack.close)
        assert process.returncode == 0
        assert not any(is_open(port) for port in ports)
        assert [path for path in (home, *home.rglob("*")) if path.stat().st_mode & 0o077] == []


class Ran:
    """Every deployment's run, by its name, the runs of every trigger, by the trigger's, and what the receiver heard."""

    def __init__(self, up: Up, heard: list[dict[str, Any]], begun: dict[str, str]) -> None:
        self.heard, self.begun = heard, begun
        switched = {each["id"]: name for name, each in up.server.automations().items()}
        self.triggered: dict[str, list[dict[str, Any]]] = {}
        runs = {run["id"]: run for run in up.server.runs()}
        for run in runs.values():
            by = (run["created_by"] or {}).get("id")
            self.triggered.setdefault(switched.get(by, "nobody"), []).append(run)
        self.by_deployment = {name: runs[run_id] for name, run_id in begun.items() if name in NAMES}
        for name, trigger in TRIGGERS:  # the first one of a deployment gives its run what it ships with
            self.by_deployment.setdefault(name, self.of(trigger))

    def of(self, trigger: str) -> dict[str, Any]:
        """A run of a trigger that completed; else one that did not, or none. A completion is told of more than once."""
        runs = self.triggered.get(trigger, [{"state_type": "it did not fire", "state": {"message": trigger}}])
        return next((run for run in runs if run["state_type"] == "COMPLETED"), runs[0])


@pytest.fixture(scope="module")
def ran(up: Up, wait_until: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """Brings about what the triggers wait for, then starts every other deployment; waits for the end of all."""
    server = up.server
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        switch_everything_on(server, receiver)
        begun = {"run-chain": run_from_the_form(server)}
        command = stack.enter_context(forked_runs(tmp_path_factory.mktemp("fork") / "runs"))
        wait_until(lambda: server.run(begun["run-chain"])["state_type"] != "SCHEDULED", 60)
        server.start_runs_with(command)
        begun |= {
            "registered": server.start("register-ivr", registration={"file": "examples/hospital_menu.yaml"}),
            "updated": server.start("update-ivr", update={"patch": "examples/clinic_holiday.yaml"}),
            "faulty": server.start("run-chain", chain=NO_CHAIN),
            "killed": server.crash("run-chain", GONE, chain=NO_CHAIN),  # a sound one would be resumed
        }
        report_a_completion(up)
        with suppress(AssertionError):  # the test of each trigger says whether it fired
            wait_until(lambda: have_fired(up), 120)
        wait_until(server.is_idle, 120)
        begun |= {name: server.start(name) for name in NAMES if name not in STARTED_BY_A_TRIGGER | {"run-chain"}}
        wait_until(server.is_idle, 120)
        yield Ran(up, receiver.heard, begun)


def have_fired(up: Up) -> bool:
    """Whether all triggers have; asked for in full only when there are enough runs."""
    return up.server.count(*STARTED_BY_A_TRIGGER) >= len(TRIGGERS) and set(Ran(up, [], {}).triggered) >= TRIGGERED


def switch_everything_on(server: Server, receiver: Receiver) -> None:
    """Every trigger of the file, and the test's own receiver in the webhook block."""
    document = server.ask("GET", "block_types/slug/cordboard-webhook/block_documents/name/sandbox")
    server.ask("PATCH", f"block_documents/{document['id']}", data={"url": receiver.url, "secret": SECRET})
    automations = server.automations()
    for _, name in TRIGGERS:
        automation = automations[name]
        if "crashed" in name:  # nobody waits six minutes for it here
            automation["actions"][0] |= {"schedule_after": 0, "parameters": {"notice": {"crashed_minutes": 0}}}
        body = {key: automation[key] for key in ("name", "description", "trigger", "actions")}
        server.ask("PUT", f"automations/{automation['id']}", **body, enabled=True)


def run_from_the_form(server: Server) -> str:
    """A run as the UI's form makes it: blocks as references, the chain as a group of fields."""
    return server.start(
        "run-chain",
        chain={"file": "examples/customer_sync.yaml", "params": {"account_id": "ACC-1002"}, "run_key": ""},
        credentials={"$ref": {"block_document_slug": "cxone-credentials/sandbox"}},
        webhook={"$ref": {"block_document_slug": "cordboard-webhook/sandbox"}},
    )


def report_a_completion(up: Up) -> None:
    """What a vendor POSTs when an instance ends."""
    body = completion(7)
    url = f"http://127.0.0.1:{up.ports[2]}/completions"
    assert (
        httpx.post(url, content=body, headers=signed(body, "msg_7", secret=WEBHOOK_SECRET), trust_env=False).status_code
        == 202
    )


def test_all_of_the_file_is_there_and_nothing_starts_by_itself(up: Up) -> None:
    """Only the receiver's trigger is on from the start: what it starts applies what was received."""
    found = {each["name"]: each for each in up.server.deployments()}
    assert sorted(found) == sorted(NAMES)
    for each in DEPLOYMENTS:
        there = found[each["name"]]
        assert there["description"].strip() == each["description"].strip()
        assert there["tags"] == [*each["tags"], "sandbox"]
        assert {(schedule["slug"], schedule["active"]) for schedule in there["schedules"]} == {
            (schedule["slug"], False) for schedule in each.get("schedules", ())
        }
        assert (there["global_concurrency_limit"] or {}).get("limit") == each["concurrency_limit"]["limit"]


def test_a_password_is_asked_for_and_printed_in_no_log(up: Up) -> None:
    server = up.server
    assert httpx.get(f"{server.url}/admin/version", trust_env=False).status_code == 401
    signed_in = {"Authorization": server.http.headers["Authorization"]}
    assert httpx.post(f"{server.url}/flows/count", headers=signed_in, trust_env=False).status_code == 403
    key = up.environment.get("PREFECT_SERVER_ENCRYPTION_KEY") or (up.home / "prefect.key").read_text().strip()
    assert {server.sign_in, server.sign_in.partition(":")[2], key}.isdisjoint(up.printed.read_text().split())


def test_a_browser_is_led_to_the_ui_whose_pages_ask_nobody_elsewhere(up: Up) -> None:
    as_a_browser = {"Accept": "text/html"}
    page = httpx.get(up.server.url.removesuffix("api"), headers=as_a_browser, follow_redirects=True, trust_env=False)
    assert (page.status_code, page.url.path) == (200, "/")


@pytest.mark.parametrize("name", NAMES)
def test_a_deployment_runs_to_its_end_with_the_parameters_that_it_ships_with(name: str, ran: Ran) -> None:
    run = ran.by_deployment[name]
    assert run["state_type"] == "COMPLETED", run["state"]["message"]


@pytest.mark.parametrize(("deployment", "trigger"), TRIGGERS)
def test_a_trigger_fires_and_its_run_completes(deployment: str, trigger: str, ran: Ran) -> None:
    assert ran.of(trigger)["state_type"] == "COMPLETED", ran.of(trigger)["state"]["message"]


def test_a_completion_reaches_the_erp(ran: Ran) -> None:
    """Runs that were started beside the one at work are cancelled, and further ones find nothing to do."""
    done = [run for run in ran.triggered[COMPLETION_TRIGGER] if run["state_type"] == "COMPLETED"]
    said = [run["state"]["message"] for run in done]
    assert said.count("1 ended, 0 repeated; 1 ERP records delivered") == 1
    assert all(len(run["parameters"]["inbox_id"]) == 36 for run in done)


def test_a_registration_and_an_update_have_the_suite_of_their_flow_simulated(ran: Ran) -> None:
    simulated = {name: ran.of(name)["name"] for name in TRIGGERED if name.startswith("simulate")}
    assert sorted(simulated.values()) == ["clinic_suite", "hospital_suite"]
    assert "clinic" in next(name for name, suite in simulated.items() if suite == "clinic_suite")


def test_a_person_is_told_once_of_each_run_that_failed_or_crashed(ran: Ran) -> None:
    told = [each["payload"] for each in ran.heard if each.get("event", "").startswith("run.")]
    assert Counter(each["run_id"] for each in told) == {ran.begun["faulty"]: 1, ran.begun["killed"]: 1}
    (faulty,) = [each for each in told if each["run_id"] == ran.begun["faulty"]]
    assert (faulty["deployment"], faulty["state"]) == ("run-chain", "Failed")
    assert "no/such/chain.yaml" in faulty["message"]
    assert faulty["url"].endswith(f"/runs/flow-run/{ran.begun['faulty']}")


def test_the_doctor_is_content(up: Up, ran: Ran) -> None:
    """All of it is green, with no more of a set-up than the home that `make up` wrote."""
    login = sandbox_variables(default_definition(), f"http://127.0.0.1:{up.ports[1]}")
    code, found = doctor(up.environment, **login)
    assert (code, [check for check in found.values() if check["mend"]]) == (0, [])
    assert found["prefect workers"]["message"] == "1 online"
    assert {name for name in found if name.startswith("prefect")} == {
        "prefect",
        *(f"prefect {each}" for each in ("sign-in", "address", "cors", "csrf", "encryption", "leases", "heartbeat")),
        *(f"prefect {each}" for each in ("results", "workers")),
    }


def test_the_doctor_sees_a_wrong_password(up: Up) -> None:
    code, found = doctor(up.environment, PREFECT_API_AUTH_STRING="cordboard:wrong-canary")
    assert (code, found["prefect sign-in"]["standing"]) == (1, "error")
    assert "Set PREFECT_API_AUTH_STRING to the server's" in found["prefect sign-in"]["mend"]
    assert "wrong-canary" not in str(found)


def test_another_start_serves_a_tenant_whose_credentials_are_asked_for_once(
    up: Up, ran: Ran, wait_until: Callable[..., None], tmp_path: Path
) -> None:
    """In the same home. They are kept in blocks, in no file; what was switched on for the sandbox is off again."""
    up.server.switch("detect-drift", on=True)
    up.stop()
    definition = default_definition().changed(clients=[{"id": "clinic-client", "secret": CANARY}])
    command = [sys.executable, "-m", "deployments.up", "--tenant"]
    with running_sandbox(definition) as vendor, forked_runs(tmp_path / "runs") as fork:
        places = {name: value for name, value in vendor.env().items() if name.endswith("_URL")}
        with on_a_terminal(command, up.environment | places, CHECKOUT, wait_until) as terminal:
            enter_credentials(terminal)
            terminal.sees("Runs talk to the tenant, for real. Ctrl-C stops it all.")
            server = Server(up.home)
            server.start_runs_with(fork)
            assert not is_open(up.ports[1])  # no sandbox of ours
            assert server.switched_on() == {COMPLETION_TRIGGER}
            chosen, bare = server.start("run-chain"), server.start("run-chain", credentials=None)
            wait_until(server.is_idle, 120)
            assert server.run(chosen)["state_name"] == "Completed"
            assert "no credentials: set CXONE_CLIENT_ID" in server.run(bare)["state"]["message"]
            server.switch("detect-drift", on=True)
            server.add_a_schedule("run-chain")
            again(up, server)
            assert server.switched_on() == {"detect-drift", "run-chain", COMPLETION_TRIGGER}
    assert {entry.client for entry in vendor.truth.entries if entry.client} == {"clinic-client"}
    assert terminal.process.returncode == 0
    assert CANARY not in terminal.shown
    assert [is_in_the_database(up.environment, text) for text in (CANARY, GONE)] == [False, True]
    kept = [path for path in up.home.rglob("*") if path.is_file()]
    assert [path for path in kept if CANARY.encode() in path.read_bytes()] == []


def enter_credentials(terminal: Terminal) -> None:
    """A wrong secret first; Genesys Cloud is left out."""
    for secret in ("not-the-secret", CANARY):
        terminal.answers("Client ID: ", "clinic-client")
        terminal.answers("Client secret (not shown): ", secret)
        terminal.answers("Region [na1]: ", "")
        terminal.answers("Organisation [none]: ", "")
        if secret != CANARY:
            terminal.sees("no access token: check client id, client secret")
            terminal.answers("Enter them again? [Y/n] ", "")
    terminal.sees("The tenant gave an access token.")
    terminal.answers("Client ID: ", "")


def again(up: Up, server: Server) -> None:
    """What another `make up TENANT=1` does to the server; there is no terminal here to ask at."""
    client = {PREFECT_API_URL: server.url, PREFECT_API_AUTH_STRING: server.sign_in}
    environment = up.environment | {"PREFECT_API_URL": server.url, "PREFECT_API_AUTH_STRING": server.sign_in}
    with temporary_settings(client):
        found = asyncio.run(register(environment, {}, renew=False))
    assert found
    assert [block.client_id for block in found.credentials] == ["clinic-client"]
    assert found.receiver["CORDBOARD_TENANT"] == "127.0.0.1/clinic-client"
