"""`python -m bench.prove`: properties of every call of a large flow, decided.

The flow is a tree of menus with three tries each, as a large hospital would have it: sorry prompts, a star that leads
back to the main menu, zero for the operator. Aim: a flow of 1,000 nodes in at most 2 s, every property.
"""

from __future__ import annotations

import argparse
import time

from cordboard.ivr.model import Flow, Node, Transition
from cordboard.ivr.paths import properties_of, prove
from cordboard.ivr.trace import compile_flow

AIM_SECONDS = 2
CLAIMS = (
    {"kind": "every-call-ends"},
    {"kind": "digit-reaches", "digit": "0", "types": "queue"},
    {"kind": "never-before", "node": "queue_7", "before": "menu_0"},
    {"kind": "never", "node": "broken"},
    {"kind": "reaches-within", "inputs": 9},
)


def large_flow(menus: int, back: bool, fan: int = 4) -> Flow:
    """A tree of menus.

    Args:
        menus: how many of them; each brings four more nodes with it.
        back: whether a star leads back to the main menu.
        fan: how many menus lie behind each.
    """
    nodes = [
        Node("start", "start"),
        Node("end", "terminal"),
        Node("operator", "queue", "Operator"),
        Node("broken", "prompt"),
    ]
    ways = [Transition("start", "menu_0", type="default"), Transition("operator", "end", type="default")]
    ways += [Transition("broken", "end", type="default")]
    for number in range(menus):
        menu, sorry, silence, queue = (f"{kind}_{number}" for kind in ("menu", "sorry", "silence", "queue"))
        nodes += [
            Node(menu, "menu", prompt=f"Menu {number}", max_visits=3),
            Node(sorry, "prompt"),
            Node(silence, "prompt"),
        ]
        nodes += [Node(queue, "queue", f"Queue {number}")]
        ways += [Transition(menu, sorry, type="default"), Transition(menu, "operator", type="fallback")]
        ways += [Transition(menu, silence, "no_input"), Transition(menu, "operator", "dtmf == '0'")]
        ways += [Transition(one, menu, type="default") for one in (sorry, silence)]
        ways += [Transition(menu, queue, "dtmf == '9'"), Transition(queue, "end", type="default")]
        behind = range(number * fan + 1, min(number * fan + fan + 1, menus))
        ways += [Transition(menu, f"menu_{child}", f"dtmf == '{key}'") for key, child in enumerate(behind, 1)]
        if back and number:
            ways.append(Transition(menu, "menu_0", "dtmf == '*'"))
    return Flow("ivr_large", "start", tuple(nodes), tuple(ways))


def main() -> None:
    """Measures and prints the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--menus", type=int, default=249, help="menus; each brings three more nodes (default: 249)")
    args = parser.parse_args()
    for back in (False, True):
        flow = large_flow(args.menus, back)
        print(f"{len(flow.nodes)} nodes, {'with' if back else 'without'} a way back to the main menu")
        program = compile_flow(flow)
        for claim in properties_of(CLAIMS):
            before = time.perf_counter()
            (verdict,) = prove(program, [claim])
            taken = time.perf_counter() - before
            print(f"  {taken:6.2f} s  {verdict.status:9} {verdict.message[:100]} ({verdict.states} states)")
    print(f"aim: at most {AIM_SECONDS} s each")


if __name__ == "__main__":
    main()
