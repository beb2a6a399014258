"""Exports spans and metrics to an OpenTelemetry collector, over OTLP/HTTP.

The one module that needs the extra `cordboard[telemetry]`, imported only where a collector is configured. Its providers
are its own, and not those of the process: what other libraries record, such as parameters of Prefect's runs, is not
exported by it. A span that is current already, such as one of Prefect's, is the parent of ours all the same.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Counter, Histogram, Meter, UpDownCounter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, format_span_id, format_trace_id

from cordboard import __version__
from cordboard.telemetry.labels import Value, attributes_of, labels
from cordboard.telemetry.masking import masked
from cordboard.telemetry.metrics import METRICS, Metric
from cordboard.telemetry.retelling import retell
from cordboard.telemetry.telemetry import Span, Telemetry

CLOSE_SECONDS = 3.0  # a run ends no later than this for a collector that does not answer
SERVICE = "cordboard"
QUEUE = 16_384  # spans that wait for the collector; a large fan-out makes a thousand a second
_LOOK_SECONDS = 0.02
_NONE: Mapping[str, Value] = {}
log = logging.getLogger("cordboard.telemetry")


class ExportedSpan(Span):
    """A span that a collector gets."""

    def __init__(self, span: OtelSpan) -> None:
        context = span.get_span_context()
        self._span = span
        self.trace_id, self.span_id = format_trace_id(context.trace_id), format_span_id(context.span_id)
        # Of its flags only "sampled": a vendor that knows the first edition of the standard expects no other.
        self.traceparent = f"00-{self.trace_id}-{self.span_id}-0{context.trace_flags & 1}"

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Adds attributes, masked."""
        self._span.set_attributes(_safe(attributes))

    def fail(self, kind: str) -> None:
        """Marks it as an error; no text goes along."""
        self._span.set_attribute("error.type", masked(kind))
        self._span.set_status(Status(StatusCode.ERROR))


class Exporting(Telemetry):
    """Exports what it is told.

    Args:
        spans: whether to export spans.
        metrics: whether to export metrics.
        close_seconds: how long `close` waits for the collector.
    """

    is_on = True

    def __init__(self, *, spans: bool = True, metrics: bool = True, close_seconds: float = CLOSE_SECONDS) -> None:
        retell(os.environ)
        self._close_seconds = close_seconds
        self._shutdowns: list[Callable[[], object]] = []
        resource = _resource()
        self._tracer = self._spans(resource) if spans else None
        self._instruments = self._metrics(resource) if metrics else {}

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, Value] = _NONE, *, client: bool = False) -> Iterator[Span]:
        """Opens a span, as `Telemetry` has it."""
        if self._tracer is None:
            yield Span()
            return
        known = _safe({**attributes_of(labels()), **attributes})
        kind = SpanKind.CLIENT if client else SpanKind.INTERNAL
        # What an exception says may hold what nobody but the run may know: only its name is told.
        opened = self._tracer.start_as_current_span(
            masked(name), kind=kind, attributes=known, record_exception=False, set_status_on_exception=False
        )
        with opened as span:
            told = ExportedSpan(span)
            try:
                yield told
            except BaseException as error:
                told.fail(type(error).__name__)
                raise

    def measure(self, metric: str, value: float, attributes: Mapping[str, Value] = _NONE) -> None:
        """Takes a measurement, as `Telemetry` has it."""
        instrument = self._instruments.get(metric)
        if isinstance(instrument, Histogram):
            instrument.record(value, attributes)
        elif instrument is not None:
            instrument.add(value, attributes)

    async def close(self) -> None:
        """Sends what is left, in threads that the process does not wait for at its end."""
        threads = [threading.Thread(target=_quietly, args=(shut,), daemon=True) for shut in self._shutdowns]
        for thread in threads:
            thread.start()
        by = asyncio.get_running_loop().time() + self._close_seconds
        while any(thread.is_alive() for thread in threads):
            if asyncio.get_running_loop().time() >= by:
                log.warning(
                    "the collector did not take everything within %g s; what is left is lost", self._close_seconds
                )
                return
            await asyncio.sleep(_LOOK_SECONDS)

    def _spans(self, resource: Resource) -> Tracer:
        queue = None if os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") else QUEUE
        processor = BatchSpanProcessor(OTLPSpanExporter(), max_queue_size=queue)
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        provider.add_span_processor(processor)
        self._shutdowns.append(processor.shutdown)
        return provider.get_tracer(SERVICE, __version__)

    def _metrics(self, resource: Resource) -> dict[str, Counter | UpDownCounter | Histogram]:
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        provider = MeterProvider([reader], resource, shutdown_on_exit=False)
        self._shutdowns.append(partial(provider.shutdown, self._close_seconds * 1000))
        meter = provider.get_meter(SERVICE, __version__)
        return {name: _instrument(meter, name, metric) for name, metric in METRICS.items()}


def _instrument(meter: Meter, name: str, metric: Metric) -> Counter | UpDownCounter | Histogram:
    if metric.kind == "counter":
        return meter.create_counter(name, metric.unit, metric.says)
    if metric.kind == "updown":
        return meter.create_up_down_counter(name, metric.unit, metric.says)
    return meter.create_histogram(name, metric.unit, metric.says, explicit_bucket_boundaries_advisory=metric.bounds)


def _resource() -> Resource:
    """Who tells it. Each run is an instance of its own: two that run at once must not write one series."""
    stated = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    ours: dict[str, str] = {}
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in stated:
        ours["service.name"] = SERVICE
    if "service.instance.id=" not in stated:
        ours["service.instance.id"] = str(uuid.uuid4())
    return Resource.create(ours | {"service.version": __version__})


def _safe(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {name: masked(value) if isinstance(value, str) else value for name, value in attributes.items()}


def _quietly(shut: Callable[[], object]) -> None:
    try:
        shut()
    except Exception as error:
        log.warning("the collector did not take everything (%s); what is left is lost", type(error).__name__)
