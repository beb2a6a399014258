"""Who sent a completion: a signature in the Standard Webhooks way, or a secret that both sides hold.

Signed (https://www.standardwebhooks.com): `webhook-signature` holds, separated by spaces, `v1,` and the base64 of an
HMAC-SHA256 over `id.timestamp.body`, the raw body. Two secrets may be active, so that one can be replaced while
messages are on their way. Plain, for vendors that cannot sign: `x-cordboard-secret` is one of the shared secrets, and
the body's own hash tells a repeat. Who sends any of the three headers of a signature is held to it.

The library `standardwebhooks` is not used here: it reads the clock itself, decodes the body, takes more than one
spelling of the same base64, and lets ValueError and UnicodeDecodeError out on hostile headers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from cordboard.errors import BadCall, Ours
from cordboard.settings import Settings
from cordboard.vendors.webhook import signing_key

TOLERANCE_SECONDS = 300
MAX_SECRETS = 2
SHORTEST_SHARED = 16
SIGNATURE_HEADERS = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
SHARED_HEADER = b"x-cordboard-secret"
_SIGNATURES = 16  # in one header; senders that rotate send two
#: No quotes, braces or spaces: else part of a JSON body could be taken for an id, as dots separate what is signed.
_ID = re.compile(rb"[A-Za-z0-9_.:/+=@~-]{1,200}")
_TIMESTAMP = re.compile(rb"[0-9]{1,15}")

Headers = Sequence[tuple[bytes, bytes]]  # names in lower case, as ASGI has them


class Unverified(Ours):
    """Nothing shows that the sender is who we take completions from; the text says what is missing, never a secret.

    Attributes:
        reason: a word for it, of a closed set: `no_proof`, `malformed`, `clock`, `signature` or `secret`.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason, text)
        self.reason, self.text = reason, text

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Keys:
    """What senders prove themselves with.

    Attributes:
        signing: keys of signatures, decoded; two at the most.
        shared: secrets that plain senders show; two at the most.
    """

    signing: tuple[bytes, ...] = field(default=(), repr=False)
    shared: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Reads them from `CORDBOARD_COMPLETION_SECRETS` and `CORDBOARD_COMPLETION_SHARED_SECRETS`.

        Raises:
            BadCall: there is none, there are more than two of a kind, or one is malformed or too short.
        """
        signing = _listed(settings.completion_secrets, "CORDBOARD_COMPLETION_SECRETS")
        shared = _listed(settings.completion_shared_secrets, "CORDBOARD_COMPLETION_SHARED_SECRETS")
        if not signing and not shared:
            raise BadCall(
                "no secret to know senders by: set CORDBOARD_COMPLETION_SECRETS (whsec_…, for signed callbacks) or "
                "CORDBOARD_COMPLETION_SHARED_SECRETS (for vendors that cannot sign)"
            )
        named = "a secret of CORDBOARD_COMPLETION_SECRETS"
        return cls(tuple(signing_key(each, named) for each in signing), tuple(map(_long_enough, shared)))


def verify(headers: Headers, body: bytes, keys: Keys, now: float) -> str:
    """Returns the message's id: the sender's own, or for a plain sender one made of the body.

    Args:
        headers: of the request, names in lower case.
        body: as it came, byte for byte.
        keys: the active secrets.
        now: seconds since the epoch.

    Raises:
        Unverified: the proof is missing, wrong, too old or too new.
    """
    signed = [_only(headers, name) for name in SIGNATURE_HEADERS]
    if keys.signing and any(signed):
        _check_signature(*signed, body=body, keys=keys.signing, now=now)
        return signed[0].decode("ascii")
    if not keys.shared:
        raise Unverified("no_proof", "webhook-id, webhook-timestamp and webhook-signature are missing")
    shown = _only(headers, SHARED_HEADER)
    if not _is_any_of(shown, keys.shared):
        raise Unverified("secret" if shown else "no_proof", "x-cordboard-secret is missing or wrong")
    return id_of_body(body)


def id_of_body(body: bytes) -> str:
    """A message's id made of what it says; no sender's own begins with `#`."""
    return f"#{hashlib.sha256(body).hexdigest()}"


def _check_signature(  # noqa: PLR0913  the three headers, told by place
    message_id: bytes, timestamp: bytes, signatures: bytes, *, body: bytes, keys: tuple[bytes, ...], now: float
) -> None:
    if not _ID.fullmatch(message_id):
        raise Unverified("malformed", "webhook-id must be 1 to 200 letters, digits or any of _.:/+=@~-")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise Unverified("malformed", "webhook-timestamp must be seconds since the epoch, as a whole number")
    if abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        raise Unverified(
            "clock", f"webhook-timestamp is more than {TOLERANCE_SECONDS} seconds from now; check the clocks"
        )
    signed = b".".join((message_id, timestamp, body))
    wanted = [b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256")) for key in keys]
    offered = signatures.split(b" ")[:_SIGNATURES]
    # No short cut: how long it takes must not tell which of them was nearly right.
    if not any([_is_any_of(each, wanted) for each in offered]):  # noqa: C419
        raise Unverified("signature", "webhook-signature does not fit id, timestamp and body under an active secret")


def _is_any_of(shown: bytes, wanted: Iterable[bytes]) -> bool:
    return any([hmac.compare_digest(shown, each) for each in wanted])  # noqa: C419  as above


def _only(headers: Headers, name: bytes) -> bytes:
    """The header's value, empty where there is none; two of them would be two messages to two readers."""
    values = [value for each, value in headers if each == name]
    if len(values) > 1:
        raise Unverified("malformed", f"{name.decode()} stands there more than once")
    return values[0] if values else b""


def _listed(text: str, variable: str) -> list[str]:
    found = text.split()
    if len(found) > MAX_SECRETS:
        raise BadCall(f"{variable} holds {len(found)} secrets, and {MAX_SECRETS} may be active: drop the oldest")
    return found


def _long_enough(secret: str) -> bytes:
    if len(secret) < SHORTEST_SHARED or not secret.isascii():
        raise BadCall(
            f"a secret of CORDBOARD_COMPLETION_SHARED_SECRETS must be {SHORTEST_SHARED} or more ASCII characters; "
            "make one with: openssl rand -hex 32"
        )
    return secret.encode()
