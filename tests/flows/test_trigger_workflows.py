"""Batches of starts through the real flow, by its function and by hand, against a local vendor."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from cordboard.errors import BadCall, InvalidDocument
from cordboard.sandbox import Faults, default_definition, running_sandbox
from tasks.artifacts import plain

pytestmark = [pytest.mark.prefect]

EXAMPLES = Path(__file__).parents[2] / "examples"
TRIGGER, ROWS = EXAMPLES / "reminders.yaml", EXAMPLES / "reminders.csv"
POST = {"method": "POST", "path": "/api/v2/workflows/instances"}
COLUMNS = "appointment,customer,phone,hours_before,may_call,clinic"


@pytest.fixture
def trigger(prefect_server: str, home: Path) -> Callable[..., dict[str, Any]]:
    """`trigger(box, file, rows)`: runs the flow in this process; its document, and its state as `state`."""

    def start(box: Any, file: Path = TRIGGER, rows: Path | str = ROWS, **asked: Any) -> dict[str, Any]:
        from blocks.cxone import CXoneCredentials
        from flows.trigger_workflows import TriggerWorkflows, trigger_workflows

        async def flow() -> dict[str, Any]:
            credentials = CXoneCredentials.from_env(box.env()) if box else None
            request = TriggerWorkflows(trigger=str(file), rows=str(rows), **asked)
            state = await trigger_workflows(request, credentials, return_state=True)
            found = await state.aresult(raise_on_failure=False)
            if isinstance(found, BaseException):
                raise found
            run_id = str(state.state_details.flow_run_id)
            return json.loads(json.dumps(found)) | {"state": state.name, "run_id": run_id}

        return asyncio.run(flow())

    return start


def rows_of(tmp_path: Path, count: int) -> Path:
    """A file of so many reminders."""
    file = tmp_path / "many.csv"
    lines = (f"APP-{n},CUST-{n},+1555{n:07},24,true,Riverside" for n in range(count))
    file.write_text("\n".join([COLUMNS, *lines]) + "\n")
    return file


def test_a_batch_starts_each_row_once_and_says_so(vendor: Any, trigger: Any, prefect_server: str, home: Path) -> None:
    box = vendor()
    document = trigger(box)
    assert (document["state"], document["status"]) == ("Completed", "completed")
    assert (document["total"], document["started"], document["failed"], document["unknown"]) == (3, 3, 0, 0)
    assert {each["instance_id"] for each in document["instances"]} == {
        entry.instance_id for entry in box.truth.instances
    }
    with Path(document["results"]).open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["line"], line["key"], line["status"]) for line in lines] == [
        ("2", "APP-20417", "started"),
        ("3", "APP-20418", "started"),
        ("4", "APP-20419", "started"),
    ]
    again = trigger(box)
    assert (again["run_key"], again["already_started"], again["started"]) == (document["run_key"], 3, 0)
    assert len(box.truth.instances) == 3
    page = _artifact(prefect_server, "wf-appointment-reminder-starts")
    assert "3 of 3 rows are started" in page["data"]
    bar = _artifact(prefect_server, "wf-appointment-reminder-progress")
    assert bar["data"] == 100.0


def test_a_client_that_was_replaced_does_not_start_a_batch_again(
    vendor: Any, trigger: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name of its own a tenant is its client: another one would find nothing of what was started."""
    box = vendor()
    replaced = SimpleNamespace(env=lambda: {**box.env(), "CXONE_CLIENT_ID": "replaced"})
    assert trigger(box)["started"] == 3
    with pytest.raises(BadCall, match=r"another client of the same host.*Set CORDBOARD_TENANT=127.0.0.1/") as refused:
        trigger(replaced)
    (name,) = re.findall(r"CORDBOARD_TENANT=(\S+) to go on", str(refused.value))
    monkeypatch.setenv("CORDBOARD_TENANT", name)
    assert (trigger(replaced)["already_started"], len(box.truth.instances)) == (3, 3)


