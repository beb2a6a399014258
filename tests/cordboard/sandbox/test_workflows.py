"""Workflow instances as any plain HTTP client sees them: started, limited, looked up, ended."""

from __future__ import annotations

import threading
from datetime import datetime
from itertools import count
from pathlib import Path

import pytest

from cordboard.documents import read_document
from cordboard.errors import InvalidDocument
from cordboard.sandbox import default_definition

ROOT = Path(__file__).parents[3]
INSTANCES = "/api/v2/workflows/instances"
REMINDER = "wf_appointment_reminder"
CONTEXT = {"customerId": "C-1", "phone": "+15550100011", "hoursBefore": 24, "mayCall": True, "clinic": {"name": "R"}}


def workflow(**rules):
    return {"wf": {"duration_seconds": 60, **rules}}


def details(reply):
    assert (reply.status_code, reply.json()["code"], reply.json()["status"]) == (400, "invalid_request", 400)
    assert reply.json()["message"] == "; ".join(reply.json()["details"])
    return reply.json()["details"]


def test_an_instance_is_started_runs_and_ends_by_the_clock(start):
    """Its end needs no request and no waiting: whoever reads it later finds when it ended, and with what."""
    now = [1_000_000.0]
    result = {"echo": ["customerId"], "output": {"routingDecision": "queue_sales"}}
    context = {"customerId": {"type": "string"}}
    api = start(clock=lambda: now[0], workflows=workflow(duration_seconds=5, result=result, context=context))
    reply = api.start_instance(priority=2, context={"customerId": "C-1"}, metadata={"sourceSystem": "erp"})
    created = reply.json()
    assert reply.status_code == 201
    assert {key: value for key, value in created.items() if key != "id"} == {
        "workflowId": "wf",
        "status": "running",
        "priority": 2,
        "metadata": {"sourceSystem": "erp"},
        "createdAt": "1970-01-12T13:46:40.000Z",
    }
    now[0] += 4.999
    assert (api.http.get(f"{INSTANCES}/{created['id']}").json(), api.running()) == (created, 1)
    now[0] += 0.001
    ended = {"endedAt": "1970-01-12T13:46:45.000Z", "context": {"customerId": "C-1", "routingDecision": "queue_sales"}}
    assert api.http.get(f"{INSTANCES}/{created['id']}").json() == {**created, "status": "completed", **ended}
    assert api.running() == 0


def test_the_truth_has_the_very_moments_by_which_instances_are_counted(start):
    """On a clock that never shows the same time twice, a recount still knows when each one ran."""
    ticks = count(1_000_000)
    api = start(clock=lambda: float(next(ticks)), token_seconds=86_400, workflows=workflow(duration_seconds=60))
    created = api.start_instance().json()["createdAt"]
    (entry,) = api.box.truth.instances
    assert entry.ends_at - entry.at == 60
    assert datetime.fromisoformat(created).timestamp() == entry.at


def test_what_may_be_left_out_has_defaults(start):
    """Priority 5, no context, no metadata."""
    created = start(workflows=workflow()).start_instance().json()
    assert (created["priority"], created["metadata"]) == (5, {})


def test_the_example_batch_fits_the_packaged_workflow(start):
    """Every value that the example sends, with the type that it declares."""
    example = read_document(ROOT / "examples/reminders.yaml").value
    declared = {name: variable["data_type"] for name, variable in example["context"].items()}
    served = default_definition().workflows[example["workflow_id"]]
    assert declared == {name: variable.type for name, variable in served.context.items()}
    reply = start().start_instance(REMINDER, priority=example["priority"], context=CONTEXT)
    assert reply.status_code == 201


def test_every_fault_of_a_start_is_named_at_once(start):
    """An unknown name, wrong types, what is missing, what is no text, what is out of range."""
    context = {**CONTEXT, "hoursBefore": "24", "mayCall": 1, "clinic": [], "colour": "red"}
    del context["phone"]
    api = start()
    reply = api.start_instance(REMINDER, context=context, metadata={"a": 1, "b": None}, priority=True, note="")
    assert set(details(reply)) == {
        "note is not a known key",
        "priority must be a whole number from 1 to 10",
        "context.hoursBefore must be an integer, not a string",
        "context.mayCall must be a boolean, not an integer",
        "context.clinic must be an object, not an array",
        "context.colour is not a value of this workflow",
        "context.phone is required",
        "metadata.a must be a string, not an integer",
        "metadata.b must be a string, not null",
    }
    assert not api.box.truth.instances


