"""JSON as we accept and write it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.errors import InvalidJson
from cordboard.jsontext import digest, dump_json, parse_json, strings_in

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\xff", "not UTF-8"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        ("NaN", "NaN"),
        ("[Infinity]", "Infinity"),
        ("-Infinity", "Infinity"),
        ("1e400", "does not fit"),
        ("9" * 5000, "not JSON"),
        ('{"a": 1, "a": 2}', "'a' stands twice"),
        ('[{"b": {"a": 1, "a": 1}}]', "'a' stands twice"),
        ('"\\ud800"', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ('"\\ude00\\ud83d"', "surrogate"),
        ("[" * 65 + "]" * 65, "nested deeper"),
        ("[" * 100_000, "nested deeper"),
        ('{"a":' * 100_000, "nested deeper"),
        ("", "not JSON"),
        ("{} {}", "not JSON"),
        ("{'a': 1}", "not JSON"),
        ("[1,]", "not JSON"),
        ("<html></html>", "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(data: bytes | str, reason: str) -> None:
    """The standard parser takes NaN, infinite numbers, duplicate keys and half characters."""
    with pytest.raises(InvalidJson, match=reason):
        parse_json(data)


def test_size_and_depth_are_bounded_by_the_caller() -> None:
    assert parse_json("[[1]]", max_depth=2, max_bytes=5) == [[1]]
    with pytest.raises(InvalidJson, match="larger than 4 bytes"):
        parse_json("[[1]]", max_bytes=4)
    with pytest.raises(InvalidJson, match="deeper than 1"):
        parse_json("[[1]]", max_depth=1)
    assert parse_json('"' + "[" * 100 + '"') == "[" * 100  # brackets inside text are no depth


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_what_is_written_is_read_back(value: object) -> None:
    assert parse_json(dump_json(value)) == value


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text(), JSON, min_size=2, max_size=5), st.randoms())
def test_the_canonical_form_does_not_depend_on_the_order_of_keys(value: dict[str, object], random: object) -> None:
    """Fingerprints and ledger keys rest on it."""
    items = list(value.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    assert digest(dict(items)) == digest(value)


@settings(max_examples=300, deadline=None)
@given(JSON, JSON)
def test_different_values_have_different_digests(left: object, right: object) -> None:
    assert (digest(left) == digest(right)) is (dump_json(left) == dump_json(right))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x", object()])
def test_what_is_not_json_is_never_written(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        dump_json([value])


def test_pairs_of_surrogate_escapes_are_one_character() -> None:
    assert parse_json('"\\ud83d\\ude00"') == "😀"


def test_strings_are_found_at_any_depth_keys_included() -> None:
    deep: object = "end"
    for _ in range(5000):
        deep = [deep]
    assert sorted(strings_in({"a": ["b", {"c": 1}], "d": None})) == ["a", "b", "c", "d"]
    assert list(strings_in(deep)) == ["end"]
