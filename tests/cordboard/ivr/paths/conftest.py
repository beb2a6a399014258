"""Small random flows as plain dicts, and a second engine that looks at all their calls as plainly as can be.

The second engine shares no code with the first. Every variable has every value of a short list when a call begins,
every visit of every node is counted, nothing is merged, and conditions are little tuples that `text_of` writes out.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from cordboard.ivr.model import Flow, Node, Place, Transition
from cordboard.ivr.trace import compile_flow

Plain = dict[str, Any]
Condition = tuple[Any, ...]
Heard = tuple[str, str]
#: Node, visits, variables, in plain tuples so that states can be compared; 1 is not true, so that types are kept.
Arrival = tuple[str, tuple[tuple[str, int], ...], tuple[tuple[str, str, Any], ...]]

VALUES: tuple[Any, ...] = (None, True, "gold", "other", 1)
KEYS = ("1", "2", "7", "12", "77")
CALLERS: tuple[Heard, ...] = (
    *(("dtmf", text) for text in KEYS),
    ("speech", "yes"),
    ("speech", "no"),
    ("no_input", ""),
    ("no_match", ""),
)
NAMES = ("a", "b", "c", "d")
ENDS = ("end", "other_end")


def random_flow(seed: int) -> Plain:
    """A flow of some six nodes; every seed gives another one, the same each time."""
    rng = random.Random(seed)
    variables = rng.choice(["x", "x", "xy"])
    nodes: Plain = {name: _random_node(rng, variables) for name in NAMES}
    nodes["d"]["type"] = "queue"
    for name in ENDS:
        nodes[name] = _node("terminal")
    return {"start": "a", "nodes": nodes}


def _node(kind: str) -> Plain:
    return {"type": kind, "max_visits": None, "set": {}, "ways": [], "default": None, "fallback": None}


def _random_node(rng: random.Random, variables: str) -> Plain:
    kind = rng.choice(["prompt", "menu", "menu", "queue", "lookup_action"])
    node = _node(kind)
    places = [*NAMES, *ENDS]
    node["max_visits"] = rng.choice([None, None, None, 1, 2])
    node["set"] = {"x": rng.choice(["gold", 1, True, None])} if rng.random() < 0.15 else {}
    node["ways"] = [(_random_condition(rng, 2, variables), rng.choice(places)) for _ in range(rng.randrange(4))]
    node["default"] = rng.choice([None, *places, *places])
    node["fallback"] = rng.choice([None, *places])
    return node


def _random_condition(rng: random.Random, depth: int, variables: str) -> Condition:
    if depth and rng.random() < 0.25:
        inner, other = _random_condition(rng, depth - 1, variables), _random_condition(rng, 0, variables)
        return ("not", inner) if rng.random() < 0.4 else (rng.choice(["and", "or"]), inner, other)
    return rng.choice(
        [
            ("dtmf", rng.choice(["==", "==", "==", "!="]), rng.choice(["1", "2", "12"])),
            ("dtmf", "==", rng.choice(["1", "2"])),
            ("dtmf", "==", rng.choice(["1", "2"])),
            ("speech", "==", "yes"),
            ("no_input",),
            ("no_match",),
            ("visits", rng.choice([0, 1, 2])),
            ("variable", rng.choice(variables), rng.choice(["gold", 1, True])),
        ]
    )


def flow_of(plain: Plain) -> Flow:
    """The same flow in the form of the first engine."""
    shown, ways = [], []
    for name, node in plain["nodes"].items():
        shown.append(Node(name, node["type"], max_visits=node["max_visits"], set=node["set"]))
        ways += [Transition(name, target, text_of(condition)) for condition, target in node["ways"]]
        ways += [Transition(name, node[kind], type=kind) for kind in ("fallback", "default") if node[kind]]  # type: ignore[arg-type]
    return Flow("ivr_test", plain["start"], tuple(shown), tuple(ways))


def text_of(condition: Condition) -> str:
    """A condition as a flow writes it."""
    match condition:
        case ("dtmf" | "speech" as name, sign, text):
            return f"{name} {sign} '{text}'"
        case ("visits", number):
            return f"visits > {number}"
        case ("variable", name, value):
            return f"{name} == {repr(value) if isinstance(value, str) else str(value).lower()}"
        case ("not", inner):
            return f"not ({text_of(inner)})"
        case ("and" | "or" as word, one, two):
            return f"({text_of(one)}) {word} ({text_of(two)})"
        case (word,):
            return str(word)
    raise AssertionError(condition)


def holds(condition: Condition, heard: Heard, visits: int, variables: Plain) -> bool:
    """Whether a condition holds."""
    kind, said = heard
    match condition:
        case ("dtmf" | "speech" as name, sign, text):
            value = said if kind == name else ""
            return (value == text) if sign == "==" else (value != text)
        case ("visits", number):
            return bool(visits > number)
        case ("variable", name, value):
            return type(variables.get(name)) is type(value) and variables.get(name) == value
        case ("not", inner):
            return not holds(inner, heard, visits, variables)
        case ("and", one, two):
            return holds(one, heard, visits, variables) and holds(two, heard, visits, variables)
        case ("or", one, two):
            return holds(one, heard, visits, variables) or holds(two, heard, visits, variables)
        case (word,):
            return kind == word
    raise AssertionError(condition)


def parts(condition: Condition, name: str) -> Iterator[Condition]:
    """The parts of a condition that are about a name."""
    if condition[0] == name:
        yield condition
    for part in condition:
        if isinstance(part, tuple):
            yield from parts(part, name)


class Plainly:
    """All calls of one plain flow.

    `moves(state)` gives what can happen next: a pair of what is heard (None where nobody is asked) and the next state,
    or `"no way out"`.
    """

    def __init__(self, plain: Plain) -> None:
        self.nodes: Plain = plain["nodes"]
        conditions = [condition for node in self.nodes.values() for condition, _ in node["ways"]]
        read = {part[1] for condition in conditions for part in parts(condition, "variable")}
        self.read = sorted(read)
        assigned = {name for node in self.nodes.values() for name in node["set"]}
        free = [name for name in self.read if name not in assigned]
        self.first = [
            arrival
            for values in itertools.product(VALUES, repeat=len(free))
            for arrival in self.arrive(plain["start"], {}, dict(zip(free, values, strict=True)))
        ]
        self._known: dict[Arrival, list[tuple[Heard | None, Any]]] = {}

    def arrive(self, name: str, visits: dict[str, int], variables: Plain) -> list[Arrival]:
        """The states of a call that gets to a node, for all that an action there can return."""
        node = self.nodes[name]
        visits = {**visits, name: min(visits.get(name, 0) + 1, self._most(node))}
        variables = {**variables, **node["set"]}
        outcomes: list[Plain] = [{}]
        if node["type"] == "lookup_action":
            outcomes = [
                dict(zip(self.read, values, strict=True)) for values in itertools.product(VALUES, repeat=len(self.read))
            ]
        found = []
        for outcome in outcomes:
            known = {key: value for key, value in {**variables, **outcome}.items() if value is not None}
            shown = tuple(sorted((key, type(value).__name__, value) for key, value in known.items()))
            found.append((name, tuple(sorted(visits.items())), shown))
        return found

    def _most(self, node: Plain) -> int:
        if node["max_visits"] is not None:
            return int(node["max_visits"]) + 1
        return max([0, *(part[1] + 1 for condition, _ in node["ways"] for part in parts(condition, "visits"))])

    def moves(self, state: Arrival) -> list[tuple[Heard | None, Any]]:
        if state not in self._known:
            self._known[state] = list(self._moves(state))
        return self._known[state]

    def _moves(self, state: Arrival) -> Iterator[tuple[Heard | None, Any]]:
        for heard, way, visits, variables in self.ways(state):
            yield from self._to(heard, None if way is None else self.target(state[0], way), visits, variables)

    def ways(self, state: Arrival) -> Iterator[tuple[Heard | None, Any, Plain, Plain]]:
        """What can be heard, and the way that is then taken: the number of a condition, `default`, `fallback`, None."""
        name, counted, shown = state
        node, visits, variables = self.nodes[name], dict(counted), {key: value for key, _, value in shown}
        usual = next((kind for kind in ("default", "fallback") if node[kind]), None)
        if node["type"] == "terminal":
            return
        if node["max_visits"] is not None and visits[name] > node["max_visits"]:
            yield None, "fallback" if node["fallback"] else usual, visits, variables
            return
        for heard in self.heard_at(name):
            here = heard or ("", "")
            fits = [place for place, (it, _) in enumerate(node["ways"]) if holds(it, here, visits[name], variables)]
            yield heard, (fits or [usual])[0], visits, variables

    def target(self, name: str, way: Any) -> str:
        node = self.nodes[name]
        return str(node["ways"][way][1] if isinstance(way, int) else node[way])

    def edges(self) -> list[tuple[str, Any]]:
        """All ways, in the order in which the flow has its transitions."""
        return [
            (name, way)
            for name, node in self.nodes.items()
            for way in (*range(len(node["ways"])), *(kind for kind in ("fallback", "default") if node[kind]))
        ]

    def states(self) -> set[Arrival]:
        """All states to which calls get."""
        todo, found = list(self.first), set(self.first)
        for state in todo:
            for _, following in self.moves(state):
                if following != "no way out" and following not in found:
                    found.add(following)
                    todo.append(following)
        return found

    def _to(self, heard: Heard | None, target: str | None, visits: Any, variables: Plain) -> Iterator[Any]:
        if target is None:
            yield heard, "no way out"
        else:
            yield from ((heard, arrival) for arrival in self.arrive(target, visits, variables))

    def heard_at(self, name: str) -> list[Heard | None]:
        """What a caller can do at a node; (None) where nobody is asked."""
        node = self.nodes[name]
        conditions = [condition for condition, _ in node["ways"]]
        words = ("dtmf", "speech", "no_input", "no_match")
        if node["type"] != "menu" and not any(list(parts(it, word)) for it in conditions for word in words):
            return [None]
        named = [part for condition in conditions for part in parts(condition, "dtmf")]
        most = 99 if any(part[1] == "!=" for part in named) else max([1, *(len(part[2]) for part in named)])
        return [heard for heard in CALLERS if heard[0] != "dtmf" or len(heard[1]) <= most]

    def is_menu(self, name: str) -> bool:
        """Whether keys are choices there."""
        named = [part for condition, _ in self.nodes[name]["ways"] for part in parts(condition, "dtmf")]
        return any(len(part[2]) == 1 for part in named)


@pytest.fixture(scope="session")
def plainly() -> SimpleNamespace:
    """Random flows and the second engine."""
    return SimpleNamespace(
        random_flow=random_flow,
        flow_of=flow_of,
        calls=Plainly,
        program=lambda plain: compile_flow(flow_of(plain)),
    )


def draw(text: str, nodes: Plain | None = None, **fields: Any) -> Flow:
    """A flow that starts at `start` and ends at `end`: one connection a line, behind a colon its condition or type."""
    ways = [_transition(line.strip(), number) for number, line in enumerate(text.strip().splitlines(), 1)]
    described = nodes or {}
    names = dict.fromkeys(["start", *described, *(name for way in ways for name in (way.source, way.target))])
    kinds = {"start": "start", "end": "terminal", "menu": "menu"}
    shown = [Node(**{"id": it, "type": kinds.get(it, "prompt"), **described.get(it, {})}) for it in names]
    return Flow(id="ivr_test", transitions=tuple(ways), **{"start": "start", "nodes": tuple(shown), **fields})


def _transition(line: str, number: int) -> Transition:
    ends, _, when = line.partition(":")
    source, _, target = ends.partition("->")
    when = when.strip() or "default"
    kind: Any = when if when in {"default", "fallback"} else "conditional"
    place = Place(f"connections[{number - 1}]", number)
    return Transition(source.strip(), target.strip(), "true" if when == kind else when, kind, place=place)


@pytest.fixture(scope="session")
def drawn() -> Callable[..., Flow]:
    return draw


@pytest.fixture(scope="session")
def compiled() -> Callable[..., Any]:
    """A program of a flow that is drawn."""
    return lambda text, nodes=None, **fields: compile_flow(draw(text, nodes, **fields))
