"""What a reply says besides its result: error text, code, request id, when to come back, how much is left. Pure.

Everything here is written by the other side, so it is bounded, stripped of control characters and never trusted to have
a type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from cordboard.errors import InvalidJson
from cordboard.jsontext import parse_json

LONGEST_TEXT = 500
LONGEST_WAIT_SECONDS = 1e9  # a wait beyond any limit, yet finite
_READ_AT_MOST = 64 * 1024  # an error body larger than this is not an error body
_EPOCH_FROM = 1e8  # a reset beyond three years is a point in time, not a number of seconds

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")
_SCOPE = re.compile(r'scope="([^"]{1,200})"')
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")
_REQUEST_ID_HEADERS = ("x-request-id", "inin-correlation-id", "x-correlation-id", "x-amzn-requestid")
_MESSAGE_FIELDS = ("message", "error_description", "detail", "error", "title")
_CODE_FIELDS = ("code", "errorCode", "error")
_DETAIL = ("fieldName", "errorCode")
_PARTS_AT_MOST = 20
_ID_FIELDS = ("contextId", "requestId", "request_id", "correlationId")
_RATE_HEADERS = ("x-ratelimit", "ratelimit")


@dataclass(frozen=True, slots=True)
class RateAdvice:
    """What rate headers say: calls left, calls allowed in the window (0: not said), seconds until it starts anew."""

    remaining: float
    allowed: float
    reset_seconds: float


def clean(text: object, longest: int = LONGEST_TEXT) -> str:
    """Text of theirs as we show it: one line, printable, bounded; empty for what is not text or a number."""
    if isinstance(text, bool) or not isinstance(text, str | int | float):
        return ""
    return _UNPRINTABLE.sub(" ", str(text)[: 4 * longest]).strip()[:longest]


def evidence_of(headers: Mapping[str, str], body: bytes) -> tuple[str, str, str]:
    """Message, code and request id of an error reply, each empty where the reply has none."""
    document = _document(body)
    nested = document.get("error")
    sources = (document, nested if isinstance(nested, dict) else {}, *_parts(document, "errors")[:1])
    message = _pick(sources, _MESSAGE_FIELDS) or _text_of(headers, body, document)
    message = _with_parts(message, [*_parts(document, "errors"), *_parts(document, "details")])
    scope = _missing_scope(headers, document)
    if scope and scope not in message:
        message = f"{message} (scope {scope} is needed)".strip()
    return message, _pick(sources, _CODE_FIELDS), request_id_of(headers) or _pick(sources, _ID_FIELDS)


def request_id_of(headers: Mapping[str, str]) -> str:
    """The id under which the vendor finds this call, from the headers."""
    return next((clean(headers[name], 128) for name in _REQUEST_ID_HEADERS if name in headers), "")


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """The wait that `Retry-After` asks for, in seconds.

    Digits with or without a fraction, an HTTP date, or several numbers (the longest counts). Anything else, such as a
    sign, `nan`, an exponent or digits of another script, is None: no advice.

    Args:
        headers: of the reply, names in lower case.
        now: seconds since the epoch.

    Returns:
        Zero or more and never above `LONGEST_WAIT_SECONDS`, or None.
    """
    text = headers.get("retry-after", "").strip()
    parts = [part.strip() for part in text.split(",")]
    if all(_SECONDS.fullmatch(part) for part in parts):
        return min(max(float(part) for part in parts), LONGEST_WAIT_SECONDS)
    try:
        wait = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(wait, 0.0), LONGEST_WAIT_SECONDS)


def rate_advice(headers: Mapping[str, str], now: float) -> RateAdvice | None:
    """Reads Genesys Cloud's `inin-ratelimit-*`, `ratelimit-*` and `x-ratelimit-*`; None where there are none."""
    if "inin-ratelimit-allowed" in headers:
        allowed, count = _number(headers, "inin-ratelimit-allowed"), _number(headers, "inin-ratelimit-count")
        reset = _number(headers, "inin-ratelimit-reset")
        if allowed is None or count is None or reset is None:
            return None
        return RateAdvice(max(allowed - count, 0.0), allowed, reset)
    for prefix in _RATE_HEADERS:
        remaining, reset = _number(headers, f"{prefix}-remaining"), _number(headers, f"{prefix}-reset")
        if remaining is not None and reset is not None:
            seconds = max(reset - now, 0.0) if reset > _EPOCH_FROM else reset
            return RateAdvice(remaining, _number(headers, f"{prefix}-limit") or 0.0, seconds)
    return None


def _number(headers: Mapping[str, str], name: str) -> float | None:
    text = headers.get(name, "").strip()
    return min(float(text), 1e15) if _SECONDS.fullmatch(text) else None


def _document(body: bytes) -> dict[str, Any]:
    if not body.lstrip().startswith(b"{"):
        return {}
    try:
        value = parse_json(body, max_bytes=_READ_AT_MOST)
    except InvalidJson:
        return {}
    return value if isinstance(value, dict) else {}


def _parts(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = document.get(name)
    return [part for part in found[:_PARTS_AT_MOST] if isinstance(part, dict)] if isinstance(found, list) else []


def _with_parts(message: str, parts: list[dict[str, Any]]) -> str:
    """The message with what its parts say beyond it: Genesys Cloud names single faults in `errors` and `details`."""
    for part in parts:
        said = _pick((part,), _MESSAGE_FIELDS) or " ".join(filter(None, (clean(part.get(each)) for each in _DETAIL)))
        if said and said not in message:
            message = f"{message}; {said}" if message else said
    return message[:LONGEST_TEXT]


def _pick(sources: tuple[dict[str, Any], ...], names: tuple[str, ...]) -> str:
    return next((text for source in sources for name in names if (text := clean(source.get(name)))), "")


def _text_of(headers: Mapping[str, str], body: bytes, document: dict[str, Any]) -> str:
    if document or not body.strip():
        return ""
    if "html" in headers.get("content-type", "") or body.lstrip()[:1] == b"<":
        return "the reply is a web page, as a proxy or a wrong host sends it"
    return clean(body[: 4 * LONGEST_TEXT].decode("utf-8", "replace"))


def _missing_scope(headers: Mapping[str, str], document: dict[str, Any]) -> str:
    found = _SCOPE.search(headers.get("www-authenticate", ""))
    return clean(found.group(1), 200) if found else _pick((document,), ("requiredScope", "required_scope", "scope"))
