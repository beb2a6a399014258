"""The gate in front of all calls: slots, pace, pauses, and what a cancelled waiter leaves behind (nothing)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.vendors.evidence import RateAdvice
from cordboard.vendors.limiter import Gate


def gate(in_flight: int = 10, per_second: float = 0.0, seed: int = 7) -> Gate:
    loop = asyncio.get_running_loop()
    return Gate(in_flight, per_second, clock=loop.time, sleep=asyncio.sleep, random=random.Random(seed).random)


async def starts_of(limits: Gate, calls: int, seconds: float = 0.0) -> list[float]:
    """When each of that many calls, all asked for now, got through the gate."""
    loop, starts = asyncio.get_running_loop(), []

    async def one() -> None:
        await limits.enter()
        starts.append(loop.time())
        await asyncio.sleep(seconds)
        limits.leave()

    await asyncio.gather(*(one() for _ in range(calls)))
    return starts


def test_never_more_calls_are_open_than_allowed(virtual: Callable[..., Any]) -> None:
    async def main() -> list[float]:
        return await starts_of(gate(in_flight=5), 20, seconds=1.0)

    assert Counter(virtual(main())) == {0.0: 5, 1.0: 5, 2.0: 5, 3.0: 5}


def test_first_come_first_served(virtual: Callable[..., Any]) -> None:
    async def main() -> list[int]:
        limits, order = gate(in_flight=2, per_second=50), []

        async def one(number: int) -> None:
            await limits.enter()
            order.append(number)
            await asyncio.sleep(0.1)
            limits.leave()

        await asyncio.gather(*(one(number) for number in range(100)))
        return order

    assert virtual(main()) == list(range(100))


def test_calls_start_at_the_pace_that_was_set(virtual: Callable[..., Any]) -> None:
    async def main() -> list[float]:
        return await starts_of(gate(in_flight=100, per_second=20), 200)

    starts = virtual(main())
    assert starts[-1] == pytest.approx(200 / 20, abs=0.2)
    assert max(Counter(int(start) for start in starts).values()) <= 23


def test_a_retry_after_holds_everybody_back_and_lets_them_return_spread_out(virtual: Callable[..., Any]) -> None:
    async def main() -> list[float]:
        limits = gate(in_flight=1000)
        limits.slow_down(5.0)
        return await starts_of(limits, 1000)

    starts = virtual(main())
    assert min(starts) >= 5.0
    bins = Counter(int(start * 10) for start in starts)
    assert max(bins.values()) <= 3 * len(starts) / len(bins)


def test_a_pause_also_holds_those_who_had_their_turn_already(virtual: Callable[..., Any]) -> None:
    """They wait for their turn when the 429 comes in; to let them go would be to answer it with more calls."""

    async def main() -> list[float]:
        limits = gate(in_flight=100, per_second=2)
        going = asyncio.create_task(starts_of(limits, 10))
        await asyncio.sleep(1.6)
        limits.slow_down(10.0)
        return await going

    starts = virtual(main())
    assert [start for start in starts if 1.6 < start < 11.6] == []
    assert len(starts) == 10


def rate_after(virtual: Callable[..., Any], tell: Callable[[Gate], None]) -> float:
    """Calls a second that the gate admits once it was told something, after 1,000 calls in the second before."""

    async def main() -> float:
        limits = gate(in_flight=1000)
        for _ in range(100):
            await starts_of(limits, 10)
            await asyncio.sleep(0.01)
        tell(limits)
        starts = await starts_of(limits, 500)
        return len(starts) / max(starts[-1] - starts[0], 1e-9)

    return float(virtual(main()))


def test_a_429_halves_the_pace_once_for_all_calls_that_were_under_way(virtual: Callable[..., Any]) -> None:
    once = rate_after(virtual, lambda limits: limits.slow_down(None))
    assert 300 <= once <= 650
    assert rate_after(virtual, lambda limits: [limits.slow_down(None) for _ in range(50)] and None) == once


def test_a_429_soon_after_another_lowers_the_pace_to_what_was_accepted(virtual: Callable[..., Any]) -> None:
    """Halving 1,000 a second to find that the vendor takes ten would be nine bursts of 429s."""

    async def main() -> list[float]:
        limits = gate(in_flight=1000)
        await starts_of(limits, 1000)
        limits.slow_down(None)
        await asyncio.sleep(2.5)
        for _ in range(10):
            limits.speed_up()
        limits.slow_down(None)
        return await starts_of(limits, 30)

    starts = virtual(main())
    assert 30 / (starts[-1] - starts[0]) == pytest.approx(10, rel=0.1)


def test_successes_bring_the_pace_back_within_half_a_minute(virtual: Callable[..., Any]) -> None:
    async def main() -> float:
        limits = gate(in_flight=100)
        for _ in range(20):
            limits.slow_down(None)
            await asyncio.sleep(1.1)
        while asyncio.get_running_loop().time() < 22 + 30:
            await limits.enter()
            limits.speed_up()
            limits.leave()
        starts = await starts_of(limits, 100)
        return 100 / (starts[-1] - starts[0])

    assert virtual(main()) >= 80


def test_a_set_pace_is_never_exceeded_by_learning(virtual: Callable[..., Any]) -> None:
    async def main() -> list[float]:
        limits = gate(in_flight=100, per_second=10)
        for _ in range(1000):
            limits.speed_up()
        return await starts_of(limits, 100)

    assert virtual(main())[-1] >= 9.7


@pytest.mark.parametrize(
    ("advice", "at_least", "at_most"),
    [
        (RateAdvice(remaining=250, allowed=300, reset_seconds=30), 0.0, 0.0),
        (RateAdvice(remaining=10, allowed=300, reset_seconds=30), 26.0, 30.0),  # 10 calls over the 30 s that are left
        (RateAdvice(remaining=0, allowed=300, reset_seconds=30), 30.0, 31.0),
        (RateAdvice(remaining=0, allowed=300, reset_seconds=1e15), 60.0, 61.0),  # nobody can stop us for good
    ],
)
def test_rate_headers_slow_us_down_before_the_limit(
    virtual: Callable[..., Any], advice: RateAdvice, at_least: float, at_most: float
) -> None:
    async def main() -> list[float]:
        limits = gate(in_flight=100)
        limits.heed(advice, 60.0)
        return await starts_of(limits, 10)

    assert at_least <= virtual(main())[-1] <= at_most


def test_those_who_wait_for_a_new_window_do_not_all_start_at_once(virtual: Callable[..., Any]) -> None:
    async def main() -> list[float]:
        limits = gate(in_flight=100)
        limits.heed(RateAdvice(remaining=0, allowed=300, reset_seconds=30), 60.0)
        return await starts_of(limits, 100)

    bins = Counter(int(start * 10) for start in virtual(main()))
    assert max(bins.values()) <= 30


def test_a_slot_that_is_handed_over_in_the_moment_of_a_cancellation_is_passed_on(virtual: Callable[..., Any]) -> None:
    async def main() -> None:
        limits = gate(in_flight=1)
        await limits.enter()
        waiting = asyncio.create_task(limits.enter())
        await asyncio.sleep(1)
        limits.leave()
        waiting.cancel()
        await asyncio.wait({waiting})
        await asyncio.wait_for(limits.enter(), 1)

    virtual(main())


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1), st.none() | st.floats(0, 4)), min_size=1, max_size=40),
    st.integers(1, 4),
    st.sampled_from([0.0, 10.0]),
    st.none() | st.floats(0, 2),
)
def test_cancelled_waiters_never_leak_a_slot(
    virtual: Callable[..., Any],
    calls: list[tuple[float, float, float | None]],
    in_flight: int,
    per_second: float,
    pause: float | None,
) -> None:
    """Whoever is cancelled, and whenever: never too many at once, and afterwards every slot is free."""

    async def main() -> None:
        limits, open_now = gate(in_flight, per_second), set[int]()

        async def one(number: int, after: float, lasts: float) -> None:
            await asyncio.sleep(after)
            await limits.enter()
            open_now.add(number)
            assert len(open_now) <= in_flight
            try:
                await asyncio.sleep(lasts)
            finally:
                open_now.discard(number)
                limits.leave()

        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(one(number, call[0], call[1])) for number, call in enumerate(calls)]
        for task, (_, _, cancelled_at) in zip(tasks, calls, strict=True):
            if cancelled_at is not None:
                loop.call_later(cancelled_at, task.cancel)
        if pause is not None:
            loop.call_later(pause, limits.slow_down, 1.0)
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [end for end in ended if isinstance(end, Exception)]
        await asyncio.wait_for(asyncio.gather(*(limits.enter() for _ in range(in_flight))), 60)

    virtual(main())


def test_a_429_never_raises_the_pace_that_was_set(virtual: Callable[..., Any]) -> None:
    """Simulations go at one in two seconds: when the vendor asks for less, they must not go faster."""

    async def main() -> list[float]:
        limits = gate(in_flight=10, per_second=0.5)
        await starts_of(limits, 1)
        limits.slow_down(0.0)
        return await starts_of(limits, 5)

    starts = virtual(main())
    assert min(later - earlier for earlier, later in pairwise(starts)) >= 1.5
