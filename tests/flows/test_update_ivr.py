"""Updates of a live call flow by the real flow on a real Prefect server; a real local vendor is the judge."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from cordboard.errors import BadCall, VendorFailed
from cordboard.records.command import audit_verify
from cordboard.sandbox.faults import Faults

pytestmark = [pytest.mark.prefect]

CHECKOUT = Path(__file__).parents[2]
FLOW_ID = "clinic-menu"
PUT = {"method": "PUT"}
PATCH = f"""
kind: ivr-patch
flow_id: {FLOW_ID}
base_version: 12
reason: New voice.
nodes: {{welcome: {{prompt: Good day.}}}}
"""
Update = Callable[..., dict[str, Any]]


@pytest.fixture
def patch(tmp_path: Path) -> Path:
    """A patch of version 12 that changes what callers hear first."""
    path = tmp_path / "voice.yaml"
    path.write_text(PATCH)
    return path


@pytest.fixture
def update(prefect_server: str, home: Path) -> Update:
    """`update(box, patch=…, …)`: runs the flow in this process and gives back its document."""

    def start(box: Any, *meanwhile: Any, **asked: Any) -> dict[str, Any]:
        from blocks.genesys import GenesysCloudCredentials
        from flows.update_ivr import UpdateIvr, update_ivr

        request = UpdateIvr(**{name: str(value) if isinstance(value, Path) else value for name, value in asked.items()})

        async def flow() -> dict[str, Any]:
            credentials = GenesysCloudCredentials.from_env(box.env())
            state, *_ = await asyncio.gather(
                update_ivr(request, credentials, None, return_state=True), *(each(prefect_server) for each in meanwhile)
            )
            found = await state.aresult(raise_on_failure=False)
            if isinstance(found, BaseException):
                raise found
            return {**json.loads(json.dumps(found)), "state": state.name}

        return asyncio.run(flow())

    return start


def answering(**answer: Any) -> Callable[[str], Any]:
    """Answers the run that is paused, as the UI's form does; keeps the question in `asked`."""

    async def answer_it(server: str) -> None:
        async with httpx.AsyncClient(base_url=server, trust_env=False) as client:
            while True:
                wanted = {
                    "flow_runs": {"state": {"type": {"any_": ["PAUSED"]}}},
                    "flows": {"name": {"any_": ["update-ivr"]}},
                }
                runs = (await client.post("/flow_runs/filter", json=wanted)).json()
                for run in runs:
                    given = {"run_input": answer} if answer else {}
                    reply = await client.post(f"/flow_runs/{run['id']}/resume", json=given)
                    if reply.json().get("status") == "ACCEPT":
                        return
                await asyncio.sleep(0.05)

    return answer_it


def saves(box: Any) -> list[Any]:
    return list(box.truth.saves_of(FLOW_ID))


def prompt(box: Any) -> str:
    return str(box.flows[FLOW_ID]["nodes"]["welcome"].get("prompt"))


def test_an_edit_is_saved_once_read_back_told_and_on_record(vendor, update, patch, home, monkeypatch) -> None:
    box = vendor()
    monkeypatch.setenv("CORDBOARD_WEBHOOK_URL", f"{box.base_url}/webhooks/pipeline")
    monkeypatch.setenv("CORDBOARD_WEBHOOK_SECRET", "whsec_ZGVtby1kZW1vLWRlbW8tZGVtby1kZW1vLWRlbW8=")
    document = update(box, patch=patch)
    assert (document["status"], document["version"], document["verified"], document["state"]) == (
        "saved",
        13,
        True,
        "Saved",
    )
    assert (prompt(box), len(saves(box))) == ("Good day.", 1)
    (webhook,) = box.truth.webhooks
    told = json.loads(webhook.body)
    assert (told["flow_id"], told["version"], told["status"]) == (FLOW_ID, 13, "deployed")
    assert audit_verify(f"sqlite:///{home}/ledger.db") == 0


def test_what_an_update_saved_is_taken_back_with_one_command_and_others_edits_stay(vendor, update, patch) -> None:
    box = vendor()
    before = prompt(box)
    saved = update(box, patch=patch)
    flow = box.flows[FLOW_ID]
    box.flows[FLOW_ID] = {
        **flow,
        "nodes": {**flow["nodes"], "billing": {**flow["nodes"]["billing"], "prompt": "Money."}},
    }
    undone = update(box, undo=saved["run_key"])
    assert (undone["status"], undone["version"], prompt(box)) == ("saved", 15, before)
    assert box.flows[FLOW_ID]["nodes"]["billing"]["prompt"] == "Money."


def test_the_run_pauses_until_a_person_agrees_and_says_who(vendor, update, patch) -> None:
    box = vendor()
    document = update(
        box, answering(agree=True, decided_by="Ada", comment="checked by ear"), patch=patch, approval=True
    )
    assert (document["status"], document["decision"]) == (
        "saved",
        {"saved": True, "by": "Ada", "comment": "checked by ear"},
    )


