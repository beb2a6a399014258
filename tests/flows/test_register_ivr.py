"""Call flows, registered by the real flow on a real Prefect server with a real local vendor, which is the judge."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cordboard.cli import main as cordboard
from cordboard.errors import BadCall, LedgerUnavailable, VendorFailed
from cordboard.records.audit import history
from cordboard.records.command import audit_verify
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle
from cordboard.sandbox.faults import Faults
from cordboard.settings import Settings
from tasks.registration_document import exit_code

pytestmark = [pytest.mark.prefect]

MAIN_MENU = Path(__file__).parents[2] / "examples" / "main_menu.yaml"
FLOW_ID = "ivr_main_menu_v2"
POST = {"path": "/api/v2/flows", "method": "POST"}
Register = Callable[..., dict[str, Any]]


@pytest.fixture
def register(prefect_server: str, home: Path) -> Register:
    """`register(box, file, …)`: runs the flow in this process and gives back its document."""

    def start(box: Any, file: Path | None = MAIN_MENU, **asked: Any) -> dict[str, Any]:
        from blocks.cxone import CXoneCredentials
        from flows.register_ivr import RegisterIvr, register_ivr

        webhook = asked.pop("webhook", None)
        request = RegisterIvr(file=str(file) if file else "", **asked)

        async def flow() -> dict[str, Any]:
            credentials = CXoneCredentials.from_env(box.env())
            state = await register_ivr(request, credentials, webhook, return_state=True)
            found = await state.aresult(raise_on_failure=False)
            if isinstance(found, BaseException):
                raise found
            return json.loads(json.dumps(found))

        return asyncio.run(flow())

    return start


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., Path]:
    """`edited(("old", "new"), …)`: the main menu with a third digit and with edits, in a file of its own."""

    def write(*edits: tuple[str, str], name: str = "menu.yaml") -> Path:
        text = MAIN_MENU.read_text() + f"  - {{{THREE}}}\n"
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


THREE = "from: node_dtmf_02, to: node_queue_03, when: \"dtmf == '3'\""
REROUTED = (THREE, THREE.replace("node_queue_03", "node_transfer_04"))


def posts(box: Any) -> list[Any]:
    return [entry for entry in box.truth.requests if entry.path == "/api/v2/flows" and entry.method == "POST"]


def keys(box: Any) -> list[str]:
    return [entry.idempotency_key for entry in posts(box)]


def test_the_worked_example_is_registered_once_and_then_unchanged(vendor: Any, register: Register) -> None:
    box = vendor()
    first, second = register(box), register(box)
    assert (first["status"], first["verified"], exit_code(first)) == ("registered", True, 0)
    assert (second["status"], second["attempts"], exit_code(second)) == ("unchanged", 0, 0)
    (sent,) = posts(box)
    assert sent.idempotency_key == first["idempotency_key"]
    assert [each["condition"] for each in sent.inputs["connections"]][1:3] == ["dtmf == '1'", "dtmf == '2'"]
    assert {node["id"]: node["type"] for node in sent.inputs["nodes"]} == {
        "node_start_01": "start",
        "node_dtmf_02": "decision",
        "node_queue_03": "decision",
        "node_transfer_04": "decision",
        "node_end_05": "terminal",
    }


def test_a_plan_sends_nothing(vendor: Any, register: Register) -> None:
    box = vendor()
    document = register(box, dry_run=True)
    assert (document["status"], exit_code(document), document["verified"]) == ("planned", 0, None)
    assert document["plan"]["changes"] and posts(box) == []


def test_one_digit_rerouted_is_one_sentence(vendor: Any, register: Register, edited: Any) -> None:
    box = vendor()
    register(box, edited())
    (change,) = register(box, edited(REROUTED), dry_run=True)["plan"]["changes"]
    assert "3 now leads to" in change and "node_transfer_04" in change and "it led to" in change


@pytest.mark.parametrize("stage", ["before_commit", "after_commit"])
def test_after_a_lost_reply_the_same_key_is_sent_and_there_is_one_effect(
    vendor: Any, register: Register, stage: str
) -> None:
    """The tutorial sends again with the same key too, and reports a registered flow as failed for another reason."""
    box = vendor({"match": POST | {"nth": [1]}, "fault": {"lost_reply": stage}})
    document = register(box)
    assert (document["status"], document["verified"]) == ("registered", True)
    assert len(set(keys(box))) == 1 and len(box.truth.effects_on(FLOW_ID)) == 1


def test_after_a_lost_reply_and_a_restart_the_key_is_the_same(
    vendor: Any, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORDBOARD_RETRY_ATTEMPTS", "1")
    box = vendor({"match": POST | {"nth": [1]}, "fault": {"lost_reply": "before_commit"}})
    first, second = register(box), register(box)
    assert (first["status"], exit_code(first)) == ("unknown", 1)
    assert (second["status"], second["verified"]) == ("registered", True)
    assert len(keys(box)) == 2 and len(set(keys(box))) == 1
    assert len(box.truth.effects_on(FLOW_ID)) == 1


def test_a_reply_that_was_lost_after_the_commit_is_settled_by_reading(
    vendor: Any, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One POST only: what is live is what was sent."""
    monkeypatch.setenv("CORDBOARD_RETRY_ATTEMPTS", "1")
    box = vendor({"match": POST, "fault": {"lost_reply": "after_commit"}})
    document = register(box)
    assert (document["status"], document["verified"], len(posts(box))) == ("registered", True, 1)


