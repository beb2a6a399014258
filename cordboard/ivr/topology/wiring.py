"""A flow with numbers in place of ids: nodes from 0, and the ways out of each as a slice of flat lists.

A flow of a million nodes is checked in seconds this way. A connection to a node that is not there leads to one more
number, `elsewhere`, which stands for all that is not in the flow; nobody knows what follows there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from operator import attrgetter, le

from cordboard.ivr.conditions import Condition, ConditionError, Default, parse
from cordboard.ivr.model import TERMINAL_TYPES, Flow, Node, Transition, TransitionType


@dataclass(frozen=True, slots=True)
class Way:
    """When a transition is taken.

    Attributes:
        kind: the transition's type; `default` also where only its condition says so.
        condition: what it asks, `default` for what asks nothing; None where it cannot be read.
        error: why it cannot be read.
    """

    kind: TransitionType
    condition: Condition | None
    error: ConditionError | None = None


def read_way(kind: TransitionType, text: str) -> Way:
    """Reads when a transition is taken; the condition of a default or a fallback is never asked, but must be one."""
    if kind != "conditional" and not text.strip():
        return Way(kind, Default())
    try:
        condition = parse(text)
    except ConditionError as error:
        return Way(kind, None, error)
    if kind == "conditional":
        return Way("default" if isinstance(condition, Default) else kind, condition)
    return Way(kind, Default())


_KINDS: tuple[TransitionType, ...] = ("conditional", "default", "fallback")
_FIELDS = attrgetter("source", "target", "type", "condition")


class _Codes(dict[str, int]):
    """A number for each condition of one type; each text is read once."""

    def __init__(self, kind: TransitionType, ways: list[Way]) -> None:
        super().__init__()
        self._kind, self._ways = kind, ways

    def __missing__(self, text: str) -> int:
        self[text] = code = len(self._ways)
        self._ways.append(read_way(self._kind, text))
        return code


@dataclass(frozen=True, slots=True)
class Wiring:
    """Nodes and transitions by number.

    Attributes:
        flow: what it is made of.
        nodes: the nodes; of those with the same id the first.
        index: the number of each id.
        ends: whether a call ends at a node.
        starts: node `n` is left by the positions from `starts[n]` up to `starts[n + 1]`, in file order.
        targets: the node that is reached, by position.
        edges: the number of the transition in the flow, by position.
        codes: the number of the way in `ways`, by position.
        ways: each different way once.
        strays: numbers of transitions that leave a node that is not there.
    """

    flow: Flow
    nodes: Sequence[Node]
    index: dict[str, int]
    ends: bytearray
    starts: list[int]
    targets: list[int]
    edges: Sequence[int]
    codes: list[int]
    ways: list[Way]
    strays: Sequence[int]

    @property
    def elsewhere(self) -> int:
        """The number that stands for nodes that are not there."""
        return len(self.nodes)

    def successors(self, node: int) -> list[int]:
        """The nodes to which a node leads, in file order, with repetitions."""
        return self.targets[self.starts[node] : self.starts[node + 1]]

    def transitions(self, node: int) -> tuple[Transition, ...]:
        """The ways out of a node, in file order."""
        every = self.flow.transitions
        return tuple(every[edge] for edge in self.edges[self.starts[node] : self.starts[node + 1]])

    def name(self, node: int) -> str:
        """The id of a node."""
        return self.nodes[node].id

    def names(self, nodes: Sequence[int]) -> tuple[str, ...]:
        """The ids of some nodes."""
        return tuple(self.nodes[node].id for node in nodes)


def wire(flow: Flow) -> Wiring:
    """Numbers the nodes and transitions of a flow."""
    nodes, index = _numbered(flow.nodes)
    find, elsewhere = index.get, len(nodes)
    ways: list[Way] = []
    number = {kind: _Codes(kind, ways) for kind in _KINDS}
    sources, targets, codes = [], [], []
    for source, target, kind, text in map(_FIELDS, flow.transitions):  # each is touched once: there may be millions
        sources.append(find(source, elsewhere))
        targets.append(find(target, elsewhere))
        codes.append(number[kind][text])
    starts, order = _sorted_by(sources, elsewhere + 1)
    known = starts[elsewhere]  # what comes behind are the strays
    return Wiring(
        flow=flow,
        nodes=nodes,
        index=index,
        ends=_ends(flow, index),
        starts=starts,
        targets=_picked(targets, order[:known]),
        edges=order[:known],
        codes=_picked(codes, order[:known]),
        ways=ways,
        strays=order[known:],
    )


def _numbered(nodes: Sequence[Node]) -> tuple[Sequence[Node], dict[str, int]]:
    index = {node.id: number for number, node in enumerate(nodes)}
    if len(index) == len(nodes):
        return nodes, index
    first: dict[str, Node] = {}
    for node in nodes:
        first.setdefault(node.id, node)
    return tuple(first.values()), {name: number for number, name in enumerate(first)}


def _sorted_by(keys: list[int], size: int) -> tuple[list[int], Sequence[int]]:
    """Where the entries of each key start once they are sorted, and their numbers in that order; in linear time."""
    counts = [0] * (size + 1)
    for key in keys:
        counts[key + 1] += 1
    starts = list(accumulate(counts))
    if all(map(le, keys, islice(keys, 1, None))):  # most files list the ways out of each node together
        return starts, range(len(keys))
    following, order = starts.copy(), [0] * len(keys)
    for number, key in enumerate(keys):
        order[following[key]] = number
        following[key] += 1
    return starts, order


def _picked(values: list[int], numbers: Sequence[int]) -> list[int]:
    return values[: len(numbers)] if isinstance(numbers, range) else [values[number] for number in numbers]


def _ends(flow: Flow, index: dict[str, int]) -> bytearray:
    """Where calls end; of nodes with the same id one that says so is enough."""
    ends = bytearray(len(index))
    for node in flow.nodes:
        if node.type in TERMINAL_TYPES:
            ends[index[node.id]] = True
    for name in flow.terminals:
        if name in index:
            ends[index[name]] = True
    return ends