def test_each_thousand_rows_is_one_task(vendor: Any, trigger: Any, prefect_server: str, tmp_path: Path) -> None:
    with running_sandbox(_roomy()) as box:
        document = trigger(box, rows=rows_of(tmp_path, 2_500), max_concurrent=5_000)
    assert (document["started"], document["instances"]) == (2_500, document["results"])
    runs = httpx.post(
        f"{prefect_server}/task_runs/filter",
        json={"flow_runs": {"id": {"any_": [document["run_id"]]}}, "limit": 50},
    ).json()
    assert len(runs) <= 2_500 / 500


def test_a_faulty_row_keeps_everything_from_being_sent_unless_it_is_left_out(
    vendor: Any, trigger: Any, prefect_server: str
) -> None:
    box = vendor()
    broken = EXAMPLES / "broken" / "reminders.csv"
    document = trigger(box, rows=broken)
    assert (document["status"], document["faulty"]) == ("invalid", 4)
    assert any("is no boolean" in finding["message"] for finding in document["findings"])
    assert box.truth.requests == ()
    page = _artifact(prefect_server, "wf-appointment-reminder-starts")["data"]
    assert "**Nothing was sent.** Starts that fit: 1; rows that do not: 4." in page
    assert all(plain(finding["message"]) in page for finding in document["findings"])
    assert "The first" not in page and "could not be read" not in page
    skipped = trigger(box, rows=broken, skip_faulty=True)
    assert (skipped["started"], skipped["faulty"], len(box.truth.instances)) == (1, 4, 1)
    assert skipped["faulty_rows"] == document["faulty_rows"]
    assert len(Path(skipped["faulty_rows"]).read_text().splitlines()) == 5  # a header, and four rows