def test_an_edit_and_an_edit_back_are_two_registrations(vendor: Any, register: Register, edited: Any) -> None:
    """With a key made of the content alone the vendor would repeat its first answer and change nothing."""
    box = vendor()
    register(box, edited())
    register(box, edited(REROUTED))
    assert register(box, edited())["verified"]
    assert register(box, edited(REROUTED))["verified"]
    assert len(set(keys(box))) == 4


@pytest.mark.parametrize(
    "how", ["drop_connection", "add_connection", "duplicate_connection", "rename_connection", "reroute", "drop_field"]
)
def test_a_vendor_that_stores_something_else_is_found_out(vendor: Any, register: Register, how: str) -> None:
    """The tutorial compares the length of a list with itself."""
    document = register(vendor({"match": POST, "fault": {"stores": how}}))
    assert (document["status"], document["verified"], exit_code(document)) == ("unverified", False, 1)
    assert document["differences"]


def test_a_vendor_that_stores_another_order_has_stored_the_same(vendor: Any, register: Register) -> None:
    assert register(vendor({"match": POST, "fault": {"stores": "reorder"}}))["status"] == "registered"


def test_what_a_registration_replaced_comes_back_with_one_command(vendor: Any, register: Register, edited: Any) -> None:
    box = vendor()
    register(box, edited())
    document = register(box, edited(REROUTED))
    assert document["restore"] == f"python -m flows register-ivr --restore {FLOW_ID}"
    restored = register(box, None, restore=FLOW_ID)
    assert (restored["status"], restored["verified"]) == ("registered", True)
    assert register(box, edited())["status"] == "unchanged"


def test_nothing_is_restored_that_was_never_replaced(vendor: Any, register: Register) -> None:
    box = vendor()
    register(box)
    with pytest.raises(BadCall, match="nothing to restore"):
        register(box, None, restore=FLOW_ID)


