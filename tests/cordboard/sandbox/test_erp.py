"""The ERP: one record for each instance, whoever sends it how often."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import httpx
import pytest

RECORD = {
    "externalId": "inst_1",
    "workflowId": "wf",
    "finalStatus": "completed",
    "customerData": "C-1",
    "routingResult": {"queue": "sales"},
}
KEY = b"0123456789abcdefghijklmnop"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def send(api, headers=None, **changes):
    return api.http.post("/erp/records", content=json.dumps({**RECORD, **changes}), headers=headers)


def signature(body, message_id="msg_1", at=1_000_000):
    mac = hmac.new(KEY, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    stamped = {"webhook-id": message_id, "webhook-timestamp": str(at)}
    return {**stamped, "webhook-signature": "v1," + base64.b64encode(mac).decode()}


def test_a_record_is_stored_once(start):
    """The same again is no second record, and another one under its id is refused."""
    api = start()
    replies = [send(api), send(api), send(api, finalStatus="failed")]
    assert [reply.status_code for reply in replies] == [201, 200, 409]
    assert replies[0].json() == {"externalId": "inst_1", "outcome": "created"}
    assert replies[2].json()["code"] == "record_conflict"
    assert api.box.erp.records == {"inst_1": RECORD}
    assert api.box.erp.repeats == {"inst_1": 1}
    assert [(entry.external_id, entry.outcome) for entry in api.box.truth.erp] == [
        ("inst_1", "created"),
        ("inst_1", "repeated"),
        ("inst_1", "conflict"),
    ]


def test_the_same_content_in_another_order_is_the_same(start):
    """JSON objects have none."""
    api = start()
    send(api)
    again = api.http.post("/erp/records", json=dict(reversed(RECORD.items())))
    assert again.status_code == 200


def test_every_fault_of_a_record_is_named_at_once(start):
    """The schema is closed."""
    api = start()
    record = {"externalId": "", "workflowId": 7, "customerData": None, "routingResult": None, "note": ""}
    reply = api.http.post("/erp/records", json=record)
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")
    assert set(reply.json()["details"]) == {
        "externalId must not be empty",
        "workflowId must be a string, not an integer",
        "finalStatus is required",
        "note is not a known key",
    }
    assert api.http.post("/erp/records", content=b"[]").json()["code"] == "malformed_body"
    assert not api.box.erp.records


def test_it_can_be_down_now_and_then(start):
    """Faults are those of any other place: here a share of 503, and a reply that is lost after the record is stored."""
    down = {"match": {"path": "/erp/records", "probability": 0.5}, "fault": {"status": 503}}
    lost = {
        "match": {"path": "/erp/records", "inputs": {"externalId": "lost"}},
        "fault": {"lost_reply": "after_commit"},
    }
    api = start(lost, down)
    with pytest.raises(httpx.RemoteProtocolError):
        send(api, externalId="lost")
    statuses = [send(api, externalId=str(number)).status_code for number in range(30)]
    assert set(statuses) == {201, 503}
    assert len(api.box.erp.records) == statuses.count(201) + 1


def test_with_a_secret_only_signed_records_are_taken(start):
    """One of several signatures is enough, and it must be of these bytes, this id and about this time."""
    api = start(clock=lambda: 1_000_000.0, erp={"secret": SECRET})
    body = json.dumps(RECORD).encode()
    good = signature(body)
    wrong = [
        {},
        {**good, "webhook-id": "msg_2"},
        {**good, "webhook-timestamp": "1000001"},
        {**good, "webhook-timestamp": "now"},
        {**good, "webhook-signature": "v1,AAAA"},
        {**good, "webhook-signature": ""},
        signature(body + b" "),
        signature(body, at=1_000_301),
        signature(body, at=999_699),
    ]
    assert [send(api, headers).status_code for headers in wrong] == [401] * len(wrong)
    assert not api.box.truth.erp
    several = {**good, "webhook-signature": "v1,AAAA " + good["webhook-signature"]}
    at_the_edge = [signature(body, at=at) for at in (999_700, 1_000_300)]
    assert [send(api, headers).status_code for headers in (several, *at_the_edge)] == [201, 200, 200]


def test_a_signed_body_that_is_no_text_is_refused(start):
    """And not a 500."""
    api = start(clock=lambda: 1_000_000.0, erp={"secret": SECRET})
    assert api.http.post("/erp/records", content=b"\xff", headers=signature(b"\xff")).status_code == 401
