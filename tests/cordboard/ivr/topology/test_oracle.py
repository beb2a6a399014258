"""Every rule against an oracle that knows no graph algorithm, on 20,000 small random flows.

The oracle tries: every situation of a call at every node with plain Python in place of conditions, every path without a
repetition in place of searches, every set of nodes in place of groups. Another test holds whole flows against networkx.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import combinations, product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.plain_topology import plain_check
from cordboard.ivr.model import Flow, Limits, Node, Transition
from cordboard.ivr.topology.accepting import Acceptances
from cordboard.ivr.topology.check import faults_in
from cordboard.ivr.topology.fault import Fault
from tests.thorough import count

FLOWS, BATCH, PARTS = count(2_000, 20_000), 50, 4
TODAY = date(2026, 5, 1)
MANY = 10**6
Verdict = tuple[str, frozenset[str]]
Holds = Callable[[str, Any, int], bool]


@dataclass(frozen=True)
class Meaning:
    """What a condition means, in Python: of what the caller does, of the variable `vip`, and of the visits."""

    key: str
    holds: Holds
    reads_caller: bool = False
    mistaken: bool = False


#: What a caller can do. No condition below tells the keys without 1 and 2 apart, nor words, nor visits beyond 3.
KEYS = ("1", "2", "7")
CALLERS = (*KEYS, "11", "say sales", "say something else", "silence", "confusion")
VIP = (True, False, None)
VISITS = (1, 3, MANY)

CONDITIONS: dict[str, Meaning] = {
    "dtmf == '1'": Meaning("1", lambda caller, vip, visits: caller == "1", True),
    '"1"==dtmf': Meaning("1", lambda caller, vip, visits: caller == "1", True),
    "dtmf == '2'": Meaning("2", lambda caller, vip, visits: caller == "2", True),
    "dtmf == '1' or dtmf == '2'": Meaning("1|2", lambda caller, vip, visits: caller in {"1", "2"}, True),
    "dtmf == '1' and vip": Meaning("1&v", lambda caller, vip, visits: caller == "1" and vip is True, True),
    "dtmf != ''": Meaning("any", lambda caller, vip, visits: caller in {*KEYS, "11"}, True),
    "dtmf == 1": Meaning("number", lambda caller, vip, visits: False, True, mistaken=True),
    "speech == 'sales'": Meaning("say", lambda caller, vip, visits: caller == "say sales", True),
    "no_input": Meaning("silence", lambda caller, vip, visits: caller == "silence", True),
    "no_match": Meaning("confusion", lambda caller, vip, visits: caller == "confusion", True),
    "no_input or no_match": Meaning("nothing", lambda caller, vip, visits: caller in {"silence", "confusion"}, True),
    "no_input and no_match": Meaning("both", lambda caller, vip, visits: False, True),
    "vip": Meaning("vip", lambda caller, vip, visits: vip is True),
    "not vip": Meaning("not vip", lambda caller, vip, visits: vip is not True),
    "visits > 2": Meaning("late", lambda caller, vip, visits: visits > 2),
    "visits <= 3": Meaning("early", lambda caller, vip, visits: visits <= 3),
    "true": Meaning("true", lambda caller, vip, visits: True),
    "false": Meaning("false", lambda caller, vip, visits: False),
}
ASKING = ("menu", "collect", "input", "dtmf", "speech")
TYPES = ("decision", "decision", "queue", "menu", "", "terminal")


# Random flows ----------------------------------------------------------------------------------------------------


def random_flow(chance: random.Random) -> Flow:
    """A flow of one to eight nodes, mostly of one flavour, so that each rule gets its share."""
    names = [f"node_{letter}" for letter in "abcdefgh"[: chance.randint(1, 8)]]
    if chance.random() < 0.1:
        names[-1] = "bye"
    pool = _pool(chance)
    lost = [*names, "QQ"] if chance.random() < 0.1 else names
    ways = tuple(_way(name, lost, pool, chance) for name in names for _ in range(_number_of_ways(chance)))
    if chance.random() < 0.05:
        ways += (_way("QQQQ", names, pool, chance),)
    nodes = tuple(_node(name, chance) for name in names)
    if chance.random() < 0.05:
        nodes += (_node(chance.choice(names), chance),)
    platform: Any = "genesys" if chance.random() < 0.15 else "cxone"
    if platform == "genesys":
        ways = tuple(way for way in ways if way.type != "fallback")
    ends = tuple(chance.sample(names, chance.randint(0, 2))) if len(names) > 1 else ()
    start = "node_zero" if chance.random() < 0.03 else chance.choice(names)
    limits = Limits(3, 12) if chance.random() < 0.2 else Limits()
    return Flow("ivr_random", start, nodes, ways, platform=platform, terminals=ends, limits=limits)


def _pool(chance: random.Random) -> list[tuple[str, str]]:
    straight = [("true", "default"), ("vip", "conditional"), ("not vip", "conditional"), ("true", "conditional")]
    every = [(text, "conditional") for text in CONDITIONS]
    return chance.choice([straight, every, every, [*every, *[("true", "default"), ("true", "fallback")] * 6]])


def _number_of_ways(chance: random.Random) -> int:
    return chance.choice((0, 1, 1, 2, 2, 3, 4))


def _way(source: str, targets: list[str], pool: list[tuple[str, str]], chance: random.Random) -> Transition:
    text, kind = chance.choice(pool)
    return Transition(source, chance.choice(targets), text, kind)  # type: ignore[arg-type]


def _node(name: str, chance: random.Random) -> Node:
    prompt = "Press a key." if chance.random() < 0.4 else ""
    visits = chance.choice((1, 3)) if chance.random() < 0.2 else None
    return Node(name, chance.choice(TYPES), prompt=prompt, max_visits=visits)


# The oracle: one node --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Way:
    """A way out as the oracle sees it."""

    kind: str
    text: str
    target: str

    @property
    def meaning(self) -> Meaning:
        return CONDITIONS[self.text]

    @property
    def key(self) -> tuple[str, str]:
        return (self.kind, self.meaning.key if self.kind == "conditional" else "")


def taken(kinds: tuple[tuple[str, str], ...], caller: str, vip: Any, visits: int) -> int | None:
    """The number of the way that a call takes in one situation."""
    for number, (kind, text) in enumerate(kinds):
        if kind == "conditional" and CONDITIONS[text].holds(caller, vip, visits):
            return number
    for wanted in ("default", "fallback"):
        for number, (kind, _) in enumerate(kinds):
            if kind == wanted:
                return number
    return None


@cache
def outcomes(kinds: tuple[tuple[str, str], ...]) -> dict[tuple[str, Any, int], int | None]:
    """The way that is taken in every situation."""
    return {it: taken(kinds, *it) for it in product(CALLERS, VIP, VISITS)}


class Oracle:
    """What must be found in a flow."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.nodes = {node.id: node for node in reversed(flow.nodes)}
        self.ways = {
            name: [Way(way.type, way.condition, way.target) for way in flow.transitions if way.source == name]
            for name in self.nodes
        }
        self.ends = {node.id for node in flow.nodes if node.type == "terminal"} | set(flow.terminals)
        targets = [way.target for way in flow.transitions] + [way.source for way in flow.transitions]
        self.whole = all(name in self.nodes for name in targets)

    def verdicts(self) -> Iterator[Verdict]:
        yield from self._names()
        for name in self.nodes:
            yield from ((rule, frozenset({name})) for rule in self._at(name))
        if self.whole:
            yield from self._of_the_whole()

    def _names(self) -> Iterator[Verdict]:
        flow = self.flow
        if flow.start not in self.nodes:
            yield "unknown-start", frozenset()
        for way in flow.transitions:
            if way.source not in self.nodes:
                yield "unknown-source", frozenset({way.target})
            if way.target not in self.nodes:
                yield "unknown-target", frozenset({way.source})
        for index, node in enumerate(flow.nodes):
            if node.id in [other.id for other in flow.nodes[:index]]:
                yield "duplicate-node", frozenset({node.id})
        if flow.platform == "cxone":
            yield from (("node-prefix", frozenset({name})) for name in self.nodes if name[:5] != "node_")
        if len(flow.transitions) > flow.limits.max_connections:
            yield "batch-limit", frozenset()

    def _kinds(self, name: str) -> tuple[tuple[str, str], ...]:
        return tuple((way.kind, way.text) for way in self.ways[name])

    def asks(self, name: str) -> bool:
        node, ways = self.nodes[name], self.ways[name]
        asked = [way.text for way in ways if way.kind == "conditional"]
        if node.type in ASKING or any(CONDITIONS[text].reads_caller for text in asked):
            return True
        chooses = any(text not in {"true", "false"} for text in asked)
        return node.type == "decision" and bool(node.prompt) and chooses and len(asked) < len(ways)

    def gives_up_by(self, name: str) -> int | None:
        ways = self.ways[name]
        for wanted in ("fallback", "default"):
            for number, way in enumerate(ways):
                if way.kind == wanted:
                    return number
        asked = [number for number, way in enumerate(ways) if way.kind == "conditional"]
        return asked[-1] if asked and ways[asked[-1]].text == "true" else None

    def _at(self, name: str) -> Iterator[str]:
        ways, node, kinds = self.ways[name], self.nodes[name], self._kinds(name)
        limit = self.flow.limits.max_connections_per_node
        if len(ways) > limit and (self.flow.platform == "cxone" or limit == 3):
            yield "node-limit"
        if name in self.ends:
            yield from ["terminal-ways"] * bool(ways)
            return
        yield from self._branches(name)
        yield from ["text-comparison" for way in ways if way.kind == "conditional" and way.meaning.mistaken]
        if node.max_visits and ways and self.gives_up_by(name) is None:
            yield "no-give-up"
        fallen = any(ways[number].kind == "fallback" for number in outcomes(kinds).values() if number is not None)
        if any(way.kind == "fallback" for way in ways) and not node.max_visits and not fallen:
            yield "unused-fallback"
        yield from self._left_over(name)

    def _branches(self, name: str) -> Iterator[str]:
        ways, done = self.ways[name], outcomes(self._kinds(name))
        for number, way in enumerate(ways):
            same = [other for other in ways[:number] if other.key == way.key]
            if same:
                repeated = "ambiguous" if way.kind == "conditional" else "two-defaults"
                yield "duplicate-transition" if same[0].target == way.target else repeated
            elif way.kind == "conditional" and number not in done.values():
                can_hold = any(way.meaning.holds(*situation) for situation in done)
                if can_hold or not way.meaning.mistaken:
                    yield "shadowed" if can_hold else "never-holds"
            elif way.kind == "default":
                before = [other for other in ways if other.text == "true" and other.kind == "conditional"]
                if before and before[0].target != way.target:
                    yield "shadowed"

    def _left_over(self, name: str) -> Iterator[str]:
        ways, done = self.ways[name], outcomes(self._kinds(name))
        if not ways:
            return
        if self.flow.platform == "genesys" and not any(way.kind == "default" for way in ways):
            yield "missing-default"
            return
        nowhere = {caller for (caller, _, _), way in done.items() if way is None}
        if not self.asks(name):
            yield from ["open-decision"] * bool(nowhere)
            return
        yield from ["unhandled-silence"] * bool(nowhere & {"silence", "confusion"})
        texts = [way.text for way in ways if way.kind == "conditional"]
        known = {caller for (caller, _, _), way in done.items() if way is not None and "dtmf" in ways[way].text}
        menu = bool(known & set(KEYS))
        pressed = nowhere & (set(KEYS) if menu else {*KEYS, "11"}) if any("dtmf" in text for text in texts) else set()
        said = any(caller[:3] == "say" for caller in nowhere) and any("speech" in text for text in texts)
        yield from ["unhandled-input"] * bool(pressed or said)

    # Paths: all of them, tried one by one

    def edges(self, name: str, *, silent: bool) -> set[str]:
        """Where a call gets to from a node, after very many visits, without the caller or with a silent one."""
        ways = self.ways[name]
        if name in self.ends:
            return set()
        if self.nodes[name].max_visits:
            number = self.gives_up_by(name)
            return set() if number is None else {ways[number].target}
        asks = self.asks(name)
        if asks and silent:
            return set()
        callers = {"silence", "confusion"} if asks else set(CALLERS)
        done = outcomes(self._kinds(name)).items()
        numbers = {way for (caller, _, visits), way in done if visits == MANY and caller in callers}
        return {ways[number].target for number in numbers if number is not None}

    def _of_the_whole(self) -> Iterator[Verdict]:
        every = {name: {way.target for way in self.ways[name]} for name in self.nodes}
        leads = {name: _all_reached(name, every) for name in every}
        start = self.flow.start
        reached = {start} | leads[start] if start in every else set(every)
        if not self.ends & set(every):
            yield "no-terminal", frozenset()
        for name in reached:
            if not every[name] and name not in self.ends:
                yield "dead-end", frozenset({name})
        for group in _groups(set(every) - reached, leads):
            if not any(name in leads[other] for other in set(every) - reached - group for name in group):
                yield "unreachable", group
        for group in _groups(reached, leads):
            closed = all(every[name] <= group for name in group) and any(every[name] for name in group)
            if closed and not group & self.ends:
                yield "no-exit", group
        yield from self._loops(reached)

    def _loops(self, reached: set[str]) -> Iterator[Verdict]:
        for rule, silent in (("silent-loop", True), ("unbounded-retry", False)):
            edges = {name: self.edges(name, silent=silent) for name in self.nodes}
            leads = {name: _all_reached(name, edges) for name in edges}
            for group in _groups(reached, leads):
                round_ = {name for name in group if name in leads[name]}
                menus = {name for name in round_ if self.asks(name) and not self.nodes[name].max_visits}
                if silent and round_:
                    yield rule, group
                elif not silent and menus:
                    yield rule, frozenset(menus)