def save_plan(box: Any, file: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Plans as a person does it, on the command line."""
    with monkeypatch.context() as patch:
        for name, value in box.env().items():
            patch.setenv(name, value)
        return cordboard(["plan", str(file), "--out", str(out)])


def test_a_plan_that_was_looked_at_is_refused_where_the_live_flow_moved_since(
    vendor: Any, register: Register, edited: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, plan = vendor(), tmp_path / "plan.json"
    register(box, edited())
    assert save_plan(box, edited(REROUTED), plan, monkeypatch) == 0
    box.flows[FLOW_ID]["connections"][2]["target_node_id"] = "node_queue_03"  # somebody else, in the console
    document = register(box, edited(REROUTED), plan=str(plan))
    assert (document["status"], exit_code(document), len(posts(box))) == ("conflict", 1, 1)
    (moved,) = document["differences"]
    assert "2 now leads to" in moved


def test_a_plan_that_still_holds_is_carried_out(
    vendor: Any, register: Register, edited: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, plan = vendor(), tmp_path / "plan.json"
    register(box, edited())
    save_plan(box, edited(REROUTED), plan, monkeypatch)
    assert register(box, edited(REROUTED), plan=str(plan))["status"] == "registered"


def test_a_plan_of_a_file_that_was_edited_since_is_refused(
    vendor: Any, register: Register, edited: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, plan = vendor(), tmp_path / "plan.json"
    save_plan(box, edited(), plan, monkeypatch)
    with pytest.raises(BadCall, match="was edited since"):
        register(box, edited(REROUTED), plan=str(plan))
    assert posts(box) == []


def test_409_is_answered_by_a_look_at_the_vendor(vendor: Any, register: Register, edited: Any) -> None:
    """There already: unchanged. There and another: a conflict, with the difference. Neither is sent again."""
    box = vendor()
    register(box, edited())
    box.sandbox.use_faults(Faults.of({"match": POST, "fault": {"status": 409, "body": {"message": "exists"}}}))
    document = register(box, edited(REROUTED))
    assert (document["status"], exit_code(document)) == ("conflict", 1)
    assert any("3 now leads to" in sentence for sentence in document["differences"])
    assert len(posts(box)) == 2


def test_409_for_a_flow_that_came_to_be_in_between_is_unchanged(
    vendor: Any, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another team registered the same file after our look and before our request."""
    box, other = vendor(), vendor()
    register(other)
    box.sandbox.use_faults(Faults.of({"match": POST, "fault": {"status": 409}}))
    from tasks import call_flows

    real = call_flows.read_live

    async def then_it_appears(*args: Any) -> Any:
        found = await real(*args)
        box.flows[FLOW_ID] = other.flows[FLOW_ID]
        return found

    monkeypatch.setattr(call_flows, "read_live", then_it_appears)
    document = register(box)
    assert (document["status"], exit_code(document)) == ("unchanged", 0)


def test_a_flow_with_faults_reaches_nobody(vendor: Any, register: Register) -> None:
    box = vendor()
    document = register(box, MAIN_MENU.parent / "broken" / "broken_menu.yaml")
    assert (document["status"], exit_code(document)) == ("invalid", 1)
    assert {"ivr/unknown-target", "ivr/silent-loop"} <= {finding["rule"] for finding in document["findings"]}
    assert box.truth.entries == ()


def test_live_connections_that_are_kept_take_part_in_the_checks(
    vendor: Any, register: Register, tmp_path: Path
) -> None:
    """The tutorial never loads them. Alone this file has no end; with what is live it may go round for ever."""
    box = vendor()
    register(box)
    more = tmp_path / "more.yaml"
    more.write_text(
        f"kind: ivr-flow\nid: {FLOW_ID}\nstart: node_start_01\nterminals: [node_end_05]\nexisting: keep\n"
        "connections:\n"
        "  - {from: node_dtmf_02, to: node_news_06, when: \"dtmf == '3'\"}\n"
        "  - {from: node_news_06, to: node_dtmf_02, type: default}\n"
    )
    assert register(box, more)["status"] == "registered"
    assert len(posts(box)[-1].inputs["connections"]) == 7
    more.write_text(more.read_text().replace("to: node_dtmf_02, type", "to: node_news_06, type"))
    document = register(box, more)
    assert document["status"] == "invalid" and len(posts(box)) == 2
    assert "ivr/silent-loop" in {finding["rule"] for finding in document["findings"]}


def test_a_live_flow_that_cannot_be_read_stops_it_before_anything_is_sent(vendor: Any, register: Register) -> None:
    box = vendor({"match": {"path": "/api/v2/flows/*"}, "fault": {"status": 403, "body": {"message": "flows:read"}}})
    with pytest.raises(VendorFailed, match="flows:read"):
        register(box)
    assert posts(box) == []


def test_a_payload_that_the_vendor_refuses_is_failed_with_what_it_said(vendor: Any, register: Register) -> None:
    refusal = {"status": 422, "body": {"message": "malformed condition"}}
    document = register(vendor({"match": POST, "fault": refusal}))
    assert (document["status"], exit_code(document)) == ("failed", 1)
    assert "malformed condition" in document["error"]["message"]


def test_the_record_and_the_webhook_say_what_was_done(
    vendor: Any, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = vendor()
    monkeypatch.setenv("CORDBOARD_WEBHOOK_URL", f"{box.base_url}/webhooks/flows")
    monkeypatch.setenv("CORDBOARD_WEBHOOK_SECRET", "whsec_ZGVtby1kZW1vLWRlbW8tZGVtby1kZW1vLWRlbW8=")
    document = register(box)
    (told,) = [entry.inputs for entry in box.truth.entries if entry.kind == "webhook"]
    assert told["event"] == "flow.connections.updated"
    said = told["payload"]
    assert (said["flow_id"], said["connection_count"], said["status"]) == (FLOW_ID, 5, "registered")
    assert (said["idempotency_key"], said["verified"]) == (document["idempotency_key"], True)

    async def records() -> list[str]:
        async with await Ledger.open(Settings.from_env(os.environ).ledger) as ledger:
            return [row["kind"] for row in await history(ledger, "", f"ivr/{FLOW_ID}")]

    kinds = asyncio.run(records())
    assert kinds == ["run.claimed", "effect.intended", "effect.concluded", "flow.registered", "run.released"]
    assert audit_verify(Settings.from_env(os.environ).ledger) == 0


def by_hand(start: Any, box: Any, *args: Any, **variables: str) -> tuple[int, str, str]:
    process = start(box, "register-ivr", *args, **variables)
    printed, said = process.communicate(timeout=60)
    return process.returncode, printed, said


def test_killed_between_the_request_and_its_answer_it_goes_on_with_the_same_key(
    vendor: Any, start: Any, register: Register, wait_until: Any
) -> None:
    """Before the commit: sent again under the same key. After it: settled by reading. One effect in both."""
    for stage in ("before_commit", "after_commit"):
        box = vendor({"match": POST | {"nth": [1]}, "fault": {"hang": {"at": stage}}})
        process = start(box, "register-ivr", MAIN_MENU, CORDBOARD_TENANT=stage)
        wait_until(lambda box=box: len(posts(box)) == 1 or box.truth.in_flight == 1)
        wait_until(lambda box=box, stage=stage: stage == "before_commit" or len(box.truth.effects_on(FLOW_ID)) == 1)
        process.kill()
        process.wait()
        wait_until(lambda box=box: box.truth.in_flight == 0)
        box.sandbox.use_faults(Faults())
        code, printed, said = by_hand(start, box, MAIN_MENU, "--json", CORDBOARD_TENANT=stage)
        assert (code, json.loads(printed)["status"]) == (0, "registered")
        assert len(set(keys(box))) == 1 and len(box.truth.effects_on(FLOW_ID)) == 1, said


def test_by_hand_it_prints_the_plan_and_a_bad_file_is_answered_without_prefect(vendor: Any, start: Any) -> None:
    box = vendor()
    code, printed, _ = by_hand(start, box, MAIN_MENU, "--dry-run")
    assert code == 0 and "ivr_main_menu_v2: planned" in printed and "5 nodes, 5 connections" in printed
    code, printed, _ = by_hand(start, box, MAIN_MENU.parent / "broken" / "broken_menu.yaml")
    assert code == 1 and "way: node_news → node_weather → node_news" in printed
    code, _, said = by_hand(start, box, MAIN_MENU.parent / "customer_sync.yaml")
    assert code == 2 and "the file is a chain, and a call flow is needed here" in said
    code, _, said = by_hand(start, box)
    assert code == 2 and "either a call flow file or the id" in said
    assert posts(box) == []


REFUSED = {"status": 422, "body": {"message": "no"}}
SECOND = (THREE, THREE.replace("dtmf == '3'", "dtmf == '4'"))


def leads(box: Any, digit: str) -> str:
    """Where a digit of the live menu leads."""
    ways = [each for each in box.flows[FLOW_ID]["connections"] if each["condition"] == f"dtmf == '{digit}'"]
    return str(ways[0]["target_node_id"]) if ways else ""


@pytest.mark.parametrize("refusal", [REFUSED, {"status": 409}], ids=["refused", "conflict"])
def test_a_registration_that_was_refused_is_not_what_a_restore_takes_back(
    vendor: Any, register: Register, edited: Any, refusal: dict[str, Any]
) -> None:
    box = vendor({"match": POST | {"nth": [3]}, "fault": refusal})
    register(box, edited())
    register(box, edited(REROUTED))
    register(box, edited(SECOND))
    assert register(box, None, restore=FLOW_ID)["status"] == "registered"
    assert leads(box, "3") == "node_queue_03"


def test_a_restore_that_is_given_again_goes_on_and_never_brings_the_bad_menu_back(
    vendor: Any, register: Register, edited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORDBOARD_RETRY_ATTEMPTS", "1")
    box = vendor({"match": POST | {"nth": [3]}, "fault": {"lost_reply": "before_commit"}})
    register(box, edited())
    register(box, edited(REROUTED))
    assert register(box, None, restore=FLOW_ID)["status"] == "unknown"
    assert register(box, None, restore=FLOW_ID)["status"] == "registered"
    assert register(box, None, restore=FLOW_ID)["status"] == "unchanged"
    assert leads(box, "3") == "node_queue_03"
    assert len(set(keys(box))) == 3


def test_what_the_vendor_mangled_is_nothing_to_go_back_to(vendor: Any, register: Register, edited: Any) -> None:
    box = vendor({"match": POST | {"nth": [2]}, "fault": {"stores": "drop_connection"}})
    register(box, edited())
    assert register(box, edited(REROUTED))["status"] == "unverified"
    assert register(box, edited(REROUTED))["status"] == "registered"
    assert register(box, None, restore=FLOW_ID)["status"] == "registered"
    assert (leads(box, "3"), len(box.flows[FLOW_ID]["connections"])) == ("node_queue_03", 6)


def test_nothing_is_called_unchanged_while_another_registration_may_still_take_effect(
    vendor: Any, register: Register, edited: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was cut off and may come late: whoever takes it back at once must not be told that all is well."""
    monkeypatch.setenv("CORDBOARD_RETRY_ATTEMPTS", "1")
    box = vendor({"match": POST | {"nth": [2]}, "fault": {"lost_reply": "before_commit"}})
    register(box, edited())
    assert register(box, edited(REROUTED))["status"] == "unknown"
    document = register(box, edited())
    assert (document["status"], exit_code(document)) == ("unknown", 1)
    assert "may still take effect" in document["doubts"][0]


def test_what_took_effect_late_is_told_by_the_run_that_finds_it(
    vendor: Any, register: Register, edited: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the same saved plan is given again, as the first run asked for."""
    monkeypatch.setenv("CORDBOARD_RETRY_ATTEMPTS", "1")
    box, plan = vendor({"match": POST | {"nth": [2]}, "fault": {"lost_reply": "before_commit"}}), tmp_path / "p.json"
    register(box, edited())
    save_plan(box, edited(REROUTED), plan, monkeypatch)
    assert register(box, edited(REROUTED), plan=str(plan))["status"] == "unknown"
    box.flows[FLOW_ID] = posts(box)[1].inputs  # the late commit
    document = register(box, edited(REROUTED), plan=str(plan))
    assert (document["status"], document["verified"], document["attempts"]) == ("registered", True, 0)
    assert document["idempotency_key"] == keys(box)[1] and document["restore"]


def test_what_is_kept_keeps_all_that_the_file_does_not_say(vendor: Any, register: Register, tmp_path: Path) -> None:
    box = vendor()
    register(box)
    live = box.flows[FLOW_ID]
    live["language"] = "de-DE"
    (menu,) = [node for node in live["nodes"] if node["id"] == "node_dtmf_02"]
    menu |= {"type": "menu", "skill": 77}
    more = tmp_path / "more.yaml"
    more.write_text(
        f"kind: ivr-flow\nid: {FLOW_ID}\nstart: node_start_01\nexisting: keep\nnodes:\n"
        "  node_queue_03: {prompt: All our agents are busy.}\nconnections:\n"
        "  - {from: node_dtmf_02, to: node_queue_03, when: \"dtmf == '3'\"}\n"
    )
    assert register(box, more)["status"] == "registered"
    sent = posts(box)[-1].inputs
    nodes = {node["id"]: node for node in sent["nodes"]}
    assert (sent["name"], sent["language"]) == (live["name"], "de-DE")
    assert nodes["node_dtmf_02"] == menu
    assert nodes["node_queue_03"]["prompt"] == "All our agents are busy."


def test_an_export_can_be_registered_as_it_is(vendor: Any, register: Register, tmp_path: Path) -> None:
    """What the vendor writes into a flow by itself is not sent back, and is no change."""
    box, export = vendor(), tmp_path / "export.json"
    register(box)
    flow = json.loads(json.dumps(box.flows[FLOW_ID]))
    export.write_text(json.dumps(flow))
    assert register(box, export)["status"] == "unchanged"
    flow["nodes"][0]["prompt"] = "Hello"
    export.write_text(json.dumps(flow))
    assert register(box, export)["status"] == "registered"
    assert {"updatedAt", "createdAt", "version"}.isdisjoint(posts(box)[-1].inputs)


@pytest.mark.parametrize("text", ["", "existing: keep\n"], ids=["replace", "keep"])
def test_a_saved_plan_is_held_against_what_would_be_sent(
    vendor: Any, register: Register, edited: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    box, plan = vendor(), tmp_path / "plan.json"
    register(box, edited())
    file = edited(REROUTED)
    file.write_text(text + file.read_text())
    save_plan(box, file, plan, monkeypatch)
    file.write_text(file.read_text().replace("dtmf == '3'", "dtmf == '5'"))
    with pytest.raises(BadCall, match="was edited since"):
        register(box, file, plan=str(plan))
    assert len(posts(box)) == 1


def test_a_task_that_is_tried_again_sends_the_same_key(
    vendor: Any, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger has the outcome and could not say so, for longer than anybody waits inside one try."""
    box, real, left = vendor(), RunHandle.conclude, [6]

    async def conclude(self: RunHandle, *args: Any, **more: Any) -> None:
        if left[0] == 6:
            await real(self, *args, **more)
        if left[0]:
            left[0] -= 1
            raise LedgerUnavailable("the disk is full")
        await real(self, *args, **more)

    monkeypatch.setattr(RunHandle, "conclude", conclude)
    assert register(box)["status"] == "registered"
    assert len(posts(box)) == 1


def test_a_page_that_cannot_be_made_changes_no_verdict(
    vendor: Any, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tutorial reports a registered flow as failed, because what comes after the request fails."""

    async def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("the Prefect server is away")

    monkeypatch.setattr("flows.register_ivr.publish_registration", fails)
    assert register(vendor())["status"] == "registered"


def test_a_flow_of_another_vendor_and_a_live_flow_that_is_none_are_refused_in_words(
    vendor: Any, register: Register, tmp_path: Path
) -> None:
    genesys = tmp_path / "genesys.json"
    menu = {
        "id": "menu",
        "type": "menu",
        "transitionConditions": [{"condition": "default", "destinationNodeId": "bye"}],
    }
    nodes = {"menu": menu, "bye": {"id": "bye", "type": "disconnect", "transitionConditions": []}}
    genesys.write_text(json.dumps({"id": "g", "name": "g", "version": 1, "startNodeId": "menu", "nodes": nodes}))
    box = vendor()
    with pytest.raises(BadCall, match="CXone only"):
        register(box, genesys)
    register(box)
    box.flows[FLOW_ID]["connections"][0]["source_node_id"] = 7
    with pytest.raises(VendorFailed, match="cannot be understood"):
        register(box)
