"""Access tokens: one fetch for all callers, renewed in time, and what happens where there is none to be had."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from cordboard.errors import BadCall
from cordboard.redaction import Redactor
from cordboard.vendors.cxone import execute_data_action
from cordboard.vendors.session import Answer, SessionLimits, VendorSession
from cordboard.vendors.token import TokenSource, life_of
from cordboard.vendors.wire import Outcome

READ = execute_data_action("def", {}, idempotent=True)
WRITE = execute_data_action("def", {}, idempotent=False)
SECRET = "canary-client-secret"


class Tenant:
    """A vendor with tokens that expire; `grant` overrides what the token endpoint answers."""

    def __init__(self, life: float = 3600.0, grant: Callable[[], httpx.Response] | None = None, **stated: Any) -> None:
        self.life, self.grant, self.stated = life, grant, stated or {"expires_in": life}
        self.valid: dict[str, float] = {}
        self.token_requests: list[httpx.Request] = []
        self.calls: list[int] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(0.05)
        if request.url.path == "/oauth/token":
            self.token_requests.append(request)
            if self.grant:
                return self.grant()
            token = f"token-{len(self.token_requests)}"
            self.valid[token] = now + self.life
            return httpx.Response(200, json={"access_token": token, "token_type": "Bearer", **self.stated})
        token = request.headers["authorization"].removeprefix("Bearer ")
        self.calls.append(200 if self.valid.get(token, -1.0) > now else 401)
        return httpx.Response(self.calls[-1], json={"output": {}} if self.calls[-1] == 200 else {"message": "expired"})


def session_with(tenant: Tenant, **given: Any) -> VendorSession:
    loop = asyncio.get_running_loop()
    given = {"redactor": Redactor()} | given
    tokens = TokenSource(
        "https://vendor.test/oauth/token", "client", SECRET, ["a:read", "b:write"], clock=loop.time, **given
    )
    transport = httpx.MockTransport(tenant)
    return VendorSession(
        "https://vendor.test", tokens, SessionLimits(in_flight=50), transport=transport, clock=loop.time
    )


async def calls(session: VendorSession, count: int, **given: Any) -> list[Answer]:
    return list(await asyncio.gather(*(session.call(WRITE, timeout_seconds=10, **given) for _ in range(count))))


def kinds(answers: list[Answer]) -> set[str]:
    return {answer.verdict.kind for answer in answers}


def test_fifty_callers_share_one_fetch(virtual: Callable[..., Any]) -> None:
    async def main() -> list[Answer]:
        async with session_with(tenant) as session:
            return await calls(session, 50)

    tenant = Tenant()
    assert kinds(virtual(main())) == {"ok"}
    assert len(tenant.token_requests) == 1


def test_fifty_callers_with_a_token_that_was_revoked_share_one_new_one(virtual: Callable[..., Any]) -> None:
    async def main() -> list[Answer]:
        async with session_with(tenant) as session:
            await calls(session, 1)
            tenant.valid.clear()
            return await calls(session, 50)

    tenant = Tenant()
    answers = virtual(main())
    assert kinds(answers) == {"ok"}
    assert {answer.attempts for answer in answers} == {2}
    assert len(tenant.token_requests) == 2


def test_a_token_is_renewed_before_it_expires(virtual: Callable[..., Any]) -> None:
    """A thousand calls over a hundred lives of a token: none meets a dead one."""

    async def main() -> set[str]:
        async with session_with(tenant) as session:
            found = set()
            for _ in range(1000):
                found |= kinds(await calls(session, 1))
                await asyncio.sleep(1)
            return found

    tenant = Tenant(life=10.0)
    assert virtual(main()) == {"ok"}
    assert 401 not in tenant.calls
    assert len(tenant.token_requests) <= 1050 / 9 + 1


def test_a_tenth_of_its_life_and_at_most_a_minute_is_kept_in_hand(virtual: Callable[..., Any]) -> None:
    async def fetches_after(life: float, seconds: float) -> int:
        tenant = Tenant(life=life)
        async with session_with(tenant) as session:
            await calls(session, 1)
            await asyncio.sleep(seconds)
            await calls(session, 1)
        return len(tenant.token_requests)

    assert [virtual(fetches_after(100, seconds)) for seconds in (89, 91)] == [1, 2]
    assert [virtual(fetches_after(3600, seconds)) for seconds in (3539, 3541)] == [1, 2]


def test_a_token_that_is_never_accepted_ends_after_one_resend(virtual: Callable[..., Any]) -> None:
    async def main() -> Answer:
        async with session_with(tenant) as session:
            return (await calls(session, 1))[0]

    tenant = Tenant(life=-1.0, expires_in=3600)
    answer = virtual(main())
    assert (answer.verdict.outcome, answer.verdict.kind, answer.attempts) == ("permanent", "unauthorized", 2)
    assert len(tenant.token_requests) == 2


def test_only_the_token_that_failed_is_dropped() -> None:
    """A slow call comes back with a 401 for the old token when the new one is already in use."""

    async def main() -> None:
        tenant = Tenant()
        async with session_with(tenant) as session:
            await calls(session, 1)
            assert session._tokens is not None
            session._tokens.drop("token-0")
            await calls(session, 1)
            assert len(tenant.token_requests) == 1

    asyncio.run(main())


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        (3600, 3600.0), ("3600", 3600.0), (1.5, 1.5), (1e12, 86_400.0),
        (0, 0.0), (-1, 0.0), ("-1", 0.0),
        (None, 300.0), ("soon", 300.0), (True, 300.0), ([], 300.0), ("nan", 300.0), ("inf", 300.0),
        (10**400, 300.0),
    ],
)  # fmt: skip
def test_the_life_of_a_token_is_defined_for_whatever_is_stated(stated: Any, seconds: float) -> None:
    assert life_of(stated) == seconds


def test_a_token_without_a_life_is_used_once(virtual: Callable[..., Any]) -> None:
    async def main() -> None:
        async with session_with(tenant) as session:
            assert kinds(await calls(session, 1)) == {"ok"}
            assert kinds(await calls(session, 1)) == {"ok"}

    tenant = Tenant(expires_in=0)
    virtual(main())
    assert len(tenant.token_requests) == 2


def test_a_changed_wall_clock_expires_nothing(virtual: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with session_with(tenant) as session:
            for wall in (1e9, 1e9 + 3600, 1e9 - 3600):
                monkeypatch.setattr("time.time", lambda wall=wall: wall)
                await calls(session, 5)

    tenant = Tenant()
    virtual(main())
    assert len(tenant.token_requests) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 404, 302])
def test_wrong_credentials_are_said_once_and_helpfully(virtual: Callable[..., Any], code: int) -> None:
    """A batch with a wrong secret must not knock at the door once for each of its items."""

    async def main() -> list[Answer]:
        async with session_with(tenant) as session:
            return await calls(session, 30) + await calls(session, 30)

    said = {"error": "invalid_client", "error_description": f"{SECRET} is wrong"}
    tenant = Tenant(grant=lambda: httpx.Response(code, json=said))
    answers = virtual(main())
    assert {(answer.verdict.outcome, answer.verdict.kind, answer.attempts) for answer in answers} == {
        ("permanent", "credentials", 0)
    }
    message = answers[0].verdict.message
    assert "client secret" in message
    assert str(code) in message
    assert SECRET not in repr(answers)
    assert len(tenant.token_requests) == 1
    assert tenant.calls == []


@pytest.mark.parametrize("grant", [{"token": "x"}, {"access_token": ""}, {"access_token": 7}, {"access_token": "a\nb"}])
def test_a_reply_without_an_access_token_is_an_error_of_its_own(virtual: Callable[..., Any], grant: Any) -> None:
    async def main() -> Answer:
        async with session_with(Tenant(grant=lambda: httpx.Response(200, json=grant))) as session:
            return (await calls(session, 1))[0]

    verdict = virtual(main()).verdict
    assert (verdict.outcome, verdict.kind) == ("permanent", "credentials")
    assert "no access token" in verdict.message


def test_trouble_at_the_token_endpoint_is_waited_out(virtual: Callable[..., Any]) -> None:
    async def main() -> list[Answer]:
        async with session_with(tenant) as session:
            return await calls(session, 5)

    replies = iter([httpx.Response(503), httpx.Response(429), httpx.Response(200, json={"access_token": "late"})])
    tenant = Tenant(grant=lambda: next(replies))
    tenant.valid["late"] = 1e9
    assert kinds(virtual(main())) == {"ok"}


def test_an_unreachable_token_endpoint_means_that_nothing_was_sent(virtual: Callable[..., Any]) -> None:
    def refuse() -> httpx.Response:
        raise httpx.ConnectError("refused")

    async def main() -> list[Answer]:
        async with session_with(tenant) as session:
            return await calls(session, 5)

    tenant = Tenant(grant=refuse)
    answers = virtual(main())
    assert {(answer.verdict.outcome, answer.attempts) for answer in answers} == {(Outcome.REFUSED, 0)}
    assert kinds(answers) <= {"unavailable", "breaker_open"}
    assert tenant.calls == []


def test_a_cancelled_fetch_does_not_take_the_others_along(virtual: Callable[..., Any]) -> None:
    async def main() -> list[Answer]:
        async with session_with(Tenant()) as session:
            first = asyncio.create_task(session.call(WRITE, timeout_seconds=10))
            await asyncio.sleep(0.01)  # virtual: the first is in the middle of the fetch
            others = asyncio.create_task(calls(session, 10))
            await asyncio.sleep(0.01)
            first.cancel()
            return await others

    assert kinds(virtual(main())) == {"ok"}


@pytest.mark.parametrize("basic", [False, True])
def test_credentials_go_into_the_form_or_a_basic_header(virtual: Callable[..., Any], basic: bool) -> None:
    async def main() -> None:
        async with session_with(tenant, basic_auth=basic) as session:
            await calls(session, 1)

    tenant = Tenant()
    virtual(main())
    request = tenant.token_requests[0]
    form = parse_qs(request.content.decode())
    assert form["grant_type"] == ["client_credentials"]
    assert form["scope"] == ["a:read b:write"]
    assert (form.get("client_secret") == [SECRET]) is not basic
    if basic:
        pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        assert pair == f"client:{SECRET}"


def test_the_redactor_learns_the_secret_and_each_token(virtual: Callable[..., Any]) -> None:
    async def main() -> None:
        async with session_with(Tenant(), redactor=redactor) as session:
            await calls(session, 1)

    redactor = Redactor()
    virtual(main())
    assert redactor.knows(SECRET)
    assert redactor.knows("Bearer token-1")


def test_missing_or_unfit_credentials_are_refused_at_once() -> None:
    with pytest.raises(BadCall, match="empty"):
        TokenSource("https://vendor.test/token", "client", "")
    with pytest.raises(BadCall, match="https"):
        TokenSource("http://vendor.test/token", "client", SECRET)