@pytest.mark.parametrize("wrong", [True, 1.0, "1", None, [], {}])
def test_nothing_but_a_whole_number_is_an_integer(start, wrong):
    """The vendor does not convert; `1.0` and `true` are none."""
    api = start(workflows=workflow(context={"n": {"type": "integer"}}))
    assert api.start_instance(context={"n": wrong}).status_code == 400
    assert api.start_instance(context={"n": 1}).status_code == 201


@pytest.mark.parametrize("priority", [0, 11, 1.5, "5", None])
def test_a_priority_is_one_to_ten(start, priority):
    """And both ends are included."""
    api = start(workflows=workflow())
    assert details(api.start_instance(priority=priority)) == ["priority must be a whole number from 1 to 10"]
    assert [api.start_instance(priority=end).status_code for end in (1, 10)] == [201, 201]


def test_a_value_that_is_not_required_may_be_missing_but_not_null(start):
    """Null is a value, and of no type that a workflow knows."""
    api = start(workflows=workflow(context={"n": {"type": "integer", "required": False}}))
    assert api.start_instance(context={}).status_code == 201
    assert details(api.start_instance(context={"n": None})) == ["context.n must be an integer, not null"]


def test_unknown_workflows_and_instances_are_answered_404(start):
    """With the id that was probably meant."""
    api = start()
    reply = api.start_instance("wf_apointment_reminder", context=CONTEXT)
    assert (reply.status_code, reply.json()["code"]) == (404, "workflow_not_found")
    assert f"did you mean {REMINDER}" in reply.json()["message"]
    assert api.http.get(INSTANCES, params={"workflowId": "wf_none"}).status_code == 404
    assert api.http.get(f"{INSTANCES}/inst_none").json()["code"] == "instance_not_found"


def test_a_body_that_is_no_object_is_refused(start):
    """And one without a workflow."""
    api = start()
    assert api.http.post(INSTANCES, content=b"[]").json()["code"] == "malformed_body"
    assert details(api.http.post(INSTANCES, json={})) == ["workflowId must be a string, not null"]


def test_starting_and_reading_need_scopes_of_their_own(start):
    """A token to read may not start, and the other way round."""
    api = start(workflows=workflow())
    api.sign_in(scope="workflow:read")
    assert (api.start_instance().status_code, api.running()) == (403, 0)
    api.sign_in(scope="workflow:write")
    instance_id = api.start_instance().json()["id"]
    assert [api.http.get(path).status_code for path in (INSTANCES, f"{INSTANCES}/{instance_id}")] == [403, 403]
    api.box.sandbox.revoke_tokens()
    assert api.start_instance().status_code == 401


def test_at_its_limit_a_workflow_answers_429_until_an_instance_ends(start):
    """`Retry-After` is long enough, in whole seconds."""
    now = [1_000_000.0]
    api = start(clock=lambda: now[0], workflows=workflow(max_running=2, duration_seconds=2.5))
    api.start_instance()
    now[0] += 1
    api.start_instance()
    refused = api.start_instance()
    assert (refused.status_code, refused.json()["code"]) == (429, "concurrent_instance_limit")
    assert refused.headers["retry-after"] == "2"
    now[0] += 1.499
    assert api.start_instance().status_code == 429
    now[0] += 0.001
    assert [api.start_instance().status_code for _ in range(2)] == [201, 429]
    assert api.box.truth.most_running("wf") == 2


def test_a_limit_may_be_told_as_400_with_words(start):
    """The vendor's other way: the status alone does not say that a later start would do."""
    api = start(workflows=workflow(max_running=1, at_limit=400))
    api.start_instance()
    refused = api.start_instance()
    assert (refused.status_code, refused.json()["code"]) == (400, "concurrent_instance_limit")
    assert refused.json()["message"] == "The workflow wf is at its concurrent instance limit of 1."
    assert "retry-after" not in refused.headers


def test_the_wait_at_the_limit_can_be_stated(start):
    """Also zero."""
    api = start(workflows=workflow(max_running=1, retry_after_seconds=0))
    assert [api.start_instance().headers.get("retry-after") for _ in range(2)] == [None, "0"]


def test_limits_are_those_of_one_workflow(start):
    """Another one still has room."""
    api = start(workflows={"a": {"duration_seconds": 60, "max_running": 1}, "b": {"duration_seconds": 60}})
    assert [api.start_instance(name).status_code for name in ("a", "a", "b", "b")] == [201, 429, 201, 201]
    assert (api.running("a"), api.running("b")) == (1, 2)


