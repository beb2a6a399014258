"""When not to send: a budget for repeats and a breaker for a vendor that is down.

Together they hold the promise that load on a struggling vendor never exceeds 1.1 times the first attempts, and a small
reserve: ten repeats, which let a single action have all its retries, and one more in ten seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cordboard.vendors.wire import Outcome, Verdict

RESERVE = 10.0
EARNED_PER_CALL = 0.1
TRICKLE_PER_SECOND = 0.1
LARGEST_BUDGET = 100.0
BREAKS_AFTER = 10  # failures in a row
FIRST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 20.0
PROBE_SECONDS = 1.0  # how soon to ask again while another call probes


class RetryBudget:
    """A token for each repeat: earned by first attempts, a tenth each, and given back by repeats that succeed.

    A slow trickle keeps calls that wait for the budget from waiting for each other.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tokens, self._filled_at = RESERVE, clock()

    def earn(self, amount: float = EARNED_PER_CALL) -> None:
        """Adds to the budget: for a first attempt or, with 1.0, for a repeat that was accepted."""
        self._tokens = min(self._tokens + amount, LARGEST_BUDGET)

    def spend(self) -> bool:
        """Takes a token for a repeat; False where there is none, and nothing may be repeated now."""
        now = self._clock()
        self.earn((now - self._filled_at) * TRICKLE_PER_SECOND)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@dataclass(frozen=True, slots=True)
class Permit:
    """The breaker's answer: seconds to stay away, and whether this call is the one that probes."""

    wait_seconds: float = 0.0
    probe: bool = False


_GO = Permit()


class Breaker:
    """Stops sending to a vendor that failed many times in a row, then lets one call probe.

    Only what says "the vendor is down" counts: no connection, a lost reply, 5xx. A 429, a timeout and a 504 (a slow
    action) say nothing, and any sound reply, 4xx included, starts the count anew: one broken action among others stops
    nothing.

    Attributes:
        reason: the last failure that counted, in a sentence; empty where none did.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.reason = ""
        self._failures = 0
        self._pause = FIRST_PAUSE_SECONDS
        self._open_until: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether the vendor is left alone, but for a call that probes."""
        return self._open_until is not None

    def admit(self) -> Permit:
        """Whether to send now. Where the wait is zero, `note` must follow, with the permit."""
        if self._open_until is None:
            return _GO
        left = self._open_until - self._clock()
        if left > 0 or self._probing:
            return Permit(max(left, PROBE_SECONDS))
        self._probing = True
        return Permit(probe=True)

    def note(self, permit: Permit, verdict: Verdict | None) -> None:
        """Takes in how an admitted call ended; None where it was given up before anything was known."""
        if permit.probe:
            self._probing = False
        if verdict is None or verdict.kind in _SAYS_NOTHING:
            return
        if not _is_down(verdict):
            self._failures, self._pause, self._open_until = 0, FIRST_PAUSE_SECONDS, None
            return
        self._failures, self.reason = self._failures + 1, verdict.message
        if permit.probe or (self._open_until is None and self._failures >= BREAKS_AFTER):
            self._open_until = self._clock() + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)


_SAYS_NOTHING = frozenset({"credentials", "deadline", "timeout", "gateway_timeout", "rate_limited"})


def _is_down(verdict: Verdict) -> bool:
    if verdict.outcome is Outcome.PERMANENT:
        return False  # also a 5xx that brings a result
    return verdict.status is None or verdict.status >= 500
