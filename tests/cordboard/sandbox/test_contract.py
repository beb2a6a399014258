"""The sandbox speaks the vendor's contract, as any plain HTTP client sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cordboard.documents import read_document
from cordboard.sandbox import default_definition

ROOT = Path(__file__).parents[3]


def test_an_execution_returns_an_envelope_whose_output_is_the_result(start):
    """The client reads `output`; the id names the execution and reads it back later."""
    api = start()
    reply = api.execute("def-fetch-customer", {"account_id": "ACC-1001"})
    envelope = reply.json()
    assert reply.status_code == 200
    assert reply.headers["x-request-id"].startswith("req-")
    assert envelope["definition_id"] == "def-fetch-customer"
    assert envelope["status"] == "completed"
    assert envelope["output"]["customer_id"] == "CUST-1"
    assert api.http.get(f"/api/v2/dataactions/executions/{envelope['id']}").json() == envelope
    assert api.http.get("/api/v2/dataactions/executions/exec_none").status_code == 404


def test_the_default_definition_serves_a_customer_sync_from_end_to_end(start):
    """Fetch, enrich, update, notify: each step's output holds what the next one needs."""
    api = start()
    customer = api.execute("def-fetch-customer", {"account_id": "ACC-1002"}).json()["output"]
    record = api.execute("def-enrich", {"customer_id": customer["customer_id"]}).json()["output"]
    update = {"record_id": record["record_id"], "tier": customer["tier"]}
    assert api.execute("def-update-crm", update).json()["output"] == {"record_id": "REC-2", "updated": True}
    assert len(record["contacts"]) == 3
    for contact in record["contacts"]:
        assert api.notify(contact["id"]).json()["output"] == {"contact": contact["id"], "delivered": True}
    assert [effect.definition_id for effect in api.box.truth.effects] == ["def-update-crm"] + ["def-notify"] * 3


def test_every_action_of_the_example_chain_is_served():
    """The example runs against the sandbox as it comes."""
    chain = read_document(ROOT / "examples/customer_sync.yaml").value
    asked = {action["definition_id"] for action in chain["actions"].values()}
    assert asked <= set(default_definition().data_actions)


def test_the_example_of_genesys_cloud_is_the_flow_that_is_served():
    """Patches of it are written from its version 12."""
    example = read_document(ROOT / "examples/clinic_menu.json").value
    assert {"id": "clinic-menu", **default_definition().flows.definitions["clinic-menu"]} == example


def test_echo_returns_json_values_unchanged(start):
    """What goes in comes out: types, text that looks like numbers, and nesting survive."""
    api = start(data_actions={"def-echo": {"echo": True}})
    inputs = {"n": 7, "text": "007", "yes": True, "none": None, "list": [1, {"a": 1.5}], "uni": "Zoë ☎"}
    assert api.execute("def-echo", inputs).json()["output"] == inputs


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_body"),
        (b"[]", 400, "malformed_body"),
        (b'{"definition_id": 7, "inputs": []}', 422, "invalid_request"),
        (b'{"definition_id": "def-notify", "input": {}}', 422, "invalid_request"),
        (b'{"definition_id": "def-fetch-customer", "inputs": {}}', 422, "missing_input"),
        (b'{"definition_id": "def-notfy", "inputs": {}}', 404, "definition_not_found"),
        (b'{"definition_id": "def-fetch-customer", "inputs": {"account_id": "ACC-101"}}', 404, "record_not_found"),
        (b" " * (1024 * 1024 + 1), 413, "body_too_large"),
    ],
)
def test_what_is_wrong_is_refused_with_a_code_and_has_no_effect(start, body, status, code):
    """Every error body has message, code and status, as the vendor's have."""
    api = start()
    reply = api.http.post("/api/v2/dataactions/executions", content=body)
    assert (reply.status_code, reply.json()["code"], reply.json()["status"]) == (status, code, status)
    assert reply.json()["message"]
    assert not api.box.truth.effects


def test_an_error_says_what_was_probably_meant(start):
    """A misspelt definition is the commonest mistake of a first day."""
    assert "did you mean def-notify" in start().execute("def-notfy", {}).json()["message"]


def test_unknown_places_and_methods_are_refused(start):
    """404 for a place that is not there, 405 with `Allow` for a method that it does not take."""
    api = start()
    assert api.http.get("/api/v2/callflows").status_code == 404
    wrong_method = api.http.get("/oauth/token")
    assert (wrong_method.status_code, wrong_method.headers["allow"]) == (405, "POST")
    assert api.http.get("/healthz").json() == {"status": "ok"}


def test_an_action_can_fail_always_or_the_first_times(start):
    """A failed execution has no effect; with `times` the action works afterwards."""
    broken = {"fail": {"status": 409, "code": "locked", "message": "The record is locked."}}
    shaky = {"fail": {"status": 500, "times": 2}, "output": {"ok": True}}
    api = start(data_actions={"def-broken": broken, "def-shaky": shaky})
    refused = api.execute("def-broken", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "locked")
    assert [api.execute("def-shaky", {}).status_code for _ in range(4)] == [500, 500, 200, 200]
    assert len(api.box.truth.effects_of("def-shaky")) == 2
    assert not api.box.truth.effects_of("def-broken")


def test_an_idempotency_key_gives_the_same_reply_and_no_second_effect(start):
    """A key stands for one body of one client; another body under it is a mistake, and is said to be one."""
    api = start()
    first = api.notify("CON-1", idempotency_key="k1")
    again = api.notify("CON-1", idempotency_key="k1")
    other = api.notify("CON-2", idempotency_key="k1")
    assert first.json() == again.json()
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert len(api.box.truth.effects) == 1
    assert api.notify("CON-2", idempotency_key="k2").status_code == 200


def test_a_key_whose_execution_failed_may_be_used_again(start):
    """A failure is no effect, so it is not remembered as one."""
    api = start(data_actions={"def-shaky": {"fail": {"status": 500, "times": 1}, "output": {}}})
    assert [api.execute("def-shaky", {}, idempotency_key="k").status_code for _ in range(3)] == [500, 200, 200]
    assert len(api.box.truth.effects) == 1


def test_a_webhook_is_recorded_as_it_arrived(start):
    """The raw body and the signature headers are kept, so that a test can check the signature."""
    api = start()
    headers = {"webhook-id": "msg_1", "webhook-signature": "v1,abc", "content-type": "application/json"}
    body = b'{"status":  "completed"}'
    assert api.http.post("/webhooks/chain-status", content=body, headers=headers).status_code == 200
    (webhook,) = api.box.truth.webhooks
    assert (webhook.path, webhook.body, webhook.inputs) == (
        "/webhooks/chain-status",
        body.decode(),
        {"status": "completed"},
    )
    assert webhook.headers == {"webhook-id": "msg_1", "webhook-signature": "v1,abc"}