def test_a_refusal_sends_nothing(vendor, update, patch) -> None:
    box = vendor()
    document = update(box, answering(agree=False, decided_by="Ada", comment=""), patch=patch, approval=True)
    assert (document["status"], document["state"], saves(box)) == ("declined", "Declined", [])


def test_no_answer_is_a_no(vendor, update, patch) -> None:
    box = vendor()
    document = update(box, patch=patch, approval=True, approval_minutes=0.02)
    assert (document["status"], saves(box)) == ("declined", [])
    assert document["decision"]["comment"].startswith("nobody answered")


def test_an_answer_in_the_last_moment_counts(vendor, update, patch, monkeypatch) -> None:
    """The run looks for it every so often; until then the time is over, and the person has been told that it is in."""
    from tasks import approval

    monkeypatch.setattr(approval.agreed, "__defaults__", (3,))
    box = vendor()
    document = update(
        box, answering(agree=True, decided_by="Ada", comment=""), patch=patch, approval=True, approval_minutes=0.03
    )
    assert (document["status"], document["decision"]["by"]) == ("saved", "Ada")


def test_what_was_agreed_to_is_not_asked_again_where_somebody_saved_something_else(vendor, update, patch) -> None:
    box = vendor({"match": {**PUT, "nth": [1]}, "fault": {"other_editor": {"nodes": {"billing": {"prompt": "{n}"}}}}})
    document = update(box, answering(agree=True, decided_by="", comment=""), patch=patch, approval=True)
    assert (document["status"], document["attempts"], len(saves(box))) == ("saved", 2, 2)


def test_a_conflict_a_refusal_and_a_flow_that_is_not_there_each_end_with_what_is_wrong(vendor, update, patch) -> None:
    box = vendor({"match": {**PUT, "nth": [1]}, "fault": {"status": 400, "body": {"message": "no such audio"}}})
    refused = update(box, patch=patch)
    assert (refused["status"], refused["state"], "no such audio" in refused["error"]["message"]) == (
        "failed",
        "Failed",
        True,
    )
    flow = box.flows[FLOW_ID]
    box.flows[FLOW_ID] = {**flow, "nodes": {**flow["nodes"], "welcome": {**flow["nodes"]["welcome"], "prompt": "Hi."}}}
    conflict = update(box, patch=patch)
    assert (conflict["status"], conflict["state"], len(saves(box))) == ("conflict", "Conflict", 1)
    assert conflict["conflicts"][0]["theirs"] == "Hi."
    del box.flows[FLOW_ID]
    with pytest.raises(BadCall, match="Genesys Cloud has no flow clinic-menu"):
        update(box, patch=patch)


def test_credentials_that_are_refused_end_it_with_what_the_vendor_says(vendor, update, patch) -> None:
    box = vendor()
    wrong = SimpleNamespace(env=lambda: {**box.env(), "GENESYS_CLIENT_SECRET": "wrong"})
    with pytest.raises(VendorFailed) as caught:
        update(wrong, patch=patch)
    assert caught.value.exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "live_after_the_kill"),
    [
        pytest.param({"match": {**PUT, "nth": [1]}, "fault": {"hang": {"at": "before_commit"}}}, 12, id="before"),
        pytest.param({"match": {**PUT, "nth": [1]}, "fault": {"hang": {"at": "after_commit"}}}, 13, id="after"),
    ],
)
def test_killed_while_it_saves_the_ledger_knows_and_a_rerun_ends_it(
    vendor, start, update, patch, wait_until, fault, live_after_the_kill
) -> None:
    box = vendor(fault)
    process = start(box, "update-ivr", patch, "--json")
    reads = 1  # of the flow, before the save
    wait_until(lambda: len(box.truth.requests) >= reads and box.truth.in_flight == 1, 60)
    wait_until(lambda: live_after_the_kill == 12 or box.flows[FLOW_ID]["version"] == 13)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert box.flows[FLOW_ID]["version"] == live_after_the_kill
    box.sandbox.use_faults(Faults())
    document = update(box, patch=patch)
    assert (document["status"], document["version"], box.flows[FLOW_ID]["version"]) == ("saved", 13, 13)
    assert update(box, patch=patch)["status"] == "unchanged"


def test_by_hand_a_bad_patch_is_answered_with_every_fault_and_without_prefect(tmp_path: Path, capsys: Any) -> None:
    from flows.__main__ import main

    path = tmp_path / "bad.yaml"
    path.write_text("kind: ivr-patch\nflow_id: clinic-menu\nnodez: {}\n")
    assert main(["update-ivr", str(path)]) == 2
    said = capsys.readouterr().err
    assert "base_version" in said
    assert "nodez" in said


def test_by_hand_it_prints_what_changes_and_how_to_take_it_back(vendor, start, patch) -> None:
    box = vendor()
    process: subprocess.Popen[str] = start(box, "update-ivr", patch)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert f"{FLOW_ID}: saved, version 13" in out
    assert "To take it back: python -m flows update-ivr --undo update/clinic-menu/" in out
