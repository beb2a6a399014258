"""Which branches can be taken, what nothing matches, and which conditions overlap: the cases people know."""

import pickle
from typing import Any

import pytest

from cordboard.ivr.conditions import CallerInput, Condition, Cover, cover, evaluate, overlap, parse

SILENCE, MISUNDERSTOOD = CallerInput(no_input=True), CallerInput(no_match=True)
KEYS = [CallerInput(key) for key in "0123456789*#"]


def covered(*texts: str) -> Cover:
    return cover([parse(text) for text in texts])


def met(first: str, second: str) -> bool:
    a, b = parse(first), parse(second)
    found = overlap(a, b)
    if found is not None:
        assert all(evaluate(it, found.caller, found.variables) for it in (a, b))
    return found is not None


def test_a_full_menu_leaves_nothing_over() -> None:
    found = covered("dtmf == '1'", "dtmf == '2'", "default")
    assert (found.shadowed, found.unmatched, found.exact) == ((None, None, None), (), True)


def test_what_nothing_matches_is_listed_from_keys_to_misunderstandings() -> None:
    found = covered(*(f"dtmf == '{key}'" for key in "01234589*#"), "speech == 'billing'")
    said = CallerInput(speech="something else")
    assert found.unmatched == (CallerInput("6"), CallerInput("7"), CallerInput("00"), said, SILENCE, MISUNDERSTOOD)


def test_there_is_always_something_longer_and_something_else() -> None:
    unmatched = covered("dtmf == '00'", "speech == 'something else'").unmatched
    assert CallerInput("000") in unmatched
    assert CallerInput(speech="something else 2") in unmatched


def test_examples_can_be_printed() -> None:
    example = covered("speech > 'x' and speech < 'x1'").witness[0]
    assert example is not None
    assert example.caller.speech.isprintable()


def test_silence_and_misunderstanding_can_be_handled_by_name() -> None:
    found = covered("dtmf == '1'", "no_input or no_match")
    assert SILENCE not in found.unmatched
    assert MISUNDERSTOOD not in found.unmatched


def test_the_same_key_twice_is_hidden_by_the_first() -> None:
    assert covered("dtmf == '1'", "dtmf == '2'", "dtmf == '1'").shadowed == (None, None, 0)


def test_true_hides_all_that_follows() -> None:
    assert covered("true", "dtmf == '1'", "default").shadowed == (None, 0, 0)


def test_default_waits_for_the_others_wherever_it_stands() -> None:
    found = covered("default", "dtmf == '1'", "default")
    assert found.shadowed == (None, None, 0)
    assert found.witness[0] is not None
    assert found.witness[0].caller == CallerInput("0")


def test_a_default_is_hidden_by_a_true_that_stands_after_it() -> None:
    assert covered("default", "true").shadowed == (1, None)


def test_several_that_hide_one_together_are_known_by_the_last_of_them() -> None:
    assert covered("dtmf == '1'", "dtmf == '2'", "dtmf == '1' or dtmf == '2'").shadowed == (None, None, 1)


def test_one_that_hides_alone_is_named_before_several_that_do_so_together() -> None:
    texts = ("visits < 3", "visits < 9", "visits >= 3 and visits < 7")
    assert covered(*texts).shadowed == (None, None, 1)
    assert covered("dtmf == '1'", "visits > 0", "dtmf == '1' or dtmf == '2'").shadowed == (None, None, 1)


def test_an_order_over_numbers_is_understood() -> None:
    assert covered("balance < 10", "balance < 5", "balance >= 10").shadowed == (None, 0, None)


def test_a_variable_may_be_missing_or_of_another_type() -> None:
    """So these two do not cover everything."""
    assert covered("balance < 10", "balance >= 10").unmatched[:1] == (CallerInput("0"),)


def test_visits_are_whole_numbers_from_one() -> None:
    found = covered("visits < 2", "visits == 2", "visits > 2")
    assert found.unmatched == ()
    assert covered("visits < 1").impossible == (True,)
    assert covered("visits > 1 and visits < 2").impossible == (True,)


@pytest.mark.parametrize(
    "text",
    [
        "no_input and no_match",
        "dtmf == '1' and dtmf == '2'",
        "dtmf == '1' and speech == 'one'",
        "dtmf == '1' and no_input",
        "dtmf == 1",
        "dtmf < 5",
        "dtmf == 'one'",
        "dtmf",
        "balance < 5 and balance > 5",
        "a < b and b < c and c < a",
        "tier == 'gold' and tier != 'gold'",
        "not (tier == tier) and tier == 'gold'",
        "speech == dtmf and dtmf != ''",
        "vip and vip <= true",
        "false",
    ],
)
def test_what_can_never_hold_is_impossible_and_not_hidden(text: str) -> None:
    found = covered("tier == 'tin'", text)
    assert (found.impossible[1], found.shadowed[1], found.witness[1]) == (True, None, None)


