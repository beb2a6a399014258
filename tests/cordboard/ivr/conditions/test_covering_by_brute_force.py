"""What is said about branches is held against trying out a universe that is larger than what the conditions tell apart.

Literals are few and close together, so that the universe has several values in every gap between them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, TypeVar

from hypothesis import example, given, settings
from hypothesis import strategies as st

from cordboard.ivr.conditions import CallerInput, Condition, cover, evaluate, overlap, parse, reads
from cordboard.ivr.conditions.covering import cover_by_trial
from tests.thorough import count

T = TypeVar("T")

#: Names compared in one example: at most two variables, so that every combination can be tried.
THEMES: tuple[tuple[str, ...], ...] = (
    ("dtmf", "x"),
    ("speech", "x"),
    ("visits", "x"),
    ("x", "y"),
    ("no_input", "no_match", "dtmf"),
    ("no_input", "x"),
    ("dtmf", "speech"),
    ("visits", "dtmf"),
)
OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "==")
LITERALS = ("'1'", "'12'", "''", "1", "2", "2.5", "true", "false")

PRESSED = ("0", "1", "11", "12", "121", "13", "2", "*", "#", "1#", "00", "9", "99")
SAID = ("0", "1", "1 ", "11", "12", "12a", "12b", "2", "a", "b")
NUMBERS = (-1, 0, 1, 1.25, 1.5, 2, 2.2, 2.4, 2.5, 2.75, 3, 4, 5)
VALUES: tuple[Any, ...] = (None, True, False, "", *dict.fromkeys((*PRESSED, *SAID)), "1$", "1211", *NUMBERS)
CALLERS = (
    *(CallerInput(keys) for keys in PRESSED),
    *(CallerInput(speech=words) for words in SAID),
    CallerInput(no_input=True),
    CallerInput(no_match=True),
)


class Choices:
    """Bytes as choices; when they are used up, the first of everything is chosen."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def among(self, things: Sequence[T]) -> T:
        return things[next(self._bytes, 0) % len(things)]


def a_branch(choices: Choices, names: Sequence[str], depth: int = 2) -> str:
    kind = choices.among(("comparison", "comparison", "pair", "bare", "not", "and", "or")) if depth else "comparison"
    if kind in {"and", "or"}:
        return f"({a_branch(choices, names, depth - 1)} {kind} {a_branch(choices, names, depth - 1)})"
    if kind == "not":
        return f"not ({a_branch(choices, names, depth - 1)})"
    if kind == "bare":
        return choices.among(names)
    return f"{choices.among(names)} {choices.among(OPERATORS)} {choices.among(names if kind == 'pair' else LITERALS)}"


def some_branches(data: bytes) -> list[Condition]:
    choices = Choices(data)
    names, count = choices.among(THEMES), choices.among((1, 2, 3, 4))
    last = choices.among(([], ["default"], [], ["true"]))
    return [parse(text) for text in [*(a_branch(choices, names) for _ in range(count)), *last]]


def universe(conditions: Sequence[Condition]) -> Iterator[tuple[CallerInput, dict[str, Any]]]:
    names = sorted(frozenset().union(*map(reads, conditions)) & {"x", "y", "visits"})
    choices = [range(1, 6) if name == "visits" else VALUES for name in names]
    for caller, *values in product(CALLERS, *choices):
        yield caller, dict(zip(names, values, strict=True))


Holding = list[tuple[CallerInput, list[bool]]]


def tried_out(conditions: Sequence[Condition]) -> Holding:
    return [(caller, [evaluate(it, caller, values) for it in conditions]) for caller, values in universe(conditions)]


def first_true(holds: Sequence[bool]) -> int | None:
    """`default` is last in these examples, so the order is that of the list."""
    return holds.index(True) if True in holds else None


branches = st.binary(min_size=8, max_size=48).map(some_branches)
SLOW = settings(max_examples=25, deadline=None)  # each tries thousands of situations
QUICK = settings(max_examples=count(200, 400), deadline=None)