def _all_reached(start: str, edges: dict[str, set[str]]) -> set[str]:
    """Where one gets to in one step or more: grown step by step until nothing new comes."""
    found = set(edges[start])
    while True:
        more = found.union(*(edges[name] for name in found))
        if more == found:
            return found
        found = more


def _groups(nodes: set[str], leads: dict[str, set[str]]) -> list[frozenset[str]]:
    """Largest sets of nodes each two of which lead to each other: every set is tried, the largest first."""
    found: list[frozenset[str]] = []
    left = sorted(nodes)
    for size in range(len(left), 0, -1):
        for some in combinations(left, size):
            mutual = all(b in leads[a] and a in leads[b] for a, b in combinations(some, 2))
            if mutual and not any(group.intersection(some) for group in found):
                found.append(frozenset(some))
    return found


# The comparison --------------------------------------------------------------------------------------------------

GRAPH_RULES = {"unreachable", "dead-end", "no-terminal", "no-exit", "silent-loop", "unbounded-retry"}
EVERY = settings(
    max_examples=FLOWS // BATCH // PARTS,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_rule_agrees_with_the_oracle(part: int) -> None:
    seen: list[int] = []

    @EVERY
    @given(SEEDS)
    def hold(seed: int) -> None:
        for number in range(BATCH):
            flow = random_flow(random.Random(f"{part} {seed} {number}"))
            _compare(flow)
        seen.append(BATCH)

    hold()
    assert sum(seen) >= FLOWS // PARTS


def _compare(flow: Flow) -> None:
    oracle = Oracle(flow)
    faults = list(faults_in(flow, Acceptances((), TODAY)))
    found = Counter((fault.rule, frozenset(fault.about)) for fault in faults)
    if not oracle.whole:  # then some names may be meant for others, and less is said about the whole
        found = Counter({verdict: count for verdict, count in found.items() if verdict[0] not in GRAPH_RULES})
    assert found == Counter(oracle.verdicts()), flow
    for fault in faults:
        _check_proof(fault, oracle)


def _check_proof(fault: Fault, oracle: Oracle) -> None:
    """A proof is a way that calls can take: from the start, or round and round."""
    steps = list(zip(fault.proof, fault.proof[1:], strict=False))
    if fault.rule in {"silent-loop", "unbounded-retry"}:
        silent = fault.rule == "silent-loop"
        assert fault.proof[0] == fault.proof[-1]
        assert len(set(fault.proof)) == len(steps) > 0
        assert all(after in oracle.edges(before, silent=silent) for before, after in steps)
    else:
        assert all(after in {way.target for way in oracle.ways[before]} for before, after in steps)
        if oracle.whole and oracle.flow.start in oracle.nodes and fault.proof:
            assert fault.proof[0] == oracle.flow.start


@settings(parent=EVERY, max_examples=count(10, 20))
@given(SEEDS)
def test_whole_flows_agree_with_networkx(seed: int) -> None:
    for number in range(BATCH):
        flow = random_flow(random.Random(f"networkx {seed} {number}"))
        names = {node.id for node in flow.nodes}
        if Oracle(flow).whole and flow.start in names and len(names) == len(flow.nodes):
            faults = faults_in(flow, Acceptances((), TODAY))
            assert Counter((fault.rule, frozenset(fault.about)) for fault in faults) == Counter(plain_check(flow)), flow


def test_the_random_flows_break_every_rule() -> None:
    """What never occurs would be held against nothing."""
    chance = random.Random(7)
    broken = {fault.rule for _ in range(1_000) for fault in faults_in(random_flow(chance), Acceptances((), TODAY))}
    oracle_knows = {rule for _ in range(1_000) for rule, _ in Oracle(random_flow(chance)).verdicts()}
    assert broken == oracle_knows
    assert len(broken) == 26
