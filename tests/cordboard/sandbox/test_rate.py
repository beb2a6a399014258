"""The rate limit: a burst passes, the rest is told when to come back."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cordboard.sandbox.call import Refusal
from cordboard.sandbox.definition import RateLimit
from cordboard.sandbox.rate import RateGate


def test_a_burst_passes_and_the_next_request_is_429_with_retry_after(start):
    """A refused request has no effect, and tokens are not limited."""
    api = start(rate_limit={"per_second": 0.01, "burst": 2, "retry_after_seconds": 9, "headers": True})
    replies = [api.notify() for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert [reply.headers["x-ratelimit-remaining"] for reply in replies] == ["1", "0", "0"]
    assert replies[2].headers["retry-after"] == "9"
    assert len(api.box.truth.effects) == 2
    assert api.ask_token().status_code == 200


@example(1.0, 1, [1.0666960044659481, 0.0])
@given(st.floats(0.1, 50), st.integers(1, 20), st.lists(st.floats(0, 2), max_size=60))
def test_whoever_obeys_retry_after_gets_in_and_nobody_exceeds_the_limit(per_second, burst, pauses):
    """The law of a token bucket: at most burst + rate x time, and the computed wait is long enough."""
    now = [0.0]
    gate = RateGate(RateLimit(per_second=per_second, burst=burst), lambda: now[0])
    for entered, pause in enumerate(pauses, 1):
        now[0] += pause
        try:
            gate.enter()
        except Refusal as refusal:
            now[0] += int((refusal.headers or {})["retry-after"])
            gate.enter()
        assert entered <= burst + per_second * now[0] + 1e-3


def test_the_bucket_fills_at_its_rate_and_never_above_its_burst():
    """Two a second: half a second brings one; an hour brings no more than the burst."""
    now = [0.0]
    gate = RateGate(RateLimit(per_second=2.0, burst=3), lambda: now[0])

    def entered() -> int:
        count = 0
        with suppress(Refusal):
            while True:
                gate.enter()
                count += 1
        return count

    passed = []
    for later in (0.0, 0.5, 0.99, 1.0, 3600.0):
        now[0] = later
        passed.append(entered())
    assert passed == [3, 1, 0, 1, 3]


def test_without_a_limit_everything_passes():
    """And no headers are made up."""
    gate = RateGate(None, lambda: 0.0)
    assert [gate.enter() for _ in range(100)] == [{}] * 100


def test_the_limit_is_seen_by_a_frozen_clock():
    """No time, no refill."""
    gate = RateGate(RateLimit(per_second=5.0, burst=1), lambda: 0.0)
    gate.enter()
    with pytest.raises(Refusal, match="try again in 1 s"):
        gate.enter()
