"""Secrets are masked before anything is kept, shown or logged."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cordboard.redaction import MASK, Redactor

SECRET = "p@ss/w0rd +é=?"


@pytest.mark.parametrize(
    "form",
    [SECRET, quote(SECRET, safe=""), quote_plus(SECRET), base64.b64encode(SECRET.encode()).decode(),
     base64.b64encode(SECRET.encode()).decode().rstrip("=")],
    ids=["plain", "url", "form", "base64", "base64 without padding"],
)  # fmt: skip
def test_a_secret_is_masked_in_every_form_it_travels_in(form: str) -> None:
    redactor = Redactor([SECRET])
    assert redactor.text(f"GET /?token={form}&x=1") == f"GET /?token={MASK}&x=1"
    assert redactor.knows(f"<{form}>")


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=20),
    st.text(max_size=20),
    st.text(max_size=20),
)
def test_no_text_keeps_a_known_secret(secret: str, before: str, after: str) -> None:
    assume(secret not in MASK and MASK not in secret)
    redactor = Redactor([secret])
    masked = redactor.text(before + secret + after)
    assert secret not in masked or set(secret) <= {"*"}


def test_values_are_masked_in_keys_lists_and_objects() -> None:
    redactor = Redactor([SECRET])
    value = {"a": [SECRET, 1, None], f"x{SECRET}": {"b": f"Bearer {SECRET}"}, "n": True}
    assert redactor.value(value) == {"a": [MASK, 1, None], f"x{MASK}": {"b": f"Bearer {MASK}"}, "n": True}


def test_a_secret_learned_later_is_masked_from_then_on() -> None:
    redactor = Redactor()
    assert redactor.text("token-12345") == "token-12345"
    redactor.learn("token-12345")
    assert redactor.text("token-12345") == MASK


def test_the_longest_secret_goes_first() -> None:
    """A secret that contains another leaves nothing of itself behind."""
    assert Redactor(["abcd", "abcd-efgh"]).text("abcd-efgh abcd") == f"{MASK} {MASK}"


def test_short_texts_are_no_secrets() -> None:
    assert Redactor(["", "a", "abc"]).text("an abc") == "an abc"


def test_the_redactor_itself_shows_nothing() -> None:
    redactor = Redactor([SECRET])
    assert repr(redactor) == "Redactor(1 secrets)"
    assert SECRET not in json.dumps(redactor.value({"r": repr(redactor), "s": str(redactor)}))
