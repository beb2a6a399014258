"""The metrics that a run exports: name, what it is, its unit, and what it is told apart by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

#: Bounds of latencies in seconds, as OpenTelemetry's semantic conventions advise them for HTTP.
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
#: A commit takes a millisecond, or something is wrong with the disk.
COMMIT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
#: Waiting goes on for as long as the vendor asks.
WAIT_SECONDS: Final = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        kind: a counter only grows, an up-down counter is a level, a histogram takes values.
        unit: in UCUM, as OpenTelemetry has it.
        says: what it is.
        by: its attributes.
        bounds: of a histogram's buckets.
    """

    kind: Literal["counter", "updown", "histogram"]
    unit: str
    says: str
    by: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()


_CALL = ("cordboard.vendor", "cordboard.operation")
_HTTP = ("http.request.method", "server.address", "server.port", "url.template", "http.response.status_code")

REQUESTS: Final = "http.client.request.duration"
CALLS: Final = "cordboard.vendor.calls"
ATTEMPTS: Final = "cordboard.vendor.attempts"
WAITED: Final = "cordboard.vendor.wait.duration"
WAITING: Final = "cordboard.vendor.waiting"
BREAKER: Final = "cordboard.vendor.breaker.open"
STARTS: Final = "cordboard.starts"
COMMITS: Final = "cordboard.ledger.commit.duration"

METRICS: Final[Mapping[str, Metric]] = {
    REQUESTS: Metric("histogram", "s", "Duration of each HTTP request to a vendor.", (*_HTTP, "error.type"), SECONDS),
    CALLS: Metric("counter", "{call}", "Calls, each with all its attempts.", (*_CALL, "cordboard.outcome")),
    ATTEMPTS: Metric("counter", "{request}", "Requests that were sent.", (*_CALL, "error.type")),
    WAITED: Metric("histogram", "s", "How long a call waited: for its turn, between attempts.", _CALL, WAIT_SECONDS),
    WAITING: Metric("updown", "{call}", "Calls that wait for their turn.", _CALL),
    BREAKER: Metric("updown", "{vendor}", "1 while a vendor that keeps failing is left alone.", ("server.address",)),
    STARTS: Metric("counter", "{start}", "Starts of workflow instances.", ("cordboard.result",)),
    COMMITS: Metric("histogram", "s", "How long the ledger took for a commit.", ("db.system.name",), COMMIT_SECONDS),
}
