"""When a condition holds; the table that people ask about. The law stands in `test_language`."""

from typing import Any

import pytest

from cordboard.ivr.conditions import CallerInput, evaluate, parse

SILENCE = CallerInput(no_input=True)


def holds(text: str, caller: CallerInput = SILENCE, **variables: Any) -> bool:
    return evaluate(parse(text), caller, variables)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dtmf == '1'", True),
        ("dtmf == '12'", False),
        ("dtmf == 1", False),
        ("dtmf != 1", True),
        ("dtmf < 5", False),
        ("dtmf >= 5", False),
        ("dtmf < '5'", True),
        ("speech == ''", True),
        ("no_input", False),
        ("dtmf", False),
        ("true", True),
        ("false", False),
        ("default", True),
    ],
)
def test_a_caller_who_presses_1(text: str, expected: bool) -> None:
    assert holds(text, CallerInput("1")) is expected


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (CallerInput(speech="billing"), "speech == 'billing'"),
        (CallerInput(no_input=True), "no_input"),
        (CallerInput(no_match=True), "no_match"),
        (CallerInput("7"), "dtmf == '7'"),
    ],
)
def test_each_input_is_seen_by_its_own_condition_only(caller: CallerInput, expected: str) -> None:
    texts = ("speech == 'billing'", "no_input", "no_match", "dtmf == '7'")
    assert [text for text in texts if holds(text, caller)] == [expected]


@pytest.mark.parametrize("value", [None, [], ["gold"], {"tier": "gold"}, float("nan"), float("inf"), object()])
def test_what_is_no_value_equals_nothing_not_even_itself(value: object) -> None:
    texts = ("tier == 'gold'", "tier != 'gold'", "tier == tier", "tier != tier", "tier < 5", "tier >= 5", "tier")
    assert [holds(text, tier=value) for text in texts] == [False, True, False, True, False, False, False]


def test_a_variable_that_is_not_there_is_like_one_without_a_value() -> None:
    assert [holds(text) for text in ("tier == tier", "tier != 'gold'", "tier")] == [False, True, False]


@pytest.mark.parametrize("value", [1, "true", "1", 1.0])
def test_only_true_is_true(value: object) -> None:
    assert holds("vip", vip=True)
    assert not holds("vip", vip=value)


def test_true_is_not_one() -> None:
    assert not holds("vip == 1", vip=True)
    assert holds("count == 1", count=1.0)


def test_booleans_have_no_order() -> None:
    assert [holds(text, vip=True) for text in ("vip <= true", "vip < true", "vip > false")] == [False] * 3


def test_numbers_are_ordered_by_size_and_texts_by_their_characters() -> None:
    assert holds("balance < 10", balance=9)
    assert not holds("balance < '10'", balance="9")


def test_the_number_of_visits_is_among_the_variables() -> None:
    assert holds("visits >= 3", visits=3)


def test_a_dotted_name_is_looked_up_inside_objects() -> None:
    assert holds("customer.tier == 'gold'", customer={"tier": "gold"})
    assert not holds("customer.tier == 'gold'", customer="gold")
    assert not holds("customer.tier.name == 'gold'", customer={"tier": "gold"})


def test_a_dotted_name_that_stands_as_it_is_goes_first() -> None:
    variables = {"customer.tier": "gold", "customer": {"tier": "tin"}}
    assert evaluate(parse("customer.tier == 'gold'"), SILENCE, variables)


def test_a_variable_cannot_pretend_to_be_what_the_caller_did() -> None:
    assert not holds("dtmf == '1'", dtmf="1")
