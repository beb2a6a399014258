"""The sandbox's token endpoint: client credentials, opaque tokens, expiry, scopes."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from cordboard.sandbox.call import Call, Refusal, TokenRefusal
from cordboard.sandbox.definition import Client, Definition


@dataclass(frozen=True, slots=True)
class _Grant:
    client: str
    scopes: tuple[str, ...]
    expires_at: float


class TokenOffice:
    """Issues tokens and says what a token may do."""

    def __init__(self, definition: Definition, random: Random, clock: Callable[[], float]) -> None:
        self._clients = {client.id: client for client in definition.clients}
        self._life = definition.token_seconds
        self._random = random
        self._clock = clock
        self._grants: dict[str, _Grant] = {}

    def issue(self, call: Call) -> dict[str, Any]:
        """Answers a token request (RFC 6749, 4.4).

        Raises:
            TokenRefusal: wrong grant (400), wrong client or secret (401), or a scope the client lacks (400).
        """
        form = _form(call)
        if form.get("grant_type") != "client_credentials":
            raise TokenRefusal(400, "unsupported_grant_type", "grant_type must be client_credentials")
        client = self._authenticated(call, form)
        scopes = tuple(form["scope"].split()) if "scope" in form else client.scopes
        lacking = sorted(set(scopes) - set(client.scopes))
        if lacking:
            raise TokenRefusal(400, "invalid_scope", f"this client may not have: {' '.join(lacking)}")
        token = f"{self._random.getrandbits(256):064x}"
        self._grants[token] = _Grant(client.id, scopes, self._clock() + self._life)
        life = int(self._life) if float(self._life).is_integer() else self._life
        return {"access_token": token, "token_type": "Bearer", "expires_in": life, "scope": " ".join(scopes)}

    def demand(self, call: Call, *scopes: str) -> str:
        """The client of a request whose token carries the scope, or one of several.

        Raises:
            Refusal: no token, an unknown or expired one (401), or one without such a scope (403).
        """
        grant = self._grants.get(_bearer(call))
        if grant is None or grant.expires_at <= self._clock():
            reason = "The access token is missing or unknown." if grant is None else "The access token has expired."
            raise Refusal(401, "invalid_token", reason, {"www-authenticate": 'Bearer error="invalid_token"'})
        if not set(scopes) & set(grant.scopes):
            raise Refusal(403, "insufficient_scope", f"The access token lacks the scope {' or '.join(scopes)}.")
        return grant.client

    def client_of(self, call: Call) -> str | None:
        """Whose token or id a request shows, valid or not; for the truth, not for decisions."""
        grant = self._grants.get(_bearer(call))
        claimed = _claim(call, _form(call))[0]
        return grant.client if grant else claimed if claimed in self._clients else None

    def revoke_all(self) -> None:
        """Makes every token unknown, as when a secret is rotated."""
        self._grants.clear()

    def _authenticated(self, call: Call, form: Mapping[str, str]) -> Client:
        given_id, given_secret = _claim(call, form)
        client = self._clients.get(given_id)
        known = client.secret.get_secret_value() if client else ""
        if client is None or not secrets.compare_digest(known.encode(), given_secret.encode()):
            raise TokenRefusal(401, "invalid_client", "unknown client or wrong secret", {"www-authenticate": "Basic"})
        return client


def _bearer(call: Call) -> str:
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _form(call: Call) -> dict[str, str]:
    is_form = call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return dict(parse_qsl(call.body.decode("utf-8", "replace"))) if is_form else {}


def _claim(call: Call, form: Mapping[str, str]) -> tuple[str, str]:
    """The id and secret that a token request shows, as Basic auth or in its form."""
    scheme, _, encoded = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", ""), form.get("client_secret", "")
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(client_id), unquote_plus(secret)
