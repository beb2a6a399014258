"""The laws of the language: what is printed reads as what it was, and the evaluator agrees with another one.

Examples are grown from bytes, a choice a byte, because one draw of bytes is many times faster than a tree of draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.ivr.conditions import (
    And,
    Boolean,
    CallerInput,
    Comparison,
    Condition,
    ConditionError,
    Constant,
    IsTrue,
    Name,
    Not,
    Number,
    Operand,
    Or,
    Text,
    cover,
    evaluate,
    parse,
    show,
)
from tests.thorough import count

T = TypeVar("T")
OPERATORS: tuple[Any, ...] = ("==", "!=", "<", "<=", ">", ">=")
NAMES = ("dtmf", "speech", "no_input", "no_match", "visits", "tier", "customer.tier", "default_queue", "android", "_x1")
TEXTS = ("1", "12", "", "default", "a and b", "it's", 'say "hi"', "==", "(", "größe", "C:\\temp x", "  ")
NUMBERS = (0, 1, -5, 12, 0.5, -0.25, 0.00001, 123456789012345, 99999999.5)


class Choices:
    """Bytes as choices; when they are used up, the first of everything is chosen."""

    def __init__(self, data: bytes) -> None:
        self._bytes = iter(data)

    def among(self, things: Sequence[T]) -> T:
        return things[next(self._bytes, 0) % len(things)]


def a_tree(choices: Choices, depth: int = 4) -> Condition:
    """A condition as the parser makes them: no `and` inside an `and`, no literal on the left of a name."""
    kind = choices.among(("comparison", "bare", "not", "and", "or", "comparison")) if depth else "comparison"
    if kind == "comparison":
        return a_comparison(choices)
    if kind == "bare":
        return choices.among([*(IsTrue(Name(name)) for name in NAMES), Constant(True), Constant(False)])
    if kind == "not":
        return Not(a_tree(choices, depth - 1))
    joined = And if kind == "and" else Or
    parts = [a_tree(choices, depth - 1) for _ in range(choices.among((2, 3)))]
    return joined(tuple(inner for part in parts for inner in (part.parts if isinstance(part, joined) else (part,))))


def a_comparison(choices: Choices) -> Comparison:
    left, right = an_operand(choices), an_operand(choices)
    swap = isinstance(right, Name) and not isinstance(left, Name)
    return Comparison(choices.among(OPERATORS), *((right, left) if swap else (left, right)))


def an_operand(choices: Choices) -> Operand:
    kind = choices.among(("name", "text", "number", "boolean", "name", "text"))
    if kind == "name":
        return Name(choices.among(NAMES))
    if kind == "text":
        return Text(choices.among(TEXTS))
    return Number(choices.among(NUMBERS)) if kind == "number" else Boolean(choices.among((True, False)))


@settings(max_examples=count(1_000, 10_000), deadline=None)
@given(st.binary(max_size=48))
def test_what_is_printed_reads_as_what_it_was(data: bytes) -> None:
    condition = a_tree(Choices(data))
    assert parse(show(condition)) == condition


class Other:
    """Another evaluator: a value that Python's own operators compare by the rules of the language."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def like(self, other: Other) -> bool:
        pair = {type(self.value), type(other.value)}
        return pair == {str} or pair == {bool} or (pair <= {int, float} and bool(pair))

    def ordered(self, other: Other) -> bool:
        return self.like(other) and not isinstance(self.value, bool)

    def __bool__(self) -> bool:
        return self.value is True

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Other)
        return self.like(other) and bool(self.value == other.value)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Other) -> bool:
        return self.ordered(other) and bool(self.value < other.value)

    def __le__(self, other: Other) -> bool:
        return self.ordered(other) and bool(self.value <= other.value)

    def __gt__(self, other: Other) -> bool:
        return self.ordered(other) and bool(self.value > other.value)

    def __ge__(self, other: Other) -> bool:
        return self.ordered(other) and bool(self.value >= other.value)

    __hash__ = None  # type: ignore[assignment]


Written = tuple[str, str]  # the same expression, in our language and in Python


def an_expression(choices: Choices, depth: int = 4) -> Written:
    """Text with spaces, line ends and brackets at random; Python's precedence is ours."""
    kind = choices.among(("comparison", "bare", "not", "and", "or", "brackets")) if depth else "comparison"
    if kind in {"and", "or"}:
        return pasted(kind, [an_expression(choices, depth - 1) for _ in range(choices.among((2, 3)))])
    if kind == "not":
        ours, python = an_expression(choices, depth - 1)
        return f"not {ours}", f"not {python}"
    if kind == "brackets":
        ours, python = an_expression(choices, depth - 1)
        return f"({ours})", f"({python})"
    return a_bare_name(choices) if kind == "bare" else a_written_comparison(choices)


