"""Makes a run observable: who is told of it, its ids in every log line, and its own span around everything."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect.runtime import flow_run

from cordboard.redaction import Redactor
from cordboard.telemetry import labelled, masking, telling
from cordboard.telemetry.labels import Value
from cordboard.telemetry.logs import set_up_run_logs
from cordboard.telemetry.opening import telemetry_from_env


@asynccontextmanager
async def observed(kind: str, redactor: Redactor, **ids: Value) -> AsyncIterator[str]:
    """Tells whoever collects of a run, from here to its end.

    Args:
        kind: what kind of job it is.
        redactor: masks the secrets of the run in all that is told.
        **ids: names of `LABELS`, such as `run_key`.

    Yields:
        The run's trace id, 32 hex digits; where nobody collects, one made up for the vendor.
    """
    masking(redactor)
    set_up_run_logs(os.environ)
    with labelled(kind=kind, flow_run_id=str(flow_run.id or ""), **ids):
        telemetry = telemetry_from_env(os.environ)
        try:
            with telling(telemetry), telemetry.span(f"run {kind}") as span:
                trace_id = span.trace_id or uuid.uuid4().hex
                with labelled(trace_id=trace_id):
                    yield trace_id
        finally:
            await telemetry.close()
