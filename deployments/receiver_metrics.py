"""What the receiver tells Prometheus: what it took and refused, how fast, and how the tenant stands in the ledger."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cordboard.completion.receiving import Answer
from cordboard.completion.standing import Standing, standing
from cordboard.errors import LedgerUnavailable
from cordboard.records.ledger import Ledger

#: For whoever asks: the library, left to choose by the header `accept`, raises on one that it cannot read.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SCRAPE_SECONDS = 2.0  # for the ledger; a scrape usually ends after 10
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: Every word that a refusal is counted under, so that each series is there from the start and no other ever comes.
REASONS = (
    "no_proof", "secret", "signature", "clock", "malformed", "no_json", "no_completion", "too_large", "encoded",
    "content_type", "too_slow", "hung_up", "not_stored", "no_such_path",
)  # fmt: skip
log = logging.getLogger("cordboard.receiver")


class Metrics:
    """The receiver's numbers; each receiver has its own registry.

    Args:
        ledger: where the tenant stands.
        tenant: whose completions are taken.
        scrape_seconds: how long a scrape waits for the ledger.
    """

    def __init__(self, ledger: Ledger, tenant: str, scrape_seconds: float = SCRAPE_SECONDS) -> None:
        self._ledger, self._tenant, self._scrape_seconds = ledger, tenant, scrape_seconds
        self._reading: asyncio.Task[Standing | None] | None = None
        self._registry = CollectorRegistry()
        self._standing = _Standing()
        self._registry.register(self._standing)
        ProcessCollector(registry=self._registry)
        self._taken = self._counter("completions_taken", "Completions that were stored.")
        self._repeated = self._counter("completions_repeated", "Completions that had been stored before.")
        self._refused = self._counter("completions_refused", "Requests that were refused.", "reason")
        self._events = self._counter("events_told", "Events that Prefect took.")
        self._failed_events = self._counter("events_failed", "Tries to tell Prefect that failed.")
        name, meaning = "cordboard_completions_answer_seconds", "From a request's head to its answer."
        self._seconds = Histogram(name, meaning, ["outcome"], buckets=BUCKETS, registry=self._registry)
        for reason in REASONS:
            self._refused.labels(reason)
        for outcome in ("accepted", "repeated", "refused"):
            self._seconds.labels(outcome)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"cordboard_{name}", meaning, labels, registry=self._registry)

    def watch(self, connections: Callable[[], int]) -> None:
        """Shows, from now on, how many connections are open."""
        gauge = Gauge("cordboard_receiver_connections", "Connections that are open now.", registry=self._registry)
        gauge.set_function(connections)

    def answered(self, answer: Answer, seconds: float) -> None:
        """Counts an answer to a completion, and how long it took."""
        if answer.outcome == "accepted":
            self._taken.inc()
        elif answer.outcome == "repeated":
            self._repeated.inc()
        else:
            self._refused.labels(answer.outcome).inc()
        taken = answer.outcome in ("accepted", "repeated")
        self._seconds.labels(answer.outcome if taken else "refused").observe(seconds)

    def lost_its_way(self) -> None:
        """Counts a request for another path or with another method."""
        self._refused.labels("no_such_path").inc()

    def told(self, took: bool) -> None:
        """Counts a try to tell Prefect."""
        (self._events if took else self._failed_events).inc()

    async def scrape(self) -> bytes:
        """The numbers now, in `CONTENT_TYPE`; without those of the ledger where it does not answer in time."""
        self._standing.now = await self._read()
        return generate_latest(self._registry)

    async def _read(self) -> Standing | None:
        """One question at a time: a ledger that hangs must not gather those of every scrape."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._ask(), name="scrape of the ledger")
        done, _ = await asyncio.wait([self._reading], timeout=self._scrape_seconds)
        return done.pop().result() if done else None

    async def _ask(self) -> Standing | None:
        try:
            return await standing(self._ledger, self._tenant)
        except Exception as error:  # the other numbers are told all the same
            why = error if isinstance(error, LedgerUnavailable) else type(error).__name__
            log.warning("the ledger could not be read for Prometheus: %s", why)
            return None


class _Standing(Collector):
    """The gauges of the ledger, as they were read for this scrape."""

    now: Standing | None = None

    def collect(self) -> Iterator[Metric]:
        now = self.now
        up = "cordboard_ledger_up", "Whether the ledger answered this scrape; 0 leaves out all that stands in it."
        yield GaugeMetricFamily(*up, value=0 if now is None else 1)
        if now is None:
            return
        yield _by("cordboard_inbox_messages", "Completions, by where they stand; 10,000 is that or more.", "state", {
            "new": now.waiting, "unfit": now.unfit,
        })  # fmt: skip
        yield GaugeMetricFamily(
            "cordboard_inbox_oldest_seconds", "How long the oldest completion has waited.", value=now.waiting_age
        )
        yield _by("cordboard_erp_records", "ERP records, by where they stand; 10,000 is that or more.", "state", {
            "pending": now.erp_pending, "dead": now.erp_dead,
        })  # fmt: skip
        yield GaugeMetricFamily(
            "cordboard_erp_oldest_seconds",
            "Age of the oldest record that the ERP has not taken.",
            value=now.erp_pending_age,
        )
        yield _by(
            "cordboard_instances_running", "Instances that have not ended as far as we know.", "workflow", now.running
        )
        yield GaugeMetricFamily(
            "cordboard_instances_oldest_seconds", "How long the oldest instance has run.", value=now.running_age
        )
        yield _by("cordboard_slots_used", "Places that starts hold until the next count.", "workflow", now.slots)
        yield _by(
            "cordboard_instances_counted", "Running instances by the vendor's last count.", "workflow", now.counted
        )
        yield _by("cordboard_instances_limit", "Instances that may run at once.", "workflow", now.limits)


def _by(name: str, meaning: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
