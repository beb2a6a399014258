"""`python -m bench.simulate`: local simulations of calls, against a bare Python walk over dicts of the same path.

Read the ratio, not the numbers. The bare walk is what anybody would write for one menu tree: it looks the key up in a
dict and goes on. It knows no conditions, no loops, no retries but a counter, and it trusts its input.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cordboard.ivr.model import Flow
from cordboard.ivr.reading import load_flow
from cordboard.ivr.trace import Program, compile_flow, digits, simulate

EXAMPLE = Path(__file__).parents[1] / "examples" / "hospital_menu.yaml"
MAX_RATIO = 3
CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("2", {}),
    ("9", {}),
    ("1", {"desk_is_open": True}),
    ("1", {}),
    ("70", {}),
    ("752", {}),
    ("777", {}),
    ("", {}),
)


def dicts_of(flow: Flow) -> dict[str, Any]:
    """The flow as plain dicts, for the bare walk: ways by key, and by variable where nobody is asked."""
    program = compile_flow(flow)
    nodes = {station.node.id: _dict_of(program, station.node.id) for station in program.stations}
    return {"start": flow.start, "nodes": nodes}


def _dict_of(program: Program, name: str) -> dict[str, Any]:
    station = program.stations[program.index[name]]
    ways = [way for way in program.flow.transitions if way.source == name]
    found: dict[str, Any] = {"ends": station.ends, "asks": station.asks, "max_visits": station.node.max_visits}
    found["default"] = next((way.target for way in ways if way.type == "default"), None)
    found["fallback"] = next((way.target for way in ways if way.type == "fallback"), None)
    if station.asks:
        keyed = {key: branch for key, branch in (station.answers or {}).items() if branch is not None}
        found["ways"] = {key: program.name(branch.target) for key, branch in keyed.items()}
    else:
        found["ways"] = [(way.condition, way.target) for way in ways if way.type == "conditional"]
    return found


def bare_walk(flow: dict[str, Any], pressed: str, variables: dict[str, Any]) -> dict[str, Any]:
    """One call, as short as it can be written."""
    nodes, node = flow["nodes"], flow["start"]
    path: list[str] = []
    visits: dict[str, int] = {}
    keys = iter(pressed)
    while True:
        path.append(node)
        at = nodes[node]
        if at["ends"]:
            return {"path": path, "exit": node, "variables": variables}
        visits[node] = count = visits.get(node, 0) + 1
        if at["max_visits"] and count > at["max_visits"]:
            node = at["fallback"]
        elif at["asks"]:
            node = at["ways"].get(next(keys, "no_input")) or at["default"]
        else:
            for name, target in at["ways"]:
                if variables.get(name):
                    node = target
                    break
            else:
                node = at["default"]


def best(work: Callable[[], object], runs: int) -> float:
    """The shortest of several runs, in seconds."""
    found = []
    for _ in range(runs):
        before = time.perf_counter()
        work()
        found.append(time.perf_counter() - before)
    return min(found)


def measure(rounds: int, runs: int) -> tuple[float, float]:
    """Calls a second: ours, and those of the bare walk."""
    flow = load_flow(EXAMPLE)
    program, plain = compile_flow(flow), dicts_of(flow)
    calls = [([digits(pressed)] if pressed else [], pressed, variables) for pressed, variables in CALLS]
    check(program, plain, calls)

    def ours() -> None:
        for _ in range(rounds):
            for inputs, _, variables in calls:
                simulate(program, inputs, variables)

    def bare() -> None:
        for _ in range(rounds):
            for _, pressed, variables in calls:
                bare_walk(plain, pressed, variables)

    number = rounds * len(calls)
    return number / best(ours, runs), number / best(bare, runs)


def check(program: Program, plain: dict[str, Any], calls: Sequence[tuple[Any, str, dict[str, Any]]]) -> None:
    """Both must go the same ways, or the ratio says nothing."""
    for inputs, pressed, variables in calls:
        trace, walked = simulate(program, inputs, variables), bare_walk(plain, pressed, variables)
        assert list(trace.path) == walked["path"], (pressed, trace.path, walked["path"])
        assert trace.exit == walked["exit"]


_RUN = """
import json, resource, sys, time
from flows.__main__ import main
before = time.perf_counter()
code = main(["simulate-ivr", sys.argv[1], "--report-dir", sys.argv[2], "--json"])
print(json.dumps([code, time.perf_counter() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def whole_run(cases: int) -> tuple[float, float]:
    """One `simulate-ivr` of so many cases with all reports, in a process of its own: seconds and peak MB."""
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "suite.json"
        keys = ("2", "9", "0", "777", "71")
        rows = [{"key": f"{keys[n % len(keys)]}{n:05}"} for n in range(cases)]  # what is pressed too late does nothing
        case = {"name": "call", "each": rows, "dtmf": "{{ each.key }}", "expect": {"exit": "node_end"}}
        suite.write_text(json.dumps({"kind": "ivr-suite", "name": "bench", "flow": str(EXAMPLE), "cases": [case]}))
        command = [sys.executable, "-c", _RUN, str(suite), f"{folder}/reports"]
        environment = {**os.environ, "CORDBOARD_HOME": f"{folder}/home"}
        ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    code, seconds, peak = json.loads(ended.stdout.splitlines()[-1])
    assert code == 0, ended.stderr
    return seconds, peak


def main() -> None:
    """Measures and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2000, help="rounds of the calls in one run (default: 2,000)")
    parser.add_argument("--runs", type=int, default=5, help="runs; the best counts (default: 5)")
    args = parser.parse_args()
    ours, bare = measure(args.rounds, args.runs)
    print(f"ours       {ours:>10,.0f} calls a second")
    print(f"bare walk  {bare:>10,.0f} calls a second")
    print(f"time / bare walk {bare / ours:.1f} (aim: at most {MAX_RATIO})")
    (few_seconds, few_peak), (seconds, peak) = whole_run(1_000), whole_run(10_000)
    print(f"a whole run of 1,000 cases with reports {few_seconds:.1f} s, {few_peak:.0f} MB")
    print(f"a whole run of 10,000 cases with reports {seconds:.1f} s, {peak:.0f} MB")
    print(f"10,000 / 1,000: time {seconds / few_seconds:.1f}, memory {peak / few_peak:.2f}")


if __name__ == "__main__":
    main()
