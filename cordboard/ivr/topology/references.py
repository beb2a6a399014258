"""What can be said about names: what is not there, stands twice or is misspelt, and what a vendor refuses."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from cordboard.findings import did_you_mean, near
from cordboard.ivr.conditions import reads
from cordboard.ivr.model import START_TYPE, TAKEN_NAMES, Limits, Place, Transition
from cordboard.ivr.topology.fault import Fault, quoted, where
from cordboard.ivr.topology.wiring import Wiring

PREFIX = "node_"
#: For so many different unknown names near ones are looked for; it takes about a millisecond each.
_MOST_GUESSED = 50
#: So much of a word must be as in the one that was meant: `dtfm` is near enough to `dtmf`, `item` is not.
_ALIKE = 0.75


class Guesses:
    """Which nodes may be meant by names that are not there."""

    __slots__ = ("_found", "_known")

    def __init__(self, wiring: Wiring) -> None:
        self._known = wiring.index
        self._found: dict[str, tuple[str, ...]] = {}

    def of(self, name: str) -> tuple[str, ...]:
        """Nodes whose ids are spelled like it; none after too many questions."""
        if name not in self._found and len(self._found) < _MOST_GUESSED:
            self._found[name] = near(name, self._known)
        return self._found.get(name, ())


def meant_sources(wiring: Wiring, guesses: Guesses) -> frozenset[int]:
    """Nodes that may be meant by the unknown sources of connections."""
    names = {wiring.flow.transitions[edge].source for edge in wiring.strays}
    return frozenset(wiring.index[other] for name in names for other in guesses.of(name))


def check_references(wiring: Wiring, guesses: Guesses) -> Iterator[Fault]:
    """Every fault of names and numbers in the flow."""
    yield from _start(wiring, guesses)
    yield from _nodes(wiring)
    yield from _transitions(wiring, guesses)
    yield from _misspelt(wiring)
    yield from _batch(wiring)


def _start(wiring: Wiring, guesses: Guesses) -> Iterator[Fault]:
    start = wiring.flow.start
    if start in wiring.index:
        return
    if start:
        yield Fault("unknown-start", f"there is no node {quoted(start)} to start at", hint=_hint(start, guesses))
    else:
        hint = "Give the first node the type `start`." if wiring.flow.platform == "cxone" else "State `startNodeId`."
        yield Fault("unknown-start", "nothing says at which node a call begins", hint=hint)


def _nodes(wiring: Wiring) -> Iterator[Fault]:
    flow = wiring.flow
    if len(wiring.nodes) < len(flow.nodes):
        yield from _twice(wiring)
    for node in wiring.nodes if flow.platform == "cxone" else ():
        if not node.id.startswith(PREFIX):
            message = f"the id {quoted(node.id)} does not start with `{PREFIX}`, and CXone refuses it"
            yield Fault("node-prefix", message, (node.id,), node.place, f"Call it {quoted(PREFIX + node.id)}.")
        if node.type == START_TYPE and node.id != flow.start and flow.start in wiring.index:
            message = f"{quoted(node.id)} has the type `start`, and the flow starts at {quoted(flow.start)}"
            yield Fault("two-starts", message, (node.id,), node.place, "Give it another type, or start there.")


def _twice(wiring: Wiring) -> Iterator[Fault]:
    for node in wiring.flow.nodes:
        first = wiring.nodes[wiring.index[node.id]]
        if first is not node:
            message = f"a node {quoted(node.id)} stands {where(first.place)} already"
            yield Fault("duplicate-node", message, (node.id,), node.place, "Give one of the two another id.")


def _transitions(wiring: Wiring, guesses: Guesses) -> Iterator[Fault]:
    for edge in wiring.strays:
        yield _unknown("source", wiring.flow.transitions[edge], guesses)
    if wiring.elsewhere in wiring.targets:
        for edge, target in zip(wiring.edges, wiring.targets, strict=True):
            if target == wiring.elsewhere:
                yield _unknown("target", wiring.flow.transitions[edge], guesses)
    for edge in wiring.strays:
        if wiring.flow.transitions[edge].target not in wiring.index:
            yield _unknown("target", wiring.flow.transitions[edge], guesses)


def _misspelt(wiring: Wiring) -> Iterator[Fault]:
    """Names of conditions that nothing in the flow assigns and that look like a word for what the caller does."""
    assigned = {name for node in wiring.nodes for name in node.set} | TAKEN_NAMES
    first: dict[str, int] = {}
    for code, way in enumerate(wiring.ways):
        for name in sorted(reads(way.condition)) if way.condition else ():
            first.setdefault(name, code)
    guessed = {name: _alike(name) for name in first if name not in assigned}
    meant = {name: guess for name, guess in guessed.items() if guess}
    edges = dict(zip(reversed(wiring.codes), reversed(wiring.edges), strict=True)) if meant else {}
    for name, guess in meant.items():
        if first[name] in edges:  # else it leaves a node that is not there
            transition = wiring.flow.transitions[edges[first[name]]]
            message = f"a condition reads {quoted(name)}, which nothing in this flow assigns"
            yield Fault("misspelt-name", message, (transition.source,), transition.place, did_you_mean(guess))


def _alike(name: str) -> tuple[str, ...]:
    return tuple(get_close_matches(name.lower()[:64], sorted(TAKEN_NAMES), n=1, cutoff=_ALIKE))


def _unknown(end: str, transition: Transition, guesses: Guesses) -> Fault:
    name = transition.source if end == "source" else transition.target
    other = transition.target if end == "source" else transition.source
    way = f"to {quoted(other)} leaves" if end == "source" else f"from {quoted(other)} leads to"
    message = f"the connection {way} {quoted(name)}, and there is no such node"
    return Fault(f"unknown-{end}", message, (other,), transition.place, _hint(name, guesses))


def _hint(name: str, guesses: Guesses) -> str:
    return did_you_mean(guesses.of(name))


def _batch(wiring: Wiring) -> Iterator[Fault]:
    flow, limit = wiring.flow, wiring.flow.limits.max_connections
    count = len(flow.transitions)
    if count > limit and (flow.platform == "cxone" or limit != Limits().max_connections):
        place: Place = flow.transitions[limit].place
        message = f"the flow has {count} connections, {limit} are allowed at once"
        hint = "Split the flow, or raise `limits.max_connections` where the vendor takes more."
        yield Fault("batch-limit", message, place=place, hint=hint)
