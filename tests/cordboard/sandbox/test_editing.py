"""Somebody else's edits: merge patches that differ each time."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.sandbox.editing import numbered, patched

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("value", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_rfc_7396(value, patch, result):
    """Its appendix A."""
    assert patched(value, patch) == result


@given(values, values)
def test_a_patch_twice_is_a_patch_once_and_changes_nothing_in_place(value, patch):
    before = copy.deepcopy((value, patch))
    once = patched(value, patch)
    assert patched(once, patch) == once
    assert (value, patch) == before


def test_the_number_stands_wherever_a_text_asks_for_it():
    patch = {"a{n}": ["x {n}", {"b": "{n}{n}"}], "c": 7, "d": None}
    assert numbered(patch, 3) == {"a3": ["x 3", {"b": "33"}], "c": 7, "d": None}
