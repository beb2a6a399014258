"""An OpenTelemetry collector: takes OTLP/HTTP, decodes it, and keeps what it was told."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class ToldSpan:
    """A span as it arrived; ids in hex, times in nanoseconds."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    is_error: bool
    began: int
    ended: int
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Collector:
    """What arrived so far.

    Attributes:
        url: for OTEL_EXPORTER_OTLP_ENDPOINT.
        raw: every body that arrived.
        status: what it answers with.
        hangs: while set, nobody is answered.
    """

    url: str = ""
    raw: list[bytes] = field(default_factory=list)
    status: int = 200
    hangs: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    closing: threading.Event = field(default_factory=threading.Event)
    spans: list[ToldSpan] = field(default_factory=list)
    points: list[tuple[str, dict[str, Any], Any]] = field(default_factory=list)

    def variables(self, **more: str) -> dict[str, str]:
        """The environment of a run that tells this collector."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, **more}

    def named(self, name: str) -> list[ToldSpan]:
        """The spans of a name."""
        return [span for span in self.spans if span.name == name]

    def total(self, metric: str, **by: Any) -> float:
        """The sum of a counter, or the count of a histogram, over all points with these attributes."""
        wanted = {name.replace("__", "."): value for name, value in by.items()}
        found = [point for name, had, point in self.points if name == metric and wanted.items() <= had.items()]
        return sum(
            point.count if hasattr(point, "bucket_counts") else point.as_int + point.as_double for point in found
        )

    def take(self, path: str, body: bytes) -> None:
        """Takes a request in."""
        self.raw.append(body)
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                about = _values(resource.resource.attributes)
                self.spans += [_told(span, about) for scope in resource.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
                    data = getattr(metric, metric.WhichOneof("data"))
                    self.points += [(metric.name, _values(each.attributes), each) for each in data.data_points]


def _told(span: Any, resource: dict[str, Any]) -> ToldSpan:
    return ToldSpan(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        span.status.code == 2,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _values(span.attributes),
        resource,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on a free port; where it hangs, it lets go at the end."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.asked.set()
            if collector.hangs.is_set():
                collector.closing.wait(60)
                return
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.take(self.path, body)
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
