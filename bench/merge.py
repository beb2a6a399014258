"""`python -m bench.merge`: two edits of a large call flow, merged and checked, against a smaller one and `json.loads`.

Read the ratios, not the seconds. Each measurement runs in a process of its own. The flow is a tree of menus, each with
3 to 10 ways out, the last of which leads everybody to a desk. One team rewrites the prompt and adds a way at every
second menu, the other changes a target and the audio at every third, so that every sixth is merged way by way.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import time
from copy import deepcopy
from datetime import date
from itertools import pairwise
from typing import Any

SMALL, LARGE = 1_000, 10_000
#: Of ten times the nodes; and of what reading the document takes.
MAX_RATIO, MAX_TO_LOADS = 13, 25
KEYS = "123456789"


def body_of(size: int) -> dict[str, Any]:
    """A flow without findings, as Genesys writes it."""
    nodes: dict[str, Any] = {f"n{number}": _menu(number, size) for number in range(size - 2)}
    nodes["desk"] = {"id": "desk", "type": "queue", "transitionConditions": [_way("default", "bye")]}
    nodes["bye"] = {"id": "bye", "type": "disconnect", "transitionConditions": []}
    return {"id": "bench", "name": "Bench", "version": 12, "startNodeId": "n0", "nodes": nodes}


def _menu(number: int, size: int) -> dict[str, Any]:
    children = [f"n{child}" if child < size - 2 else "desk" for child in (2 * number + 1, 2 * number + 2)]
    targets = [*children, *["desk"] * (number % 8)]
    ways = [_way(f"dtmf == '{key}'", target) for key, target in zip(KEYS, targets, strict=False)]
    return {
        "id": f"n{number}",
        "type": "menu",
        "prompt": f"Menu {number}",
        "max_visits": 3,
        "properties": {"audioResource": {"id": f"audio-{number}", "type": "resource"}},
        "variables": [],
        "transitionConditions": [*ways, _way("default", "desk")][:10],
    }


def _way(condition: str, target: str) -> dict[str, str]:
    return {"condition": condition, "destinationNodeId": target}


def edits_of(base: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What two teams make of a flow."""
    ours, theirs = deepcopy(base), deepcopy(base)
    for number in range(0, len(base["nodes"]) - 2, 2):
        node = ours["nodes"][f"n{number}"]
        node["prompt"] += ", and more"
        node["transitionConditions"].insert(0, _way("no_input", "desk"))
    for number in range(0, len(base["nodes"]) - 2, 3):
        node = theirs["nodes"][f"n{number}"]
        node["properties"]["audioResource"]["id"] += "-new"
        node["transitionConditions"][-1]["destinationNodeId"] = "bye"
    return ours, theirs


def case(size: int) -> dict[str, float]:
    """Seconds of CPU of the parts, each the best of three, in this process."""
    from cordboard.ivr.dialects.genesys import from_genesys  # noqa: PLC0415
    from cordboard.ivr.merge import merge  # noqa: PLC0415
    from cordboard.ivr.topology import check_flow  # noqa: PLC0415

    base = body_of(size)
    text = json.dumps(base)
    flows = [from_genesys(body) for body in (base, *edits_of(base))]
    best: dict[str, float] = {}
    for _ in range(3):
        gc.collect()
        times = [time.process_time()]
        json.loads(text)
        times.append(time.process_time())
        merged = merge(*flows)
        times.append(time.process_time())
        assert merged.flow is not None, merged.conflicts[:3]
        findings = check_flow(merged.flow, today=date(2026, 1, 1))
        times.append(time.process_time())
        assert not [each for each in findings if each.rule not in {"ivr/batch-limit", "ivr/node-limit"}], findings[:3]
        for name, (start, end) in zip(("loads", "merge", "check"), pairwise(times), strict=True):
            best[name] = min(best.get(name, end - start), end - start)
    return best


def measure(size: int) -> dict[str, float]:
    """One size in a process of its own."""
    command = [sys.executable, "-m", "bench.merge", "--size", str(size)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def main() -> None:
    """Measures and prints the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, help="measure a flow of so many nodes in this process, and print JSON")
    args = parser.parse_args()
    if args.size:
        print(json.dumps(case(args.size)))
        return
    small, large = measure(SMALL), measure(LARGE)
    for size, found in ((SMALL, small), (LARGE, large)):
        parts = ", ".join(f"{name} {seconds * 1000:.0f} ms" for name, seconds in found.items())
        print(f"{size:>6,} nodes: {parts}")
    both = [found["merge"] + found["check"] for found in (small, large)]
    print(f"  merge and check / ten times smaller {both[1] / both[0]:.1f} (aim: at most {MAX_RATIO})")
    print(f"  merge / json.loads {large['merge'] / large['loads']:.1f}")
    print(f"  merge and check / json.loads {both[1] / large['loads']:.1f} (aim: at most {MAX_TO_LOADS})")


if __name__ == "__main__":
    main()
