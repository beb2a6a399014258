"""Every request is told of, also one that is cut off, and a call that never becomes one; webhooks carry a trace on."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from cordboard.redaction import Redactor
from cordboard.sandbox import default_definition, running_sandbox
from cordboard.telemetry import telling
from cordboard.telemetry.exporting import Exporting
from cordboard.vendors.attempts import SessionLimits
from cordboard.vendors.cxone import execute_data_action
from cordboard.vendors.restraint import BREAKS_AFTER
from cordboard.vendors.session import VendorSession
from cordboard.vendors.telling import VENDOR_LOG
from cordboard.vendors.trace_context import trace_id_of, traceparent
from cordboard.vendors.webhook import Endpoint, WebhookSender
from tests.collector import collecting

REQUEST = execute_data_action("def-echo", {}, idempotent=False)
TRACE = "0af7651916cd43dd8448eb211c80319c"
SECRET = "whsec_" + "c2VjcmV0" * 4


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The facts of each line so far."""
    return [record.__dict__["cordboard"] for record in caplog.records if record.name == VENDOR_LOG]


def test_a_request_that_is_cut_off_is_told_of(raw_vendor: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, VENDOR_LOG)

    async def main() -> None:
        async with raw_vendor(lambda *_: asyncio.sleep(60)) as vendor, VendorSession(vendor.url) as session:
            call = asyncio.create_task(session.call(REQUEST, timeout_seconds=30))
            await vendor.asked.wait()
            call.cancel()
            await asyncio.wait([call])

    asyncio.run(main())
    (line,) = told(caplog)
    assert (line["attempt"], line["outcome"], line["error_type"]) == (1, "unknown", "cancelled")


def test_a_call_that_is_never_sent_says_why(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, VENDOR_LOG)

    async def main() -> None:
        async with VendorSession("http://127.0.0.1:9") as session:
            await session.call(REQUEST, timeout_seconds=1, deadline=0.0)

    asyncio.run(main())
    (line,) = told(caplog)
    assert (line["attempt"], line["error_type"], line["operation"]) == (0, "deadline", "cxone.data_action.execute")


def test_a_vendor_that_is_left_alone_is_told_of_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        telemetry = Exporting()
        with telling(telemetry):
            async with VendorSession("http://127.0.0.1:9", limits=SessionLimits(retry_attempts=1)) as session:
                for _ in range(BREAKS_AFTER + 2):
                    await session.call(REQUEST, timeout_seconds=1)
        await telemetry.close()

    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        asyncio.run(main())
    (warning,) = [each for each in caplog.records if each.name == VENDOR_LOG and each.levelno == logging.WARNING]
    assert warning.getMessage().startswith("127.0.0.1 is left alone for a while: nothing was sent: ")
    assert collector.total("cordboard.vendor.breaker.open") == 1
    assert collector.total("cordboard.vendor.attempts") == BREAKS_AFTER
    assert collector.total("cordboard.vendor.calls", cordboard__outcome="refused") == BREAKS_AFTER + 2


def test_what_a_vendor_says_is_masked_at_its_source(raw_vendor: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A handler of somebody else, which knows nothing of masks, writes the same line."""
    caplog.set_level(logging.INFO, VENDOR_LOG)

    async def says(_: bytes, writer: asyncio.StreamWriter) -> None:
        body = b'{"message":"a-secret is wrong"}'
        writer.write(b"HTTP/1.1 422 X\r\nx-request-id: a-secret\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    async def main() -> None:
        async with raw_vendor(says) as vendor, VendorSession(vendor.url, redactor=Redactor(["a-secret"])) as session:
            await session.call(REQUEST, timeout_seconds=5)

    asyncio.run(main())
    assert len(told(caplog)) == 1
    assert "a-secret" not in caplog.text and "a-secret" not in str(told(caplog))


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("body", [{"trace_id": "of the run"}, {"trace_id": TRACE}, {"trace_id": 7}, {}, []])
def test_a_webhook_carries_on_the_trace_of_its_run(observed: bool, body: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of this run: under the span that sends it. Of an earlier one: in that one's trace. Of none: of who sends it."""

    async def main(url: str) -> tuple[str, str]:
        telemetry = Exporting() if observed else None
        async with WebhookSender(Endpoint("hooks", url, SECRET)) as sender:
            if telemetry is None:
                await sender.send("msg_1", json.dumps(body))
                return "", ""
            with telling(telemetry), telemetry.span("run test") as run:
                said = {"trace_id": run.trace_id} if body == {"trace_id": "of the run"} else body
                await sender.send("msg_1", json.dumps(said))
            await telemetry.close()
            return run.trace_id, run.span_id

    with collecting() as collector, running_sandbox(default_definition()) as box:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        trace_id, run_span = asyncio.run(main(f"{box.base_url}/webhooks/status"))
        (hook,) = box.truth.webhooks
    sends = [f"00-{span.trace_id}-{span.span_id}-01" for span in collector.named("POST")]
    if body == {"trace_id": TRACE}:
        assert hook.traceparent == traceparent(TRACE, "msg_1")
    else:
        assert hook.traceparent == (sends[0] if observed else None)
    assert [span.parent_id for span in collector.named("POST")] == ([run_span] if observed else [])
    assert all(span.trace_id == trace_id for span in collector.spans)


@pytest.mark.parametrize(
    "header",
    ["", "x", f"00-{TRACE}-b7ad6b7169203331", f"00-{'0' * 32}-b7ad6b7169203331-01", f"00-{TRACE.upper()}-1-01"],
)
def test_a_traceparent_that_is_none_names_no_trace(header: str) -> None:
    assert trace_id_of(header) == ""
