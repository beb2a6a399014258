"""How many calls are open, and how fast they start: one gate in front of all calls of a session.

Slots bound the calls in flight. A pace bounds their starts: configured, learnt from 429s (lowered at once, raised step
by step as calls succeed), or read from rate headers before the limit is hit. A `Retry-After` holds everybody back, and
those held come back spread out. First come, first served; constant work per call; a cancelled waiter leaves no trace.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from cordboard.vendors.evidence import RateAdvice

BURST_SECONDS = 0.1  # how much of its pace a gate may catch up on, which evens out the event loop's grain
SPREAD_SECONDS = 1.0  # by which sessions, and then the calls of each, are spread when a pause ends
UNADVISED_PAUSE_SECONDS = 1.0  # for a 429 without `Retry-After`
SAME_BURST_SECONDS = 1.0  # 429s this close say one thing
AGAIN_SECONDS = 10.0  # a 429 this soon after another says that halving was not enough
SLOWEST_PER_SECOND = 2.0  # learnt from 429s, the pace never falls below this
SCARCE = 0.2  # share of a window below which the calls left are spread over the rest of it
_REGAIN = 0.25  # calls a second regained by each success: a quarter of the pace in each second, at any pace
_SEEN = 1024  # starts and successes remembered to tell how fast we were


class Gate:
    """Admits calls; `enter` before a call, `leave` after it.

    Args:
        in_flight: calls open at once, 1 or more.
        per_second: calls started a second; 0 for no limit of our own.
        clock: monotonic seconds.
        sleep: waits that many seconds.
        random: uniform from 0 to 1.
    """

    def __init__(
        self,
        in_flight: int,
        per_second: float,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        random: Callable[[], float],
    ) -> None:
        self._free = in_flight
        self._queue: deque[asyncio.Future[None]] = deque()
        self._clock, self._sleep, self._random = clock, sleep, random
        self._ceiling = self._rate = per_second
        self._line = asyncio.Lock()
        self._next_start = self._slowed_at = -float("inf")
        self._scarce_pace, self._scarce_until = 0.0, -float("inf")
        self._return_pace, self._returning_until = SPREAD_SECONDS / in_flight, -float("inf")
        self._starts: deque[float] = deque(maxlen=_SEEN)
        self._accepted: deque[float] = deque(maxlen=_SEEN)

    async def enter(self) -> None:
        """Waits for a slot and for this call's turn. Where it is cancelled, nothing is held."""
        if self._free:
            self._free -= 1
        else:
            await self._wait_for_slot()
        try:
            await self._wait_for_turn()
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """Gives the slot to the first who still waits, or back."""
        while self._queue:
            ticket = self._queue.popleft()
            if not ticket.done():
                ticket.set_result(None)
                return
        self._free += 1

    def slow_down(self, retry_after_seconds: float | None) -> None:
        """Takes a 429 into account: holds everybody back as long as asked, and lowers the pace.

        At first to half of what it was, as one 429 says little; if more come soon, to what the vendor did accept. The
        calls that were already on their way bring further 429s for the same reason: those lower nothing.
        """
        now, pause = self._clock(), UNADVISED_PAUSE_SECONDS if retry_after_seconds is None else retry_after_seconds
        if now < self._slowed_at + SAME_BURST_SECONDS:
            if retry_after_seconds:
                self._pause(retry_after_seconds)
            return
        again = now < self._slowed_at + AGAIN_SECONDS
        self._slowed_at = now + pause
        last_start = self._starts[-1] if self._starts else now
        pace = min(self._rate or float("inf"), _per_second(self._starts, last_start, BURST_SECONDS)) / 2
        if again:
            pace = min(pace, _per_second(self._accepted, now, SAME_BURST_SECONDS))
        self._rate = min(max(pace, SLOWEST_PER_SECOND), self._ceiling or float("inf"))
        if pause:
            self._pause(pause)

    def speed_up(self) -> None:
        """Takes a success into account."""
        self._accepted.append(self._clock())
        if self._rate:
            self._rate = min(self._rate + _REGAIN, self._ceiling or float("inf"))

    def heed(self, advice: RateAdvice, longest_seconds: float) -> None:
        """Takes rate headers into account: nothing left holds everybody back, little left is spread over the window."""
        now, reset = self._clock(), min(advice.reset_seconds, longest_seconds)
        if advice.remaining < 1:
            self._pause(reset)
        elif advice.remaining <= max(SCARCE * advice.allowed, 1.0):
            self._scarce_pace, self._scarce_until = reset / advice.remaining, now + reset

    async def _wait_for_slot(self) -> None:
        ticket = asyncio.get_running_loop().create_future()
        self._queue.append(ticket)
        try:
            await ticket
        except asyncio.CancelledError:
            if not ticket.cancelled():  # the slot was handed over in the very moment of the cancellation
                self.leave()
            raise

    async def _wait_for_turn(self) -> None:
        # One waits for the next start, all others behind it: a pace that changes holds for everybody at once.
        if self._line.locked() or self._next_start > self._clock() or self._pace():
            async with self._line:
                while (wait := self._next_start - self._clock()) > 0:
                    await self._sleep(wait)
                self._next_start = max(self._next_start, self._clock() - BURST_SECONDS) + self._pace()
        self._starts.append(self._clock())

    def _pace(self) -> float:
        """Seconds between two starts."""
        now, pace = self._clock(), 1.0 / self._rate if self._rate else 0.0
        if now < self._scarce_until:
            pace = max(pace, self._scarce_pace)
        return max(pace, self._return_pace) if now < self._returning_until else pace

    def _pause(self, seconds: float) -> None:
        until = self._clock() + seconds + self._random() * SPREAD_SECONDS
        self._next_start = max(self._next_start, until)
        self._returning_until = max(self._returning_until, until + SPREAD_SECONDS)


def _per_second(times: deque[float], until: float, least_seconds: float) -> float:
    recent = [time for time in times if until - time <= 1.0]
    return len(recent) / max(until - recent[0], least_seconds) if recent else 0.0
