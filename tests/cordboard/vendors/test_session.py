"""One call through a session: what is repeated, what never is, and what the caller learns."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from cordboard.errors import BadCall
from cordboard.redaction import Redactor
from cordboard.vendors.cxone import execute_data_action
from cordboard.vendors.session import Answer, SessionLimits, VendorSession
from cordboard.vendors.token import TokenSource
from cordboard.vendors.wire import Operation, Outcome, Request, Safety, Verdict

GOOD = httpx.Response(200, json={"id": "exec_1", "output": {"n": 1}})
READ = execute_data_action("def", {"a": 1}, idempotent=True)
WRITE = execute_data_action("def", {"a": 1}, idempotent=False)
KEYED = Request(
    Operation("test.keyed", "POST", Safety.KEYED, lambda value: value), "/keyed", {}, {"idempotency-key": "k"}
)


@dataclass
class Vendor:
    """Answers with each step in turn, the last one for ever; a step is a reply, an exception or a handler."""

    steps: list[Any]
    seen: list[httpx.Request] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/oauth/token"):
            return httpx.Response(200, json={"access_token": "the-token", "expires_in": 3600})
        self.seen.append(request)
        self.times.append(asyncio.get_running_loop().time())
        step = self.steps[min(len(self.seen), len(self.steps)) - 1]
        if isinstance(step, Exception):
            raise step
        if callable(step):
            return await step(request)  # type: ignore[no-any-return]
        return httpx.Response(step.status_code, headers=step.headers, content=step.content)


def status(code: int, **headers: str) -> httpx.Response:
    return httpx.Response(code, headers={name.replace("_", "-"): value for name, value in headers.items()})


def session_to(vendor: Vendor, limits: SessionLimits | None = None, **given: Any) -> VendorSession:
    loop = asyncio.get_running_loop()
    given = {"random": lambda: 0.5, "clock": loop.time, "wall": lambda: 0.0} | given
    return VendorSession("https://vendor.test", None, limits, transport=httpx.MockTransport(vendor), **given)


@pytest.fixture
def call(virtual: Callable[..., Any]) -> Callable[..., Answer]:
    """Makes one call on virtual time."""

    def make(vendor: Vendor, request: Request = WRITE, limits: SessionLimits | None = None, **given: Any) -> Answer:
        async def main() -> Answer:
            async with session_to(vendor, limits) as session:
                return await session.call(request, **{"timeout_seconds": 30.0, **given})

        return virtual(main())  # type: ignore[no-any-return]

    return make


def test_a_call_returns_the_output_and_what_it_cost(call: Callable[..., Answer]) -> None:
    answer = call(Vendor([GOOD]))
    assert (answer.verdict.outcome, answer.verdict.value, answer.verdict.reference) == ("accepted", {"n": 1}, "exec_1")
    assert (answer.attempts, answer.waited_ms) == (1, 0.0)


@pytest.mark.parametrize("trouble", [status(500), status(503), httpx.ReadError("reset"), httpx.Response(200, text="{")])
def test_a_write_in_doubt_is_sent_once_and_reported_unknown(call: Callable[..., Answer], trouble: Any) -> None:
    """The tutorial's orchestrator sends such a call again: two contacts notified, two records created."""
    vendor = Vendor([trouble, GOOD])
    assert call(vendor).verdict.outcome is Outcome.UNKNOWN
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("trouble", [status(500), status(503), httpx.ReadError("reset"), httpx.Response(200, text="{")])
def test_an_idempotent_action_in_doubt_is_sent_again(call: Callable[..., Answer], trouble: Any) -> None:
    answer = call(Vendor([trouble, trouble, GOOD]), READ)
    assert (answer.verdict.kind, answer.attempts) == ("ok", 3)


@pytest.mark.parametrize("refusal", [status(429), httpx.ConnectError("refused")])
def test_a_write_that_certainly_had_no_effect_is_sent_again(call: Callable[..., Answer], refusal: Any) -> None:
    answer = call(Vendor([refusal, GOOD]))
    assert (answer.verdict.kind, answer.attempts) == ("ok", 2)


@pytest.mark.parametrize("code", [302, 400, 403, 404, 422])
def test_what_trying_again_cannot_help_is_not_tried_again(call: Callable[..., Answer], code: int) -> None:
    answer = call(Vendor([status(code), GOOD]), READ)
    assert (answer.verdict.outcome, answer.attempts) == ("permanent", 1)


def test_attempts_are_capped_by_the_call_before_the_session(call: Callable[..., Answer]) -> None:
    assert call(Vendor([status(429)])).attempts == 4
    assert call(Vendor([status(429)]), attempts=2).attempts == 2
    assert call(Vendor([status(429)]), attempts=1).attempts == 1