def pasted(word: str, parts: list[Written]) -> Written:
    return f" {word}\n".join(ours for ours, _ in parts), f" {word} ".join(python for _, python in parts)


def a_bare_name(choices: Choices) -> Written:
    name = choices.among((*NAMES, "true", "false"))
    return name, f"v[{name!r}]"


def a_written_comparison(choices: Choices) -> Written:
    (left, python_left), (right, python_right) = a_written_operand(choices), a_written_operand(choices)
    operator, space = choices.among(OPERATORS), choices.among((" ", "", "\t"))
    return f"{left}{space}{operator}{space}{right}", f"{python_left} {operator} {python_right}"


def a_written_operand(choices: Choices) -> Written:
    operand = an_operand(choices)
    if isinstance(operand, Name):
        return operand.name, f"v[{operand.name!r}]"
    if isinstance(operand, Text):
        quote = choices.among([quote for quote in "'\"" if quote not in operand.value])
        return f"{quote}{operand.value}{quote}", f"V({operand.value!r})"
    text = f"{operand.value:.5f}" if isinstance(operand.value, float) else str(operand.value)
    return text.lower(), f"V({operand.value!r})"


VALUES = (None, "1", "12", "", "it's", 0, 1, -5, 0.5, 12.0, True, False, "true", [], {"tier": 1}, math.nan, math.inf)
CALLERS = (
    CallerInput("1"),
    CallerInput("12"),
    CallerInput(speech="it's"),
    CallerInput(no_input=True),
    CallerInput(no_match=True),
    CallerInput(),
)


def a_situation(choices: Choices) -> tuple[CallerInput, dict[str, Any]]:
    caller = choices.among(CALLERS)
    names = ("visits", "tier", "customer.tier", "default_queue", "android", "_x1")
    return caller, {name: choices.among(VALUES) for name in names if choices.among((True, True, False))}


def by_python(python: str, caller: CallerInput, variables: dict[str, Any]) -> bool:
    known = {
        name: Other(value) for name, value in variables.items() if not isinstance(value, float) or value < math.inf
    }
    asked = {name: Other(getattr(caller, name)) for name in ("dtmf", "speech", "no_input", "no_match")}
    words = {"true": Other(True), "false": Other(False)}
    values = {name: Other(None) for name in NAMES} | known | asked | words
    return bool(eval(python, {"v": values, "V": Other}))


@settings(max_examples=count(500, 3_000), deadline=None)
@given(st.binary(max_size=64), st.binary(max_size=16))
def test_the_evaluator_agrees_with_another_one(data: bytes, moment: bytes) -> None:
    """The other one is Python: its grammar, its precedence, its operators on values that follow our rules."""
    ours, python = an_expression(Choices(data))
    caller, variables = a_situation(Choices(moment))
    assert evaluate(parse(ours), caller, variables) is by_python(python, caller, variables)


@settings(max_examples=count(500, 1_500), deadline=None)
@given(st.binary(max_size=64))
def test_what_is_written_has_one_canonical_form(data: bytes) -> None:
    condition = parse(an_expression(Choices(data))[0])
    canonical = show(condition)
    assert parse(canonical) == condition
    assert show(parse(canonical)) == canonical


PIECES = (
    *("dtmf", "tier", "and", "or", "not", "true", "default", "==", "=", "!==", "<", "'", '"', "'1'", '"a"', "(", ")"),
    *("7", "-", ".", "1.5", "007", "\\", "‘", "\u00a0", "\x00", "\ud800", "é", "é", "\n", ",", "&&", "x" * 40),
)


def refused_or_total(text: str) -> None:
    """What every text must do: be refused with a column inside it, or be a condition that every function takes."""
    try:
        condition = parse(text)
    except ConditionError as error:
        assert 1 <= error.column <= len(text) + 1
        assert error.message
        return
    assert parse(show(condition)) == condition
    assert evaluate(condition, CallerInput("1"), {}) in (True, False)
    taken = cover([condition]).witness[0]
    assert taken is None or evaluate(condition, taken.caller, taken.variables)


@settings(max_examples=count(500, 2_500), deadline=None)
@given(st.binary(max_size=24), st.sampled_from(["", " "]))
def test_no_text_of_known_pieces_crashes_the_parser(data: bytes, between: str) -> None:
    refused_or_total(between.join(PIECES[byte % len(PIECES)] for byte in data))


@settings(max_examples=1000, deadline=None)
@given(st.text(max_size=60))
def test_no_text_at_all_crashes_the_parser(text: str) -> None:
    refused_or_total(text)
