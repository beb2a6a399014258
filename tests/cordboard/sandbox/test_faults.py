"""Each fault from both sides: what the client sees, and what really happened."""

from __future__ import annotations

import time

import httpx
import pytest

from cordboard.sandbox import Faults

NOTIFY = {"definition_id": "def-notify"}


def rule(fault, **match):
    return {"match": {**NOTIFY, **match}, "fault": fault}


def effects(api):
    return len(api.box.truth.effects)


def last(api):
    """Status and fault of the last request, as the truth has them."""
    entry = api.box.truth.requests[-1]
    return entry.status, entry.fault


@pytest.mark.parametrize(("after", "count"), [(False, 0), (True, 1)])
def test_a_status_can_come_before_or_after_the_effect(start, after, count):
    """A 503 tells a client nothing about the effect; the truth knows."""
    api = start(rule({"status": 503, "headers": {"retry-after": "7"}, "after_commit": after}))
    reply = api.notify()
    assert (reply.status_code, reply.headers["retry-after"], effects(api)) == (503, "7", count)
    assert reply.json()["code"] == "injected_fault"
    assert last(api) == (503, "status")


def test_a_status_can_bring_any_body(start):
    """A gateway's error page is HTML, not the vendor's error document."""
    headers = {"content-type": "text/html"}
    api = start(rule({"status": 502, "body": "<h1>Bad gateway</h1>", "headers": headers}))
    assert api.notify().text == "<h1>Bad gateway</h1>"


def test_a_header_of_a_fault_replaces_the_replys_own(start):
    """However it is spelt: a reply has one content type."""
    api = start(rule({"status": 422, "body": {"title": "No"}, "headers": {"Content-Type": "application/problem+json"}}))
    assert api.notify().headers.get_list("content-type") == ["application/problem+json"]


def test_every_status_can_be_sent(start):
    """Also those that HTTP gives no body."""
    api = start()
    for status in range(200, 600):
        api.box.sandbox.use_faults(Faults.of({"fault": {"status": status, "headers": {"X-Kind": "injected"}}}))
        reply = api.notify()
        assert (reply.status_code, reply.headers["x-kind"]) == (status, "injected")


@pytest.mark.parametrize(("stage", "count"), [("before_commit", 0), ("after_commit", 1)])
def test_a_lost_reply_looks_the_same_whether_or_not_there_was_an_effect(start, stage, count):
    """This is why a client may not simply send again."""
    api = start(rule({"lost_reply": stage}, nth=[1]))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        api.notify()
    assert (effects(api), last(api)) == (count, (None, "lost_reply"))
    assert api.notify().status_code == 200


@pytest.mark.parametrize(("stage", "count"), [("before_commit", 0), ("after_commit", 1)])
def test_a_client_that_gives_up_on_a_hanging_request_cannot_know_of_the_effect(start, eventually, stage, count):
    """Before the commit an abandoned request has no effect; after it, the effect stands."""
    api = start(rule({"hang": {"at": stage, "seconds": 60}}), timeout=0.2)
    with pytest.raises(httpx.ReadTimeout):
        api.notify()
    eventually(lambda: bool(api.box.truth.requests))
    assert (effects(api), last(api)[1]) == (count, "hang")


@pytest.mark.parametrize("stage", ["before_commit", "after_commit"])
def test_a_patient_client_gets_the_reply_of_a_hanging_request(start, stage):
    """A hang that ends is only a delay."""
    api = start(rule({"hang": {"at": stage, "seconds": 0.05}}))
    assert (api.notify().status_code, effects(api), last(api)) == (200, 1, (200, "hang"))


def test_a_dripping_body_never_trips_a_timeout_between_two_bytes(start):
    """Each byte arrives well within a read timeout; only a total deadline ends such a call."""
    api = start(rule({"drip": {"bytes_per_second": 20}}), timeout=1.0)
    begun, pieces = time.monotonic(), 0
    with api.http.stream("POST", "/api/v2/dataactions/executions", json={**NOTIFY, "inputs": {}}) as reply:
        for _ in reply.iter_raw():
            pieces += 1
            if pieces == 5:
                break
    assert time.monotonic() - begun >= 0.2
    assert effects(api) == 1


def test_a_drip_that_is_waited_for_brings_the_whole_reply(start):
    """Slow is not wrong."""
    api = start(rule({"drip": {"bytes_per_second": 5000}}))
    assert api.notify("CON-7").json()["output"] == {"contact": "CON-7", "delivered": True}


