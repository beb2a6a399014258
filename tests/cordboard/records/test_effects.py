"""Keys and states of effects: the policy that decides whether anything is ever sent twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.errors import BadCall
from cordboard.records.effects import Effect, EffectState, Message, effect_key, may_move

READY, SENT, DONE, FAILED, UNKNOWN = EffectState
# Written by hand, not read from the code: what an effect may become, by where it stands.
ALWAYS = {
    READY: {READY, SENT, FAILED},
    SENT: {READY, DONE, FAILED, UNKNOWN},
    DONE: set(),
    FAILED: {READY, SENT, FAILED},
    UNKNOWN: {READY, DONE, FAILED, UNKNOWN},
}
SENT_AGAIN = {(SENT, SENT), (UNKNOWN, SENT)}


@pytest.mark.parametrize("safety", ["natural", "keyed", "lookup", "neither"])
@pytest.mark.parametrize("before", EffectState)
@pytest.mark.parametrize("after", EffectState)
def test_an_effect_moves_only_as_the_policy_says(before: EffectState, after: EffectState, safety: str) -> None:
    """What may be out already is sent again only where a repeat is harmless; what is done stays done."""
    repeat = (before, after) in SENT_AGAIN and safety in ("natural", "keyed")
    assert may_move(before, after, safety) == (after in ALWAYS[before] or repeat)


def test_the_key_of_an_effect_never_changes() -> None:
    """A new version that made other keys would send everything once more."""
    assert effect_key("acme", "dataactions.execute", "r1/notify/1") == (
        "74a6059db35b3f5cd5f17a9be831d9f9a999b3aa724ed16b82385e632d4feeda"
    )


@given(st.lists(st.text(st.characters(codec="utf-8")), min_size=6, max_size=6))
def test_different_effects_have_different_keys(parts: list[str]) -> None:
    one, other = tuple(parts[:3]), tuple(parts[3:])
    assert (effect_key(*one) == effect_key(*other)) == (one == other)


def test_parts_of_a_key_do_not_run_together() -> None:
    assert effect_key("a", "bc", "d") != effect_key("ab", "c", "d")


@pytest.mark.parametrize("text", ["nul\0", "surrogate\ud800", "ü" * 501])
def test_text_that_no_database_can_hold_is_refused_before_it_is_queued(text: str) -> None:
    """Otherwise one bad id would spoil the transaction of every caller beside it."""
    with pytest.raises(BadCall, match="subject"):
        Effect("acme", "op", "id", "a" * 64, text, "neither")
    with pytest.raises(BadCall, match="endpoint"):
        Message(text, "done", {})


def test_the_class_of_an_effect_is_read_in_any_case() -> None:
    assert Effect("acme", "op", "id", "a" * 64, "s", "NATURAL").safety == "natural"
