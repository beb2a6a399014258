"""Talks to one vendor: bounded, authorised, repeated only where that is safe; every end of a call is a verdict.

call ── gate (slots, pace) ── breaker ── retry budget ── token ── journal ── exchange ── decipher
   ↖───────────────── tenacity: again, where `may_repeat` says so ─────────────────────────┘
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from random import random as uniform
from types import TracebackType

import httpx

from cordboard.errors import BadCall
from cordboard.jsontext import dump_json
from cordboard.redaction import Redactor
from cordboard.vendors.attempts import Call, Journal, SessionLimits
from cordboard.vendors.evidence import rate_advice
from cordboard.vendors.limiter import Gate
from cordboard.vendors.restraint import Breaker, RetryBudget
from cordboard.vendors.telling import attempting, tell_breaker, tell_call, waiting
from cordboard.vendors.token import TokenSource
from cordboard.vendors.transport import HttpClient
from cordboard.vendors.urls import vendor_url
from cordboard.vendors.wire import NoReply, Outcome, Reply, Request, Verdict, decipher

__all__ = ["Answer", "Journal", "SessionLimits", "VendorSession"]

_TOO_OLD = Verdict(Outcome.REFUSED, "not_sent", message="it waited so long for a connection that it was not sent")
_TOO_LATE = Verdict(Outcome.REFUSED, "deadline", message="the time for this ran out before anything was sent")


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended.

    Attributes:
        verdict: of the whole call.
        attempts: requests that were sent; 0 where the call ended before the first.
        latency_ms: the last exchange, milliseconds.
        waited_ms: for a slot, for the pace and between attempts, milliseconds.
        doubt: whether an attempt may have taken effect without our knowing.
    """

    verdict: Verdict
    attempts: int
    latency_ms: float
    waited_ms: float
    doubt: bool = False


@dataclass(frozen=True, slots=True)
class _Order:
    """A request made ready: the very same bytes for every attempt."""

    request: Request
    content: bytes
    timeout_seconds: float


