"""How conditions are read, and what is said about those that cannot be."""

import pickle

import pytest

from cordboard.errors import Ours
from cordboard.ivr.conditions import (
    MAX_LENGTH,
    MAX_NESTING,
    And,
    Comparison,
    ConditionError,
    Constant,
    Default,
    IsTrue,
    Name,
    Not,
    Number,
    Or,
    Text,
    parse,
    reads,
    reads_caller,
    show,
)


def refusal(text: str) -> ConditionError:
    with pytest.raises(ConditionError) as caught:
        parse(text)
    return caught.value


def test_a_key_is_compared_as_text() -> None:
    assert parse("dtmf == '1'") == Comparison("==", Name("dtmf"), Text("1"))


@pytest.mark.parametrize("text", ["default", "else", "  else\n"])
def test_default_and_else_are_one(text: str) -> None:
    assert parse(text) == Default()


@pytest.mark.parametrize(
    "name", ["default_queue", "defaults", "my_default", "elsewhere", "default.queue", "android", "nothing"]
)
def test_a_word_inside_a_name_is_part_of_the_name(name: str) -> None:
    assert parse(name) == IsTrue(Name(name))


@pytest.mark.parametrize("word", ["default", "else", "and", "a or b", "true", "not", "("])
def test_a_word_inside_quotes_is_text(word: str) -> None:
    assert parse(f"tier == '{word}'") == Comparison("==", Name("tier"), Text(word))


def test_not_binds_tighter_than_and_and_and_tighter_than_or() -> None:
    a, b, c = IsTrue(Name("a")), IsTrue(Name("b")), IsTrue(Name("c"))
    assert parse("not a and b or c") == Or((And((Not(a), b)), c))


def test_an_and_inside_an_and_is_one_longer_and() -> None:
    assert parse("a and (b and c)") == parse("(a and b) and c") == parse("a and b and c")


def test_not_takes_a_whole_comparison() -> None:
    assert parse("not tier == 'gold'") == Not(Comparison("==", Name("tier"), Text("gold")))


def test_a_number_and_the_same_digits_in_quotes_are_two_things() -> None:
    assert parse("tier == 1") != parse("tier == '1'")


def test_one_and_true_are_two_things() -> None:
    assert parse("tier == 1") != parse("tier == true")


def test_a_condition_seen_before_is_not_read_again() -> None:
    assert parse("dtmf == '1'") is parse("dtmf == '1'")


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("dtmf=='1'", "dtmf == '1'"),
        ('dtmf == "1"', "dtmf == '1'"),
        ("'1' == dtmf", "dtmf == '1'"),
        ("5 > visits", "visits < 5"),
        ("5 <= visits", "visits >= 5"),
        ("visits == 1.0", "visits == 1"),
        ("balance == -0", "balance == 0"),
        ("balance < 0.00001", "balance < 0.00001"),
        ("((dtmf == '1'))", "dtmf == '1'"),
        ("a and (b and c)", "a and b and c"),
        ("(a or b) and c", "(a or b) and c"),
        ("(a and b) or c", "a and b or c"),
        ("not (no_input)", "not no_input"),
        ("not tier == 'gold'", "not (tier == 'gold')"),
        ("not (a or b)", "not (a or b)"),
        ('speech == "it\'s"', 'speech == "it\'s"'),
        ("else", "default"),
        ("\ttrue\n", "true"),
        ("1 == 1", "1 == 1"),
    ],
)
def test_the_canonical_form(written: str, canonical: str) -> None:
    assert show(parse(written)) == canonical


