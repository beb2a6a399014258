"""The table of types: what is sent for each kind of value, and what is refused, by example."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.triggers.values import MAX_CONTEXT, MAX_VALUE, TABLE, DataType, too_large, typed
from tests.thorough import count

REFUSED = object()
TYPES: tuple[DataType, ...] = ("string", "integer", "boolean", "object", "array")

#: What is given, and what is sent for it as string, integer, boolean, object and array; `-` is refused.
no = REFUSED
MATRIX: list[tuple[Any, Any, Any, Any, Any, Any]] = [
    # given                      string                  integer      boolean  object      array
    ("85",                       "85",                   85,          no,      no,         no),
    ("0",                        "0",                    0,           no,      no,         no),
    ("-3",                       "-3",                   -3,          no,      no,         no),
    ("9223372036854775807",      "9223372036854775807",  2**63 - 1,   no,      no,         no),
    ("-9223372036854775808",     "-9223372036854775808", -(2**63),    no,      no,         no),
    ("9223372036854775808",      "9223372036854775808",  no,          no,      no,         no),
    ("-9223372036854775809",     "-9223372036854775809", no,          no,      no,         no),
    ("9" * 5000,                 "9" * 5000,             no,          no,      no,         no),
    ("banana",                   "banana",               no,          no,      no,         no),
    ("1e3",                      "1e3",                  no,          no,      no,         no),
    ("85.0",                     "85.0",                 no,          no,      no,         no),
    (" 85 ",                     " 85 ",                 no,          no,      no,         no),
    ("85\n",                     "85\n",                 no,          no,      no,         no),
    ("",                         "",                     no,          no,      no,         no),
    (" ",                        " ",                    no,          no,      no,         no),
    ("007",                      "007",                  no,          no,      no,         no),
    ("-0",                       "-0",                   no,          no,      no,         no),
    ("+15550100011",             "+15550100011",         no,          no,      no,         no),
    ("1,000",                    "1,000",                no,          no,      no,         no),
    ("1_000",                    "1_000",                no,          no,      no,         no),
    ("0x10",                     "0x10",                 no,          no,      no,         no),
    ("٣",                        "٣",                    no,          no,      no,         no),
    ("½",                        "½",                    no,          no,      no,         no),
    ("NaN",                      "NaN",                  no,          no,      no,         no),
    ("Infinity",                 "Infinity",             no,          no,      no,         no),
    ("null",                     "null",                 no,          no,      no,         no),
    ("true",                     "true",                 no,          True,    no,         no),
    ("false",                    "false",                no,          False,   no,         no),
    ("TRUE",                     "TRUE",                 no,          no,      no,         no),
    ("False",                    "False",                no,          no,      no,         no),
    (" true",                    " true",                no,          no,      no,         no),
    ("1",                        "1",                    1,           no,      no,         no),
    ("yes",                      "yes",                  no,          no,      no,         no),
    ("no",                       "no",                   no,          no,      no,         no),
    ("{}",                       "{}",                   no,          no,      {},         no),
    ('{"a": [1]}',               '{"a": [1]}',           no,          no,      {"a": [1]}, no),
    ("{a: 1}",                   "{a: 1}",               no,          no,      no,         no),
    ("{'a': 1}",                 "{'a': 1}",             no,          no,      no,         no),
    ('{"a": NaN}',               '{"a": NaN}',           no,          no,      no,         no),
    ('{"a": 1e400}',             '{"a": 1e400}',         no,          no,      no,         no),
    ('{"a": 1, "a": 2}',         '{"a": 1, "a": 2}',     no,          no,      no,         no),
    ('{"a": "\\u0000"}',         '{"a": "\\u0000"}',     no,          no,      no,         no),
    ('{"a": "\\ud800"}',         '{"a": "\\ud800"}',     no,          no,      no,         no),
    ('{"a": 9223372036854775808}', '{"a": 9223372036854775808}', no,  no,      no,         no),
    ("[" * 70 + "]" * 70,        "[" * 70 + "]" * 70,    no,          no,      no,         no),
    ("[]",                       "[]",                   no,          no,      no,         []),
    ('["a", 1]',                 '["a", 1]',             no,          no,      no,         ["a", 1]),
    ("a,b",                      "a,b",                  no,          no,      no,         no),
    ("nul\0",                    no,                     no,          no,      no,         no),
    ("half \ud83d",              no,                     no,          no,      no,         no),
    (85,                         no,                     85,          no,      no,         no),
    (2**63,                      no,                     no,          no,      no,         no),
    (1,                          no,                     1,           no,      no,         no),
    (85.0,                       no,                     no,          no,      no,         no),
    (float("nan"),               no,                     no,          no,      no,         no),
    (True,                       no,                     no,          True,    no,         no),
    (False,                      no,                     no,          False,   no,         no),
    (None,                       no,                     no,          no,      no,         no),
    ({"a": 1},                   no,                     no,          no,      {"a": 1},   no),
    ({"a": {"b\0": 1}},          no,                     no,          no,      no,         no),
    ({"a": float("inf")},        no,                     no,          no,      no,         no),
    ([1, "2"],                   no,                     no,          no,      no,         [1, "2"]),
    ([2**63],                    no,                     no,          no,      no,         no),
]  # fmt: skip


@pytest.mark.parametrize(("offered", "expected"), [(row[0], row[1:]) for row in MATRIX])
def test_what_is_sent_is_what_the_table_says(offered: Any, expected: tuple[Any, ...]) -> None:
    for data_type, wanted in zip(TYPES, expected, strict=True):
        value, unfit = typed(offered, data_type)
        assert (unfit is not None) == (wanted is REFUSED), data_type
        if unfit is None:
            assert value == wanted and type(value) is type(wanted)
        else:
            assert unfit.reason.isprintable() and len(unfit.reason) < 300


def test_the_table_has_every_type() -> None:
    assert tuple(TABLE) == TYPES


@pytest.mark.parametrize(
    ("value", "data_type", "hint"),
    [
        (" 85 ", "integer", "trim"),
        ("", "integer", "empty"),
        ("007", "integer", "declare it as string"),
        ("85.0", "integer", "digits"),
        ("yes", "boolean", "== 'yes'"),
        (85, "string", "Quote it"),
        ({}, "string", "tojson"),
    ],
)
def test_a_refusal_says_how_to_mend_it(value: Any, data_type: DataType, hint: str) -> None:
    _, unfit = typed(value, data_type)
    assert unfit is not None and hint in unfit.hint


@given(st.text() | st.from_regex(r"[+-]?[0-9]{1,25}", fullmatch=True))
@settings(max_examples=count(300, 5000), deadline=None)
def test_nothing_of_a_text_is_lost_where_it_becomes_a_number(text: str) -> None:
    """Whatever is accepted as an integer can be written back as the same text."""
    number, unfit = typed(text, "integer")
    assert unfit is not None or str(number) == text


def test_sizes_are_those_of_json_in_bytes() -> None:
    """A value has its own limit, and all of them together have one."""
    most = "x" * (MAX_VALUE - 2)  # and two quotes
    assert list(too_large({"a": most})) == []
    assert [name for name, _ in too_large({"a": f"{most}x", "b": "ü" * (MAX_VALUE // 2), "c": most})] == ["a", "b"]
    many = {f"v{number}": most for number in range(MAX_CONTEXT // MAX_VALUE)}
    assert [name for name, _ in too_large(many)] == [""]
