"""Suites for hundreds of random flows: they take all that can be taken, and are hardly larger than they must be."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from cordboard.ivr.paths.bounds import fewest_calls
from cordboard.ivr.paths.covering import _passages, generate
from cordboard.ivr.suite import run_case
from cordboard.ivr.trace import Program
from tests.thorough import count

BATCHES, BATCH = count(2, 5), count(100, 200)
MOST = 1.3


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_suite_takes_every_transition_that_some_call_takes(batch, plainly) -> None:
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        plain = plainly.random_flow(seed)
        program = plainly.program(plain)
        made = generate(program)
        assert (seed, _taken(program, made)) == (seed, _takeable(plainly.calls(plain)))
        assert (seed, len(made.impossible)) == (seed, len(program.flow.transitions) - made.takeable)
        assert made.lower_bound <= len(made.cases) <= MOST * made.lower_bound


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_suite_takes_every_pair_of_transitions(batch, plainly) -> None:
    size = bound = 0
    for seed in range(batch * BATCH // 4, (batch + 1) * BATCH // 4):
        plain = plainly.random_flow(seed)
        program = plainly.program(plain)
        made = generate(program, pairs=True)
        assert (seed, _taken(program, made, pairs=True)) == (seed, _takeable_pairs(plainly.calls(plain)))
        assert made.lower_bound <= len(made.cases)
        size, bound = size + len(made.cases), bound + made.lower_bound
    assert size <= MOST * bound


def test_no_single_call_does_what_two_cases_are_needed_for(plainly) -> None:
    seen = 0
    for seed in range(150):
        plain = plainly.random_flow(seed)
        made = generate(plainly.program(plain))
        calls = plainly.calls(plain)
        if made.lower_bound == 2 and made.takeable <= 7 and len(calls.states()) <= 60:
            seen += 1
            assert frozenset(_takeable(calls)) not in _by_one_call(calls), seed
    assert seen > 10


def test_the_stream_is_never_a_higher_bound_than_trying_all_suites(plainly) -> None:
    for seed in range(300):
        program = plainly.program(plainly.random_flow(seed))
        made = generate(program)
        items = {(None, edge) for edge in _taken(program, made)}
        bound = fewest_calls(program.start, list(_passages(program, items, items, False)), 100)
        assert bound <= made.lower_bound, seed


def _taken(program: Program, made: Any, pairs: bool = False) -> set[Any]:
    found: set[Any] = set()
    for case in made.cases:
        result = run_case(program, case)
        assert result.status == "passed" and result.trace is not None
        trace = result.trace
        edges = [*trace.edges, *(trace.edges[loop.start] for loop in trace.loops)]  # and round again
        found.update(pairwise(edges) if pairs else edges)
    return found


def _takeable(calls: Any) -> set[int]:
    numbers = {edge: number for number, edge in enumerate(calls.edges())}
    return {numbers[state[0], way] for state in calls.states() for _, way, _, _ in calls.ways(state) if way is not None}


def _takeable_pairs(calls: Any) -> set[tuple[int, int]]:
    numbers = {edge: number for number, edge in enumerate(calls.edges())}
    found = set()
    for state in calls.states():
        for _, way, visits, variables in calls.ways(state):
            if way is not None:
                for following in calls.arrive(calls.target(state[0], way), visits, variables):
                    for _, second, _, _ in calls.ways(following):
                        if second is not None:
                            found.add((numbers[state[0], way], numbers[following[0], second]))
    return found


def _by_one_call(calls: Any) -> set[frozenset[int]]:
    """Everything that single calls have taken at some moment."""
    numbers = {edge: number for number, edge in enumerate(calls.edges())}
    todo = [(state, frozenset[int]()) for state in calls.first]
    seen = set(todo)
    for state, taken in todo:
        for _, way, visits, variables in calls.ways(state):
            if way is not None:
                more = taken | {numbers[state[0], way]}
                for following in calls.arrive(calls.target(state[0], way), visits, variables):
                    if (following, more) not in seen:
                        seen.add((following, more))
                        todo.append((following, more))
    return {taken for _, taken in seen}
