"""Which requests a rule befalls: counted for each rule, drawn from the seed."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from cordboard.sandbox import Faults
from cordboard.sandbox.call import Call
from cordboard.sandbox.schedule import FaultSchedule

FAULT = {"status": 503}


def call(inputs=None, definition_id="def-a", path="/api/v2/dataactions/executions"):
    body = json.dumps({"definition_id": definition_id, "inputs": inputs or {}}).encode()
    return Call(1, "POST", path, {}, body)


def hits(match, calls, seed=0):
    schedule = FaultSchedule(Faults.of({"match": match, "fault": FAULT}), seed)
    return [schedule.choose(each) is not None for each in calls]


def test_nth_counts_the_requests_that_fit_the_rule():
    """Others in between do not count."""
    calls = [call(), call(definition_id="def-b"), call(), call(definition_id="def-b"), call()]
    assert hits({"definition_id": "def-a", "nth": [2, 3]}, calls) == [False, False, True, False, True]


def test_a_rule_can_be_about_one_method():
    """A vendor that takes registrations and cannot be read, or the other way round."""
    reads = [Call(1, "GET", "/api/v2/flows/menu", {}, b""), Call(2, "POST", "/api/v2/flows", {}, b"{}")]
    assert hits({"path": "/api/v2/flows*", "method": "GET"}, reads) == [True, False]
    assert hits({"path": "/api/v2/flows*"}, reads) == [True, True]


def test_the_inputs_of_a_registration_are_its_body():
    """One flow of several goes wrong."""
    calls = [Call(1, "POST", "/api/v2/flows", {}, json.dumps({"id": name}).encode()) for name in ("menu", "night")]
    assert hits({"inputs": {"id": "night"}}, calls) == [False, True]


def test_a_span_and_every_count_from_one():
    """Both ends of a span are included, and it may have no end."""
    assert hits({"nth": {"from": 2, "to": 3}}, [call()] * 5) == [False, True, True, False, False]
    assert hits({"nth": {"from": 4}}, [call()] * 20) == [False] * 3 + [True] * 17
    assert hits({"every": 2}, [call()] * 5) == [False, True, False, True, False]


def test_inputs_match_as_a_subset_and_by_type():
    """`1` is not `true` and not `"1"`; what the rule leaves out may be anything."""
    calls = [call({"a": 1, "b": 2}), call({"a": True}), call({"a": "1"}), call({"b": 1}), call({"a": 1.0})]
    assert hits({"inputs": {"a": 1}}, calls) == [True, False, False, False, False]
    nested = {"inputs": {"who": {"id": 7}}}
    assert hits(nested, [call({"who": {"id": 7, "x": 1}}), call({"who": 7})]) == [True, False]


def test_the_first_rule_that_fires_decides_and_all_rules_count():
    """A rule that was overruled has still seen the request."""
    first, second = {"match": {"nth": [1]}, "fault": {"status": 500}}, {"match": {"nth": [1, 2]}, "fault": FAULT}
    schedule = FaultSchedule(Faults.of(first, second), 0)
    statuses = [fault and fault.status for fault in (schedule.choose(call()) for _ in range(3))]
    assert statuses == [500, 503, None]


@given(st.integers(), st.permutations(range(30)))
def test_what_is_drawn_does_not_depend_on_the_order_of_arrival(seed, order):
    """Concurrent requests race; the same seed still befalls the same requests."""
    calls = [call({"n": number}) for number in range(30)]
    in_order = hits({"probability": 0.5}, calls, seed)
    shuffled = hits({"probability": 0.5}, [calls[number] for number in order], seed)
    assert [in_order[number] for number in order] == shuffled


def test_a_probability_is_a_share_and_a_seed_changes_who_it_is():
    """A repeat of one request is drawn anew, so a retry can get through."""
    distinct = [call({"n": number}) for number in range(2000)]
    for calls in (distinct, [call()] * 2000):
        assert 0.07 < sum(hits({"probability": 0.1}, calls)) / 2000 < 0.13
        assert hits({"probability": 0.1}, calls, seed=1) != hits({"probability": 0.1}, calls, seed=2)
    assert not any(hits({"probability": 0}, distinct))
    assert all(hits({"probability": 1}, distinct))
