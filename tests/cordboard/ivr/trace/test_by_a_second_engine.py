"""Calls through random flows: the engine, its single steps, and a second engine all agree.

The second engine, at the end of this file, is written as plainly as can be: dicts, every state kept, nothing worked out
beforehand. It shares no code with the first one; conditions are little tuples here, and `text_of` writes them out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cordboard.ivr.model import Flow, Node, Transition
from cordboard.ivr.trace import (
    HANGUP,
    NO_INPUT,
    NO_MATCH,
    End,
    Input,
    Program,
    compile_flow,
    first_state,
    simulate,
    step,
    waits,
)
from tests.thorough import count

Condition = tuple[Any, ...]
Plain = dict[str, Any]

names = st.sampled_from(["a", "b", "c", "d", "end"])
signs = st.sampled_from(["==", "==", "==", "!=", "<"])
scalars = st.sampled_from(["gold", "1", 1, True, False])
atoms = (
    st.tuples(st.just("dtmf"), signs, st.sampled_from(["1", "2", "12", "472"]))
    | st.tuples(st.just("speech"), signs, st.sampled_from(["yes", "1"]))
    | st.sampled_from([("no_input",), ("no_match",), ("true",)])
    | st.tuples(st.just("visits"), st.integers(0, 3))
    | st.tuples(st.just("variable"), st.sampled_from(["x", "y"]), scalars)
)
conditions = st.recursive(
    atoms,
    lambda inner: st.tuples(st.just("not"), inner) | st.tuples(st.just("and"), inner, inner),
    max_leaves=3,
)
assigned = st.dictionaries(st.sampled_from(["x", "y"]), scalars, max_size=1)
nodes = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["prompt", "prompt", "menu"]),
        "max_visits": st.none() | st.none() | st.integers(1, 3),
        "set": st.just({}) | assigned,
        "ways": st.lists(st.tuples(conditions, names), max_size=3),
        "default": st.none() | names | names,
        "fallback": st.none() | names,
        "ends": st.just(False),
    }
)
END = {"type": "terminal", "max_visits": None, "set": {}, "ways": [], "default": None, "fallback": None, "ends": True}
flows = st.fixed_dictionaries(dict.fromkeys("abcd", nodes)).map(
    lambda found: {"start": "a", "nodes": {**found, "end": END}}
)
inputs = st.lists(
    st.tuples(st.sampled_from(["digits", "digits", "keys"]), st.sampled_from(["1", "2", "7", "12", "4721", "111"]))
    | st.sampled_from([("speech", "yes"), ("speech", "1"), ("no_input", ""), ("no_match", ""), ("hangup", "")]),
    max_size=4,
)
mocked = st.dictionaries(names, st.lists(assigned, min_size=1, max_size=3), max_size=1)
SETTINGS = settings(max_examples=count(100, 200), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def flow_of(plain: dict[str, Any]) -> Flow:
    shown, ways = [], []
    for name, node in plain["nodes"].items():
        shown.append(Node(name, node["type"], max_visits=node["max_visits"], set=node["set"]))
        ways += [Transition(name, target, text_of(condition)) for condition, target in node["ways"]]
        ways += [Transition(name, node[kind], type=kind) for kind in ("fallback", "default") if node[kind]]  # type: ignore[arg-type]
    return Flow("ivr_test", "a", tuple(shown), tuple(ways))


def input_of(kind: str, text: str) -> Input:
    constants = {"no_input": NO_INPUT, "no_match": NO_MATCH, "hangup": HANGUP}
    return constants.get(kind) or Input(kind, text)  # type: ignore[arg-type]


def unnamed_default(node: dict[str, Any]) -> bool:
    """Whether giving up leads by a condition `true`, which the second engine does not know."""
    return node["max_visits"] is not None and not node["fallback"] and not node["default"]


@given(flows, inputs, assigned, mocked)
@SETTINGS
def test_the_engine_does_what_a_plain_walk_does(plain, given_inputs, variables, mocks) -> None:
    plain["nodes"] = {name: {**node, "default": node["default"] or "end"} if unnamed_default(node) else node
                      for name, node in plain["nodes"].items()}  # fmt: skip
    program = compile_flow(flow_of(plain))
    expected = walk(plain, given_inputs, variables, mocks)
    trace = simulate(program, [input_of(*one) for one in given_inputs], variables, mocks)
    found = {
        "path": list(trace.path),
        "end": trace.end.kind,
        "variables": dict(trace.variables),
        "used": trace.inputs_used,
    }
    assert repr(found) == repr(expected | {"variables": {**variables, **expected["variables"]}})


@given(flows, inputs, assigned)
@SETTINGS
def test_a_call_is_its_single_steps_one_after_another(plain, given_inputs, variables) -> None:
    """Whoever explores calls by `step` meets exactly the calls that `simulate` makes."""
    program = compile_flow(flow_of(plain))
    given_inputs = [input_of(*one) for one in given_inputs]
    trace = simulate(program, given_inputs, variables)
    path, end = stepped(program, given_inputs, variables, len(trace.path))
    assert path == list(trace.path)
    assert end is None or end == trace.end


@given(flows, inputs)
@SETTINGS
def test_the_entries_of_a_call_tell_its_path(plain, given_inputs) -> None:
    program = compile_flow(flow_of(plain))
    trace = simulate(program, [input_of(*one) for one in given_inputs])
    ways = [program.flow.transitions[edge] for edge in trace.edges]
    assert [entry.node for entry in trace.entries] == list(trace.path)
    assert [(way.source, way.target) for way in ways] == list(zip(trace.path, trace.path[1:], strict=False))
    assert (
        trace.as_json()["duration"]
        == trace.entries[-1].timestamp_ms + program.stations[program.index[trace.path[-1]]].cost_ms
    )


def stepped(program: Program, given_inputs: list[Input], variables: Any, most: int) -> tuple[list[str], End | None]:
    """A call by `step`, with at most so many nodes."""
    state, rest = first_state(program, variables), iter(given_inputs)
    path = [program.name(state.node)]
    while True:
        following = step(program, state, next(rest, NO_INPUT) if waits(program, state) else None)
        if isinstance(following, End):
            return path, following
        if len(path) == most:
            return path, None
        state = following
        path.append(program.name(state.node))


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
        case ("and", one, two):
            return f"({text_of(one)}) and ({text_of(two)})"
        case (word,):
            return str(word)
    raise AssertionError(condition)


def holds(condition: Condition, heard: tuple[str, str], visits: int, variables: Plain) -> bool:
    """Whether a condition holds."""
    kind, said = heard
    match condition:
        case ("dtmf" | "speech" as name, sign, text):
            value = said if kind == name else ""
            return value < text if sign == "<" else (value == text) is (sign == "==")
        case ("visits", number):
            return visits > number
        case ("variable", name, value):
            return name in variables and type(variables[name]) is type(value) and variables[name] == value
        case ("not", inner):
            return not holds(inner, heard, visits, variables)
        case ("and", one, two):
            return holds(one, heard, visits, variables) and holds(two, heard, visits, variables)
        case ("no_input" | "no_match" as word,):
            return kind == word
        case ("true",):
            return True
    raise AssertionError(condition)


def mentions(condition: Condition, names: set[str]) -> bool:
    """Whether a condition reads one of some names."""
    return condition[0] in names or any(isinstance(part, tuple) and mentions(part, names) for part in condition)


def numbers(condition: Condition, name: str) -> list[Any]:
    """What is compared with a name, anywhere in a condition."""
    inner = [value for part in condition if isinstance(part, tuple) for value in numbers(part, name)]
    return [condition[1:], *inner] if condition[0] == name else inner


def walk(flow: Plain, inputs: Sequence[tuple[str, str]], variables: Plain, mocks: Mapping[str, list[Plain]]) -> Plain:
    """One call: its path, how it ended, the variables in the end, and how many inputs were taken."""
    node, visits, states, path = flow["start"], {}, [], []
    variables, rest, used = dict(variables), [list(given) for given in inputs], 0
    while True:
        at = flow["nodes"][node]
        visits[node] = visits.get(node, 0) + 1
        path.append(node)
        variables |= at["set"]
        if node in mocks:
            variables |= mocks[node][min(visits[node], len(mocks[node])) - 1]
        if at["ends"]:
            return {"path": path, "end": "completed", "variables": variables, "used": used}
        state = _state(flow, node, visits, variables, rest, mocks)
        if state in states:
            return {"path": path, "end": "loop", "variables": variables, "used": used}
        states.append(state)
        if sum(1 for seen in path if seen == node) > 500:
            raise AssertionError("this call never ends")
        if at["max_visits"] is not None and visits[node] > at["max_visits"]:
            node = at["fallback"] or at["default"]
        else:
            heard = ("", "")
            if _asks(at):
                heard, taken = _hear(at, rest)
                used += taken
                if heard[0] == "hangup":
                    return {"path": path, "end": "hung_up", "variables": variables, "used": used}
            fits = [target for condition, target in at["ways"] if holds(condition, heard, visits[node], variables)]
            node = (fits or [at["default"] or at["fallback"]])[0]
        if node is None:
            return {"path": path, "end": "no_way_out", "variables": variables, "used": used}


def _asks(at: Plain) -> bool:
    caller = {"dtmf", "speech", "no_input", "no_match"}
    return at["type"] == "menu" or any(mentions(condition, caller) for condition, _ in at["ways"])


def _hear(at: Plain, rest: list[list[str]]) -> tuple[tuple[str, str], int]:
    if not rest:
        return ("no_input", ""), 0
    kind, text = rest[0]
    if kind != "digits":
        rest.pop(0)
        return ("dtmf" if kind == "keys" else kind, text), 1
    named = [value for condition, _ in at["ways"] for value in numbers(condition, "dtmf")]
    most = len(text) if any(sign != "==" for sign, _ in named) else max([1, *(len(value) for _, value in named)])
    rest[0][1] = text[most:]
    if not rest[0][1]:
        rest.pop(0)
    return ("dtmf", text[:most]), 1


def _state(flow: Plain, node: str, visits: dict[str, int], variables: Plain, rest: Any, mocks: Any) -> Any:
    counted = []
    for name, at in flow["nodes"].items():
        count = visits.get(name, 0)
        most = [number + 1 for condition, _ in at["ways"] for (number,) in numbers(condition, "visits")]
        most = [at["max_visits"] + 1] if at["max_visits"] is not None else most
        counted.append((min(count, max(most, default=0)), min(count, max(len(mocks.get(name, [])) - 1, 0))))
    shown = sorted((name, type(value).__name__, value) for name, value in variables.items())
    return node, counted, [tuple(given) for given in rest], shown
