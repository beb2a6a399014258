"""Latencies of any number of calls in a few kilobytes, to within one per cent."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from cordboard.records.metrics import PERCENTILES

_STEP = math.log(1.01)
_SMALLEST_MS = 0.001


@dataclass(slots=True)
class Histogram:
    """Counts by magnitude; each bucket is one per cent wide.

    >>> seen = Histogram()
    >>> for latency_ms in range(1, 101):
    ...     seen.add(latency_ms)
    >>> round(seen.summary()["p50"])
    50
    """

    buckets: Counter[int] = field(default_factory=Counter)
    total: float = 0.0
    least: float = math.inf
    most: float = 0.0

    def add(self, milliseconds: float) -> None:
        """Takes in one latency."""
        self.buckets[round(math.log(max(milliseconds, _SMALLEST_MS)) / _STEP)] += 1
        self.total += milliseconds
        self.least, self.most = min(self.least, milliseconds), max(self.most, milliseconds)

    def summary(self) -> dict[str, float]:
        """As `latency_summary`: `count`, `min`, percentiles, `max` and `mean`; `count` alone where there is none."""
        count = self.buckets.total()
        if not count:
            return {"count": 0}
        ranks = {f"p{percent}": self._at(math.ceil(count * percent / 100)) for percent in PERCENTILES}
        mean = self.total / count
        return {"count": count, "min": _short(self.least), **ranks, "max": _short(self.most), "mean": _short(mean)}

    def _at(self, rank: int) -> float:
        """The latency of a rank, from 1, never outside what was measured."""
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            if seen >= rank:
                return _short(min(max(math.exp(bucket * _STEP), self.least), self.most))
        return _short(self.most)


def _short(milliseconds: float) -> float:
    return round(milliseconds, 3)