@pytest.mark.parametrize(
    ("text", "column", "message", "hint"),
    [
        ("dtmf = '1'", 6, "`=` is not a comparison", "Write `==`."),
        ("dtmf !== '1'", 6, "`!==` is not a comparison", "Write `!=`."),
        ("dtmf === '1'", 6, "`===` is not a comparison", "Write `==`."),
        ("dtmf <> '1'", 6, "`<>` is not a comparison", "Write `!=`."),
        ("visits => 3", 8, "`=>` is not a comparison", "Write `>=`."),
        ("visits ≥ 3", 8, "`≥` is not a comparison", "Write `>=`."),
        ("no_input && tier", 10, "`&&` is not a word of conditions", "Write `and`."),
        ("no_input || tier", 10, "`||` is not a word of conditions", "Write `or`."),
        ("!no_input", 1, "`!` is not a word of conditions", "Write `not`."),
        ("no_input AND tier", 10, "`AND` is not written in small letters", "Write `and`."),
        ("True", 1, "`True` is not written in small letters", "Write `true`."),
        ("DTMF == '1'", 1, "`DTMF` is not written in small letters", "Write `dtmf`."),
        ("Default", 1, "`Default` is not written in small letters", "Write `default`."),
        ("dtmf == '1", 9, "the text that starts here is never closed", "Add '."),
        ("dtmf == 1'", 10, "the text that starts here is never closed", "Add '."),
        ("dtmf == '1\"", 9, "the text that starts here is never closed", "must end with ', not \""),
        ("dtmf == ‘1’", 9, "`‘` is a typographic quote", "Write ' or \"."),
        ("dtmf == “1”", 9, "`“` is a typographic quote", "Write ' or \"."),
        ("dtmf == '1’", 9, "the text that starts here is never closed", "`’` is a typographic quote"),
        ("speech == 'it\\'s'", 14, "a backslash does not protect a quote", "double quotes"),
        ("speech == 'a\tb'", 13, "unprintable character U+0009", "Take it out."),
        ("dtmf\u00a0== '1'", 5, "(U+00A0) is a space that is no plain space", "Type the space again."),
        ("tier == null", 9, "`null` is not a value", "A missing variable equals nothing"),
        ("1 < visits < 5", 12, "a comparison has two sides, this one goes on", "joined by `and`"),
        ("tier == 'a' 'b'", 13, "`'b'` is not expected here", "Join conditions"),
        ("dtmf is '1'", 6, "`is` is not expected here", "Write `==`."),
        ("dtmf in ('1', '2')", 6, "`in` is not expected here", "joined by `or`"),
        ("visits + 1 == 2", 8, "`+` stands for arithmetic", "Compute it in the flow."),
        ("tier == ${x}", 9, "`$` is not used here", "name of the variable alone"),
        ("(no_input", 1, "the bracket that opens here is never closed", "Add `)`."),
        ("no_input)", 9, "the bracket that closes here was never opened", "Take it out."),
        ("(tier) == 'gold'", 8, "`==` has no value on its left", "Only values are compared."),
        ("tier ==", 8, "the condition ends where a value is expected", "Write what is missing."),
        ("not", 4, "the condition ends where a value is expected", "Write what is missing."),
        ("== '1'", 1, "`==` stands where a value is expected", "a value on each side"),
        ("tier == and", 9, "`and` stands where a value is expected", "quotes where it is a text: 'and'"),
        ("'1'", 1, "a text alone is no condition", "Compare it"),
        ("1", 1, "a number alone is no condition", "Compare it"),
        ("dtmf == '1' or default", 16, "`default` stands alone or not at all", "write `true`"),
        ("default or dtmf == '1'", 1, "`default` stands alone or not at all", "write `true`"),
        ("(default)", 2, "`default` stands alone or not at all", "write `true`"),
        ("not else", 5, "`else` stands alone or not at all", "write `true`"),
        ("dtmf == 007", 9, "`007` is not a number", "put everything else into quotes"),
        ("dtmf == 1e5", 9, "`1e5` is not a number", "put everything else into quotes"),
        ("phone == 4915112345678901", 10, "a number has at most 15 digits", "telephone number"),
        ("größe == 1", 1, "`größe` is not a name", "letters a to z"),
        ("tier.1 == 1", 1, "`tier.1` is not a name", "letters a to z"),
        ("", 1, "the condition is empty", "Write `true`"),
        ("  ", 1, "the condition is empty", "Write `true`"),
    ],
)
def test_a_refusal_names_the_place_and_how_to_mend_it(text: str, column: int, message: str, hint: str) -> None:
    error = refusal(text)
    assert (error.column, message in error.message, hint in error.hint) == (column, True, True), str(error)


def test_a_refusal_is_ours_and_reads_as_a_sentence() -> None:
    error = refusal("dtmf = '1'")
    assert isinstance(error, Ours)
    assert str(error) == "column 6: `=` is not a comparison. Write `==`."


def test_a_refusal_survives_pickling() -> None:
    error = refusal("dtmf = '1'")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_condition_may_have_a_thousand_characters_and_not_one_more() -> None:
    longest = f"speech == '{'x' * (MAX_LENGTH - 12)}'"
    assert show(parse(longest)) == longest
    assert "1001 characters, 1000 are allowed" in refusal(longest + " ").message


def test_a_condition_whose_canonical_form_is_too_long_is_refused_as_well() -> None:
    """Else it would be accepted once, and never again as it is written back."""
    crowded = " or ".join(["a<b"] * 130)
    assert len(crowded) < MAX_LENGTH
    assert "written out with single spaces" in refusal(crowded).message


@pytest.mark.parametrize(
    ("before", "after", "levels"), [("(", ")", 50), ("not ", "", 50), ("not (", ")", 50), ("(a or not ", ")", 49)]
)
def test_nesting_is_bounded(before: str, after: str, levels: int) -> None:
    deepest = before * levels + "a" + after * levels
    assert parse(show(parse(deepest))) == parse(deepest)
    assert f"nested deeper than {MAX_NESTING} levels" in refusal(before + deepest + after).message


def test_what_a_condition_reads() -> None:
    condition = parse("not (dtmf == pin) and (visits < 3 or customer.vip) and 1 == 1")
    assert reads(condition) == {"dtmf", "pin", "visits", "customer.vip"}


@pytest.mark.parametrize(
    ("text", "asks"),
    [("dtmf == '1'", True), ("not no_input", True), ("a or no_match", True), ("visits > 2", False), ("default", False)],
)
def test_whether_a_condition_depends_on_the_caller(text: str, asks: bool) -> None:
    assert reads_caller(parse(text)) is asks


def test_true_and_false_are_conditions() -> None:
    assert (parse("true"), parse("false")) == (Constant(True), Constant(False))


def test_whole_numbers_are_integers() -> None:
    condition = parse("visits == 2.0")
    assert isinstance(condition, Comparison)
    assert isinstance(condition.right, Number)
    assert isinstance(condition.right.value, int)
