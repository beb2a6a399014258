"""Where callers get to from the start, and by which way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cordboard.ivr.topology.fault import Fault, listed
from cordboard.ivr.topology.references import Guesses
from cordboard.ivr.topology.search import groups
from cordboard.ivr.topology.wiring import Wiring

_NOT_REACHED, _BEGINNING = -2, -1
#: Ways that prove findings have so many nodes in all; in a flow of a million nodes one of them may have as many.
_MOST_PROOF = 2_000_000


@dataclass(slots=True)
class Reach:
    """The nodes that callers reach, each with the node before it on a shortest way.

    Attributes:
        wiring: the flow.
        before: the node before each; -1 where a way begins, -2 where none leads.
        order: the nodes in the order in which they are reached; `elsewhere` is none of them.
    """

    wiring: Wiring
    before: list[int]
    order: list[int] = field(default_factory=list)
    _proof_left: int = _MOST_PROOF

    def reached(self, node: int) -> bool:
        """Whether callers get to a node."""
        return self.before[node] != _NOT_REACHED

    def spread(self, beginnings: Iterable[int]) -> list[int]:
        """Goes on from some nodes as far as it leads; returns the nodes that are reached in addition."""
        before, successors, elsewhere = self.before, self.wiring.successors, self.wiring.elsewhere
        first = len(self.order)
        found = self.order
        for node in beginnings:
            if before[node] == _NOT_REACHED:
                before[node] = _BEGINNING
                found.append(node)
        for node in _growing(found, first):
            for other in successors(node):
                if before[other] == _NOT_REACHED and other != elsewhere:
                    before[other] = node
                    found.append(other)
        return found[first:]

    def way_to(self, node: int) -> tuple[str, ...]:
        """The ids on a shortest way to a node; the node alone once the ways have become too long in all."""
        way = [node]
        while self._proof_left > 0 and self.before[way[-1]] >= 0:
            way.append(self.before[way[-1]])
            self._proof_left -= 1
        return self.wiring.names(way[::-1]) if self.before[way[-1]] == _BEGINNING else (self.wiring.name(node),)


def _growing(numbers: list[int], first: int) -> Iterator[int]:
    """The entries of a list from a place on, also those that are appended meanwhile."""
    while first < len(numbers):
        yield numbers[first]
        first += 1


def reach_of(wiring: Wiring, guesses: Guesses) -> tuple[Reach, tuple[Fault, ...]]:
    """Where callers get to, and a fault for each group of nodes to which they do not.

    One name that is misspelt must not make all that lies behind it unreachable: a node that may be meant by it counts
    as reached, and so do as many groups as there are connections to nobody knows where.
    """
    reach = Reach(wiring, [_NOT_REACHED] * (wiring.elsewhere + 1))
    start = wiring.index.get(wiring.flow.start)
    if start is None:
        reach.spread(range(wiring.elsewhere))
        return reach, ()
    unexplained = _spread_with_guesses(reach, start, guesses)
    if len(reach.order) == wiring.elsewhere:
        return reach, ()
    roots = _roots(reach)
    if len(roots) <= unexplained:
        reach.spread(node for root in roots for node in root)
        return reach, ()
    return reach, tuple(_unreachable(reach, roots))


def _spread_with_guesses(reach: Reach, start: int, guesses: Guesses) -> int:
    """Spreads from the start and from what may be meant by unknown names; returns how many names stay unexplained."""
    wiring, unexplained = reach.wiring, 0
    new = reach.spread([start])
    new += reach.spread(_led_to_by_strays(wiring))
    lost = _lost_names(wiring)
    while new and lost:
        meant: list[int] = []
        for node in new:
            for name in lost.get(node, ()):
                found = guesses.of(name)
                meant.extend(wiring.index[other] for other in found)
                unexplained += not found
        new = reach.spread(meant)
    return unexplained


def _led_to_by_strays(wiring: Wiring) -> list[int]:
    """The targets of connections whose source is not there, and so is misspelt."""
    targets = (wiring.flow.transitions[edge].target for edge in wiring.strays)
    return [wiring.index[target] for target in targets if target in wiring.index]


def _lost_names(wiring: Wiring) -> dict[int, list[str]]:
    """The targets that are not there, by the node from which a connection leads to them."""
    found: dict[int, list[str]] = {}
    if wiring.elsewhere in wiring.targets:
        for edge, target in zip(wiring.edges, wiring.targets, strict=True):
            if target == wiring.elsewhere:
                transition = wiring.flow.transitions[edge]
                found.setdefault(wiring.index[transition.source], []).append(transition.target)
    return found


def _roots(reach: Reach) -> list[list[int]]:
    """The groups that are not reached, and to which no other such group leads; in file order."""
    wiring = reach.wiring
    unreached = [node for node in range(wiring.elsewhere) if not reach.reached(node)]
    found = list(groups(unreached, lambda node: _unreached_after(reach, node), wiring.elsewhere + 1))
    group_of = {node: number for number, group in enumerate(found) for node in group}
    led_to = {
        group_of[other]
        for node in unreached
        for other in _unreached_after(reach, node)
        if group_of[other] != group_of[node]
    }
    return sorted(sorted(group) for number, group in enumerate(found) if number not in led_to)


def _unreached_after(reach: Reach, node: int) -> list[int]:
    elsewhere = reach.wiring.elsewhere
    return [other for other in reach.wiring.successors(node) if not reach.reached(other) and other != elsewhere]


def _unreachable(reach: Reach, roots: list[list[int]]) -> Iterator[Fault]:
    wiring = reach.wiring
    shadow = Reach(wiring, reach.before.copy())
    for root in roots:
        behind = len(shadow.spread(root)) - len(root)
        names = wiring.names(root)
        message = f"no way leads from the start to {listed(names)}"
        if behind:
            message += f", nor to the {behind} nodes behind" if behind > 1 else ", nor to the node behind"
        hint = "Connect it, or take it out." if len(root) == 1 else "Connect one of them, or take them out."
        yield Fault("unreachable", message, names, wiring.nodes[root[0]].place, hint)
