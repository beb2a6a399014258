"""The sandbox's rate limit: a token bucket over all API requests."""

from __future__ import annotations

import math
from collections.abc import Callable

from cordboard.sandbox.call import Refusal
from cordboard.sandbox.definition import RateLimit

ONE = 1 - 1e-6  # a clock of floats cannot tell the rest: whoever waited exactly as long as told must get in


class RateGate:
    """Lets requests through while the bucket holds some; without a limit it lets all of them through."""

    def __init__(self, limit: RateLimit | None, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._clock = clock
        self._held = float(limit.burst) if limit else 0.0
        self._filled_at = clock()

    def enter(self) -> dict[str, str]:
        """Takes one request out of the bucket and returns the headers that the reply carries.

        Raises:
            Refusal: the bucket is empty: 429 with `Retry-After` in whole seconds.
        """
        if self._limit is None:
            return {}
        self._fill(self._limit)
        if self._held >= ONE:
            self._held -= 1
            return self._headers(self._limit)
        wait = self._limit.retry_after_seconds
        wait = math.ceil(self._seconds_until_one(self._limit)) if wait is None else wait
        headers = {"retry-after": str(wait), **self._headers(self._limit)}
        raise Refusal(429, "rate_limit_exceeded", f"Too many requests; try again in {wait} s.", headers)

    def _fill(self, limit: RateLimit) -> None:
        now = self._clock()
        self._held = min(limit.burst, self._held + (now - self._filled_at) * limit.per_second)
        self._filled_at = now

    def _seconds_until_one(self, limit: RateLimit) -> float:
        return max(0.0, 1 - self._held) / limit.per_second

    def _headers(self, limit: RateLimit) -> dict[str, str]:
        if not limit.headers:
            return {}
        return {
            "x-ratelimit-limit": str(limit.burst),
            "x-ratelimit-remaining": str(int(self._held)),
            "x-ratelimit-reset": str(math.ceil(self._seconds_until_one(limit))),
        }
