"""Proofs about thousands of random flows against a second engine: same verdicts, same shortest length."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from cordboard.ivr.paths import properties_of, prove
from cordboard.ivr.suite import run_case
from tests.thorough import count

BATCHES, BATCH = count(2, 10), count(250, 500)
Reached = dict[Any, int]


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_proof_says_what_looking_at_all_calls_says(batch, plainly) -> None:
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        plain = plainly.random_flow(seed)
        claim = _claim(seed)
        few = 0 if seed % 2 else 20_000  # half of them begin with calls in which hardly anything is counted
        program = plainly.program(plain)
        (verdict,) = prove(program, properties_of([claim]), few_states=few)
        expected = _shortest(claim, plainly.calls(plain))
        if verdict.case is not None:
            assert _shows(claim, run_case(program, verdict.case)), seed
        assert (seed, claim, verdict.status, verdict.inputs) == (
            seed,
            claim,
            "holds" if expected is None else "violated",
            expected,
        )


def _shows(claim: dict[str, Any], result: Any) -> bool:
    """Whether a case, made by the usual engine, passes, and is a call that breaks the property."""
    path, end = result.trace.path, result.trace.end.kind
    shows = {
        "never": lambda: claim["node"] in path,
        "never-before": lambda: not set(claim["before"]) & set(path[: path.index(claim["node"])]),
        "every-call-ends": lambda: end in {"loop", "no_way_out", "too_long"},
    }
    return result.status == "passed" and bool(shows.get(claim["kind"], lambda: True)())


def _claim(seed: int) -> dict[str, Any]:
    rng = random.Random(seed)
    return rng.choice(
        [
            {"kind": "every-call-ends"},
            {"kind": "reaches-within", "inputs": rng.randrange(5)},
            {"kind": "reaches-within", "inputs": rng.randrange(5), "nodes": ["d", "end"]},
            {"kind": "never-before", "node": "d", "before": ["b", "c"]},
            {"kind": "digit-reaches", "digit": "1", "types": ["queue"]},
            {"kind": "never", "node": "other_end"},
        ]
    )


def _shortest(claim: dict[str, Any], calls: Any) -> int | None:
    """How many inputs the shortest call takes that breaks a property."""
    match claim["kind"]:
        case "never":
            reached = _reached(calls)
            return min((reached[it] for it in reached if it[0] == claim["node"]), default=None)
        case "never-before":
            reached = _reached(calls, blocked=claim["before"])
            return min((reached[it] for it in reached if it[0] == claim["node"]), default=None)
        case "reaches-within":
            named = claim.get("nodes") or [
                name for name, node in calls.nodes.items() if node["type"] in {"queue", "terminal"}
            ]
            return _too_far(calls, set(named), claim["inputs"])
        case "digit-reaches":
            return _astray(calls, {name for name, node in calls.nodes.items() if node["type"] == "queue"})
        case _:
            return _endless(calls)


def _reached(calls: Any, blocked: Iterable[str] = ()) -> Reached:
    """Every state that a call gets to, with the fewest inputs."""
    found: Reached = {}
    layer, inputs = set(calls.first), 0
    while layer:
        later = set()
        todo = [state for state in layer if state not in found]
        for state in todo:
            if state in found:
                continue
            found[state] = inputs
            if state[0] not in blocked:
                for heard, following in calls.moves(state):
                    if following != "no way out":
                        (todo.append if heard is None else later.add)(following)
        layer, inputs = later, inputs + 1
    return found


def _for_ever(states: Iterable[Any], onward: Callable[[Any], list[Any]]) -> set[Any]:
    """The states from which one can go on without end: what is left when all others are taken away, again and again."""
    left = set(states)
    while True:
        gone = {state for state in left if not any(following in left for following in onward(state))}
        if not gone:
            return left
        left -= gone


def _endless(calls: Any) -> int | None:
    reached = _reached(calls)

    def silent(state: Any) -> list[Any]:
        return [to for heard, to in calls.moves(state) if heard in (None, ("no_input", ""))]

    stuck = [reached[state] for state in _for_ever(reached, silent)]
    holes = [
        reached[state] + (heard is not None)
        for state in reached
        for heard, following in calls.moves(state)
        if following == "no way out"
    ]
    return min([*stuck, *holes], default=None)


def _alone(calls: Any, state: Any) -> list[Any]:
    return [following for heard, following in calls.moves(state) if heard is None]


def _too_far(calls: Any, targets: set[str], most: int) -> int | None:
    everywhere = [state for state in _reached(calls) if state[0] not in targets]
    stuck = _for_ever(everywhere, lambda state: _alone(calls, state))
    layer, broken = set(calls.first), False
    for inputs in range(most + 1):
        later, seen, todo = set(), set(), list(layer)
        for state in todo:
            if state in seen or state[0] in targets:
                continue
            seen.add(state)
            broken_here = state in stuck or calls.nodes[state[0]]["type"] == "terminal"
            for heard, following in calls.moves(state):
                if heard is None and following == "no way out":
                    broken_here = True
                elif heard is None:
                    todo.append(following)
                elif inputs == most:
                    broken_here = True
                elif following == "no way out":
                    broken = True
                else:
                    later.add(following)
            if broken_here:
                return inputs
        if broken:
            return inputs + 1
        layer = later
    return None


def _astray(calls: Any, targets: set[str]) -> int | None:
    reached = _reached(calls)
    others = [state for state in reached if state[0] not in targets]
    stuck = _for_ever(others, lambda state: _alone(calls, state))

    def lost(state: Any) -> bool:
        todo, seen = [state], set()
        for one in todo:
            if one == "no way out":
                return True
            if one in seen or one[0] in targets:
                continue
            seen.add(one)
            moves = calls.moves(one)
            if one in stuck or not moves or any(heard is not None for heard, _ in moves):
                return True
            todo += [following for _, following in moves]
        return False

    wrong = [
        reached[state] + 1
        for state in reached
        if calls.is_menu(state[0])
        for heard, following in calls.moves(state)
        if heard == ("dtmf", "1") and (following == "no way out" or lost(following))
    ]
    return min(wrong, default=None)
