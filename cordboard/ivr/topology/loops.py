"""Loops: those that go on without the caller, and those that go on as long as the caller says nothing useful.

A loop in which every round takes a deliberate key ("press nine to hear it again") is nobody's fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from cordboard.ivr.model import Place
from cordboard.ivr.topology.fault import Fault, listed, quoted
from cordboard.ivr.topology.passing import Passing
from cordboard.ivr.topology.reach import Reach
from cordboard.ivr.topology.search import Successors, shortest_loop, tangles


@dataclass(frozen=True, slots=True)
class Accepted:
    """Nodes whose loops somebody has looked at; loops that do not pass through them are found all the same.

    Attributes:
        silent: those accepted as parts of loops that go on without the caller.
        unbounded: those accepted as menus that may be repeated for ever.
    """

    silent: frozenset[str] = frozenset()
    unbounded: frozenset[str] = frozenset()


class Loops:
    """Searches a flow for loops, inside the groups of nodes that lead back to themselves at all."""

    def __init__(self, reach: Reach, passings: Sequence[Passing], tangled: Sequence[Sequence[int]]) -> None:
        self._wiring, self._passings, self._reach = reach.wiring, passings, reach
        self._inside = bytearray(self._wiring.elsewhere + 1)
        self._tangled = self._enter(tangled)
        self._rank: dict[int, int] = {}

    def faults(self, accepted: Accepted) -> Iterator[Fault]:
        """Every loop that is one too many."""
        # A silent way is a driven one too, so that each search leaves less for the next.
        driven = list(tangles(self._tangled, self._driven, len(self._inside)))
        self._rank = self._ranked(driven)
        yield from self._search(driven, self._driven, accepted.unbounded, self._unbounded_retry)
        silent = list(tangles([node for group in driven for node in group], self._silent, len(self._inside)))
        yield from self._search(silent, self._silent, accepted.silent, self._silent_loop)

    def _enter(self, tangled: Sequence[Sequence[int]]) -> list[int]:
        """Opens some groups for the search."""
        nodes = [node for group in tangled for node in group]
        for node in nodes:
            self._inside[node] = True
        return nodes

    def _ranked(self, found: Sequence[Sequence[int]]) -> dict[int, int]:
        """When callers get to the nodes of some groups."""
        wanted = {node for group in found for node in group}
        return {node: rank for rank, node in enumerate(self._reach.order) if node in wanted} if wanted else {}

    def _search(
        self,
        found: Sequence[list[int]],
        ways: Successors,
        accepted: frozenset[str],
        describe: Callable[[list[int], Successors], Fault | None],
    ) -> Iterator[Fault]:
        """One fault for each group; where nodes of it are accepted, for each group that is left without them."""
        left: list[int] = []
        for group in found:
            fault = describe(group, ways)
            if fault is not None:
                yield fault
                left.extend(self._not_accepted(group, accepted.intersection(fault.about)))
        narrowed = _within(ways, set(left))
        for group in tangles(left, narrowed, len(self._inside)) if left else ():
            fault = describe(group, narrowed)
            if fault is not None:
                yield fault

    def _not_accepted(self, group: Sequence[int], known: frozenset[str]) -> list[int]:
        """What is left of a group that is accepted for some of its nodes; nothing where it is reported as a whole."""
        return [node for node in group if self._wiring.name(node) not in known] if known else []

    def _silent(self, node: int) -> list[int]:
        return self._leads(node, self._passings[node].silent)

    def _driven(self, node: int) -> list[int]:
        return self._leads(node, self._passings[node].driven)

    def _leads(self, node: int, ways: Sequence[int]) -> list[int]:
        start, targets, inside = self._wiring.starts[node], self._wiring.targets, self._inside
        return [target for way in ways if inside[target := targets[start + way]]]

    def _silent_loop(self, group: list[int], ways: Successors) -> Fault:
        loop = shortest_loop(self._first(group), group, ways)
        names = self._wiring.names(loop)
        message = f"the call can go round without the caller being asked: {_spelt(names)}"
        gives_up = [node for node in loop[:-1] if self._wiring.nodes[node].max_visits is not None]
        if gives_up:
            name = quoted(self._wiring.name(gives_up[0]))
            hint = f"{name} gives up and stays in the loop: let its `fallback` lead out."
        else:
            hint = "Ask the caller, count `visits` in a condition, or lead out of the loop."
        return Fault("silent-loop", message, self._wiring.names(sorted(group)), self._closing(loop), hint, names)

    def _unbounded_retry(self, group: list[int], ways: Successors) -> Fault | None:
        menus = sorted(node for node in group if self._waits_for_ever(node))
        if not menus:
            return None
        loop = shortest_loop(self._first(menus), group, ways)
        names, proof = self._wiring.names(menus), self._wiring.names(loop)
        never = "never gives up" if len(names) == 1 else "never give up"
        message = f"a caller who never answers goes round for ever: {_spelt(proof)}; {listed(names)} {never}"
        hint = "State `max_visits`, and a connection of type `fallback` for the caller who does not cope."
        return Fault("unbounded-retry", message, names, self._wiring.nodes[loop[0]].place, hint, proof)

    def _waits_for_ever(self, node: int) -> bool:
        return self._passings[node].asks and self._wiring.nodes[node].max_visits is None

    def _first(self, nodes: Sequence[int]) -> int:
        """The node to which callers get first."""
        return min(nodes, key=self._rank.__getitem__)

    def _closing(self, loop: Sequence[int]) -> Place:
        """Where the connection stands that closes a loop."""
        last, first = loop[-2], loop[-1]
        start = self._wiring.starts[last]
        ways = (start + way for way in self._passings[last].silent)
        edge = next(self._wiring.edges[way] for way in ways if self._wiring.targets[way] == first)
        return self._wiring.flow.transitions[edge].place


def _within(ways: Successors, inside: set[int]) -> Successors:
    return lambda node: [other for other in ways(node) if other in inside]


def _spelt(names: Sequence[str]) -> str:
    """A loop as people read it; all of it stands in the proof."""
    shown = [quoted(name) for name in (names if len(names) <= 8 else (*names[:4], *names[-3:]))]
    if len(names) > 8:
        shown.insert(4, f"… {len(names) - 7} more …")
    return " → ".join(shown)