@QUICK
@given(branches)
def test_every_example_of_a_branch_is_taken_by_that_branch(conditions: list[Condition]) -> None:
    for index, found in enumerate(cover(conditions).witness):
        if found is not None:
            holds = [evaluate(condition, found.caller, found.variables) for condition in conditions]
            assert first_true(holds) == index


@QUICK
@given(branches)
def test_every_example_of_a_gap_is_taken_by_no_branch(conditions: list[Condition]) -> None:
    for gap in cover(conditions).gaps:
        assert not any(evaluate(condition, gap.caller, gap.variables) for condition in conditions)


@SLOW
@given(branches)
def test_a_branch_that_is_ever_taken_has_an_example(conditions: list[Condition]) -> None:
    found, tried = cover(conditions), tried_out(conditions)
    taken = {first_true(holds) for _, holds in tried}
    ever = {index for _, holds in tried for index, held in enumerate(holds) if held}
    assert found.exact
    assert [index in taken for index in range(len(conditions))] == [it is not None for it in found.witness]
    assert [index not in ever for index in range(len(conditions))] == list(found.impossible)


@SLOW
@given(branches)
def test_the_branch_that_hides_another_is_the_one_that_is_named(conditions: list[Condition]) -> None:
    tried = [holds for _, holds in tried_out(conditions)]
    for index, hider in enumerate(cover(conditions).shadowed):
        mine = [holds for holds in tried if holds[index]]
        taken = {first_true(holds) for holds in mine}
        if not mine or index in taken:
            assert hider is None
            continue
        alone = [other for other in range(index) if all(holds[other] for holds in mine)]
        assert hider == (alone[0] if alone else max(it for it in taken if it is not None))


@SLOW
@given(branches)
def test_an_input_is_unmatched_exactly_where_nothing_takes_it(conditions: list[Condition]) -> None:
    unmatched = set(cover(conditions).unmatched)
    left = {caller for caller, holds in tried_out(conditions) if not any(holds)}
    single = {caller for caller in CALLERS if len(caller.dtmf) == 1 or caller.no_input or caller.no_match}
    assert unmatched & single == left & single
    assert any(caller.speech for caller in unmatched) == any(caller.speech for caller in left)
    assert any(caller.dtmf for caller in unmatched) == any(caller.dtmf for caller in left)


@SLOW
@given(branches)
def test_two_conditions_overlap_exactly_where_both_can_hold(conditions: list[Condition]) -> None:
    a, b = conditions[0], conditions[-1]
    found = overlap(a, b)
    assert (found is not None) == any(all(holds) for _, holds in tried_out([a, b]))
    assert found is None or (found.proven and all(evaluate(it, found.caller, found.variables) for it in (a, b)))


USUAL = (
    *(f"dtmf == '{keys}'" for keys in ("1", "2", "#", "12", "00", "A")),
    *("speech == 'billing'", "speech == 'something else'", "no_input", "no_match", "true", "default", "false"),
    *("dtmf == '1' or dtmf == '2'", "no_input or no_match", "speech == 'billing' or dtmf == '1' or false"),
)


@settings(max_examples=count(500, 2_000), deadline=None)
@given(st.lists(st.sampled_from(USUAL), max_size=8))
@example(["dtmf == ''"])
@example(["dtmf == 'one'", "dtmf == '1'"])
@example(["speech == ''", "no_input"])
def test_the_short_way_says_what_trying_everything_says(texts: list[str]) -> None:
    conditions = [parse(text) for text in texts]
    assert cover(conditions) == cover_by_trial(conditions)


@settings(max_examples=count(250, 500), deadline=None)
@given(st.sampled_from(USUAL), st.sampled_from(USUAL))
def test_usual_branches_overlap_exactly_where_both_can_hold(first: str, second: str) -> None:
    a, b = parse(first), parse(second)
    found = overlap(a, b)
    callers = (*CALLERS, CallerInput("A"), CallerInput(speech="billing"), CallerInput(speech="something else"))
    assert (found is not None) == any(evaluate(a, caller, {}) and evaluate(b, caller, {}) for caller in callers)
    assert found is None or all(evaluate(it, found.caller, found.variables) for it in (a, b))