@pytest.mark.parametrize("at", [0, 10, 0.5])
def test_a_truncated_body_is_shorter_than_it_promised(start, at):
    """`Content-Length` says more than what arrives."""
    api = start(rule({"truncate": {"at": at}}))
    with (
        pytest.raises(httpx.RemoteProtocolError, match="complete message body"),
        api.http.stream("POST", "/api/v2/dataactions/executions", json={**NOTIFY, "inputs": {}}) as reply,
    ):
        arrived = b""
        for piece in reply.iter_raw():
            arrived += piece
    promised = int(reply.headers["content-length"])
    assert len(arrived) == (at if isinstance(at, int) else promised // 2)
    assert effects(api) == 1


def test_a_large_body_is_sent_up_to_the_cut(start):
    """The cut waits until what was sent has left, however much it was."""
    large = {"def-notify": {"output": {"text": "x" * 6_000_000}}}
    api = start(rule({"truncate": {"at": 5_000_000}}), data_actions=large)
    with pytest.raises(httpx.RemoteProtocolError, match="received 5000000 bytes"):
        api.notify()


@pytest.mark.parametrize(
    ("kind", "seen"),
    [
        ("html", lambda reply: reply.text.startswith("<!doctype html>")),
        ("text", lambda reply: reply.text == "OK"),
        ("empty", lambda reply: reply.content == b""),
        ("array", lambda reply: reply.json()[0]["output"] == {"contact": "CON-1", "delivered": True}),
        ("null_output", lambda reply: reply.json()["output"] is None),
    ],
)
def test_a_reply_of_the_wrong_type_hides_an_effect_behind_a_200(start, kind, seen):
    """A 2xx alone proves nothing: the body has to be what was promised."""
    api = start(rule({"wrong_type": kind}))
    reply = api.notify()
    assert reply.status_code == 200
    assert seen(reply)
    assert effects(api) == 1


def test_a_late_commit_happens_after_the_client_was_cut_off(start, eventually):
    """A look-up straight after the failure would find nothing, and the effect comes all the same."""
    api = start(rule({"late_commit": {"seconds": 0.3}}))
    with pytest.raises(httpx.RemoteProtocolError):
        api.notify()
    assert effects(api) == 0
    eventually(lambda: effects(api) == 1)
    assert api.box.truth.effects[0].at - api.box.truth.requests[0].at >= 0.29


@pytest.mark.parametrize("value", ["1", "-1", "nan", "1e9", "5, 7", "", "Wed, 21 Oct 2065 07:28:00 GMT"])
def test_a_429_carries_any_retry_after(start, value):
    """Hostile values are data too: a client has to survive them."""
    api = start(rule({"rate_limited": {"retry_after": value}}))
    reply = api.notify()
    assert (reply.status_code, reply.headers["retry-after"], effects(api)) == (429, value, 0)


def test_a_429_may_come_without_retry_after(start):
    """Some surfaces of the vendor send none."""
    assert "retry-after" not in start(rule({"rate_limited": {"retry_after": None}})).notify().headers


def test_a_retry_after_in_full_width_digits_leaves_as_utf8(start):
    """The bytes on the wire are those of the file."""
    reply = start(rule({"rate_limited": {"retry_after": "５"}})).notify()
    assert dict(reply.headers.raw)[b"retry-after"].decode() == "５"


def test_a_redirect_names_its_target_and_has_no_effect(start):
    """Whether the credentials follow is up to the client; ours must not let them."""
    api = start(rule({"redirect": "http://elsewhere.invalid/"}))
    reply = api.notify()
    assert (reply.status_code, reply.headers["location"], effects(api)) == (307, "http://elsewhere.invalid/", 0)


def test_a_vendor_may_echo_secrets_in_an_error(start):
    """What a vendor repeats must not reach our logs: this fault lets a test look for it there."""
    api = start(
        rule({"echo_secrets": True}), {"match": {"path": "/oauth/token", "nth": [2]}, "fault": {"echo_secrets": True}}
    )
    assert api.http.headers["authorization"] in api.notify().json()["message"]
    assert api.box.env()["CXONE_CLIENT_SECRET"] in api.ask_token().json()["message"]


def test_token_requests_fail_only_where_a_rule_names_their_path(start):
    """A rule without a path is about the API; signing in goes on working."""
    api = start(
        {"fault": {"status": 503}},
        {"match": {"path": "/oauth*", "nth": [2]}, "fault": {"lost_reply": "before_commit"}},
    )
    assert api.notify().status_code == 503
    with pytest.raises(httpx.RemoteProtocolError):
        api.ask_token()
    assert [(entry.status, entry.fault) for entry in api.box.truth.tokens] == [(200, None), (None, "lost_reply")]


def test_webhooks_can_be_made_to_fail(start):
    """A receiver that is down twice lets a test see the sender's retries."""
    api = start({"match": {"path": "/webhooks/*", "nth": {"from": 1, "to": 2}}, "fault": {"status": 500}})
    assert [api.http.post("/webhooks/x", json={}).status_code for _ in range(3)] == [500, 500, 200]
    assert [entry.status for entry in api.box.truth.webhooks] == [500, 500, 200]


def test_faults_can_be_replaced_while_the_sandbox_runs(start):
    """A vendor that is mended between two runs."""
    api = start(rule({"status": 500}))
    before = api.notify().status_code
    api.box.sandbox.use_faults(Faults())
    assert (before, api.notify().status_code) == (500, 200)