@pytest.mark.parametrize(
    "text",
    [
        "tier != tier",
        "dtmf == pin and pin == '4711'",
        "dtmf == ''",
        "a < b and b < c and c < d",
        "a > 1 and a < 1.000000000001",
        "a > 'x' and a < 'x!'",
        "a != b and b != c and a != c and a == 'x'",
        "no_input == silent and silent",
        "no_input == silent and dtmf == '1'",
        "visits > limit and limit > 2",
        "dtmf > '9' and dtmf < 'A'",
        "a == b and not (a <= b)",
        "vip == true and no_match",
    ],
)
def test_what_can_hold_has_an_example(text: str) -> None:
    condition = parse(text)
    found = cover([condition]).witness[0]
    assert found is not None
    assert evaluate(condition, found.caller, found.variables)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("dtmf == '1'", "dtmf == '1'", True),
        ("dtmf == '1'", "dtmf == '12'", False),
        ("dtmf == '1'", "dtmf == '2'", False),
        ("dtmf == '1'", "speech == '1'", False),
        ("dtmf == '1' or no_input", "no_match or no_input", True),
        ("dtmf == '1'", "tier == 'gold'", True),
        ("tier == 'gold'", "tier == 'tin'", False),
        ("visits < 3", "visits > 1", True),
        ("visits < 3", "visits > 2", False),
        ("tier == 1", "tier == '1'", False),
        ("tier == 1", "tier == true", False),
        ("tier == 1", "tier == 1.0", True),
        ("default", "dtmf == '1'", True),
        ("default", "false", False),
        ("a == b", "a != b", False),
    ],
)
def test_whether_two_conditions_can_both_hold(first: str, second: str, expected: bool) -> None:
    assert met(first, second) is expected
    assert met(second, first) is expected


def test_a_long_menu_with_a_variable_is_decided() -> None:
    found = covered(*(f"dtmf == '{number}' and vip" for number in range(300)))
    assert found.exact
    assert None not in found.witness


def too_many() -> list[Condition]:
    """Thirty names, each compared with a text of its own and with its neighbour."""
    return [parse(f"v{number} == 'x{number}' or v{number} == v{number + 1}") for number in range(30)]


def test_where_there_is_too_much_to_try_nothing_unproven_is_said() -> None:
    conditions = too_many()
    found = cover(conditions)
    assert (found.exact, set(found.shadowed), set(found.impossible)) == (False, {None}, {False})
    for number, example in enumerate(found.witness):
        if example is not None:
            taken = [evaluate(condition, example.caller, example.variables) for condition in conditions]
            assert taken.index(True) == number
    for gap in found.gaps:
        assert not any(evaluate(condition, gap.caller, gap.variables) for condition in conditions)


def test_where_there_is_too_much_to_try_pairs_are_still_looked_at() -> None:
    again, never = parse("v3 == 'x3' and v4 == 'y'"), parse("v1 == 'a' and v1 == 'b'")
    found = cover([*too_many(), again, never])
    assert (found.exact, found.shadowed[30:], found.impossible[30:]) == (False, (3, None), (False, True))


def test_an_overlap_that_cannot_be_decided_is_possible_and_says_so() -> None:
    chain = " and ".join(f"v{number} < v{number + 1}" for number in range(29))
    found = overlap(parse(chain), parse("v29 < 5"))
    assert found is not None
    assert not found.proven


def test_examples_read_as_words() -> None:
    found = covered("dtmf == '1' and tier == 'gold'", "vip", "no_input", "speech == 'x'", "no_match", "default")
    assert [str(example) for example in found.witness] == [
        "the caller presses 1, with tier = 'gold', vip missing",
        "the caller presses 0, with tier missing, vip = true",
        "the caller is silent, with tier missing, vip missing",
        "the caller says 'x', with tier missing, vip missing",
        "the caller is not understood, with tier missing, vip missing",
        "the caller presses 0, with tier missing, vip missing",
    ]
    assert str(covered("balance > 5").witness[0]) == "balance = 6"


def test_the_answer_to_the_same_question_is_kept() -> None:
    assert covered("dtmf == '1'", "vip") is covered("dtmf == '1'", "vip")


def test_an_answer_can_be_sent_to_another_process() -> None:
    found: Any = covered("dtmf == '1'", "vip")
    assert pickle.loads(pickle.dumps(found)) == found


def test_no_conditions_match_nothing() -> None:
    assert covered().unmatched[:12] == tuple(KEYS)
