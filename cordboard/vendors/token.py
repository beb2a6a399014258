"""Access tokens by client credentials: fetched once for all callers, kept until shortly before they expire."""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from random import random as uniform
from typing import Any
from urllib.parse import quote_plus, urlencode

from cordboard.errors import BadCall
from cordboard.redaction import Redactor
from cordboard.vendors.attempts import Call, SessionLimits
from cordboard.vendors.telling import attempting
from cordboard.vendors.transport import HttpClient
from cordboard.vendors.urls import vendor_url
from cordboard.vendors.wire import Operation, Outcome, Safety, Verdict, decipher

UNSTATED_LIFE_SECONDS = 300.0
LONGEST_LIFE_SECONDS = 86_400.0
EXCHANGE_SECONDS = 10.0
_LIMITS = SessionLimits(retry_attempts=3, retry_total_seconds=20.0, retry_after_max_seconds=10.0)


def life_of(expires_in: Any) -> float:
    """Seconds that a token lives, from what its reply says.

    A number, or digits in a string: that many seconds, a day at the most. Zero or less: 0.0, the token is used for
    whoever waits for it now and then fetched anew. Missing, or not a number: 300 s.
    """
    try:
        seconds = math.nan if isinstance(expires_in, bool) else float(expires_in)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    return min(max(seconds, 0.0), LONGEST_LIFE_SECONDS) if math.isfinite(seconds) else UNSTATED_LIFE_SECONDS


class TokenSource:
    """Fetches, keeps and renews the token of one client.

    Args:
        token_url: whole URL of the token endpoint.
        client_id: OAuth client.
        client_secret: its secret; appears in no repr, message or log.
        scopes: asked for; none leaves the choice to the vendor.
        basic_auth: client id and secret in a Basic header (Genesys Cloud) in place of the form (the seeds' CXone).
        redactor: learns the secret and every token.
        clock: monotonic seconds, so that a changed wall clock expires nothing.
        sleep: waits that many seconds.
        random: uniform from 0 to 1.

    Raises:
        BadCall: the URL is not fit for credentials, or id or secret is empty.
    """

    def __init__(  # noqa: PLR0913  clock, sleep and random are handed in
        self,
        token_url: str,
        client_id: str,
        client_secret: str,
        scopes: Iterable[str] = (),
        *,
        basic_auth: bool = False,
        redactor: Redactor | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = uniform,
    ) -> None:
        if not client_id or not client_secret:
            raise BadCall("the client id or the client secret is empty")
        self._url = vendor_url(token_url, "token URL")
        self._redactor = redactor or Redactor()
        self._redactor.learn(client_secret)
        self._clock, self._sleep, self._random = clock, sleep, random
        form = {"grant_type": "client_credentials", "scope": " ".join(scopes)}
        self._headers = {"content-type": "application/x-www-form-urlencoded"}
        if basic_auth:
            pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}".encode()
            packed = base64.b64encode(pair).decode()
            self._redactor.learn(packed)
            self._headers["authorization"] = f"Basic {packed}"
        else:
            form |= {"client_id": client_id, "client_secret": client_secret}
        self._form = urlencode({name: value for name, value in form.items() if value}).encode()
        self._held: str | Verdict | None = None
        self._good_until = -math.inf
        self._fetches = 0
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"TokenSource({self._url!r})"

    async def get(self, http: HttpClient) -> str | Verdict:
        """The token or, where there is none to be had, why: a verdict to end the call with.

        Callers that come while a fetch is under way share its result, good or bad.
        """
        if self._held is not None and self._clock() < self._good_until:
            return self._held
        seen = self._fetches
        async with self._lock:
            if self._fetches == seen or self._held is None:
                self._held, life = await self._fetch(http)
                self._good_until = self._clock() + life - min(60.0, life / 10)
                self._fetches += 1
            return self._held

    def drop(self, token: str) -> None:
        """Forgets this token, which the vendor did not accept; a newer one stays."""
        if self._held == token:
            self._held = None

    async def _fetch(self, http: HttpClient) -> tuple[str | Verdict, float]:
        call = Call(Safety.NATURAL, _LIMITS.retry_attempts, _LIMITS, self._clock, self._random)

        async def attempt() -> Verdict:
            after, mask, started = call.latest.kind if call.latest else "", self._redactor.text, self._clock()
            with attempting(_GRANT, self._url, number=call.tries + 1, mask=mask, after=after) as told:
                seen = await http.exchange(
                    "POST",
                    self._url,
                    headers=told.headers(self._headers),
                    content=self._form,
                    timeout_seconds=EXCHANGE_SECONDS,
                )
                verdict = decipher(_GRANT, seen, now=time.time())
                told.ended(verdict, self._clock() - started)
            return call.note(verdict)

        verdict = await call.run(attempt, self._sleep)
        if verdict.outcome is not Outcome.ACCEPTED:
            return self._explained(verdict), _KEPT_SECONDS[verdict.outcome]
        document = verdict.value
        token = document.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token.strip():
            refusal = Verdict(Outcome.PERMANENT, "credentials", message="the token endpoint sent no access token")
            return refusal, _KEPT_SECONDS[Outcome.PERMANENT]
        self._redactor.learn(token)
        return token, life_of(document.get("expires_in"))

    def _explained(self, verdict: Verdict) -> Verdict:
        said = self._redactor.text(verdict.message)
        if verdict.outcome is Outcome.PERMANENT:
            message = f"no access token: check client id, client secret, scopes and token URL: {said}"
            return replace(verdict, kind="credentials", message=message, status=None)
        message = f"the token endpoint is not available: {said}"
        return replace(verdict, outcome=Outcome.REFUSED, kind="unavailable", message=message, status=None)


# How long a failure answers for all callers: a batch with a wrong secret must not knock once for each of its items.
_KEPT_SECONDS = {Outcome.PERMANENT: 60.0, Outcome.REFUSED: 1.0, Outcome.UNKNOWN: 1.0}


def _json_object(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise TypeError("a JSON object was expected")
    return document


_GRANT = Operation("oauth.token", "POST", Safety.NATURAL, _json_object, route="{token_url}")
