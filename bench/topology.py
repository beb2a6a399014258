"""`python -m bench.topology`: large call flows against ten times smaller ones, and against plain networkx.

Read the ratios, not the seconds. Each measurement runs in a process of its own. A flow of n nodes has 2n transitions:
blocks of ten nodes, three of them menus that ask for a key and give up after three tries, joined to a tree whose leaves
end the call. It has no faults, so that every rule looks at every node.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from cordboard.ivr.model import Flow, Limits, Node, Transition

BLOCK = 10
SMALL, LARGE = 100_000, 1_000_000
MAX_RATIO, MIN_GAIN = 12, 5


def flow_of(size: int) -> Flow:
    """A flow of about so many nodes, and twice as many transitions."""
    blocks = size // BLOCK
    return Flow(
        id="ivr_bench",
        start="node_0_first",
        nodes=tuple(node for block in range(blocks) for node in _nodes(block)),
        transitions=tuple(way for block in range(blocks) for way in _transitions(block, blocks)),
        limits=Limits(max_connections=2 * size),
    )


def _nodes(block: int) -> Iterator[Node]:
    for name in ("first", "second", "third"):
        yield Node(f"node_{block}_{name}", "menu", prompt="Press one or two.", max_visits=3)
    for name in ("sorry", "hours", "left", "right", "agent"):
        yield Node(f"node_{block}_{name}", "prompt")
    yield Node(f"node_{block}_end", "terminal")
    yield Node(f"node_{block}_bye", "disconnect")


def _transitions(block: int, blocks: int) -> Iterator[Transition]:
    def to(name: str) -> str:
        return f"node_{block}_{name}"

    def child(number: int) -> str:
        other = 2 * block + number
        return f"node_{other}_first" if other < blocks else to("bye")

    for menu, one, two in (("first", "second", "third"), ("second", "left", "hours"), ("third", "right", "agent")):
        yield Transition(to(menu), to(one), "dtmf == '1'")
        yield Transition(to(menu), to(two), "dtmf == '2'")
        yield Transition(to(menu), to("sorry"), "no_input")
        yield Transition(to(menu), to("sorry"), type="default")
        yield Transition(to(menu), to("end"), type="fallback")
    yield Transition(to("sorry"), to("first"), type="default")
    yield Transition(to("hours"), to("bye"), type="default")
    yield Transition(to("left"), child(1), type="default")
    yield Transition(to("right"), child(2), type="default")
    yield Transition(to("agent"), to("end"), type="default")


def _ours(flow: Flow) -> int:
    from cordboard.ivr.topology import check_flow  # noqa: PLC0415 (each case pays for its own libraries)

    return len(check_flow(flow, today=date(2026, 1, 1)))


def _plain(flow: Flow) -> int:
    from bench.plain_topology import plain_check  # noqa: PLC0415

    return len(plain_check(flow))


def _graph_only(flow: Flow) -> int:
    """What networkx takes for the graph alone: built, searched from the start, cut into groups, once each."""
    import networkx as nx  # noqa: PLC0415

    from bench.plain_topology import graph_of  # noqa: PLC0415

    graph = graph_of(flow)
    nx.descendants(graph, flow.start)
    return sum(1 for _ in nx.strongly_connected_components(graph)) and 0


CASES: dict[str, Callable[[Flow], int]] = {"ours": _ours, "plain": _plain, "graph": _graph_only}


def case(name: str, size: int) -> dict[str, Any]:
    """One measurement, in this process."""
    flow = flow_of(size)
    gc.collect()  # what was put off while the flow was built must not fall into the measurement
    before = time.perf_counter()
    findings = CASES[name](flow)
    seconds = time.perf_counter() - before
    assert findings == 0, f"{findings} findings in a flow without faults"
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measure(name: str, size: int, runs: int) -> dict[str, float]:
    """The best of several runs, each in a process of its own."""
    command = [sys.executable, "-m", "bench.topology", "--case", name, "--size", str(size)]
    found = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout) for _ in range(runs)
    ]
    return {figure: min(run[figure] for run in found) for figure in ("seconds", "peak_mb")}


def main() -> None:
    """Measures and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="runs of each small case; the best counts (default: 3)")
    parser.add_argument("--case", choices=CASES, help="measure one case in this process, and print JSON")
    parser.add_argument("--size", type=int, default=SMALL, help="nodes of that case (default: 100,000)")
    parser.add_argument("--small", action="store_true", help="leave out the flow of a million nodes")
    args = parser.parse_args()
    if args.case:
        print(json.dumps(case(args.case, args.size)))
        return
    small = measure("ours", SMALL, args.runs)
    report("ours, 100,000 nodes", small)
    for name, title in (("plain", "plain networkx, 100,000 nodes"), ("graph", "networkx, the graph alone")):
        other = measure(name, SMALL, args.runs)
        report(title, other)
        aim = f" (aim: at least {MIN_GAIN})" if name == "plain" else ""
        print(f"  time / ours {other['seconds'] / small['seconds']:.1f}{aim}")
    if not args.small:
        large = measure("ours", LARGE, 1)
        report("ours, 1,000,000 nodes", large)
        ratios = {figure: large[figure] / small[figure] for figure in small}
        print(f"  time / small {ratios['seconds']:.1f}, peak memory / small {ratios['peak_mb']:.1f} (aim: {MAX_RATIO})")


def report(title: str, figures: dict[str, float]) -> None:
    """Prints one line."""
    print(f"{title:<32}{figures['seconds']:>8.2f} s{figures['peak_mb']:>8.0f} MB", flush=True)


if __name__ == "__main__":
    main()