class VendorSession:
    """One vendor, one pool of connections, one set of limits. Use it with `async with`, once for each run.

    Args:
        base_url: https, or http on a loopback address; request paths are appended.
        tokens: where access tokens come from; None sends no `Authorization`.
        limits: bounds on calls, attempts and sizes.
        transport: in place of the network, for tests and in-process vendors.
        clock: monotonic seconds.
        wall: seconds since the epoch, for a `Retry-After` that is a date.
        sleep: waits that many seconds.
        random: uniform from 0 to 1.
        redactor: masks known secrets in what a vendor says.

    Raises:
        BadCall: the base URL is not fit for credentials.
    """

    def __init__(  # noqa: PLR0913  clock, sleep and random are handed in
        self,
        base_url: str,
        tokens: TokenSource | None = None,
        limits: SessionLimits | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Callable[[], float] = uniform,
        redactor: Redactor | None = None,
    ) -> None:
        self._base_url = vendor_url(base_url, "base URL")
        self._tokens, self._limits, self._transport = tokens, limits or SessionLimits(), transport
        self._clock, self._wall, self._sleep, self._random = clock, wall, sleep, random
        self._redactor = redactor or Redactor()
        in_flight = self._limits.in_flight
        ready = in_flight + int(in_flight * self._limits.ahead)
        self._gate = Gate(ready, self._limits.calls_per_second, clock=clock, sleep=sleep, random=random)
        self._open = asyncio.Semaphore(in_flight)
        self._breaker, self._budget = Breaker(clock), RetryBudget(clock)
        self._http: HttpClient | None = None

    async def __aenter__(self) -> VendorSession:
        limits = self._limits
        self._http = HttpClient(
            in_flight=limits.in_flight, body_max_bytes=limits.body_max_bytes, transport=self._transport
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http:
            await self._http.aclose()
        self._http = None

    def __repr__(self) -> str:
        return f"VendorSession({self._base_url!r})"

    async def call(
        self,
        request: Request,
        *,
        timeout_seconds: float,
        attempts: int | None = None,
        journal: Journal | None = None,
        deadline: float | None = None,
    ) -> Answer:
        """Makes a call, and repeats it where that is safe.

        Args:
            request: what to ask for.
            timeout_seconds: for each exchange, from connecting to the last byte; waiting for a slot is not part of it.
            attempts: sends at the most; None takes the session's limit. One resend after a 401 comes on top, because
                a refused token proves that nothing happened.
            journal: told of every send before it happens. What it raises passes to the caller.
            deadline: time of the session's clock after which nothing is sent, and at which an exchange is cut off.

        Returns:
            The verdict and its cost. Never raises for what a vendor does; a cancellation passes through.
        """
        try:
            content = b"" if request.body is None else dump_json(request.body).encode()
        except (ValueError, TypeError) as error:
            message = f"the request is not JSON: {type(error).__name__}"
            return Answer(Verdict(Outcome.PERMANENT, "rejected", message=message), 0, 0.0, 0.0)
        limit = self._limits.retry_attempts if attempts is None else attempts
        safety = request.operation.safety
        call = Call(safety, limit, self._limits, self._clock, self._random, deadline, journal)
        order = _Order(request, content, timeout_seconds)
        verdict = await call.run(partial(self._round, call, order), self._sleep)
        verdict = self._masked(verdict)
        tell_call(request.operation, self._base_url, verdict, sends=call.sends, waited_seconds=call.waited)
        return Answer(verdict, call.sends, call.latency * 1000, call.waited * 1000, call.is_in_doubt)

    async def _round(self, call: Call, order: _Order) -> Verdict:
        call.sent_now, started = False, self._clock()
        try:
            with waiting(order.request.operation):
                async with asyncio.timeout(call.seconds_left()):
                    await self._gate.enter()
        except TimeoutError:
            return call.note(_TOO_LATE)
        finally:
            queued = self._clock() - started
            call.queued, call.waited = call.queued + queued, call.waited + queued
        try:
            return await self._admitted(call, order)
        finally:
            self._gate.leave()

    async def _admitted(self, call: Call, order: _Order) -> Verdict:
        permit = self._breaker.admit()
        if permit.wait_seconds:
            reason = f"; last failure: {self._breaker.reason}" if self._breaker.reason else ""
            message = f"nothing was sent: the vendor failed many times in a row and is left alone for a while{reason}"
            wait = permit.wait_seconds
            return call.note(Verdict(Outcome.REFUSED, "breaker_open", message=message, retry_after_seconds=wait))
        verdict, repeats = None, call.sends > 0
        try:
            if repeats and call.latest and not self._budget.spend():
                return call.latest  # as it was: the budget fills as other calls are made and succeed
            verdict = call.note(await self._authorised(call, order))
        finally:
            was_open = self._breaker.is_open
            self._breaker.note(permit, verdict)
            if (is_open := self._breaker.is_open) != was_open:
                tell_breaker(self._base_url, self._redactor.text(self._breaker.reason), is_open=is_open)
        if call.sent_now and not repeats:
            self._budget.earn()
        elif verdict.outcome is Outcome.ACCEPTED:
            self._budget.earn(1.0)
        return verdict

    async def _authorised(self, call: Call, order: _Order) -> Verdict:
        if self._tokens is None:
            return await self._exchange(call, order, None)
        for resend in (False, True):
            token = await self._token(call, self._tokens)
            if isinstance(token, Verdict):
                return token
            verdict = await self._exchange(call, order, token, after="unauthorized" if resend else "")
            if verdict.status != 401 or resend:
                break
            self._tokens.drop(token)
            if call.journal:
                await call.journal.refused(call.sends, verdict)
        return verdict

    async def _token(self, call: Call, tokens: TokenSource) -> str | Verdict:
        try:
            async with asyncio.timeout(call.seconds_left()):
                return await tokens.get(self._open_client())
        except TimeoutError:
            return _TOO_LATE

    async def _exchange(self, call: Call, order: _Order, token: str | None, after: str = "") -> Verdict:
        self._open_client()  # else nothing is put on record
        if call.is_late():
            return _TOO_LATE
        if call.journal:
            await call.journal.sending(call.sends + 1)
        intended = self._clock()
        async with self._open:
            # In the queue for a connection the time ran out, or the intent grew old, as where the process was stopped:
            # others may go by it no more.
            late = (
                _TOO_LATE if call.is_late() else _TOO_OLD if self._clock() > intended + order.timeout_seconds else None
            )
            if late:
                if call.journal:
                    await call.journal.refused(call.sends + 1, late)
                return late
            call.sends, call.sent_now = call.sends + 1, True
            if call.journal:
                call.journal.leaving()
            return await self._sent(call, order, token, after or (call.latest.kind if call.latest else ""))

    async def _sent(self, call: Call, order: _Order, token: str | None, after: str) -> Verdict:
        operation, waited = order.request.operation, call.waited - call.waits_told
        call.waits_told = call.waited
        mask = self._redactor.text
        with attempting(
            operation, self._base_url, number=call.sends, mask=mask, after=after, waited_seconds=waited
        ) as told:
            started, left = self._clock(), call.seconds_left()
            seen = await self._open_client().exchange(
                operation.method,
                self._base_url + order.request.path,
                headers=told.headers(_headers_of(order.request, token)),
                content=order.content,
                timeout_seconds=order.timeout_seconds if left is None else min(order.timeout_seconds, left),
            )
            call.latency = self._clock() - started
            verdict = decipher(operation, seen, now=self._wall())
            told.ended(verdict, call.latency)
        self._learn(verdict, seen)
        return verdict

    def _learn(self, verdict: Verdict, seen: Reply | NoReply) -> None:
        longest = self._limits.retry_after_max_seconds
        if verdict.kind == "rate_limited":
            asked = verdict.retry_after_seconds
            self._gate.slow_down(asked if (asked or 0.0) <= longest else None)
        elif verdict.outcome is Outcome.ACCEPTED:
            self._gate.speed_up()
        advice = rate_advice(seen.headers, self._wall()) if isinstance(seen, Reply) else None
        if advice:
            self._gate.heed(advice, longest)

    def _masked(self, verdict: Verdict) -> Verdict:
        if verdict.outcome is Outcome.ACCEPTED:
            return verdict
        mask = self._redactor.text
        return replace(
            verdict,
            value=self._redactor.value(verdict.value),
            message=mask(verdict.message),
            code=mask(verdict.code),
            request_id=mask(verdict.request_id),
        )

    def _open_client(self) -> HttpClient:
        if self._http is None:
            raise BadCall("the session is not open: use it with `async with`")
        return self._http


def _headers_of(request: Request, token: str | None) -> dict[str, str]:
    headers = dict(request.headers)
    if request.body is not None:
        headers["content-type"] = "application/json"
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return headers
