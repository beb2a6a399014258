"""Numbers of a run: how its latencies are distributed and of what kinds its failures are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

PERCENTILES = (50, 90, 95, 99)


def latency_summary(values_ms: Iterable[float]) -> dict[str, float]:
    """The distribution of latencies.

    Args:
        values_ms: milliseconds, in any order.

    Returns:
        `count`, `min`, `p50`, `p90`, `p95`, `p99`, `max` and `mean` in milliseconds; `count` alone where there is
        none. A percentile is a value that was measured (nearest rank): of ten values, p99 is the largest.

    >>> latency_summary([30, 10, 20])["p50"]
    20
    """
    ordered = sorted(values_ms)
    if not ordered:
        return {"count": 0}
    ranks = {f"p{percent}": _nearest_rank(ordered, percent) for percent in PERCENTILES}
    mean = round(math.fsum(ordered) / len(ordered), 3)
    return {"count": len(ordered), "min": ordered[0], **ranks, "max": ordered[-1], "mean": mean}


def failure_distribution(kinds: Iterable[str]) -> dict[str, int]:
    """How often each kind of failure came up, the most frequent first, equal ones by name.

    >>> failure_distribution(["timeout", "rejected", "timeout"])
    {'timeout': 2, 'rejected': 1}
    """
    counted = Counter(kinds)
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _nearest_rank(ordered: list[float], percent: int) -> float:
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
