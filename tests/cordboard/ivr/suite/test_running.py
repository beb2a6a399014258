"""Cases and what comes of them: who passes, and what a failed one says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cordboard.errors import VendorFailed
from cordboard.ivr.suite import (
    Case,
    Expectation,
    coverage,
    judge,
    judged,
    load_suite,
    path_differences,
    run_suite,
    same_value,
)
from cordboard.ivr.trace import Trace, compile_flow, digits, from_vendor, simulate

EXAMPLES = Path(__file__).parents[4] / "examples"


@pytest.fixture
def mismatches(loaded):
    """What is said of a call with these keys, of which something is expected."""
    program = compile_flow(loaded("cases: [{name: a}]").flow)

    def said(pressed: str, then: Any = "silence", **expect: Any) -> tuple[str, ...]:
        inputs = [digits(pressed)] if pressed else []
        return judge(Expectation(**expect), simulate(program, inputs, then=then), program)

    return said


@pytest.mark.parametrize("name", ["main_menu_suite.yaml", "hospital_suite.yaml"])
def test_the_examples_pass_and_take_every_transition(name: str) -> None:
    suite = load_suite(EXAMPLES / name)
    assert suite.flow is not None
    program = compile_flow(suite.flow)
    results = run_suite(program, suite)
    assert [(result.name, result.mismatches) for result in results if result.status != "passed"] == []
    found = coverage(program, results).as_json()
    assert (found["nodes"]["missing"], found["transitions"]["missing"]) == ([], [])


def test_a_call_that_is_as_expected_has_no_mismatch(mismatches) -> None:
    assert (
        mismatches(
            "1",
            path=("node_start", "node_menu", "node_sales", "node_end"),
            visits=("node_menu", "node_end"),
            exit="node_end",
            variables={"desk": "sales", "gone": None},
            visited=("node_sales",),
            never=("node_sorry",),
            prompts=("press one", "press two"[:0]),
            inputs=1,
            duration_max=500,
            end="completed",
        )
        == ()
    )


def test_variables_keep_their_types(mismatches) -> None:
    assert mismatches("1", variables={"lines": "2", "desk": "support", "tier": 1}) == (
        'variables: `lines` is 2, expected "2"',
        'variables: `desk` is "sales", expected "support"',
        "variables: `tier` is missing, expected 1",
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        ({"a": [1, 2.0]}, {"a": [1.0, 2]}, True),
        (1, True, False),
        (0.0, False, False),
        ([1], [True], False),
        ("1", 1, False),
        ({"a": None}, {}, False),
        ([1, 2], [1], False),
    ],
)
def test_numbers_are_equal_as_json_has_them(one: Any, other: Any, same: bool) -> None:
    assert same_value(one, other) is same
    assert same_value(other, one) is same


@pytest.mark.parametrize(
    ("pressed", "expect", "said"),
    [
        ("1", {"exit": "node_sales"}, "exit: `node_end`, expected `node_sales`"),
        ("1", {"visits": ("node_end", "node_menu")},
         "visits: `node_menu` expected after `node_end`, the call does not get there"),
        ("1", {"visited": ("node_support",)}, "visited: the call never gets to `node_support`"),
        ("71", {"never": ("node_sorry",)}, "never: the call gets to `node_sorry` at step 3"),
        ("1", {"prompts": ("press one", "Sorry")}, "prompts: `Sorry` expected after `press one`, is never heard"),
        ("71", {"inputs": 1}, "inputs: 2 used, expected 1"),
        ("1", {"duration_max": 100}, "duration: 145 ms, expected at most 100 ms"),
        ("1", {"end": "hung_up"}, "end: completed, expected hung_up: the call ends at `node_end`"),
    ],
    ids=["exit", "visits", "visited", "never", "prompts", "inputs", "duration", "end"],
)  # fmt: skip
def test_a_mismatch_says_what_was_got_and_what_was_expected(mismatches, pressed: str, expect: Any, said: str) -> None:
    assert mismatches(pressed, **expect) == (said,)


def test_a_call_without_an_exit_says_why(mismatches) -> None:
    assert mismatches("7", then="hangup", exit="node_end") == (
        "exit: none (the caller hangs up at `node_menu`), expected `node_end`",
    )


def test_of_two_prompts_each_needs_its_own_node(mismatches) -> None:
    assert mismatches("771", prompts=("Sorry", "Sorry")) == ()
    assert mismatches("71", prompts=("Sorry", "Sorry")) != ()


def test_a_fault_of_the_flow_fails_a_case_that_expects_nothing(loaded) -> None:
    suite = loaded("cases: [{name: a}, {name: b, expect: {end: loop}}]")
    looping = {"path": ["a", "b"] * 9}
    assert judge(suite.cases[0].expect, from_vendor(looping)) == (
        "end: loop at step 18: the call goes round for ever: `a` → `b` → `a`",
    )
    assert judge(suite.cases[1].expect, from_vendor(looping)) == ()


@pytest.mark.parametrize(
    ("expected", "got", "said"),
    [
        ("a b c d", "a b x d", ["step 3, after `b`: got `x`, expected `c`", "the same again from step 4, `d`"]),
        ("a b d", "a b x y d", ["step 3, after `b`: got `x` → `y`, not expected", "the same again from step 5, `d`"]),
        ("a b x d", "a b d", ["before step 3, after `b`: `x` expected, not got", "the same again from step 3, `d`"]),
        ("a b c", "a b", ["the call ends at step 2, after `b`; `c` expected"]),
        ("a", "a b c", ["the call goes on at step 2, after `a`, to `b` → `c`; nothing more expected"]),
        ("a b", "x b", ["step 1: got `x`, expected `a`", "the same again from step 2, `b`"]),
        ("a b c", "a c b", [
            "step 2, after `a`: got `c`, not expected",
            "the same again from step 3, `b`",
            "before the end: `c` expected, not got",
        ]),
    ],
    ids=["other step", "too many", "too few", "ends early", "goes on", "from the start", "swapped"],
)  # fmt: skip
def test_a_path_says_where_it_parts_and_where_it_meets_again(expected: str, got: str, said: list[str]) -> None:
    assert list(path_differences(expected.split(), got.split())) == said


def test_a_case_that_breaks_does_not_take_the_others_with_it(loaded) -> None:
    suite = loaded("cases: [{name: a, dtmf: '1'}, {name: b, dtmf: '2'}]")

    def broken() -> Trace:
        raise RuntimeError("boom")

    def refused() -> Trace:
        raise VendorFailed("simulation", {"message": "no access"})

    assert judged(suite.cases[0], broken).mismatches == ("the call could not be made: RuntimeError: boom",)
    assert judged(suite.cases[1], refused).mismatches == ("simulation: no access",)
    assert judged(suite.cases[1], refused).status == "error"


def test_a_mock_of_an_unknown_node_is_an_error_of_its_case(loaded) -> None:
    suite = loaded("cases: [{name: a}]")
    cases = (Case("broken", mocks={"node_x": [{}]}), Case("whole", (digits("1"),)))
    results = run_suite(compile_flow(suite.flow), type(suite)("", "", cases))
    assert [result.status for result in results] == ["error", "passed"]


def test_a_result_is_told_as_a_document(loaded) -> None:
    suite = loaded("cases: [{name: a, dtmf: '2', expect: {exit: node_sales}}]")
    assert run_suite(compile_flow(suite.flow), suite)[0].as_json() == {
        "name": "a",
        "status": "failed",
        "path": ["node_start", "node_menu", "node_support", "node_end"],
        "exit": "node_end",
        "mismatches": ["exit: `node_end`, expected `node_sales`"],
        "loops": [],
    }


def test_coverage_names_what_was_not_taken_with_its_line(loaded) -> None:
    suite = loaded("cases: [{name: a, dtmf: '1'}, {name: b, dtmf: '1'}]")
    program = compile_flow(suite.flow)
    found = coverage(program, run_suite(program, suite))
    assert [(part.id, part.times) for part in found.transitions[:3]] == [
        ("node_start -> node_menu", 2),
        ("node_menu -> node_sales", 2),
        ("node_menu -> node_support (1)", 0),
    ]
    assert found.as_json()["nodes"]["missing"] == [{"id": "node_sorry", "line": 8}, {"id": "node_support", "line": 13}]
    assert found.as_json()["transitions"] == {
        "taken": 3,
        "total": 8,
        "missing": [
            {"id": "node_menu -> node_support (1)", "line": 13},
            {"id": "node_menu -> node_sorry", "line": 14},
            {"id": "node_menu -> node_support (2)", "line": 15},
            {"id": "node_sorry -> node_menu", "line": 16},
            {"id": "node_support -> node_end", "line": 18},
        ],
    }


def test_a_vendor_s_calls_are_covered_like_ours(loaded) -> None:
    program = compile_flow(loaded("cases: [{name: a}]").flow)
    ours = [simulate(program, [digits(pressed)]) for pressed in ("1", "72", "777")]
    theirs = [from_vendor(trace.as_json(), program) for trace in ours]
    assert coverage(program, theirs) == coverage(program, ours)


def test_a_call_of_which_nobody_says_how_it_goes_on_fails_unless_that_is_expected(mismatches) -> None:
    assert mismatches("", then="stop") == (
        "end: input_missing at step 2: `node_menu` asks the caller, and no input is left",
    )
    assert mismatches("", then="stop", end="input_missing") == ()
