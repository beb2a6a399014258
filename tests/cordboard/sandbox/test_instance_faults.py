"""Faults at starts of workflows: what the client sees tells nothing about the instance; the truth does."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import pytest

from cordboard.sandbox import Faults, Sandbox, Truth, default_definition
from cordboard.sandbox.call import Call

INSTANCES = "/api/v2/workflows/instances"
POSTS = {"path": INSTANCES, "method": "POST"}
GETS = {"path": f"{INSTANCES}*", "method": "GET"}
WORKFLOW = {"wf": {"duration_seconds": 60}}
REFERENCE = {"cordboardReference": "r-1"}


def seen(api):
    """What a client can tell of the reply to its start."""
    try:
        reply = api.start_instance(metadata=REFERENCE)
    except httpx.ReadTimeout:
        return "timeout"
    except httpx.RemoteProtocolError:
        return "cut"
    return reply.status_code


@pytest.mark.parametrize(
    ("fault", "reply", "instances"),
    [
        ({"rate_limited": {"retry_after": "1"}}, 429, 0),
        ({"status": 500}, 500, 0),
        ({"status": 500, "after_commit": True}, 500, 1),
        ({"status": 503, "after_commit": True}, 503, 1),
        ({"status": 204, "after_commit": True}, 204, 1),
        ({"lost_reply": "before_commit"}, "cut", 0),
        ({"lost_reply": "after_commit"}, "cut", 1),
        ({"hang": {"at": "before_commit", "seconds": 60}}, "timeout", 0),
        ({"hang": {"at": "after_commit", "seconds": 60}}, "timeout", 1),
        ({"hang": {"at": "before_commit", "seconds": 0.02}}, 201, 1),
        ({"hang": {"at": "after_commit", "seconds": 0.02}}, 201, 1),
        ({"truncate": {"at": 0.5}}, "cut", 1),
        ({"wrong_type": "html"}, 201, 1),
        ({"wrong_type": "text"}, 201, 1),
        ({"wrong_type": "empty"}, 201, 1),
        ({"wrong_type": "array"}, 201, 1),
        ({"wrong_type": "null_output"}, 201, 1),
        ({"redirect": "http://elsewhere.invalid/"}, 307, 0),
        ({"echo_secrets": True}, 400, 0),
    ],
)
def test_every_fault_befalls_a_start(start, eventually, fault, reply, instances):
    """Reply and effect are two things."""
    api = start({"match": POSTS, "fault": fault}, timeout=0.3, workflows=WORKFLOW)
    assert seen(api) == reply
    eventually(lambda: bool(api.box.truth.requests))
    assert [entry.reference for entry in api.box.truth.instances] == ["r-1"] * instances
    assert api.find(**{"metadata.cordboardReference": "r-1"})["totalCount"] == instances


def test_faults_befall_look_ups_too(start):
    """A count that cannot be read is neither none nor all."""
    rules = [{"match": {**GETS, "nth": [number]}, "fault": fault} for number, fault in enumerate(READS, 1)]
    api = start(*rules, workflows=WORKFLOW)
    api.start_instance()
    replies = [api.http.get(INSTANCES, params={"workflowId": "wf", "status": "running"}) for _ in READS]
    assert [reply.status_code for reply in replies] == [503, 429, 200, 200]
    assert replies[2].json()["totalCount"] is None
    assert replies[3].headers["content-type"] == "text/html"
    assert api.running() == 1


READS = ({"status": 503}, {"rate_limited": {}}, {"wrong_type": "null_output"}, {"wrong_type": "html"})


def test_a_reply_may_lack_its_id(start):
    """What a start is about."""
    api = start({"match": POSTS, "fault": {"wrong_type": "null_output"}}, workflows=WORKFLOW)
    reply = api.start_instance().json()
    assert (reply["id"], reply["status"]) == (None, "running")


def test_a_late_commit_comes_after_the_client_was_cut_off(start, eventually):
    """A look-up in between proves nothing."""
    api = start({"match": POSTS, "fault": {"late_commit": {"seconds": 0.2}}}, workflows=WORKFLOW)
    assert (seen(api), api.running()) == ("cut", 0)
    eventually(lambda: api.running() == 1)
    request, instance = api.box.truth.requests[0], api.box.truth.instances[0]
    assert (request.status, request.fault) == (None, "late_commit")
    assert instance.at - request.at >= 0.2


def test_a_late_commit_may_come_after_the_clients_own_timeout(start, eventually):
    """The seconds count from when the client hung up."""
    late = {"late_commit": {"seconds": 0.2, "connection": "open"}}
    api = start({"match": POSTS, "fault": late}, timeout=0.3, workflows=WORKFLOW)
    begun = time.time()
    assert (seen(api), api.running()) == ("timeout", 0)
    eventually(lambda: api.running() == 1)
    assert api.box.truth.instances[0].at - begun >= 0.5


def test_a_late_commit_under_a_key_that_was_sent_again_is_no_second_instance(start, eventually):
    """Keyed, the vendor sees that it has done this already."""
    api = start({"match": {**POSTS, "nth": [1]}, "fault": {"late_commit": {"seconds": 0.1}}}, workflows=WORKFLOW)
    with pytest.raises(httpx.RemoteProtocolError):
        api.start_instance(key="k", metadata=REFERENCE)
    assert api.start_instance(key="k", metadata=REFERENCE).status_code == 201
    first_only = api.box.truth.instances
    eventually(lambda: api.box.sandbox.idle)
    assert api.box.truth.instances == first_only
    assert api.box.truth.duplicates() == {}


def test_a_late_commit_without_a_key_is_a_second_instance(start, eventually):
    """What a blind repeat does."""
    late = {"match": {**POSTS, "nth": [1]}, "fault": {"late_commit": {"seconds": 0.1}}}
    api = start(late, workflows={"wf": {"duration_seconds": 60, "idempotency": False}})
    assert [seen(api), seen(api)] == ["cut", 201]
    eventually(lambda: api.box.truth.duplicates() == {"r-1": 2})


def test_a_share_of_starts_is_befallen_and_it_repeats(start):
    """Whatever the order in which they arrive."""
    rule = {"match": {**POSTS, "probability": 0.2}, "fault": {"status": 503}}

    def refused(numbers):
        api = start(rule, workflows=WORKFLOW)
        return {n for n in numbers if api.start_instance(metadata={"n": str(n)}).status_code == 503}

    forth = refused(range(100))
    assert 8 <= len(forth) <= 35
    assert refused(range(99, -1, -1)) == forth


def test_a_share_of_look_ups_is_drawn_by_what_is_looked_up(start):
    """The query counts, else every look-up would be the same request."""
    rule = {"match": {**GETS, "probability": 0.3}, "fault": {"status": 503}}

    def refused(numbers):
        api = start(rule, workflows=WORKFLOW)
        return {n for n in numbers if api.http.get(INSTANCES, params={"metadata.n": n}).status_code == 503}

    forth = refused(range(60))
    assert 5 <= len(forth) <= 35
    assert refused(range(59, -1, -1)) == forth


def test_one_workflow_can_be_singled_out(start):
    """The inputs of a start are its body."""
    only_a = {"match": {**POSTS, "inputs": {"workflowId": "a"}}, "fault": {"status": 503}}
    api = start(only_a, workflows={"a": {}, "b": {}})
    assert [api.start_instance(name).status_code for name in "ab"] == [503, 201]


def test_the_truth_of_a_start_stands_in_the_file_with_all_that_a_recount_needs(tmp_path):
    """Another process can check everything from one line for each instance."""
    truth = Truth(tmp_path / "truth.jsonl", clock=lambda: 5.0)
    call = Call(1, "POST", INSTANCES, {}, b'{"workflowId": "wf"}')
    truth.record("effect", call, at=4.0, instance_id="i", workflow_id="wf", reference="r", ends_at=9.0, running=1)
    truth.close()
    (line,) = (tmp_path / "truth.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "seq": 1,
        "at": 4.0,
        "kind": "effect",
        "request_id": "req-00000001",
        "method": "POST",
        "path": INSTANCES,
        "inputs": {"workflowId": "wf"},
        "workflow_id": "wf",
        "instance_id": "i",
        "reference": "r",
        "ends_at": 9.0,
        "running": 1,
    }


def test_a_late_commit_comes_in_process_too_when_its_caller_gives_up():
    """Without a socket, giving up is a cancellation."""
    late = {"match": POSTS, "fault": {"late_commit": {"seconds": 0.01, "connection": "open"}}}
    sandbox = Sandbox(default_definition().changed(workflows=WORKFLOW), Faults.of(late))

    async def give_up() -> None:
        client = sandbox.definition.clients[0]
        form = {"client_id": client.id, "client_secret": client.secret.get_secret_value()}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox), base_url="http://sandbox") as http:
            token = await http.post("/oauth/token", data={"grant_type": "client_credentials", **form})
            http.headers["authorization"] = f"Bearer {token.json()['access_token']}"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await http.post(INSTANCES, json={"workflowId": "wf"})
        assert not sandbox.truth.instances
        async with asyncio.timeout(5):
            while not sandbox.truth.instances:
                await asyncio.sleep(0.005)
        await sandbox.aclose()

    asyncio.run(give_up())
    assert sandbox.workflows.running("wf") == 1
