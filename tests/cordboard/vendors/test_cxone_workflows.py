"""Workflow instances of CXone: what is asked for, and what no reply may talk us into."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.errors import BadCall
from cordboard.vendors.cxone_workflows import (
    MAX_INSTANCE_ID,
    REFERENCE,
    Instance,
    count_running,
    find_instances,
    read_instance,
    start_instance,
    workflow_endpoints,
)
from cordboard.vendors.wire import Outcome, Reply, Request, Safety, Verdict, decipher

BODY = {"workflowId": "wf", "priority": 5, "context": {}, "metadata": {}}
START = start_instance(BODY, safety=Safety.NEITHER)
COUNT, FIND, READ = count_running("wf"), find_instances("wf", "ours"), read_instance("i-1")
OURS = {"id": "i-1", "workflowId": "wf", "status": "running", "metadata": {REFERENCE: "ours"}}
HOSTILE = [None, 1, True, "text", [], {}, [[]], {"id": None}, {"id": {}, "status": []}, {"totalCount": True}]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=12,
)


def said(request: Request, reply: Any, status: int = 200) -> Verdict:
    body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return decipher(request.operation, Reply(status, {}, body), now=0.0)


@pytest.mark.parametrize("request_", [START, COUNT, FIND, READ], ids=["start", "count", "find", "read"])
@pytest.mark.parametrize("reply", [*HOSTILE, b"", b"{", b"\xff", b'{"totalCount": 1e999}', b"null"])
def test_a_reply_that_is_none_is_never_taken_for_one(request_: Request, reply: Any) -> None:
    verdict = said(request_, reply)
    assert (verdict.outcome, verdict.kind) == (Outcome.UNKNOWN, "bad_reply")


@given(json_values)
def test_whatever_is_replied_there_is_a_verdict(reply: Any) -> None:
    for request in (START, COUNT, FIND, READ):
        assert said(request, reply).outcome in {Outcome.ACCEPTED, Outcome.UNKNOWN}


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""}, {"id": 7}, {"id": "x" * (MAX_INSTANCE_ID + 1)}, {"id": "i\n1"}, {"id": "i\x001"}, {"id": "\u202e1"},
        {"status": None}, {"status": 1}, {"workflowId": "wf_other"}, {"workflowId": None},
    ],
)  # fmt: skip
def test_a_start_that_is_answered_with_no_instance_of_ours_is_unknown(change: dict[str, Any]) -> None:
    assert said(START, OURS | change).outcome is Outcome.UNKNOWN


def test_a_start_that_was_taken_has_its_id_and_status() -> None:
    verdict = said(START, {"id": "i-1", "status": " Running\n"})
    assert (verdict.value, verdict.reference) == ({"instance_id": "i-1", "status": "running"}, "i-1")


@pytest.mark.parametrize("total", [-1, "5", 5.0, True, None, [5]])
def test_a_count_is_a_whole_number(total: Any) -> None:
    assert said(COUNT, {"totalCount": total}).outcome is Outcome.UNKNOWN


def test_a_count_is_what_the_vendor_says() -> None:
    assert said(COUNT, {"totalCount": 0}).value == 0
    assert said(COUNT, {"totalCount": 10**9, "instances": []}).value == 10**9


@pytest.mark.parametrize(
    ("instances", "total"),
    [
        ([{**OURS, "metadata": {REFERENCE: "another"}}], 1),  # the filter is passed over
        ([OURS, {**OURS, "metadata": {}}], 2),
        ([{key: OURS[key] for key in ("id", "workflowId", "status")}], 1),  # a list without metadata
        ([{**OURS, "metadata": [REFERENCE]}], 1),
        ([{**OURS, "workflowId": "wf_other"}], 1),
        ([], 3),  # a page that was cut
        (None, 0),
        ({"0": OURS}, 1),
        ([None], 1),
    ],
)
def test_a_look_up_that_is_not_answered_proves_nothing(instances: Any, total: int) -> None:
    """Neither "it is there" nor "it is not there": both would be acted upon."""
    assert said(FIND, {"totalCount": total, "instances": instances}).outcome is Outcome.UNKNOWN


def test_a_look_up_finds_ended_instances_too() -> None:
    assert said(FIND, {"totalCount": 0, "instances": []}).value == ()
    found = said(FIND, {"totalCount": 1, "instances": [{**OURS, "status": "Completed"}]}).value
    assert found == (Instance("i-1", "wf", "completed"),)
    assert found[0].has_ended


@pytest.mark.parametrize("reply", [OURS | {"context": bad} for bad in (None, [], "x", 1)])
def test_a_context_that_is_no_object_is_empty(reply: dict[str, Any]) -> None:
    assert said(READ, reply).value.context == {}


AT_LIMIT = [
    "The workflow wf is at its concurrent instance limit of 5.",
    "Concurrency limit reached",
    "Maximum concurrent executions exceeded",
    "Too many concurrent instances",
    "Max concurrent instances reached for workflow wf",
    "the limit of running instances is reached",
    "running instance quota exceeded",
    "instance limit exceeded",
    "You have reached the maximum number of active instances",
]
WRONG = [
    "context.concurrency is not an integer",
    "unknown context value maxConcurrentCalls",
    "context.concurrentAgents: expected integer",
    "metadata exceeds the maximum of 50 entries of an instance",
    "the instance's context exceeds the size limit of 256 KB",
    "priority must be between the minimum 1 and the maximum 10 for an instance",
    "the request does not match the schema of the workflow",
    "field instanceLimit is not declared",
    "",
]


@pytest.mark.parametrize("message", AT_LIMIT)
def test_a_400_that_speaks_of_the_limit_makes_the_start_wait(message: str) -> None:
    verdict = said(START, {"message": message}, 400)
    assert (verdict.outcome, verdict.kind) == (Outcome.REFUSED, "at_limit")


@pytest.mark.parametrize("message", WRONG)
def test_a_400_that_says_the_request_is_wrong_fails_the_start(message: str) -> None:
    """Else a row that can never be started would be sent again and again."""
    verdict = said(START, {"message": message}, 400)
    assert (verdict.outcome, verdict.kind) == (Outcome.PERMANENT, "rejected")


@pytest.mark.parametrize("status", [500, 503, 422, 200])
def test_the_words_count_in_a_400_alone(status: int) -> None:
    assert said(START, {"message": AT_LIMIT[0]}, status).kind != "at_limit"


@given(st.text(max_size=40), st.text(max_size=40))
def test_what_is_asked_for_stays_one_value_of_the_query(workflow: str, reference: str) -> None:
    workflow, reference = (text.encode("utf-8", "ignore").decode() for text in (workflow, reference))
    parts = urlsplit(find_instances(workflow, reference).path)
    asked = parse_qs(parts.query, keep_blank_values=True, strict_parsing=True)
    assert asked == {"workflowId": [workflow], f"metadata.{REFERENCE}": [reference], "pageSize": ["10"]}
    assert (parts.path, parts.fragment) == ("/api/v2/workflows/instances", "")
    counted = parse_qs(urlsplit(count_running(workflow).path).query, keep_blank_values=True)
    assert counted == {"workflowId": [workflow], "status": ["running"], "pageSize": ["1"]}


@pytest.mark.parametrize(
    "instance_id", ["", ".", "..", ".a", "a/b", "a\\b", "a?b", "a#b", "a;b", "%2e%2e", "x" * 201, "a\n", "a\u202e"]
)
def test_an_id_that_would_lead_elsewhere_is_refused(instance_id: str) -> None:
    with pytest.raises(BadCall, match="instance id"):
        read_instance(instance_id)


@pytest.mark.parametrize(
    "instance_id", ["urn:uuid:0-1", "i-1", "a b", "ä", "+1=~,@", "{a}", "a..b", "x" * MAX_INSTANCE_ID, "é" * 200]
)
def test_what_can_be_started_can_be_asked_for(instance_id: str) -> None:
    """The path, decoded once as a server does, names that instance and no other."""
    path = read_instance(instance_id).path
    assert path.isascii() and path.count("/") == 5
    assert unquote(path) == f"/api/v2/workflows/instances/{instance_id}"


def test_a_key_is_sent_only_where_there_is_one() -> None:
    assert "idempotency-key" not in START.headers
    keyed = start_instance(BODY, safety=Safety.KEYED, idempotency_key="k" * 64, traceparent="00-1-2-01")
    assert keyed.headers == {"idempotency-key": "k" * 64, "traceparent": "00-1-2-01"}
    assert (keyed.operation.safety, keyed.operation.method) == (Safety.KEYED, "POST")


def test_a_region_has_its_places_and_another_one_none() -> None:
    places = workflow_endpoints("us-east-1")
    assert places.token_url == "https://us-east-1.auth.cxone.com/v1/oauth2/token"
    with pytest.raises(BadCall, match="us-east-1"):
        workflow_endpoints("us-east-1.evil.example.org/")