def test_the_total_time_is_capped(call: Callable[..., Answer]) -> None:
    limits = SessionLimits(retry_attempts=1000, retry_total_seconds=30.0)
    answer = call(Vendor([status(429, retry_after="7")]), limits=limits)
    assert answer.verdict.kind == "rate_limited"
    assert answer.attempts == 4
    assert answer.waited_ms <= 30_000


def test_nobody_returns_before_retry_after(call: Callable[..., Answer]) -> None:
    vendor = Vendor([status(429, retry_after="7"), GOOD])
    assert call(vendor).verdict.kind == "ok"
    assert 7.0 < vendor.times[1] - vendor.times[0] < 9.0


def test_a_retry_after_over_the_limit_ends_the_call_instead_of_sleeping(call: Callable[..., Answer]) -> None:
    limits = SessionLimits(retry_total_seconds=1e6)
    answer = call(Vendor([status(429, retry_after="3600"), GOOD]), limits=limits)
    assert (answer.verdict.outcome, answer.verdict.kind, answer.attempts) == ("refused", "rate_limited", 1)
    assert (answer.verdict.retry_after_seconds, answer.waited_ms) == (3600.0, 0.0)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e9", "5, 7", "\uff11", "", "9" * 400, "soon"])
def test_a_hostile_retry_after_never_stalls_or_spins(call: Callable[..., Answer], text: str) -> None:
    answer = call(Vendor([status(429, retry_after=text), GOOD]) if text.isascii() else Vendor([status(429), GOOD]))
    assert 0.0 <= answer.waited_ms <= 60_000


def test_thousands_of_refusals_do_not_recurse(virtual: Callable[..., Any]) -> None:
    """The tutorial answers a 429 by calling itself: a thousand of them end in a RecursionError."""
    limits = SessionLimits(retry_attempts=5_000, retry_total_seconds=1e9, backoff_max_seconds=0.01)
    depths = []

    async def refuse(request: httpx.Request) -> httpx.Response:
        depths.append(len(list(traceback.walk_stack(None))))
        return status(429, retry_after="0")

    async def main() -> Answer:
        async with session_to(Vendor([refuse]), limits) as session:
            session._budget.spend = lambda: True  # type: ignore[method-assign]  # the budget would end it sooner
            return await session.call(WRITE, timeout_seconds=1)

    assert virtual(main()).attempts == 5_000
    assert len(set(depths[1:])) == 1  # the first attempt is made before tenacity is asked


def test_every_attempt_is_the_same_request(call: Callable[..., Answer]) -> None:
    vendor = Vendor([status(503), status(503), httpx.Response(200, json={})])
    assert call(vendor, KEYED).verdict.kind == "ok"
    assert len({(request.content, request.headers["idempotency-key"]) for request in vendor.seen}) == 1


def test_the_same_failure_three_times_under_one_key_ends_the_asking(call: Callable[..., Answer]) -> None:
    """A vendor that stored a failure under the key answers it for ever: look the effect up instead."""
    assert call(Vendor([status(500)]), KEYED, attempts=9).attempts == 3
    assert (
        call(Vendor([status(500), status(502), status(500), status(500), status(500)]), KEYED, attempts=9).attempts == 5
    )


def test_a_doubt_survives_the_refusals_that_follow_it(call: Callable[..., Answer]) -> None:
    answer = call(Vendor([httpx.ReadError("reset"), status(429)]), KEYED)
    assert (answer.verdict.outcome, answer.verdict.kind, answer.attempts) == ("unknown", "lost_reply", 4)


