"""Signatures of webhooks in the Standard Webhooks way, from the vendor's side and from the ERP's.

Only the specification's own library is used, and nothing of the sender and receiver that are tested with it.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, SecretStr
from standardwebhooks import Webhook

PREFIX = "whsec_"
SECRET_BYTES = range(24, 65)  # as the Standard Webhooks specification has it
TOLERANCE_SECONDS = 300


def _checked(secret: SecretStr) -> SecretStr:
    prefix, _, encoded = secret.get_secret_value().partition("_")
    try:
        size = len(base64.b64decode(encoded, validate=True))
    except ValueError:  # not ASCII, or not base64
        size = 0
    if f"{prefix}_" != PREFIX or size not in SECRET_BYTES:
        raise ValueError(f"must be {PREFIX} and the base64 of 24 to 64 bytes, as `openssl rand -base64 32` makes them")
    return secret


WebhookSecret = Annotated[SecretStr, AfterValidator(_checked)]


def signed(secret: SecretStr, message_id: str, at: float, body: str) -> dict[str, str]:
    """The headers of one attempt.

    Args:
        secret: what is signed with.
        message_id: the same for every attempt of one message.
        at: when, in seconds since the epoch.
        body: exactly what is sent.
    """
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": _signature(secret, message_id, int(at), body),
    }


def is_signed(secret: SecretStr, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Whether one of the signatures is right and the timestamp at most five minutes off; headers in lower case."""
    message_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not re.fullmatch("[0-9]{1,12}", stamp) or abs(now - int(stamp)) > TOLERANCE_SECONDS:
        return False
    try:
        right = _signature(secret, message_id, int(stamp), body.decode())
    except UnicodeDecodeError:
        return False
    given = headers.get("webhook-signature", "").split(" ")
    return any(secrets.compare_digest(right.encode(), each.encode()) for each in given)


def _signature(secret: SecretStr, message_id: str, at: int, body: str) -> str:
    sign = Webhook(secret.get_secret_value()).sign(message_id, datetime.fromtimestamp(at, UTC), body)
    return str(sign)
