"""What makes an effect the same effect."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cordboard.chains.fingerprint import fingerprint, what_changed

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, JSON)
def test_equal_inputs_and_only_those_give_the_same_fingerprint(left: object, right: object) -> None:
    """`1` and `true` are equal to Python and are two inputs to a vendor."""
    same = fingerprint("def-a", left, {}).value == fingerprint("def-a", right, {}).value
    assert same == (repr(_sorted(left)) == repr(_sorted(right)))


def test_the_order_of_keys_does_not_matter() -> None:
    assert fingerprint("d", {"a": 1, "b": 2}, {}).value == fingerprint("d", {"b": 2, "a": 1}, {}).value


def test_another_upstream_effect_is_another_effect() -> None:
    """An action that depends on a changed one runs again even where its own inputs came out the same."""
    assert fingerprint("d", {}, {"up": "1"}).value != fingerprint("d", {}, {"up": "2"}).value


def test_what_changed_is_said_in_words() -> None:
    before = fingerprint("def-a", {"x": 1}, {"fetch": "1"})
    assert what_changed(before.as_json(), fingerprint("def-b", {"x": 1}, {"fetch": "1"})) == "its definition_id changed"
    assert (
        what_changed(before.as_json(), fingerprint("def-a", {"x": 2}, {"fetch": "2"}))
        == "fetch ran again, its inputs changed"
    )


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
