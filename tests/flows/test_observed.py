"""What a chain tells a collector and a log: real runs, a real OTLP collector, a vendor with faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.collector import Collector, ToldSpan, collecting

pytestmark = [pytest.mark.prefect]

CHAIN = """
kind: chain
name: seen
params: {numbers: {type: array, default: [1, 2, 3]}}
actions:
  first: {definition_id: def-echo, inputs: {text: hello}}
  again: {definition_id: def-echo, idempotent: true, inputs: {text: "{{ first.text }}", fault: busy}}
  each: {definition_id: def-echo, for_each: "{{ params.numbers }}", inputs: {n: "{{ item }}"}}
"""
UNAVAILABLE = {"status": 503, "headers": {"x-request-id": "r-503"}}
BUSY = {"match": {"inputs": {"fault": "busy"}, "nth": [1]}, "fault": UNAVAILABLE}
EXECUTIONS = "/api/v2/dataactions/executions"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


def attempts_below(collector: Collector, parent: ToldSpan) -> list[ToldSpan]:
    """The requests to the vendor that a part of the run made, in order."""
    found = [span for span in collector.named(f"POST {EXECUTIONS}") if span.parent_id == parent.span_id]
    return sorted(found, key=lambda span: span.began)


def test_a_chain_is_one_trace_that_the_vendor_goes_on_with(
    collector: Collector, vendor: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = vendor(BUSY)
    monkeypatch.setenv("CORDBOARD_WEBHOOK_URL", f"{box.base_url}/webhooks/status?token=hook-token")
    monkeypatch.setenv("CORDBOARD_WEBHOOK_SECRET", "whsec_" + "c2VjcmV0" * 4)
    document = run(box, CHAIN)
    assert document["status"] == "completed"
    (root,), (action,) = collector.named("run chain"), collector.named("action again")
    assert (root.parent_id, root.trace_id, action.parent_id) == ("", document["trace_id"], root.span_id)
    assert {span.trace_id for span in collector.spans} == {root.trace_id}
    assert root.attributes["cordboard.run.key"] == "seen/test"
    assert root.attributes["prefect.run.id"]

    failed, repeated = attempts_below(collector, action)
    assert failed.is_error and not repeated.is_error and not action.is_error
    assert (
        failed.attributes.items()
        >= {
            "cordboard.run.key": "seen/test",
            "cordboard.action": "again",
            "cordboard.attempt": 1,
            "cordboard.request_id": "r-503",
            "http.response.status_code": 503,
            "error.type": "unavailable",
            "url.template": EXECUTIONS,
        }.items()
    )
    assert repeated.attributes.items() >= {"cordboard.attempt": 2, "cordboard.retry.reason": "unavailable"}.items()
    assert repeated.attributes["cordboard.waited_ms"] >= 250

    (slice_span,) = collector.named("slice each")
    items = attempts_below(collector, slice_span)
    assert sorted(span.attributes["cordboard.item"] for span in items) == [0, 1, 2]
    named = {f"00-{span.trace_id}-{span.span_id}-01" for span in collector.named(f"POST {EXECUTIONS}")}
    assert {entry.traceparent for entry in box.truth.posts(EXECUTIONS)} == named  # each attempt is its own span
    told = {f"00-{span.trace_id}-{span.span_id}-01" for span in collector.named("POST")}
    hooks = [entry for entry in box.truth.webhooks if entry.traceparent]
    assert hooks and {entry.traceparent for entry in hooks} <= told

    assert collector.total("http.client.request.duration", http__response__status_code=503) == 1
    assert collector.total("cordboard.vendor.calls", cordboard__outcome="accepted", cordboard__vendor="cxone") == 5
    assert collector.total("cordboard.vendor.attempts", cordboard__vendor="cxone") == 6
    assert collector.total("cordboard.vendor.wait.duration") == 5
    assert collector.total("cordboard.ledger.commit.duration", db__system__name="sqlite") > 5
    everything = b"".join(collector.raw)
    assert b"hello" not in everything and b"hook-token" not in everything  # no parameters, bodies or addresses


def test_each_request_is_a_log_line_also_where_the_collector_hangs(
    collector: Collector, vendor: Any, start: Any, chain_file: Any
) -> None:
    """The job ends as it would without a collector, some seconds later, and says that something is lost."""
    collector.hangs.set()
    box = vendor(BUSY)
    job = start(box, "run-chain", chain_file(CHAIN), "--run-key", "nightly", "--json", CORDBOARD_LOG_FORMAT="json")
    printed, said = job.communicate(60)
    assert job.returncode == 0 and collector.asked.is_set()
    document = json.loads(printed)
    lines = [json.loads(line) for line in said.splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (line,) = [line for line in lines if line.get("request_id") == "r-503"]
    assert datetime.fromisoformat(line["time"]).utcoffset() is not None
    wanted = {
        "logger": "cordboard.vendor",
        "run_key": "seen/nightly",
        "kind": "chain",
        "chain": "seen",
        "action": "again",
        "trace_id": document["trace_id"],
        "operation": "cxone.data_action.execute",
        "attempt": 1,
        "status": 503,
        "outcome": "unknown",
        "error_type": "unavailable",
    }
    assert line.items() >= wanted.items()
    assert line["flow_run_id"] and line["latency_ms"] > 0
    (again,) = [line for line in lines if line.get("retry_reason") == "unavailable"]
    assert (again["attempt"], again["outcome"]) == (2, "accepted")
    assert sorted(line["item"] for line in lines if "item" in line) == [0, 1, 2]
    (lost,) = [line for line in lines if "what is left is lost" in line["message"]]
    assert (lost["level"], lost["run_key"]) == ("WARNING", "seen/nightly")