def test_a_timeout_ends_the_call_and_leaves_the_write_unknown(raw_vendor: Callable[..., Any]) -> None:
    """The tutorial's timeout stops waiting and leaves the call running in its thread; ours closes the connection."""

    async def talk(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def main() -> Answer:
        async with raw_vendor(talk) as vendor, VendorSession(vendor.url) as session:
            answer = await session.call(WRITE, timeout_seconds=0.1)
            await asyncio.wait_for(vendor.closed.wait(), 5)
            return answer

    answer = asyncio.run(main())
    assert (answer.verdict.outcome, answer.verdict.kind, answer.attempts) == ("unknown", "timeout", 1)


def test_a_redirect_is_never_followed(call: Callable[..., Answer]) -> None:
    """Followed, a 307 carries the body and its key to whatever host the reply names."""
    vendor = Vendor([status(307, location="https://elsewhere.test/steal"), GOOD])
    assert call(vendor, KEYED).verdict.kind == "redirected"
    assert [request.url.host for request in vendor.seen] == ["vendor.test"]


def test_time_that_runs_out_before_the_send_means_that_nothing_was_sent(virtual: Callable[..., Any]) -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(10)
        return GOOD

    async def main() -> list[Answer]:
        async with session_to(vendor, SessionLimits(in_flight=1)) as session:
            calls = (session.call(WRITE, timeout_seconds=30, deadline=end) for end in (None, 5.0, -1.0))
            return list(await asyncio.gather(*calls))

    vendor = Vendor([slow])
    done, queued, late = virtual(main())
    assert (done.verdict.kind, done.attempts) == ("ok", 1)
    for answer in (queued, late):
        assert (answer.verdict.outcome, answer.verdict.kind, answer.attempts) == ("refused", "deadline", 0)
    assert queued.waited_ms == pytest.approx(5000)


def test_a_deadline_cuts_an_open_exchange_off(call: Callable[..., Answer]) -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(100)
        return GOOD

    answer = call(Vendor([slow]), deadline=2.0)
    assert (answer.verdict.outcome, answer.verdict.kind) == ("unknown", "timeout")
    assert answer.latency_ms == pytest.approx(2000)


def test_waiting_for_a_slot_is_not_held_against_a_call(virtual: Callable[..., Any]) -> None:
    """The hundredth item of a long list waits for minutes; its own timeout has not begun."""

    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(2)
        return GOOD

    async def main() -> list[Answer]:
        async with session_to(Vendor([slow]), SessionLimits(in_flight=1)) as session:
            return list(await asyncio.gather(*(session.call(WRITE, timeout_seconds=3) for _ in range(100))))

    answers = virtual(main())
    assert {answer.verdict.kind for answer in answers} == {"ok"}
    assert max(answer.waited_ms for answer in answers) == pytest.approx(198_000)


def test_the_time_in_the_queue_does_not_use_up_the_time_for_repeats(virtual: Callable[..., Any]) -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(100)
        return GOOD

    async def main() -> list[Answer]:
        async with session_to(Vendor([slow, status(429), GOOD]), SessionLimits(in_flight=1)) as session:
            return list(await asyncio.gather(*(session.call(WRITE, timeout_seconds=300) for _ in range(2))))

    assert [(answer.verdict.kind, answer.attempts) for answer in virtual(main())] == [("ok", 1), ("ok", 2)]


class Diary:
    """A journal that notes what it was told and when, beside what the vendor saw."""

    def __init__(self, vendor: Vendor, fail_at: int = 0) -> None:
        self.vendor, self.fail_at = vendor, fail_at
        self.lines: list[tuple[str, int, int]] = []

    async def sending(self, attempt: int) -> None:
        self.lines.append(("sending", attempt, len(self.vendor.seen)))
        if attempt == self.fail_at:
            raise OSError("disk full")

    def leaving(self) -> None:
        pass

    async def refused(self, attempt: int, verdict: Verdict) -> None:
        self.lines.append((f"refused {verdict.kind}", attempt, len(self.vendor.seen)))


def test_the_journal_knows_of_each_send_before_it_happens(call: Callable[..., Answer]) -> None:
    vendor = Vendor([status(429), httpx.ReadError("reset"), GOOD])
    diary = Diary(vendor)
    call(vendor, READ, journal=diary)
    assert diary.lines == [
        ("sending", 1, 0),
        ("refused rate_limited", 1, 1),
        ("sending", 2, 1),
        ("sending", 3, 2),  # the second attempt was in doubt, which is no refusal
    ]


def test_the_journal_hears_of_no_refusal_where_nothing_was_sent(virtual: Callable[..., Any]) -> None:
    async def main() -> None:
        async with session_to(vendor) as session:
            for _ in range(10):
                await session.call(WRITE, timeout_seconds=1)
            vendor.steps = [GOOD]
            assert (await session.call(WRITE, timeout_seconds=1, journal=diary)).verdict.kind == "ok"

    vendor = Vendor([status(503)])
    diary = Diary(vendor)
    virtual(main())
    assert diary.lines == [("sending", 1, 10)]


def test_a_refused_token_is_a_refused_attempt(virtual: Callable[..., Any]) -> None:
    """A 401 proves that nothing happened: the journal hears so before the one resend, and not after the last."""

    async def main() -> Answer:
        tokens = TokenSource("https://vendor.test/oauth/token", "id", "canary-secret")
        transport = httpx.MockTransport(vendor)
        async with VendorSession("https://vendor.test", tokens, transport=transport) as session:
            return await session.call(WRITE, timeout_seconds=1, journal=diary)

    vendor = Vendor([status(401)])
    diary = Diary(vendor)
    assert virtual(main()).verdict.kind == "unauthorized"
    assert diary.lines == [("sending", 1, 0), ("refused unauthorized", 1, 1), ("sending", 2, 1)]


def test_a_deadline_in_the_queue_for_a_connection_means_that_nothing_was_sent(virtual: Callable[..., Any]) -> None:
    """One more call than may be open gets ready; its intent must not be taken for a request."""
    diary = Diary(Vendor([]))

    async def half_a_minute(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(30)
        return GOOD

    async def main() -> tuple[Answer, int]:
        slow = Vendor([half_a_minute])
        async with session_to(slow, SessionLimits(in_flight=5)) as session:
            loop = asyncio.get_running_loop()
            open_calls = [asyncio.create_task(session.call(WRITE, timeout_seconds=60)) for _ in range(5)]
            await asyncio.sleep(1)
            late = await session.call(WRITE, timeout_seconds=60, journal=diary, deadline=loop.time() + 10)
            await asyncio.gather(*open_calls)
            return late, len(slow.seen)

    late, seen = virtual(main())
    assert (late.verdict.outcome, late.verdict.kind, late.attempts, seen) == ("refused", "deadline", 0, 5)
    assert diary.lines == [("sending", 1, 0), ("refused deadline", 1, 0)]


def test_where_the_journal_cannot_write_nothing_is_sent(virtual: Callable[..., Any]) -> None:
    async def main() -> Answer:
        async with session_to(vendor, SessionLimits(in_flight=1)) as session:
            with pytest.raises(OSError, match="disk full"):
                await session.call(WRITE, timeout_seconds=1, journal=Diary(vendor, fail_at=1))
            assert vendor.seen == []
            return await session.call(WRITE, timeout_seconds=1)  # and the slot is free again

    vendor = Vendor([GOOD])
    assert virtual(main()).verdict.kind == "ok"


def test_a_body_that_is_not_json_is_refused_before_anything_is_sent(call: Callable[..., Answer]) -> None:
    vendor = Vendor([GOOD])
    for value in (float("nan"), object(), "\ud800"):
        answer = call(vendor, execute_data_action("def", {"a": value}, idempotent=True))
        assert (answer.verdict.outcome, answer.verdict.kind, answer.attempts) == ("permanent", "rejected", 0)
    assert vendor.seen == []


def test_many_failures_in_a_row_stop_the_sending(virtual: Callable[..., Any]) -> None:
    async def main() -> list[Answer]:
        async with session_to(vendor) as session:
            return [await session.call(WRITE, timeout_seconds=1, attempts=1) for _ in range(15)]

    vendor = Vendor([status(503)])
    answers = virtual(main())
    assert len(vendor.seen) == 10
    assert [(answer.verdict.outcome, answer.verdict.kind, answer.attempts) for answer in answers[10:]] == [
        ("refused", "breaker_open", 0)
    ] * 5
    assert answers[0].verdict.message in answers[-1].verdict.message  # the cause is not lost behind the refusal


def test_a_cancelled_call_passes_the_cancellation_on_and_frees_its_slot(virtual: Callable[..., Any]) -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        return await asyncio.sleep(1000, GOOD)

    async def main() -> Answer:
        async with session_to(Vendor([hang, GOOD]), SessionLimits(in_flight=1)) as session:
            call = asyncio.create_task(session.call(WRITE, timeout_seconds=5000))
            await asyncio.sleep(1)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            return await session.call(WRITE, timeout_seconds=5)

    assert virtual(main()).verdict.kind == "ok"


def test_a_closed_session_says_how_to_use_it(virtual: Callable[..., Any]) -> None:
    async def main() -> None:
        with pytest.raises(BadCall, match="async with"):
            await session_to(Vendor([GOOD])).call(WRITE, timeout_seconds=1)

    virtual(main())


def _handlers() -> Iterator[Any]:
    async def echo(request: httpx.Request) -> httpx.Response:
        said = f"{request.headers['authorization']} canary-secret"
        return httpx.Response(400, json={"message": said, "code": said}, headers={"x-request-id": said})

    yield echo
    yield httpx.ReadError("Bearer the-token canary-secret")
    yield httpx.Response(200, text="the-token canary-secret")


@pytest.mark.parametrize("step", list(_handlers()), ids=["echo", "exception", "text"])
def test_no_secret_reaches_a_verdict_or_a_log(step: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A vendor may echo what we sent, and a library may put it into an exception."""

    async def main() -> str:
        redactor = Redactor()
        tokens = TokenSource("https://vendor.test/oauth/token", "id", "canary-secret", redactor=redactor)
        transport = httpx.MockTransport(Vendor([step]))
        async with VendorSession("https://vendor.test", tokens, transport=transport, redactor=redactor) as session:
            answer = await session.call(WRITE, timeout_seconds=1)
            return f"{answer!r} {answer.verdict.message} {session!r} {tokens!r}"

    caplog.set_level(logging.DEBUG)
    written = asyncio.run(main()) + "".join(record.getMessage() for record in caplog.records)
    assert "the-token" not in written
    assert "canary-secret" not in written
    assert "dataactions/executions" not in caplog.text
