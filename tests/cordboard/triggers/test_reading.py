"""Trigger files: what they may say, and every fault of one at once."""

import pytest

from cordboard.documents import parse_document
from cordboard.findings import Finding
from cordboard.triggers.making import make
from cordboard.triggers.model import Trigger
from cordboard.triggers.reading import read_trigger
from cordboard.triggers.templates import is_batch


def read(text: str) -> Trigger:
    trigger, findings = read_trigger(parse_document(text, "t.yaml"))
    assert trigger is not None, findings
    return trigger


def faults(text: str) -> list[tuple[int | None, str, str]]:
    trigger, findings = read_trigger(parse_document(text, "t.yaml"))
    assert trigger is None
    return [(finding.line, finding.path, finding.rule) for finding in findings]


def only(text: str) -> Finding:
    (finding,) = read_trigger(parse_document(text, "t.yaml"))[1]
    return finding


def test_the_body_is_what_the_vendor_takes_with_every_value_of_its_type() -> None:
    trigger = read("""
kind: trigger
workflow_id: wf_12345678
priority: 2
context:
  customerId: {value: CUST-99887, data_type: string}
  priorityScore: {value: "85", data_type: integer}
  requiresCallback: {value: "false", data_type: boolean}
  routingMetadata: {value: {channel: voice, queue: sales}, data_type: object}
metadata: {sourceSystem: erp_sync_module, batchId: BATCH-001}
""")
    assert not is_batch(trigger)
    key, body, wrong = make(trigger, {})
    assert (len(key), wrong) == (64, [])
    assert body == {
        "workflowId": "wf_12345678",
        "priority": 2,
        "context": {
            "customerId": "CUST-99887",
            "priorityScore": 85,
            "requiresCallback": False,
            "routingMetadata": {"channel": "voice", "queue": "sales"},
        },
        "metadata": {"sourceSystem": "erp_sync_module", "batchId": "BATCH-001"},
    }


def test_the_order_of_fields_makes_no_difference() -> None:
    first = read("{kind: trigger, workflow_id: w, context: {a: {value: '85', data_type: integer}}, metadata: {b: c}}")
    other = read("{metadata: {b: c}, context: {a: {data_type: integer, value: '85'}}, workflow_id: w, kind: trigger}")
    assert make(first, {}) == make(other, {})
    assert make(first, {})[1]["priority"] == 5


def test_every_fault_is_listed_at_once_with_its_line() -> None:
    assert faults("""kind: trigger
workflow_id: "{{ row.workflow }}"
priority: 11
context:
  a: {value: banana, data_type: integer}
  b: {value: 1, data_type: number}
  c: {data_type: string}
  d: 5
  e: {value: "{{ customer }}", data_type: string}
  f: {value: {"{{ row.x }}": 1}, data_type: object}
  g: {value: "{{ row.x + 1 }}", data_type: integer}
metadata:
  n: 5
  l: "{{ nobody.x }}"
key: fixed
extra: 1
""") == [
        (2, "workflow_id", "trigger/template"),
        (3, "priority", "trigger/value"),
        (5, "context.a.value", "trigger/value"),
        (6, "context.b.data_type", "trigger/shape"),
        (7, "context.c.value", "trigger/missing"),
        (8, "context.d", "trigger/shape"),
        (9, "context.e.value", "trigger/unknown-name"),
        (10, "context.f.value.{{ row.x }}", "trigger/template"),
        (11, "context.g.value", "trigger/template"),
        (13, "metadata.n", "trigger/shape"),
        (14, "metadata.l", "trigger/unknown-name"),
        (15, "key", "trigger/key"),
        (16, "extra", "trigger/unknown-key"),
    ]


@pytest.mark.parametrize("priority", ["0", "11", "2.0", "true", '"high"', "null", "[1]", '" 2"'])
def test_a_priority_is_a_whole_number_from_1_to_10(priority: str) -> None:
    assert faults(f"kind: trigger\nworkflow_id: w\npriority: {priority}") == [(3, "priority", "trigger/value")]


def test_sizes_have_limits() -> None:
    large = "x" * 33_000
    text = f"kind: trigger\nworkflow_id: w\ncontext:\n  a: {{value: {large}, data_type: string}}\n"
    assert "32768 are allowed" in only(text).message
    pairs = "".join(f"  m{number}: x\n" for number in range(51))
    assert "50 entries" in only(f"kind: trigger\nworkflow_id: w\nmetadata:\n{pairs}").message
    long = f"kind: trigger\nworkflow_id: w\nmetadata:\n  a: {'x' * 257}\n"
    assert "256 are allowed" in only(long).message


def test_names_that_exist_are_offered_for_those_that_do_not() -> None:
    assert only("kind: trigger\nworkflow_id: w\npriorty: 1").hint == "Did you mean priority?"
    assert "row.customer" in only("kind: trigger\nworkflow_id: w\nkey: '{{ customer }}'").hint


@pytest.mark.parametrize("text", ["[]", "5", "kind: chain", "workflow_id: w"])
def test_what_is_no_trigger_is_said_in_one_sentence(text: str) -> None:
    assert only(text).rule == "kind/no-trigger"
