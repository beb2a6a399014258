"""When not to send."""

from __future__ import annotations

import pytest

from cordboard.vendors.restraint import Breaker, RetryBudget
from cordboard.vendors.wire import Outcome, Verdict

DOWN = Verdict(Outcome.UNKNOWN, "unavailable", 503)
FINE = Verdict(Outcome.ACCEPTED, "ok", 200)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def feed(breaker: Breaker, *verdicts: Verdict | None) -> None:
    for verdict in verdicts:
        breaker.note(breaker.admit(), verdict)


def test_a_single_action_may_use_all_its_retries() -> None:
    budget = RetryBudget(Clock())
    assert all(budget.spend() for _ in range(3))


def test_repeats_are_a_tenth_of_the_calls_and_a_reserve() -> None:
    budget = RetryBudget(Clock())
    repeats = 0
    for _ in range(1000):
        budget.earn()
        repeats += budget.spend()
    assert 109 <= repeats <= 110


def test_a_repeat_that_succeeds_gives_its_token_back() -> None:
    """A vendor that limits the rate and is otherwise well can be asked again for as long as it takes."""
    budget = RetryBudget(Clock())
    for _ in range(1000):
        assert budget.spend()
        budget.earn(1.0)


def test_an_empty_budget_regains_one_repeat_in_ten_seconds() -> None:
    """Calls that all wait for the budget would otherwise wait for each other until their time is over."""
    clock = Clock()
    budget = RetryBudget(clock)
    while budget.spend():
        pass
    clock.now = 10.0
    assert [budget.spend(), budget.spend()] == [True, False]


def test_quiet_times_do_not_save_up_a_storm() -> None:
    budget = RetryBudget(Clock())
    for _ in range(100_000):
        budget.earn()
    assert sum(budget.spend() for _ in range(1000)) == 100


def test_ten_failures_in_a_row_stop_the_sending() -> None:
    breaker = Breaker(Clock())
    feed(breaker, *[DOWN] * 9)
    assert breaker.admit().wait_seconds == 0
    feed(breaker, DOWN)
    assert breaker.admit().wait_seconds > 0


@pytest.mark.parametrize("sound", [FINE, Verdict(Outcome.PERMANENT, "not_found", 404)])
def test_one_broken_action_among_others_stops_nothing(sound: Verdict) -> None:
    breaker = Breaker(Clock())
    feed(breaker, *[*[DOWN] * 9, sound] * 20)
    assert breaker.admit().wait_seconds == 0


@pytest.mark.parametrize("kind", ["timeout", "gateway_timeout", "rate_limited", "credentials", "deadline"])
def test_slow_actions_and_limits_stop_nothing(kind: str) -> None:
    breaker = Breaker(Clock())
    feed(breaker, *[Verdict(Outcome.UNKNOWN, kind, 504 if kind == "gateway_timeout" else None)] * 50)
    assert breaker.admit().wait_seconds == 0


def test_one_call_probes_and_all_others_wait() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    feed(breaker, *[DOWN] * 10)
    clock.now = 2.0
    probe = breaker.admit()
    assert probe.probe
    assert [breaker.admit().wait_seconds > 0 for _ in range(5)] == [True] * 5
    breaker.note(probe, FINE)
    assert breaker.admit().wait_seconds == 0


def test_a_straggler_does_not_end_the_probe() -> None:
    """A call that was open when the breaker opened comes back during the probe: still only one may probe."""
    clock = Clock()
    breaker = Breaker(clock)
    straggler = breaker.admit()
    feed(breaker, *[DOWN] * 10)
    clock.now = 2.0
    assert breaker.admit().probe
    breaker.note(straggler, Verdict(Outcome.UNKNOWN, "timeout"))
    assert breaker.admit().wait_seconds > 0


def test_a_cancelled_probe_makes_room_for_the_next() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    feed(breaker, *[DOWN] * 10)
    clock.now = 2.0
    breaker.note(breaker.admit(), None)
    assert breaker.admit().probe


def test_a_vendor_that_stays_down_is_asked_ever_less_yet_at_least_every_twenty_seconds() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    feed(breaker, *[DOWN] * 10)
    waits = []
    for _ in range(6):
        waits.append(breaker.admit().wait_seconds)
        clock.now += waits[-1]
        feed(breaker, DOWN)
    assert waits == [2, 4, 8, 16, 20, 20]
