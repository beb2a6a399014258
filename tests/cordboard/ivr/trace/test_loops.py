"""Loops: a state that comes back in our own engine, the same steps to the end in a vendor's path."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.ivr.trace import Loop, find_loop, loops_in, simulate
from cordboard.ivr.trace.loops import LEAST_TIMES

ROUND = [f"node_{number}" for number in range(50)]


@pytest.mark.parametrize("period", range(1, 51))
def test_a_round_of_any_length_is_found(period: int) -> None:
    path = ["node_start", *ROUND[:period] * 6]
    assert loops_in(path) == (Loop(tuple(ROUND[:period]), 1, 6),)


@given(st.lists(st.sampled_from("xy"), max_size=6), st.integers(1, 50), st.integers(LEAST_TIMES, 8), st.data())
@settings(max_examples=150, deadline=None)
def test_a_round_that_is_cut_off_in_the_middle_is_found(before, period, times, data) -> None:
    cut = data.draw(st.integers(0, period - 1))
    loops = loops_in([*before, *ROUND[:period] * times, *ROUND[:cut]])
    assert loops == (Loop(tuple(ROUND[:period]), len(before), times),)


@pytest.mark.parametrize("tries", range(1, 12))
def test_a_menu_that_gives_up_is_no_loop(tries: int) -> None:
    assert loops_in(["node_start", *["node_menu", "node_sorry"] * tries, "node_menu", "node_agent", "node_end"]) == ()


def test_three_tries_that_are_cut_off_are_no_loop() -> None:
    assert loops_in(["node_start", "node_menu", *["node_sorry", "node_menu"] * 3]) == ()


def test_a_node_that_is_met_often_on_different_ways_is_in_no_loop() -> None:
    """The steps between must be the same: here a caller listens to one topic after another."""
    topics = [f"node_topic_{number}" for number in range(20)]
    assert loops_in(["node_start", *(name for topic in topics for name in ("node_menu", topic))]) == ()


def test_rounds_that_differ_in_a_variable_are_no_loop() -> None:
    path = ["menu", "sorry"] * 6
    assert loops_in(path, [(name, step // 2) for step, name in enumerate(path)]) == ()


@given(st.lists(st.sampled_from("abc"), max_size=40))
@settings(max_examples=300, deadline=None)
def test_a_loop_is_what_a_search_by_hand_finds(path: list[str]) -> None:
    assert loops_in(path) == by_hand(path)


def by_hand(path: list[str]) -> tuple[Loop, ...]:
    """The definition, word for word: the shortest round that is made so often, at the end of the path."""
    for period in range(1, len(path) + 1):
        start = len(path) - period
        while start > 0 and path[start - 1] == path[start - 1 + period]:
            start -= 1
        times = (len(path) - start) // period
        if times >= LEAST_TIMES:
            return (Loop(tuple(path[start : start + period]), start, times),)
    return ()


def test_a_million_steps_are_looked_through() -> None:
    path = ["node_start", *ROUND * 20_000]
    assert loops_in(path) == (Loop(tuple(ROUND), 1, 20_000),)


def test_a_million_steps_without_a_loop_are_looked_through() -> None:
    """Long repetitions that do not reach the end are what makes a simple search slow."""
    path = [*["a", "b"] * 250_000, "c", *["a", "b"] * 250_000, "d"]
    assert loops_in(path) == ()


def test_the_first_state_that_comes_back_is_found() -> None:
    assert find_loop(["a", "b", "c", "b", "c"]) == (1, 3)
    assert find_loop(["a", "b", "c"]) is None


def test_a_call_that_passes_the_same_state_twice_is_in_a_loop(compiled) -> None:
    trace = simulate(compiled("start -> a\na -> b\nb -> c\nc -> a"))
    assert trace.path == ("start", "a", "b", "c", "a")
    assert trace.loops == (Loop(("a", "b", "c"), 1, 1),)
    assert trace.end.message == "the call goes round for ever: `a` → `b` → `c` → `a`"


def test_a_caller_who_stays_silent_is_named_as_the_reason(compiled) -> None:
    trace = simulate(compiled("start -> menu\nmenu -> end: dtmf == '1'\nmenu -> menu: default"))
    assert trace.end.message == "a caller who stays silent goes round for ever: `menu` → `menu`"


@pytest.mark.parametrize("tries", [1, 2, 3, 9, 40])
def test_a_bounded_retry_menu_is_in_no_loop(compiled, tries: int) -> None:
    program = compiled("start -> menu\nmenu -> menu: default\nmenu -> end: fallback", {"menu": {"max_visits": tries}})
    trace = simulate(program)
    assert (trace.end.kind, trace.loops, len(trace.path)) == ("completed", (), tries + 3)


def test_a_menu_that_gives_up_into_itself_is_in_a_loop(compiled) -> None:
    text = "start -> menu\nmenu -> menu: default\nmenu -> menu: fallback"
    assert simulate(compiled(text, {"menu": {"max_visits": 3}})).end.kind == "loop"


def test_variables_that_come_and_go_in_turn_are_a_loop_of_two_rounds(compiled) -> None:
    text = "start -> a\na -> b\nb -> c: lamp == 'on'\nb -> d: default\nc -> a\nd -> a"
    trace = simulate(compiled(text, {"c": {"set": {"lamp": "off"}}, "d": {"set": {"lamp": "on"}}}))
    assert trace.path == ("start", "a", "b", "d", "a", "b", "c", "a", "b", "d")


def test_a_call_that_is_cut_off_has_the_variables_of_its_last_step(compiled) -> None:
    nodes = {"b": {"set": {"lamp": "on"}}, "c": {"set": {"lamp": "off"}}}
    trace = simulate(compiled("start -> a\na -> b\nb -> c\nc -> a", nodes), variables={"lamp": "off"})
    assert trace.path == ("start", "a", "b", "c", "a")
    assert trace.variables == trace.entries[-1].after == {"lamp": "off"}


def test_values_that_only_python_calls_equal_are_different_states(compiled) -> None:
    text = "start -> a\na -> end: lamp\na -> b\nb -> a"
    trace = simulate(compiled(text, {"b": {"set": {"lamp": True}}}), variables={"lamp": 1})
    assert trace.end.kind == "completed"


def test_what_no_state_ends_is_bounded(compiled) -> None:
    program = compiled("start -> a\na -> end: visits > limit\na -> a: default")
    trace = simulate(program, variables={"limit": 1000})
    assert (trace.end.kind, len(trace.path)) == ("too_long", 52)
    assert simulate(program, variables={"limit": 1000}, max_loops=1100).end.kind == "completed"


def test_what_the_caller_does_again_and_again_is_no_loop(compiled) -> None:
    from cordboard.ivr.trace import digits

    trace = simulate(
        compiled("start -> menu\nmenu -> end: dtmf == '1'\nmenu -> menu: default"), [digits("9" * 200 + "1")]
    )
    assert (trace.end.kind, len(trace.path)) == ("completed", 203)