def test_starts_at_the_same_time_never_pass_the_limit(start):
    """Eight threads at once, one limit."""
    api = start(workflows=workflow(max_running=5))
    statuses: list[int] = []
    work = lambda: statuses.extend(api.start_instance().status_code for _ in range(10))  # noqa: E731
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (statuses.count(201), statuses.count(429)) == (5, 75)
    assert (api.box.truth.most_running("wf"), api.running()) == (5, 5)


def test_an_idempotency_key_starts_one_instance_for_a_day(start):
    """The same key and body is answered as before; another body under it is refused; after a day it is unknown."""
    now = [1_000_000.0]
    api = start(clock=lambda: now[0], token_seconds=86_400, workflows=workflow())
    first = api.start_instance(key="k", metadata={"n": "1"})
    now[0] += 24 * 3600 - 1
    again, other = (api.start_instance(key="k", metadata={"n": number}) for number in "12")
    assert (again.status_code, again.json()) == (201, first.json())
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert len(api.box.truth.instances) == 1
    now[0] += 1
    assert api.sign_in().start_instance(key="k", metadata={"n": "1"}).json()["id"] != first.json()["id"]


def test_a_refused_start_leaves_its_key_free(start):
    """Nothing happened under it."""
    now = [1_000_000.0]
    api = start(clock=lambda: now[0], workflows=workflow(max_running=1, duration_seconds=1))
    api.start_instance(key="a")
    assert api.start_instance(key="b").status_code == 429
    now[0] += 1
    assert api.start_instance(key="b").status_code == 201


def test_the_same_key_at_the_same_time_starts_one_instance(start):
    """The second request waits for the first one's reply."""
    api = start(workflows=workflow(delay_ms=100))
    ids: list[str] = []
    threads = [threading.Thread(target=lambda: ids.append(api.start_instance(key="k").json()["id"])) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(ids), len(set(ids)), api.running()) == (3, 1, 1)


def test_a_workflow_may_not_know_keys(start):
    """Then the same request twice is two instances, and the truth counts them by their reference."""
    api = start(workflows=workflow(idempotency=False))
    metadata = {"cordboardReference": "r-1"}
    ids = {api.start_instance(key="k", metadata=metadata).json()["id"] for _ in range(2)}
    api.start_instance(metadata={"cordboardReference": "r-2"})
    assert len(ids) == 2
    assert api.box.truth.duplicates() == {"r-1": 2}


def test_ends_are_shared_out_as_stated_and_repeat_with_the_seed(start):
    """A third fails, and another seed fails others."""
    rules = workflow(duration_seconds=0, ends={"completed": 0.7, "failed": 0.3})

    def run(seed):
        api = start(seed=seed, workflows=rules)
        for number in range(100):
            api.start_instance(metadata={"n": str(number)})
        return [(entry.instance_id, entry.ends_as) for entry in api.box.truth.instances], api.find(status="failed")

    (first, failed), (again, _), (other, _) = run(1), run(1), run(2)
    assert 15 <= failed["totalCount"] <= 45
    assert [end for _, end in first].count("failed") == failed["totalCount"]
    assert first == again
    assert [end for _, end in first] != [end for _, end in other]


def test_what_is_drawn_for_a_start_does_not_depend_on_the_order_of_starts(start):
    """So a run with many calls in flight repeats too."""

    def run(numbers):
        api = start(workflows=workflow(duration_seconds=[1, 9]))
        for number in numbers:
            api.start_instance(metadata={"cordboardReference": str(number)})
        return {entry.reference: (entry.instance_id, entry.ends_at - entry.at) for entry in api.box.truth.instances}

    forth, back = run(range(10)), run(range(9, -1, -1))
    assert {name: drawn[0] for name, drawn in forth.items()} == {name: drawn[0] for name, drawn in back.items()}
    lasts = [drawn[1] for drawn in forth.values()]
    assert all(1 <= each <= 9 for each in lasts)
    assert max(lasts) - min(lasts) > 1


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"duration_seconds": [3, 1]}, "must not be larger than the second"),
        ({"duration_seconds": -1}, "greater than or equal to 0"),
        ({"ends": {"completed": 0.5, "failed": 0.2}}, "must add up to 1"),
        ({"context": {"a": {"type": "text"}}}, "'string', 'integer', 'boolean', 'object' or 'array'"),
        ({"at_limit": 503}, "429 or 400"),
    ],
)
def test_mistakes_in_a_workflow_are_refused(rules, words):
    """Before anything is served."""
    with pytest.raises(InvalidDocument, match=words):
        default_definition().changed(workflows={"wf": rules})
