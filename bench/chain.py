"""`make bench`: chains against plain asyncio, a naive flow and the physical limit, in one run on one machine.

Read the ratios, not the seconds. Each case runs in a process of its own against one Prefect server and one vendor;
the limit of a fan-out is items x latency / calls in flight.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prefect.settings import PREFECT_API_URL
from prefect.testing.utilities import prefect_test_harness

from bench.cases import CASES, GRAPH, IN_FLIGHT, PORT

LATENCY = 0.05
LIMITS = {
    "row-50": 50 * LATENCY,
    "graph": len(GRAPH) * LATENCY,
    "fan-1000": 1_000 * LATENCY / IN_FLIGHT,
    "fan-10000": 10_000 * LATENCY / IN_FLIGHT,
}


def main() -> None:
    """Measures every case and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each case; the median counts (default: 3)")
    args = parser.parse_args()
    with vendor(), prefect_test_harness(server_startup_timeout=180):
        found = {case: measure(case, args.runs) for case in CASES}
    report(found)


@contextmanager
def vendor() -> Iterator[None]:
    """The vendor, as a process of its own."""
    child = subprocess.Popen([sys.executable, "-m", "bench.vendor", PORT])
    try:
        yield
    finally:
        child.kill()
        child.wait()


def measure(case: str, runs: int) -> dict[str, float]:
    """The median of each figure over several processes."""
    figures = [_one(case) for _ in range(runs)]
    names = [name for name in figures[0] if name != "case"]
    print(f"  {case}", file=sys.stderr, flush=True)
    return {name: statistics.median(figure[name] for figure in figures) for name in names}


def _one(case: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "PREFECT_API_URL": PREFECT_API_URL.value(),
            "PREFECT_LOGGING_LEVEL": "CRITICAL",
            "CORDBOARD_HOME": home,
            "CORDBOARD_IN_FLIGHT": str(IN_FLIGHT),
        }
        command = [sys.executable, "-m", "bench.cases", case]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def report(found: dict[str, dict[str, float]]) -> None:
    """Prints ratios; `actions` is from the first action's start to the last one's end, `flow run` is all of it."""
    print(f"\n{'':<34}{'limit':>9}{'plain':>9}{'naive':>9}{'actions':>9}{'flow run':>9}   in seconds, then as ratios")
    for shape in ("row-0", "row-50", "graph", "fan-1000", "fan-10000"):
        limit = LIMITS.get(shape)
        plain, naive = found[f"plain-{shape}"]["whole"], found.get(f"naive-{shape}", {}).get("whole")
        ours = found[f"ours-{shape}"]
        print(f"{_TITLES[shape]:<34}{_s(limit)}{_s(plain)}{_s(naive)}{_s(ours['actions'])}{_s(ours['whole'])}")
        for title, ground in (("  / limit", limit), ("  / plain asyncio", plain), ("  / naive flow", naive)):
            if ground:
                print(f"{title:<61}{ours['actions'] / ground:>9.2f}{ours['whole'] / ground:>9.2f}")
    overhead = (found["ours-row-0"]["actions"] - found["plain-row-0"]["whole"]) / 50
    empty = found["empty-tasks"]["whole"] / 50
    print(f"\nan action in a row costs {overhead * 1000:.1f} ms beside its call; an empty task {empty * 1000:.1f} ms")
    print(
        f"  all of it / empty task {overhead / empty:.2f}, our own part / empty task {(overhead - empty) / empty:.2f}"
    )
    small, large = found["ours-fan-1000"]["peak_mb"], found["ours-fan-10000"]["peak_mb"]
    print(f"peak memory: 1,000 items {small:.0f} MB, 10,000 items {large:.0f} MB, ratio {large / small:.2f}")


def _s(seconds: float | None) -> str:
    return f"{'-':>9}" if seconds is None else f"{seconds:>9.2f}"


_TITLES = {
    "row-0": "50 actions in a row, 0 ms",
    "row-50": "50 actions in a row, 50 ms",
    "graph": "20 layers of 50 actions, 50 ms",
    "fan-1000": "for_each over 1,000 items, 50 ms",
    "fan-10000": "for_each over 10,000 items, 50 ms",
}

if __name__ == "__main__":
    main()
