"""What one call does next: again or not, after how long, and what it may claim at its end.

Tenacity asks, `Call` answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from tenacity import AsyncRetrying, RetryCallState

from cordboard.settings import Settings
from cordboard.vendors.wire import Outcome, Safety, Verdict, may_repeat, settle

SAME_FAILURE_ENDS = 3  # the same 5xx under one key: the vendor replays its stored failure, so asking on is pointless


class Journal(Protocol):
    """Who must know what is sent, before it is sent."""

    async def sending(self, attempt: int) -> None:
        """Awaited right before each send. Where it raises, nothing is sent, and the caller gets the exception."""

    def leaving(self) -> None:
        """Called when the exchange begins: from now on the request may be out."""

    async def refused(self, attempt: int, verdict: Verdict) -> None:
        """Awaited after an attempt that certainly had no effect itself, before the wait for the next.

        It says nothing about attempts before it.
        """


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Bounds of a session; see `Settings` for the meaning of those that it has too.

    Attributes:
        ahead: calls that may get ready while others are open, as a share of those that may be open: while their intents
            become durable, no connection idles. Each is one more start in doubt where the process dies.
        backoff_seconds: the first wait between attempts is half of this to all of it, each further one twice as long.
        backoff_max_seconds: no wait of our own is longer.
    """

    in_flight: int = 20
    calls_per_second: float = 0.0
    retry_attempts: int = 4
    retry_total_seconds: float = 60.0
    retry_after_max_seconds: float = 60.0
    body_max_bytes: int = 8 * 1024 * 1024
    ahead: float = 0.2
    backoff_seconds: float = 0.5
    backoff_max_seconds: float = 16.0

    @classmethod
    def from_settings(cls, settings: Settings) -> SessionLimits:
        """The limits that the environment asks for."""
        return cls(
            in_flight=max(settings.in_flight, 1),
            calls_per_second=settings.calls_per_second,
            retry_attempts=max(settings.retry_attempts, 1),
            retry_total_seconds=settings.retry_total_seconds,
            retry_after_max_seconds=settings.retry_after_max_seconds,
            body_max_bytes=settings.body_max_bytes,
        )


def backoff(tries: int, asked: float | None, limits: SessionLimits, random: Callable[[], float]) -> float:
    """Seconds to wait after that many tries.

    Half of an exponential span is fixed, half is random: full jitter can collapse to no wait at all. What the vendor
    asked for comes before it, so that nobody returns early and nobody returns together.
    """
    span = min(limits.backoff_seconds * 2.0 ** min(tries - 1, 30), limits.backoff_max_seconds)
    return (asked or 0.0) + span / 2 + random() * span / 2


@dataclass(slots=True)
class Call:
    """One call on its way through its attempts. Times are in seconds.

    Attributes:
        tries: rounds that count against the attempts allowed; a round that the retry budget held back does not.
        sends: requests that left.
        waited: in the gate and between attempts.
        queued: the part of it spent in the gate; the total time allowed does not run there.
        latency: of the last exchange.
        latest: how the last round ended.
        sent_now: whether the round that just ended sent anything.
        waits_told: what of `waited` came before the latest send.
    """

    safety: Safety
    attempts: int
    limits: SessionLimits
    clock: Callable[[], float]
    random: Callable[[], float]
    deadline: float | None = None
    journal: Journal | None = None
    tries: int = 0
    sends: int = 0
    waited: float = 0.0
    queued: float = 0.0
    latency: float = 0.0
    latest: Verdict | None = None
    sent_now: bool = False
    waits_told: float = 0.0
    started: float = 0.0
    _doubt: Verdict | None = None
    _failures: list[int] = field(default_factory=list)

    async def run(
        self, attempt: Callable[[], Awaitable[Verdict]], sleep: Callable[[float], Awaitable[None]]
    ) -> Verdict:
        """Makes attempts until one is final, and says what they came to."""
        self.started = self.clock()
        first: list[Verdict] = [await attempt()]
        if first[0].outcome is Outcome.ACCEPTED:  # nearly always; tenacity's own cost is a third of such a call
            return first[0]

        async def replayed() -> Verdict:
            return first.pop() if first else await attempt()

        retrying = AsyncRetrying(
            sleep=sleep,
            retry=self._goes_on,
            wait=self._wait,
            stop=self._is_over,
            before_sleep=self._before_sleep,
            retry_error_callback=lambda _: self.latest,
        )
        latest: Verdict = await retrying(replayed)
        return settle(self._doubt, latest, self.safety)

    def note(self, verdict: Verdict) -> Verdict:
        """Takes in how a round ended."""
        self.tries += 1
        self.latest = verdict
        self._failures.append(verdict.status or 0)
        if verdict.outcome is Outcome.UNKNOWN and self._doubt is None:
            self._doubt = verdict
        return verdict

    @property
    def is_in_doubt(self) -> bool:
        """Whether an attempt may have taken effect without our knowing."""
        return self._doubt is not None

    def seconds_left(self) -> float | None:
        """Until the deadline; None without one."""
        return None if self.deadline is None else self.deadline - self.clock()

    def is_late(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and self.clock() >= self.deadline

    def _goes_on(self, state: RetryCallState) -> bool:
        verdict = self.latest
        if state.outcome is None or state.outcome.failed or verdict is None or verdict.kind == "deadline":
            return False
        if (verdict.retry_after_seconds or 0.0) > self.limits.retry_after_max_seconds:
            return False
        same = self._failures[-SAME_FAILURE_ENDS:]
        stuck = len(same) == SAME_FAILURE_ENDS and len(set(same)) == 1 and same[0] >= 500
        return may_repeat(verdict, self.safety) and not (stuck and self.safety is Safety.KEYED)

    def _wait(self, state: RetryCallState) -> float:
        asked = self.latest.retry_after_seconds if self.latest else None
        return backoff(state.attempt_number, asked, self.limits, self.random)

    def _is_over(self, state: RetryCallState) -> bool:
        spent = self.clock() - self.started - self.queued + state.upcoming_sleep
        left = self.seconds_left()
        return (
            self.tries >= self.attempts
            or spent > self.limits.retry_total_seconds
            or (left is not None and state.upcoming_sleep >= left)
        )

    async def _before_sleep(self, state: RetryCallState) -> None:
        if self.sent_now and self.journal and self.latest and self.latest.outcome is Outcome.REFUSED:
            await self.journal.refused(self.sends, self.latest)
        self.waited += state.upcoming_sleep
