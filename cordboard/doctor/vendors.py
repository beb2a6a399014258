"""Vendors: a real token call with the credentials of the environment, scopes, and how far the clock is off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

from cordboard.doctor.model import Check, Surroundings, error, ok, skipped, warning
from cordboard.errors import BadCall
from cordboard.vendors.login import Api, CXoneLogin, GenesysLogin, Login
from cordboard.vendors.token import TokenSource
from cordboard.vendors.transport import HttpClient
from cordboard.vendors.wire import NoReply, Reply, Verdict

LOGINS: tuple[type[Login], ...] = (CXoneLogin, GenesysLogin)
#: What each API is for, as the scopes that are missing are told.
JOBS: Mapping[type[Login], Mapping[Api, str]] = {
    CXoneLogin: {
        "data_actions": "chains",
        "flows": "registering call flows",
        "debug": "simulating at the vendor",
        "workflows": "starting workflows",
    },
    GenesysLogin: {"flows": "updating call flows"},
}
SKEW_WARNS_SECONDS = 30.0
SKEW_FAILS_SECONDS = 300.0  # what receivers of signed messages allow
_REPLY_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Grant:
    """What came of one token call.

    Attributes:
        job: what the token is for.
        needed: scopes that the job needs.
        granted: scopes that the vendor gave.
        refusal: why there is no token, or None.
        skew_seconds: how far our clock is ahead of the vendor's; None where its reply has no date.
    """

    job: str
    needed: tuple[str, ...]
    granted: tuple[str, ...] = ()
    refusal: Verdict | None = None
    skew_seconds: float | None = None


async def probe(place: Surroundings) -> list[Check]:
    """Credentials and scopes of each vendor whose variables are set, and the clock against their dates."""
    present = [kind for kind in LOGINS if _named(kind, place.environ)]
    if not present:
        why = "no CXONE_* or GENESYS_* variables are set; credentials in blocks are not looked at"
        return [skipped("credentials", why), skipped("clock", "no vendor is configured to compare it with")]
    found = await asyncio.gather(*(_vendor(kind, place) for kind in present))
    grants = [grant for _, several in found for grant in several]
    return [check for checks, _ in found for check in checks] + [judge_clock([each.skew_seconds for each in grants])]


async def _vendor(kind: type[Login], place: Surroundings) -> tuple[list[Check], list[Grant]]:
    try:
        login = kind.from_env(place.environ)
        grants = await _grants(login, place)
    except BadCall as fault:
        mend = f"Set {kind.PREFIX}_CLIENT_ID, {kind.PREFIX}_CLIENT_SECRET and where the tenant is; see credentials."
        return [error(f"credentials {kind.PREFIX}", str(fault), mend)], []
    return judge_grants(kind.PREFIX, grants), grants


async def _grants(login: Login, place: Surroundings) -> list[Grant]:
    wishes = [each for api, job in JOBS[type(login)].items() if (each := _wish(login, api, job))]
    grants = list(await asyncio.gather(*(_grant(login, wish, place) for wish in wishes)))
    # Bad credentials, or good ones that lack every scope. Where nobody answers, asking again would only take the time
    # that is left for telling of the other vendor.
    if all(grant.refusal and grant.refusal.kind == "credentials" for grant in grants):
        anything = _Wish("", (), wishes[0].token_url, ())
        grants.append(await _grant(login, anything, place))
    return grants


def _named(kind: type[Login], environ: Mapping[str, str]) -> bool:
    return any(environ.get(f"{kind.PREFIX}_{name}") for name in ("CLIENT_ID", "CLIENT_SECRET"))


@dataclass(frozen=True, slots=True)
class _Wish:
    job: str
    needed: tuple[str, ...]
    token_url: str
    asked: tuple[str, ...]


def _wish(login: Login, api: Api, job: str) -> _Wish | None:
    """What to ask for one job; None where the tenant does not do it."""
    if api == "flows" and isinstance(login, CXoneLogin) and not (login.org_id or (login.base_url and login.token_url)):
        return None
    places = login.places(api)
    return _Wish(job, replace(login, scopes="").places(api).scopes, places.token_url, places.scopes)


async def _grant(login: Login, wish: _Wish, place: Surroundings) -> Grant:
    tokens = TokenSource(
        wish.token_url,
        login.client_id,
        login.client_secret,
        wish.asked,
        basic_auth=login.basic_auth,
        redactor=place.redactor,
        sleep=_at_once,
    )
    http = _Listening(place)
    try:
        answer = await tokens.get(http)
    finally:
        await http.aclose()
    skew = _skew(http.heard, http.heard_at)
    if isinstance(answer, Verdict):
        return Grant(wish.job, wish.needed, refusal=answer, skew_seconds=skew)
    return Grant(wish.job, wish.needed, _granted(http.heard) or wish.asked, skew_seconds=skew)


async def _at_once(_seconds: float) -> None:
    """A person waits for the answer: attempts follow each other without a pause."""


class _Listening(HttpClient):
    """Keeps the last reply, of which a token source tells only the token."""

    def __init__(self, place: Surroundings) -> None:
        super().__init__(in_flight=1, body_max_bytes=_REPLY_BYTES)
        self._place = place
        self.heard: Reply | None = None
        self.heard_at = 0.0

    async def exchange(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes, timeout_seconds: float
    ) -> Reply | NoReply:
        """One exchange, noted."""
        most = min(timeout_seconds, self._place.timeout_seconds)
        answer = await super().exchange(method, url, headers=headers, content=content, timeout_seconds=most)
        if isinstance(answer, Reply):
            self.heard, self.heard_at = answer, self._place.now()
        return answer


def _granted(reply: Reply | None) -> tuple[str, ...]:
    """The scopes that a token reply names; none where it says what was asked for was given."""
    try:
        document: Any = json.loads(reply.body) if reply else {}
    except ValueError:
        return ()
    said = document.get("scope") if isinstance(document, dict) else None
    return tuple(said.split()) if isinstance(said, str) else ()


def _skew(reply: Reply | None, at: float) -> float | None:
    try:
        return at - parsedate_to_datetime(reply.headers["date"]).timestamp() if reply else None
    except (KeyError, ValueError):
        return None


def judge_grants(vendor: str, grants: Sequence[Grant]) -> list[Check]:
    """What the token calls of one vendor say about its credentials and their scopes."""
    credentials, scopes = f"credentials {vendor}", f"scopes {vendor}"
    refusals = [grant.refusal for grant in grants if grant.refusal]
    if len(refusals) == len(grants):
        message = refusals[0].message
        return [error(credentials, message, _mend(vendor, refusals[0])), skipped(scopes, "there is no token")]
    lacking = [each for each in grants if set(each.needed) - set(each.granted)]
    checks = [ok(credentials, "the token endpoint gave an access token")]
    if not lacking:
        return [*checks, ok(scopes, "every job has the scopes that it needs")]
    said = "; ".join(f"{each.job}: {' '.join(sorted(set(each.needed) - set(each.granted)))}" for each in lacking)
    mend = f"Give the client these scopes at the vendor, and {vendor}_SCOPES too where it is set, or leave those jobs."
    usable = any(each.job and each not in lacking for each in grants)
    return [*checks, (warning if usable else error)(scopes, f"no token with these scopes for {said}", mend)]


def _mend(vendor: str, refusal: Verdict) -> str:
    if refusal.kind == "credentials":
        return f"Correct {vendor}_CLIENT_ID and {vendor}_CLIENT_SECRET (has the secret been replaced at the vendor?)."
    return f"Correct {vendor}_REGION or {vendor}_TOKEN_URL, or let this machine reach it (firewall, proxy, DNS)."


def judge_clock(skews: Sequence[float | None]) -> Check:
    """Our clock against the dates in the vendors' replies; whole seconds, as dates are."""
    known = [skew for skew in skews if skew is not None]
    if not known:
        return skipped("clock", "no vendor's reply had a date")
    skew = min(known, key=abs)  # a reply that was slow makes it larger, never smaller
    said = f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the vendor's"
    mend = "Turn on time synchronisation (`timedatectl set-ntp true`): signed messages are refused when clocks differ."
    if abs(skew) > SKEW_FAILS_SECONDS:
        return error("clock", said, mend)
    return warning("clock", said, mend) if abs(skew) > SKEW_WARNS_SECONDS else ok("clock", said)
