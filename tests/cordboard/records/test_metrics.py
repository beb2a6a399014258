"""Numbers of a run: percentiles that were really measured, failures by kind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cordboard.records.metrics import failure_distribution, latency_summary


def test_percentiles_of_a_hundred_values() -> None:
    found = latency_summary(float(number) for number in range(100, 0, -1))
    assert found == {
        "count": 100, "min": 1, "p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100, "mean": 50.5,
    }  # fmt: skip


def test_no_values_have_no_percentiles() -> None:
    assert latency_summary([]) == {"count": 0}


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_measured_values_in_order(values: list[float]) -> None:
    """Nothing is interpolated: with few calls, a p99 that nobody waited for would be an invention."""
    found = latency_summary(values)
    ladder = [found[name] for name in ("min", "p50", "p90", "p95", "p99", "max")]
    assert ladder == sorted(ladder)
    assert set(ladder) <= set(values)
    assert sum(value <= found["p90"] for value in values) >= 0.9 * len(values)


def test_failures_are_counted_the_most_frequent_first() -> None:
    found = failure_distribution(["timeout", "rejected", "timeout", "bad_reply"])
    assert list(found.items()) == [("timeout", 2), ("bad_reply", 1), ("rejected", 1)]
