"""Only who holds a secret can make us believe that an instance ended, and nobody can change a bit of what they say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from cordboard.completion.verification import TOLERANCE_SECONDS, Headers, Keys, Unverified, verify
from cordboard.errors import BadCall
from cordboard.settings import Settings
from tests.thorough import count

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # of the specification's libraries, as the four values below
MESSAGE_ID, AT, BODY = b"msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = b"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
ANOTHER = b"v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="
NEW_SECRET = "whsec_dGhlIHJlY2VpdmVyIGhvbGRzIHRoZSBzYW1lIQ=="
SHARED, NEW_SHARED = "a secret of ours".replace(" ", "-"), "another-secret-of-ours"


def keys(*signing: str, shared: str = "") -> Keys:
    return Keys.from_settings(Settings(completion_secrets=" ".join(signing), completion_shared_secrets=shared))


def headers(
    message_id: bytes = MESSAGE_ID, timestamp: bytes = str(AT).encode(), signature: bytes = SIGNATURE
) -> list[tuple[bytes, bytes]]:
    return [(b"webhook-id", message_id), (b"webhook-timestamp", timestamp), (b"webhook-signature", signature)]


def refused(given: Headers, body: bytes = BODY, by: Keys | None = None, now: float = AT) -> bool:
    try:
        verify(given, body, by or keys(SECRET), now)
    except Unverified:
        return True
    return False


def flips(data: bytes) -> list[bytes]:
    """Every value that differs in one bit."""
    return [bytes([*data[:at], data[at] ^ 1 << bit, *data[at + 1 :]]) for at in range(len(data)) for bit in range(8)]


def test_the_published_vector_is_accepted() -> None:
    assert verify(headers(), BODY, keys(SECRET), AT) == MESSAGE_ID.decode()


def test_the_published_vector_of_several_signatures_is_accepted() -> None:
    """One that fits is enough, wherever it stands and whatever versions stand around it."""
    mixed = b" ".join([ANOTHER, ANOTHER.replace(b"v1", b"v2"), SIGNATURE, ANOTHER])
    assert not refused(headers(signature=mixed))
    assert refused(headers(signature=mixed.replace(SIGNATURE, SIGNATURE.replace(b"v1", b"v2"))))


@pytest.mark.parametrize("missing", range(3))
def test_the_published_vectors_without_a_header_are_refused(missing: int) -> None:
    assert refused([header for number, header in enumerate(headers()) if number != missing])


@pytest.mark.parametrize(
    "signature", [b"v1,", b"v1,dawfeoifkpqwoekfpqoekf", SIGNATURE[:8], ANOTHER, SIGNATURE[3:], b"", SIGNATURE + b"="]
)
def test_the_published_vectors_of_bad_signatures_are_refused(signature: bytes) -> None:
    assert refused(headers(signature=signature))


@pytest.mark.parametrize("part", ["id", "timestamp", "signature", "body"])
def test_every_flip_of_a_bit_is_refused(part: str) -> None:
    """Also that of the last letter of a base64 text, in which two bits mean nothing."""
    given = {
        "id": [(headers(message_id=flipped), BODY) for flipped in flips(MESSAGE_ID)],
        "timestamp": [(headers(timestamp=flipped), BODY) for flipped in flips(str(AT).encode())],
        "signature": [(headers(signature=flipped), BODY) for flipped in flips(SIGNATURE)],
        "body": [(headers(), flipped) for flipped in flips(BODY)],
    }[part]
    assert len(given) >= 80
    assert [pair for pair in given if not refused(*pair)] == []


@settings(max_examples=count(60, 1000), deadline=None)
@given(body=st.binary(min_size=1, max_size=300), where=st.integers(min_value=0))
def test_every_body_is_accepted_as_it_is_and_in_no_other_way(body: bytes, where: int) -> None:
    import base64
    import hmac

    signed = b".".join((MESSAGE_ID, str(AT).encode(), body))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    given = headers(signature=b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256")))
    assert not refused(given, body)
    at, bit = where // 8 % len(body), where % 8
    assert refused(given, bytes([*body[:at], body[at] ^ 1 << bit, *body[at + 1 :]]))


@pytest.mark.parametrize("seconds", [-301, -300.01, -300, -299, 0, 299, 300, 300.01, 301])
def test_a_signature_is_good_for_five_minutes_both_ways(seconds: float) -> None:
    assert refused(headers(), now=AT + seconds) == (abs(seconds) > TOLERANCE_SECONDS)


@pytest.mark.parametrize("timestamp", ["", "hello", "nan", "inf", "1614265330.0", "+1614265330", " 1614265330", "1_6"])
def test_a_timestamp_is_a_whole_number_and_nothing_else(timestamp: str) -> None:
    """Signed as it stands, by who holds the secret: it is refused all the same."""
    given = signed_by_hand(timestamp.encode())
    assert refused(given)
    assert refused(signed_by_hand("１６１４２６５３３０".encode()))  # full-width digits
    assert not refused(signed_by_hand(str(AT).encode()))


def signed_by_hand(timestamp: bytes, message_id: bytes = MESSAGE_ID) -> Headers:
    import base64
    import hmac

    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, b".".join((message_id, timestamp, BODY)), "sha256"))
    return headers(message_id, timestamp, b"v1," + signature)


@pytest.mark.parametrize("message_id", [b"", b"a" * 201, b'a.1614265330.{"b":"c', b"a b", "é".encode(), b"a\0"])
def test_an_id_is_short_and_cannot_be_part_of_a_body(message_id: bytes) -> None:
    assert refused(signed_by_hand(str(AT).encode(), message_id))


def test_two_secrets_are_active_while_one_is_replaced() -> None:
    """Old and new are accepted; once the old one is taken out, it opens nothing."""
    new = Webhook(NEW_SECRET).sign(MESSAGE_ID.decode(), datetime.fromtimestamp(AT, UTC), BODY.decode()).encode()
    both, only_new = keys(SECRET, NEW_SECRET), keys(NEW_SECRET)
    assert not refused(headers(), by=both)
    assert not refused(headers(signature=new), by=both)
    assert refused(headers(), by=only_new)
    assert not refused(headers(signature=new), by=only_new)


def test_a_header_that_stands_there_twice_is_refused() -> None:
    """Two readers could take two different ones."""
    for twice in headers():
        assert refused([*headers(), twice])


def test_a_plain_sender_shows_a_secret_and_is_known_by_the_body() -> None:
    """The same body again has the same id; another one, another. No signed message can have such an id."""
    by = keys(shared=f"{SHARED} {NEW_SHARED}")
    first = verify([(b"x-cordboard-secret", SHARED.encode())], BODY, by, AT)
    assert first == verify([(b"x-cordboard-secret", NEW_SHARED.encode())], BODY, by, AT + 10_000)
    assert first != verify([(b"x-cordboard-secret", SHARED.encode())], BODY + b" ", by, AT)
    assert refused(signed_by_hand(str(AT).encode(), first.encode()))


@pytest.mark.parametrize("shown", [*flips(SHARED.encode())[::7], b"", SHARED.encode()[:-1], SHARED.encode() + b" "])
def test_a_plain_sender_with_another_secret_is_refused(shown: bytes) -> None:
    assert refused([(b"x-cordboard-secret", shown)], by=keys(shared=SHARED))


def test_a_plain_secret_does_not_stand_in_for_a_signature_that_is_wrong() -> None:
    """Who sends a signature is held to it; and where no plain secret is set, none is accepted."""
    both = keys(SECRET, shared=SHARED)
    plain = (b"x-cordboard-secret", SHARED.encode())
    assert not refused([plain], by=both)
    assert refused([*headers(signature=ANOTHER), plain], by=both)
    assert refused([plain], by=keys(SECRET))
    assert refused([(b"x-cordboard-secret", b"")], by=keys(SECRET))


@settings(max_examples=count(300, 50_000), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"x-cordboard-secret", b"x"]),
            st.binary(max_size=80)
            | st.sampled_from([MESSAGE_ID, str(AT).encode(), b"v1,", b"v1, v1,a v1,=", b"9" * 15]),
        ),
        max_size=6,
    ),
    st.binary(max_size=40),
)
def test_garbage_is_refused_and_never_anything_else(given: Any, body: bytes) -> None:
    assert refused(given, body, by=keys(SECRET, shared=SHARED))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "no secret to know senders by"),
        ({"completion_secrets": f"{SECRET} {SECRET} {SECRET}"}, "3 secrets"),
        ({"completion_secrets": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, "must begin with whsec_"),
        ({"completion_secrets": "whsec_%%%"}, "is not base64"),
        ({"completion_secrets": "whsec_c2hvcnQ="}, "holds 5 bytes"),
        ({"completion_shared_secrets": "short"}, "16 or more"),
        ({"completion_shared_secrets": "é" * 20}, "ASCII"),
    ],
)
def test_secrets_that_cannot_be_used_are_named_without_being_shown(given: dict[str, str], said: str) -> None:
    with pytest.raises(BadCall, match=said) as caught:
        Keys.from_settings(Settings(**given))
    assert not any(secret in str(caught.value) for text in given.values() for secret in text.split())


def test_no_secret_shows() -> None:
    given = Settings(
        completion_secrets=SECRET, completion_shared_secrets=SHARED, erp_url="https://x/?t=1", erp_secret="s3"
    )
    shown = repr(keys(SECRET, shared=SHARED)) + repr(given)
    assert not any(secret in shown for secret in (SECRET, SECRET[6:], SHARED, "x/?t=1", "s3"))
