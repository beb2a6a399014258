"""Whether calls come to an end: dead ends, flows without an end, and groups of nodes that nothing leaves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cordboard.ivr.topology.fault import Fault, listed, quoted
from cordboard.ivr.topology.reach import Reach
from cordboard.ivr.topology.wiring import Wiring


def dead_ends(reach: Reach, meant: frozenset[int]) -> Iterator[Fault]:
    """Nodes that callers reach, that have no way out and do not end the call.

    Args:
        reach: where callers get to.
        meant: nodes that may have ways out under a name that is misspelt.
    """
    wiring = reach.wiring
    starts, ends = wiring.starts, wiring.ends
    for node in reach.order:
        if starts[node] == starts[node + 1] and not ends[node] and node not in meant:
            name = wiring.name(node)
            message = f"{quoted(name)} has no way out, and does not end the call"
            hint = "Connect it, name it among `terminals`, or give it the type `terminal`."
            yield Fault("dead-end", message, (name,), wiring.nodes[node].place, hint, reach.way_to(node))


def no_terminal(wiring: Wiring) -> Iterator[Fault]:
    """A flow in which nothing ends a call; where names are unknown, one of them may be meant to."""
    lost = wiring.elsewhere in wiring.targets or wiring.strays
    if wiring.nodes and not lost and not any(wiring.ends):
        hint = "Name the last nodes among `terminals`, or give them the type `terminal`."
        yield Fault("no-terminal", "no node ends the call", hint=hint)


def no_exits(reach: Reach, tangled: Iterable[list[int]], meant: frozenset[int]) -> Iterator[Fault]:
    """Groups of nodes in which callers go round, which nothing leaves and in which no call ends.

    Every node from which no end can be reached leads into one of these, or to a dead end.

    Args:
        reach: where callers get to.
        tangled: the groups in which one can go round.
        meant: nodes that may have ways out under a name that is misspelt.
    """
    wiring = reach.wiring
    for group in tangled:
        inside = set(group)
        open_ = any(wiring.ends[node] or node in meant for node in group)
        if not open_ and all(inside.issuperset(wiring.successors(node)) for node in group):
            yield _no_exit(reach, sorted(group))


def _no_exit(reach: Reach, group: list[int]) -> Fault:
    wiring, inside = reach.wiring, set(group)
    first = next((node for node in group if reach.before[node] not in inside), group[0])
    names = wiring.names(group)
    what = f"{listed(names)} leads only to itself" if len(names) == 1 else f"{listed(names)} lead only to each other"
    hint = "Add a way that leads to the end of the call."
    message = f"{what}: from there no way leads to the end of the call"
    return Fault("no-exit", message, names, wiring.nodes[first].place, hint, reach.way_to(first))
