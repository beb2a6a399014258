"""A chain as a Prefect flow: what runs, what is skipped, what is kept, what the document says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cordboard.errors import InvalidDocument

pytestmark = [pytest.mark.prefect]

EXAMPLE = Path("examples/customer_sync.yaml")


def statuses(document: dict[str, Any]) -> dict[str, str]:
    return {name: action["status"] for name, action in document["actions"].items()}


def test_the_example_chain_completes_and_values_keep_their_types(vendor: Any, run: Any, checkout: Path) -> None:
    box = vendor()
    document = run(box, EXAMPLE, params={"account_id": "ACC-1001"})
    assert document["status"] == "completed"
    assert document["actions"]["notify_each"]["output"] == [
        {"contact": "CON-11", "delivered": True},
        {"contact": "CON-12", "delivered": True},
        {"contact": "CON-13", "delivered": True},
    ]
    assert document["latency"]["count"] == 6
    assert document["critical_path"][:2] == ["fetch_customer", "enrich"]


def test_bound_values_reach_the_vendor_as_what_they_are(vendor: Any, run: Any) -> None:
    """The script that this project replaces sent `7` as '7' and a list as its Python text."""
    box = vendor(source={"output": {"n": 7, "yes": True, "none": None, "list": [1, "+15551234567"], "text": "007"}})
    run(
        box,
        """
        kind: chain
        name: types
        actions:
          source: {definition_id: def-source}
          sink:
            definition_id: def-echo
            inputs: {all: "{{ source }}", n: "{{ source.n }}", list: "{{ source.list }}", mixed: "n={{ source.n }}"}
        """,
    )
    (sent,) = box.truth.requests_for("def-echo")
    assert sent.inputs == {
        "all": {"n": 7, "yes": True, "none": None, "list": [1, "+15551234567"], "text": "007"},
        "n": 7,
        "list": [1, "+15551234567"],
        "mixed": "n=7",
    }


def test_an_undefined_name_fails_its_action_and_nothing_is_sent_for_it(vendor: Any, run: Any) -> None:
    """The script that this project replaces rendered it as empty text and sent that."""
    box = vendor(source={"output": {"customer_id": 1}})
    document = run(
        box,
        """
        kind: chain
        name: undefined
        actions:
          source: {definition_id: def-source}
          sink: {definition_id: def-echo, inputs: {id: "{{ source.customer_idd }}"}}
        """,
    )
    error = document["actions"]["sink"]["error"]
    assert error["kind"] == "binding"
    assert "actions.sink.inputs.id" in error["message"] and "customer_id" in error["message"]
    assert box.truth.requests_for("def-echo") == ()


def test_a_failure_skips_its_dependants_only_and_finished_branches_keep_their_results(vendor: Any, run: Any) -> None:
    """The script that this project replaces threw every result away at the first failure."""
    box = vendor(bad={"fail": {"status": 422, "message": "no such record"}})
    document = run(
        box,
        """
        kind: chain
        name: branches
        actions:
          bad: {definition_id: def-bad}
          after_bad: {definition_id: def-echo, depends_on: [bad]}
          after_after: {definition_id: def-echo, depends_on: [after_bad]}
          good: {definition_id: def-echo, inputs: {x: 1}}
          after_good: {definition_id: def-echo, inputs: {y: "{{ good.x }}"}}
        """,
    )
    assert document["status"] == "partial"
    assert statuses(document) == {
        "bad": "failed",
        "after_bad": "skipped",
        "after_after": "skipped",
        "good": "completed",
        "after_good": "completed",
    }
    assert document["actions"]["after_good"]["output"] == {"y": 1}
    assert document["actions"]["after_after"]["reason"] == "after_bad was skipped"
    assert document["failure_kinds"] == {"rejected": 1}


def test_independent_actions_run_at_the_same_time(vendor: Any, run: Any) -> None:
    """The script that this project replaces ran them one after another. Each of these waits for all the others."""
    box = vendor(wait={"echo": True, "delay_ms": 250})
    actions = "\n".join(f"          a{n}: {{definition_id: def-wait, inputs: {{n: {n}}}}}" for n in range(8))
    document = run(box, f"\n        kind: chain\n        name: wide\n        actions:\n{actions}\n")
    assert document["status"] == "completed"
    assert box.truth.max_in_flight == 8


def test_calls_in_flight_are_bounded(vendor: Any, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORDBOARD_IN_FLIGHT", "3")
    box = vendor(wait={"echo": True, "delay_ms": 20})
    items = list(range(12))
    run(box, _fan(), params={"items": items})
    assert box.truth.max_in_flight == 3


def test_a_fan_out_keeps_order_and_records_every_item(vendor: Any, run: Any) -> None:
    box = vendor(wait={"echo": True})
    document = run(box, _fan(), params={"items": [{"id": n} for n in range(1200)]})
    output = document["actions"]["each"]["output"]
    assert [item["value"]["id"] for item in output] == list(range(1200))
    assert document["actions"]["each"]["items"] == {"completed": 1200}
    assert len(box.truth.effects_of("def-wait")) == 1200


def test_items_that_fail_are_named_and_the_others_kept(vendor: Any, run: Any) -> None:
    box = vendor({"match": {"inputs": {"value": 2}}, "fault": {"status": 404}}, wait={"echo": True})
    document = run(box, _fan(on_failure="continue"), params={"items": [1, 2, 3]})
    each = document["actions"]["each"]
    assert (each["status"], each["items"]) == ("failed", {"completed": 2, "failed": 1})
    assert [item and item["value"] for item in each["output"]] == [1, None, 3]
    assert [error["item"] for error in each["error"]["items"]] == [1]


def test_an_empty_list_is_a_fan_out_that_is_done(vendor: Any, run: Any) -> None:
    document = run(vendor(wait={"echo": True}), _fan(), params={"items": []})
    assert (document["status"], document["actions"]["each"]["output"]) == ("completed", [])


def test_a_condition_that_is_not_met_skips_the_action_and_not_what_comes_after(vendor: Any, run: Any) -> None:
    document = run(
        vendor(),
        """
        kind: chain
        name: condition
        params: {vip: {type: boolean, default: false}}
        actions:
          greet: {definition_id: def-echo, when: "{{ params.vip }}", inputs: {text: hello}}
          log: {definition_id: def-echo, inputs: {greeted: "{{ greet.text | default('nobody') }}"}}
        """,
    )
    assert statuses(document) == {"greet": "skipped", "log": "completed"}
    assert document["actions"]["log"]["output"] == {"greeted": "nobody"}
    assert document["status"] == "completed"


def test_a_fallback_stands_in_for_the_output(vendor: Any, run: Any) -> None:
    document = run(
        vendor(bad={"fail": {"status": 422, "message": "no"}}),
        """
        kind: chain
        name: fallback
        actions:
          score: {definition_id: def-bad, on_failure: {fallback: {score: 50}}}
          route: {definition_id: def-echo, inputs: {score: "{{ score.score }}"}}
        """,
    )
    assert document["status"] == "completed"
    assert document["actions"]["route"]["output"] == {"score": 50}
    assert document["actions"]["score"]["reason"].startswith("fell back after")


def test_an_output_that_breaks_its_schema_stops_what_depends_on_it(vendor: Any, run: Any) -> None:
    document = run(
        vendor(source={"output": {"id": 7}}),
        """
        kind: chain
        name: schema
        actions:
          source:
            definition_id: def-source
            output_schema: {type: object, properties: {id: {type: string}}}
          sink: {definition_id: def-echo, inputs: {id: "{{ source.id }}"}}
        """,
    )
    assert statuses(document) == {"source": "failed", "sink": "skipped"}
    assert document["failures"][0]["kind"] == "bad_output"


def test_a_timeout_ends_the_call_and_a_write_is_then_unknown(vendor: Any, run: Any) -> None:
    """The script that this project replaces gave up waiting and left the call running in a thread."""
    box = vendor({"match": {}, "fault": {"hang": {"at": "after_commit", "seconds": 60}}})
    document = run(
        box,
        """
        kind: chain
        name: slow
        actions:
          write: {definition_id: def-echo, timeout_seconds: 0.3, retries: 3}
          read: {definition_id: def-echo, timeout_seconds: 0.3, retries: 1, idempotent: true}
        """,
    )
    write, read = document["actions"]["write"], document["actions"]["read"]
    assert (write["status"], write["attempts"], write["error"]["kind"]) == ("unknown", 1, "timeout")
    assert (read["status"], read["attempts"], read["error"]["kind"]) == ("failed", 2, "timeout")


def test_a_rate_limited_action_waits_as_long_as_it_is_told_and_then_completes(vendor: Any, run: Any) -> None:
    """The script that this project replaces called itself again and again."""
    box = vendor({"match": {"nth": [1]}, "fault": {"rate_limited": {"retry_after": "1"}}})
    document = run(box, "kind: chain\nname: limited\nactions: {a: {definition_id: def-echo}}\n")
    first, second = box.truth.requests_for("def-echo")
    assert document["actions"]["a"]["attempts"] == 2
    assert second.at - first.at >= 1


def test_nothing_starts_after_the_deadline(vendor: Any, run: Any) -> None:
    box = vendor({"match": {"nth": [1]}, "fault": {"hang": {"seconds": 60}}})
    document = run(
        box,
        """
        kind: chain
        name: late
        actions:
          slow: {definition_id: def-echo, on_failure: continue}
          after: {definition_id: def-echo, depends_on: [slow]}
        """,
        deadline_seconds=0.5,
    )
    assert document["actions"]["slow"]["status"] == "unknown"
    assert document["failures"][1]["kind"] == "deadline"
    assert len(box.truth.requests_for("def-echo")) == 1


def test_a_faulty_file_sends_nothing_and_names_every_fault(vendor: Any, run: Any) -> None:
    box = vendor()
    with pytest.raises(InvalidDocument) as caught:
        run(box, "kind: chain\nname: bad\nactions:\n  a: {definition_id: def-echo, depends_on: [b, c]}\n")
    assert len(caught.value.findings) == 2
    assert box.truth.entries == ()


def test_the_trace_id_goes_to_the_vendor(vendor: Any, run: Any) -> None:
    box = vendor()
    document = run(box, "kind: chain\nname: traced\nactions: {a: {definition_id: def-echo}}\n")
    (request,) = box.truth.requests_for("def-echo")
    assert request.traceparent is not None and request.traceparent.split("-")[1] == document["trace_id"]


def _fan(on_failure: str = "stop") -> str:
    return f"""
        kind: chain
        name: fan
        params: {{items: {{type: array, required: true}}}}
        actions:
          each:
            definition_id: def-wait
            for_each: "{{{{ params.items }}}}"
            inputs: {{value: "{{{{ item }}}}"}}
            on_failure: {on_failure}
        """
