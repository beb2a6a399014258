"""What a collector gets: a batch of starts over a real vendor, without secrets; and how a dead one is left."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cordboard.redaction import MASK, Redactor
from cordboard.starting.pieces import start_piece
from cordboard.telemetry import labelled, masking, step, telling
from cordboard.telemetry.exporting import Exporting
from cordboard.telemetry.metrics import METRICS
from cordboard.telemetry.telemetry import NOBODY, Span
from tests.collector import Collector, ToldSpan, collecting
from tests.cordboard.starting.conftest import Place, vendor

LIMITED = {"status": 429, "headers": {"retry-after": "0.1", "x-request-id": "r-429"}}


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


def told(job: Callable[[], Any], **given: Any) -> Any:
    """Does a job of which the collector is told."""

    async def main() -> Any:
        telemetry = Exporting(**given)
        with telling(telemetry), telemetry.span("run test") as span:
            result = await job(span) if job.__code__.co_argcount else await job()
        await telemetry.close()
        return result

    return asyncio.run(main())


def below(spans: list[ToldSpan], parent: ToldSpan) -> list[ToldSpan]:
    return [span for span in spans if span.parent_id == parent.span_id]


def test_a_batch_is_told_start_by_start(collector: Collector, tmp_path: Path) -> None:
    with vendor({"match": {"method": "POST", "nth": [2]}, "fault": LIMITED}) as box:
        place = Place(box, tmp_path)
        batch = place.batch(5)

        async def start(run_span: Span) -> None:
            async with place.opened(batch) as run:
                run.trace_id = run_span.trace_id
                for _ in range(2):
                    for piece in batch.spool.pieces:
                        assert await start_piece(run, piece) == 0

        told(start)
        sent = {entry.traceparent for entry in box.truth.posts("/api/v2/workflows/instances")}
    starts, spans = collector.named("start"), collector.named("POST /api/v2/workflows/instances")
    assert len(starts) == 5
    assert {span.attributes["cordboard.result"] for span in starts} == {"done"}
    assert sorted(span.attributes["cordboard.line"] for span in starts) == [2, 3, 4, 5, 6]
    assert [span.name for span in collector.spans if span.span_id in {start.parent_id for start in starts}] == ["slice"]
    (twice,) = [span for span in starts if len(below(spans, span)) == 2]
    assert [span.attributes["cordboard.attempt"] for span in below(spans, twice)] == [1, 2]
    assert sent == {f"00-{span.trace_id}-{span.span_id}-01" for span in spans}
    assert collector.total("cordboard.starts", cordboard__result="done") == 5
    assert collector.total("cordboard.starts", cordboard__result="already_started") == 5
    assert collector.total("cordboard.vendor.attempts", error__type="rate_limited") == 1
    assert collector.total("cordboard.vendor.waiting") == 0
    everything = b"".join(collector.raw)
    assert b"r-429" in everything
    assert b"C3" not in everything  # a customer of a row


def test_every_metric_arrives_under_its_name(collector: Collector) -> None:
    async def measure() -> None:
        for name in METRICS:
            telemetry.measure(name, 1, {"cordboard.vendor": "cxone"})
        with telemetry.timed("cordboard.ledger.commit.duration"):
            pass
        await telemetry.close()

    telemetry = Exporting()
    asyncio.run(measure())
    assert {name for name, _, _ in collector.points} == set(METRICS)
    assert collector.total("cordboard.ledger.commit.duration") == 2


def test_secrets_are_masked_in_all_that_leaves(collector: Collector) -> None:
    async def leak() -> None:
        redactor = masking(Redactor(["canary-one"]))
        with labelled(run_key="key canary-one"), step("step canary-one") as span:
            redactor.learn("canary-two")
            span.note({"cordboard.request_id": "canary-two", "cordboard.attempt": 1})
            span.ended("failed", {"kind": "canary-two", "message": "canary-two"})
            raise ValueError("canary-two, which an exception says")

    asyncio.run(_flushed(leak))
    everything = b"".join(collector.raw)
    assert b"canary" not in everything
    assert MASK.encode() in everything


async def _flushed(job: Callable[[], Any]) -> None:
    telemetry = Exporting()
    with telling(telemetry), pytest.raises(ValueError):
        await job()
    await telemetry.close()


@pytest.mark.parametrize("trouble", ["hangs", "refuses", "is not there"])
def test_a_dead_collector_costs_a_run_a_moment(
    trouble: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def job() -> None:
        with step("seen"):
            pass

    caplog.set_level(logging.WARNING, "cordboard.telemetry")
    with collecting() as collector:
        collector.status = 503
        collector.hangs.set() if trouble == "hangs" else None
        url = "http://127.0.0.1:9" if trouble == "is not there" else collector.url
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        began = time.perf_counter()
        told(job, close_seconds=0.5)
        assert time.perf_counter() - began < 3
    assert any("what is left is lost" in record.getMessage() for record in caplog.records)


def test_a_span_that_is_current_already_is_the_parent(collector: Collector) -> None:
    """As where Prefect's own spans are exported by somebody else in the same process."""
    from opentelemetry import trace

    context = trace.SpanContext(int("ab" * 16, 16), int("cd" * 8, 16), True, trace.TraceFlags(1))

    async def job(span: Span) -> None:
        assert span.traceparent == f"00-{'ab' * 16}-{span.span_id}-01"

    with trace.use_span(trace.NonRecordingSpan(context)):
        told(job)
    (root,) = collector.named("run test")
    assert (root.trace_id, root.parent_id) == ("ab" * 16, "cd" * 8)


def test_nobody_is_told_of_what_is_told_to_nobody() -> None:
    with NOBODY.span("unseen") as span, NOBODY.timed("cordboard.starts"):
        span.note({"cordboard.attempt": 1})
        span.ended("failed", {"kind": "timeout"})
    assert (span.trace_id, span.traceparent) == ("", "")
