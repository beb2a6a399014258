"""What a reply says besides its result. All of it is written by the other side."""

from __future__ import annotations

import json
from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cordboard.vendors.evidence import LONGEST_WAIT_SECONDS, evidence_of, rate_advice, retry_after

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0), ("7", 7.0), ("1.5", 1.5), (" 3 ", 3.0), ("007", 7.0),
        ("5, 7", 7.0),  # two headers: nobody returns before the later one
        (formatdate(NOW + 30, usegmt=True), 30.0),
        (formatdate(NOW - 30, usegmt=True), 0.0),
        ("9" * 400, LONGEST_WAIT_SECONDS),
        ("", None), ("-1", None), ("+1", None), ("nan", None), ("inf", None), ("1e9", None), ("0x10", None),
        ("\uff11\uff12", None), ("\u0661", None), ("soon", None), ("5, soon", None), ("5;7", None), ("1_000", None),
        ("Wed, 99 Foo 2023 99:99:99 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_a_sane_number_or_nothing(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}, NOW) == seconds


def test_no_header_is_no_advice() -> None:
    assert retry_after({}, NOW) is None


@given(
    st.text(max_size=60)
    | st.from_regex(r"[A-Z][a-z]{2}, ?[0-9]{1,5} [A-Z][a-z]{2} [0-9]{1,9} [0-9:]{1,9} ?[-+A-Z0-9]*")
)
@example("Sat, 01 Jan 99999999999 00:00:00 GMT")
@example("Mon, 01 Jan 0001 00:00:00 +9999")
def test_no_text_makes_retry_after_negative_endless_or_an_exception(text: str) -> None:
    """`asyncio.sleep(nan)` or a negative wait would turn a polite vendor's header into a busy loop."""
    seconds = retry_after({"retry-after": text}, NOW)
    assert seconds is None or 0.0 <= seconds <= LONGEST_WAIT_SECONDS


@pytest.mark.parametrize(
    ("document", "message", "code"),
    [
        ({"message": "too many", "code": "limit.reached", "contextId": "c-1"}, "too many", "limit.reached"),
        ({"error": "invalid_client", "error_description": "unknown client"}, "unknown client", "invalid_client"),
        ({"error": {"message": "bad input", "code": 17}}, "bad input", "17"),
        ({"errors": [{"message": "first", "code": "e1"}, {"message": "second"}]}, "first; second", "e1"),
        ({"message": "bad: first", "errors": [{"message": "first"}, 7, {}]}, "bad: first", ""),
        ({"message": "bad", "details": [{"fieldName": "nodes.a", "errorCode": "missing"}]}, "bad; nodes.a missing", ""),
        ({"message": {"de": "nein"}, "code": ["x"], "errors": "oops", "details": {"a": 1}}, "", ""),
        ({"message": None, "code": True}, "", ""),
    ],
)
def test_error_bodies_of_all_shapes_give_a_message_and_a_code(document: object, message: str, code: str) -> None:
    assert evidence_of({}, json.dumps(document).encode())[:2] == (message, code)


def test_the_request_id_comes_from_headers_first() -> None:
    body = b'{"contextId": "from-body"}'
    assert evidence_of({"inin-correlation-id": "from-header"}, body)[2] == "from-header"
    assert evidence_of({}, body)[2] == "from-body"


def test_a_hundred_faults_are_cut_like_every_long_message() -> None:
    body = json.dumps({"message": "bad", "errors": [{"message": f"fault {n} " + "x" * 90} for n in range(100)]})
    message = evidence_of({}, body.encode())[0]
    assert (len(message), "fault 3 " in message) == (500, True)


def test_a_missing_scope_is_named() -> None:
    """The person who reads a 403 needs to know which scope to ask their administrator for."""
    challenge = {"www-authenticate": 'Bearer error="insufficient_scope", scope="dataactions:execute"'}
    assert "dataactions:execute" in evidence_of(challenge, b"")[0]
    assert "flow:read" in evidence_of({}, b'{"message": "forbidden", "requiredScope": "flow:read"}')[0]


def test_a_web_page_is_called_one() -> None:
    message, _, _ = evidence_of({"content-type": "text/html"}, b"<html><script>alert(1)</script>")
    assert "web page" in message
    assert "script" not in message


@given(st.binary(max_size=3000), st.dictionaries(st.sampled_from(["content-type", "x-request-id"]), st.text()))
def test_no_body_breaks_the_evidence(body: bytes, headers: dict[str, str]) -> None:
    for text in evidence_of(headers, body):
        assert len(text) <= 800
        assert text.isprintable() or not any(char in text for char in "\r\n\x1b\x00\u202e")


def test_long_and_hostile_messages_are_cut_and_cleaned() -> None:
    """A message ends in a terminal and in a log: no escape sequence, no forged second line."""
    body = json.dumps({"message": "\x1b[31mred\r\nERROR forged line\u202e" + "x" * 9000}).encode()
    message = evidence_of({}, body)[0]
    assert len(message) == 500
    assert message.startswith("[31mred ERROR forged line x")


@pytest.mark.parametrize(
    ("headers", "advice"),
    [
        ({"inin-ratelimit-count": "290", "inin-ratelimit-allowed": "300", "inin-ratelimit-reset": "12"}, (10, 300, 12)),
        ({"inin-ratelimit-count": "301", "inin-ratelimit-allowed": "300", "inin-ratelimit-reset": "1"}, (0, 300, 1)),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-limit": "9", "x-ratelimit-reset": str(NOW + 5)}, (3, 9, 5)),
        ({"ratelimit-remaining": "3", "ratelimit-reset": "5"}, (3, 0, 5)),
        ({"ratelimit-remaining": "nan", "ratelimit-reset": "-5"}, None),
        ({"inin-ratelimit-allowed": "many"}, None),
        ({}, None),
    ],
)
def test_rate_headers_of_three_families_are_read(
    headers: dict[str, str], advice: tuple[float, float, float] | None
) -> None:
    read = rate_advice(headers, NOW)
    assert (read and (read.remaining, read.allowed, read.reset_seconds)) == advice
