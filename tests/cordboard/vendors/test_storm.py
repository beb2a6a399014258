"""Many clients and a vendor in trouble, on virtual time: the load stays bounded and comes back by itself."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cordboard.vendors.attempts import SessionLimits, backoff
from cordboard.vendors.cxone import execute_data_action
from cordboard.vendors.session import Answer, VendorSession
from cordboard.vendors.wire import Verdict

READ = execute_data_action("def", {}, idempotent=True)
CLIENTS, STORM_SECONDS, END_SECONDS = 200, 60.0, 105.0


class StruggleVendor:
    """Refuses with this status until the storm is over; counts what reaches it, second by second."""

    def __init__(self, statuses: list[int], headers: dict[str, str]) -> None:
        self.statuses, self.headers = statuses, headers
        self.requests: list[float] = []
        self.firsts: list[float] = []
        self.served: list[float] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        loop = asyncio.get_running_loop()
        self.requests.append(loop.time())
        await asyncio.sleep(0.05)
        if loop.time() < STORM_SECONDS:
            return httpx.Response(self.statuses[len(self.requests) % len(self.statuses)], headers=self.headers)
        self.served.append(loop.time())
        return httpx.Response(200, json={"output": {}})


class FirstAttempts:
    """A journal that notes when each call sends for the first time."""

    def __init__(self, vendor: StruggleVendor) -> None:
        self.vendor = vendor

    async def sending(self, attempt: int) -> None:
        if attempt == 1:
            self.vendor.firsts.append(asyncio.get_running_loop().time())

    def leaving(self) -> None:
        pass

    async def refused(self, attempt: int, verdict: Verdict) -> None:
        pass


async def live_through(vendor: StruggleVendor) -> list[tuple[float, Answer]]:
    """200 clients that call, think for a second and call again; each call with the time at which it ended."""
    loop, chance, ended = asyncio.get_running_loop(), random.Random(11), []
    limits = SessionLimits(in_flight=200)

    async def client(session: VendorSession) -> None:
        await asyncio.sleep(chance.random())
        while loop.time() < END_SECONDS:
            answer = await session.call(READ, timeout_seconds=10, journal=FirstAttempts(vendor))
            ended.append((loop.time(), answer))
            await asyncio.sleep(1)

    transport = httpx.MockTransport(vendor)
    async with VendorSession(
        "https://vendor.test", None, limits, transport=transport, clock=loop.time, random=chance.random
    ) as session:
        await asyncio.gather(*(client(session) for _ in range(CLIENTS)))
    return ended


@pytest.mark.parametrize(
    ("statuses", "headers"),
    [([503], {}), ([504], {}), ([429], {}), ([429], {"retry-after": "2"}), ([429, 503], {})],
    ids=["503", "504, which opens no breaker", "429", "429 with advice", "mixed"],
)
def test_a_storm_is_not_made_worse_and_ends_by_itself(
    virtual: Callable[..., Any], statuses: list[int], headers: dict[str, str]
) -> None:
    """Repeats stay within a tenth of the first attempts and the reserve; half a minute later all is well."""
    vendor = StruggleVendor(statuses, headers)
    ended = virtual(live_through(vendor))
    sent = sum(time < STORM_SECONDS for time in vendor.requests)
    first_attempts = sum(time < STORM_SECONDS for time in vendor.firsts)
    assert sent <= 1.1 * first_attempts + 10 + STORM_SECONDS / 10
    after = [answer for time, answer in ended if time > STORM_SECONDS + 30]
    assert len(after) >= 5 * CLIENTS
    assert {answer.verdict.kind for answer in after} == {"ok"}
    late = [time for time in vendor.served if STORM_SECONDS + 30 < time <= STORM_SECONDS + 40]
    assert len(late) / 10 >= 0.8 * CLIENTS / 1.05, "calls a second, against what the clients ask for"


@pytest.mark.parametrize("headers", [{}, {"retry-after": "1"}], ids=["without advice", "with advice"])
def test_a_vendor_that_takes_five_calls_a_second_gets_them_all_done(
    virtual: Callable[..., Any], headers: dict[str, str]
) -> None:
    """Fifty at once meet a limit of five a second: nobody gives up, and few are sent in vain."""
    left, filled_at, refused = 5.0, 0.0, 0

    async def limited(request: httpx.Request) -> httpx.Response:
        nonlocal left, filled_at, refused
        now = asyncio.get_running_loop().time()
        left, filled_at = min(5.0, left + (now - filled_at) * 5), now
        await asyncio.sleep(0.05)
        if left < 1:
            refused += 1
            return httpx.Response(429, headers=headers)
        left -= 1
        return httpx.Response(200, json={"output": {}})

    async def main() -> list[Answer]:
        loop, chance = asyncio.get_running_loop(), random.Random(5)
        async with VendorSession(
            "https://vendor.test",
            None,
            SessionLimits(in_flight=50),
            transport=httpx.MockTransport(limited),
            clock=loop.time,
            random=chance.random,
        ) as session:
            return list(await asyncio.gather(*(session.call(READ, timeout_seconds=10) for _ in range(50))))

    assert {answer.verdict.kind for answer in virtual(main())} == {"ok"}
    assert refused <= 75


def test_a_thousand_clients_do_not_return_together() -> None:
    """Each is a process of its own, all were told to come back in five seconds: they come spread out, none early."""
    chance, limits = random.Random(3), SessionLimits()
    returns = [backoff(1, 5.0, limits, chance.random) for _ in range(1000)]
    assert min(returns) >= 5.0
    bins = Counter(int(wait * 10) for wait in returns)
    assert max(bins.values()) <= 3 * len(returns) / len(bins)


def test_waits_grow_to_a_limit_and_never_collapse_to_nothing() -> None:
    limits = SessionLimits(backoff_seconds=1.0, backoff_max_seconds=16.0)
    assert [backoff(tries, None, limits, lambda: 0.0) for tries in (1, 2, 3, 5, 6, 10_000)] == [0.5, 1, 2, 8, 8, 8]
    assert [backoff(tries, None, limits, lambda: 1.0) for tries in (1, 2, 3, 5, 6, 10_000)] == [1, 2, 4, 16, 16, 16]