def test_checking_only_needs_no_tenant(trigger: Any, prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXONE_CLIENT_ID", raising=False)
    document = trigger(None, dry_run=True)
    assert (document["status"], document["total"], document["started"]) == ("planned", 3, 0)
    page = _artifact(prefect_server, "wf-appointment-reminder-starts")["data"]
    assert "Starts that fit: 3; rows that do not: 0." in page and document["run_key"] in page


def test_a_check_says_that_there_are_more_faults_and_that_the_rest_cannot_be_read(
    trigger: Any, prefect_server: str, tmp_path: Path
) -> None:
    many = rows_of(tmp_path, 40)
    many.write_text(many.read_text().replace(",true,", ",perhaps,") + '"not closed\n')
    document = trigger(None, rows=many, dry_run=True)
    page = _artifact(prefect_server, "wf-appointment-reminder-starts")["data"]
    assert (document["status"], document["read_to_its_end"]) == ("invalid", False)
    assert "**The rest of the file could not be read**" in page
    assert re.search(rf"The first {len(document['findings'])} faults; \d+ more are in the file", page)


def test_one_start_is_a_new_one_each_time_unless_a_key_says_which_it_is(
    vendor: Any, trigger: Any, tmp_path: Path
) -> None:
    box = vendor()
    text = TRIGGER.read_text()
    for name, value in {"appointment": "APP-1", "customer": "C", "phone": "+1", "clinic": "Riverside"}.items():
        text = text.replace(f"{{{{ row.{name} }}}}", value)
    text = text.replace("{{ row.hours_before }}", "24").replace("{{ row.may_call }}", "true")
    single = tmp_path / "one.yaml"
    single.write_text(re.sub(r"(?m)^key:.*\n", "", text))
    first = trigger(box, single, "")
    assert (first["started"], trigger(box, single, "")["started"]) == (1, 1)
    assert trigger(box, single, "", run_key=first["run_key"])["already_started"] == 1
    single.write_text(text)
    assert (trigger(box, single, "")["started"], trigger(box, single, "")["started"]) == (1, 0)
    assert len(box.truth.instances) == 3


def test_a_workflow_that_is_not_there_fails_the_run_and_says_why(vendor: Any, trigger: Any, tmp_path: Path) -> None:
    file = tmp_path / "unknown.yaml"
    file.write_text(TRIGGER.read_text().replace("wf_appointment_reminder", "wf_gone"))
    document = trigger(vendor(), file)
    assert (document["state"], document["started"], document["failed"]) == ("Failed", 0, 3)
    assert "the running instances of wf_gone cannot be counted" in document["error"]


def test_unknown_starts_are_listed_with_their_evidence(trigger: Any, tmp_path: Path) -> None:
    lost = {"match": {**POST, "nth": [1]}, "fault": {"lost_reply": "after_commit"}}
    file = tmp_path / "careful.yaml"
    file.write_text(re.sub(r"(?m)^safety:.*\n", "", TRIGGER.read_text()))
    with running_sandbox(default_definition(), Faults.of(lost)) as box:
        document = trigger(box, file)
    assert (document["status"], document["started"], document["unknown"]) == ("partial", 2, 1)
    (unknown,) = [each for each in document["instances"] if each["status"] == "unknown"]
    assert unknown["error"]["kind"] == "lost_reply"


def test_it_waits_for_the_ends_and_tells_the_erp(
    trigger: Any, start: Any, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("CORDBOARD_ERP_SECRET", "whsec_ZXJwLWVycC1lcnAtZXJwLWVycC1lcnAtZXJwLWVycC0=")
    with running_sandbox(default_definition()) as box:
        monkeypatch.setenv("CORDBOARD_ERP_URL", f"{box.base_url}/erp/records")
        document = trigger(box, wait=True)
        records = box.truth.erp
    assert (document["status"], document["ends"]) == ("completed", {"completed": 3})
    assert {entry.external_id for entry in records} == {each["instance_id"] for each in document["instances"]}
    assert [entry.outcome for entry in records] == ["created"] * 3


def test_rows_may_lie_behind_an_address_of_the_day(vendor: Any, trigger: Any, tmp_path: Path) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    asked: list[str] = []

    class Files(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(ROWS.read_bytes())

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Files)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        document = trigger(vendor(), rows=f"http://127.0.0.1:{server.server_port}/day-{{today}}.csv")
    finally:
        server.shutdown()
    assert document["started"] == 3
    assert re.fullmatch(r"/day-\d{4}-\d\d-\d\d\.csv", asked[0])


def test_a_trigger_with_faults_is_told_whole(vendor: Any, trigger: Any, tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(TRIGGER.read_text().replace("max_running: 5", "max_running: 0") + "settle_second: 3\n")
    with pytest.raises(InvalidDocument) as caught:
        trigger(vendor(), file)
    assert {finding.path for finding in caught.value.findings} >= {"max_running", "settle_second"}


def test_by_hand_it_prints_what_came_of_it_and_how_to_go_on(vendor: Any, start: Any) -> None:
    box = vendor({"match": {**POST, "inputs": {"context": {"customerId": "CUST-1002"}}}, "fault": {"status": 422}})
    process = start(box, "trigger-workflows", TRIGGER, "--rows", ROWS)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "wf_appointment_reminder: 2 of 3 started" in out
    assert "1 not started" in out
    assert re.search(r"run key batch-[0-9a-f]{12}", out)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_a_batch_that_was_ended_goes_on_by_the_same_command(start: Any, tmp_path: Path, how: signal.Signals) -> None:
    rows, file = rows_of(tmp_path, 60), tmp_path / "reminders.yaml"
    text = re.sub(r"(?m)^max_running:.*\n", "", TRIGGER.read_text())  # else places of the dead wait for a lease to end
    file.write_text(f"{text}timeout_seconds: 3\n")  # two of them pass before "not there" proves anything
    slow = {"match": {**POST, "every": 1}, "fault": {"hang": {"at": "before_commit", "seconds": 0.2}}}
    with running_sandbox(_roomy(), Faults.of(slow)) as box:
        words = ("trigger-workflows", file, "--rows", rows, "--json")
        first = start(box, *words, CORDBOARD_IN_FLIGHT="4")
        while len(box.truth.instances) < 10:
            time.sleep(0.02)
        first.send_signal(how)
        first.communicate(timeout=60)
        assert first.returncode
        second = start(box, *words)
        out, _ = second.communicate(timeout=60)
        document = json.loads(out)
        assert (second.returncode, document["status"]) == (0, "completed")
        assert document["already_started"] >= 6
        assert len({entry.reference for entry in box.truth.instances}) == len(box.truth.instances) == 60


def single_start(tmp_path: Path) -> Path:
    """A trigger that needs no rows."""
    file = tmp_path / "one.yaml"
    file.write_text(
        "kind: trigger\nworkflow_id: wf_appointment_reminder\nsafety: keyed\ncontext:\n"
        "  customerId: {value: CUST-1, data_type: string}\n  phone: {value: '+15550001', data_type: string}\n"
        "  hoursBefore: {value: 24, data_type: integer}\n"
        "  mayCall: {value: true, data_type: boolean}\n"
        "  clinic: {value: {name: Riverside, language: en}, data_type: object}\n"
    )
    return file


def test_a_single_start_that_was_interrupted_names_the_key_by_which_it_is_not_made_twice(
    start: Any, tmp_path: Path
) -> None:
    """The same command again would be another start: the first may have reached somebody."""
    slow = {"match": {**POST, "nth": [1]}, "fault": {"hang": {"at": "after_commit", "seconds": 60}}}
    words = ("trigger-workflows", single_start(tmp_path))
    with running_sandbox(_roomy(), Faults.of(slow)) as box:
        first = start(box, *words)
        while not box.truth.instances:
            time.sleep(0.02)
        first.send_signal(signal.SIGTERM)
        _, said = first.communicate(timeout=60)
        (key,) = re.findall(r"--run-key (start-\S+);", said)
        again = start(box, *words, "--run-key", key)
        out, said = again.communicate(timeout=60)
        assert (again.returncode, len(box.truth.instances)) == (0, 1), f"{out}{said}"


def test_explain_says_what_a_batch_waits_for(vendor: Any, start: Any) -> None:
    box = vendor()
    process = start(box, "trigger-workflows", TRIGGER, "--rows", ROWS, "--explain")
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out.splitlines()[0]) == (0, "nobody works on it")
    assert box.truth.requests == ()


NO_LOGIN = {"CXONE_CLIENT_ID": "", "CXONE_CLIENT_SECRET": ""}


def test_explain_takes_the_tenant_from_the_block_that_is_named(vendor: Any, start: Any) -> None:
    """The tenant is part of every key: with another one, nobody would ever seem to work on the batch."""
    from blocks.cxone import CXoneCredentials

    box = vendor()
    CXoneCredentials.from_env(box.env()).save("explained", overwrite=True)
    words = ("trigger-workflows", TRIGGER, "--rows", ROWS, "--explain", "--credentials", "explained")
    out, wrong = (process := start(box, *words, **NO_LOGIN)).communicate(timeout=60)
    assert (process.returncode, out.splitlines()[:1]) == (0, ["nobody works on it"]), wrong


def test_rows_that_are_not_there_are_told_before_credentials_that_are_missing(vendor: Any, start: Any) -> None:
    process = start(vendor(), "trigger-workflows", TRIGGER, "--rows", "no/such.csv", **NO_LOGIN)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, "no/such.csv" in said, "CXONE" in said) == (2, True, False)


def _roomy() -> Any:
    definition = default_definition()
    workflow = definition.workflows["wf_appointment_reminder"].model_dump(mode="json")
    workflow |= {"max_running": None, "duration_seconds": 0.1}
    return definition.changed(workflows={"wf_appointment_reminder": workflow})


def _artifact(api: str, key: str) -> dict[str, Any]:
    found = httpx.post(
        f"{api}/artifacts/latest/filter", json={"artifacts": {"key": {"any_": [key]}}, "limit": 1}
    ).json()
    return dict(found[0])
