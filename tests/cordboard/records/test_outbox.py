"""The outbox: nothing that was recorded stays untold, and nobody is told the same thing twice while all goes well."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from cordboard.records.effects import Message
from cordboard.records.ledger import Ledger
from cordboard.records.outbox import LEASE_SECONDS, SCHEDULE, Delivery, DeliveryReport, deliver_due, wait_after
from cordboard.records.relay import Relay
from cordboard.records.schema import outbox

REF = "hook"


@dataclass(frozen=True)
class Said:
    """What a receiver answered."""

    delivered: bool
    final: bool = False
    detail: str = "the endpoint answered 503"


@dataclass
class Receiver:
    """An endpoint in this process: answers as told, and remembers what came in."""

    answer: Said = Said(True)
    ref: str = REF
    got: list[tuple[str, str]] = field(default_factory=list)
    hold: asyncio.Event | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message_id: str, body: str) -> Delivery:
        self.got.append((message_id, body))
        self.entered.set()
        if self.hold:
            await self.hold.wait()
        return self.answer


@dataclass
class Clock:
    """Time that passes when the test says so."""

    now: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def ledger_with(
    url: str, clock: Callable[[], float], bodies: range, run_key: str = "r1"
) -> AsyncIterator[Ledger]:
    async with await Ledger.open(url, clock=clock) as ledger, await ledger.claim_run("acme", run_key) as run:
        for body in bodies:
            await run.record("note", "x", None, [Message(REF, "note", body)])
        yield ledger


async def wait_until(predicate: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not predicate():
            await asyncio.sleep(0.005)


def test_messages_leave_once_and_in_order(ledger_url: str) -> None:
    async def run_it() -> None:
        async with ledger_with(ledger_url, Clock(), range(40)) as ledger:
            receiver = Receiver()
            assert await deliver_due(ledger, receiver) == DeliveryReport(40, 0, 0)
            assert await deliver_due(ledger, receiver) == DeliveryReport(0, 0, 0)
            assert [body for _, body in receiver.got] == [str(number) for number in range(40)]
            assert len({message_id for message_id, _ in receiver.got}) == 40

    asyncio.run(run_it())


def test_a_receiver_that_is_down_gets_the_same_id_later_until_it_is_given_up(ledger_url: str) -> None:
    """Each failure waits longer; after the last wait the message is dead, visible, and not tried again."""

    async def run_it() -> None:
        clock, rng, receiver = Clock(), random.Random(1), Receiver(Said(False))
        async with ledger_with(ledger_url, clock, range(1)) as ledger:
            for wait in SCHEDULE:
                assert await deliver_due(ledger, receiver, rng=rng) == DeliveryReport(0, 1, 0)
                clock.now += wait * 0.99
                tries = len(receiver.got)
                await deliver_due(ledger, receiver, rng=rng)
                assert len(receiver.got) == tries  # not due yet
                clock.now += wait * 0.22
            assert await deliver_due(ledger, receiver, rng=rng) == DeliveryReport(0, 0, 1)
            assert len(receiver.got) == len(SCHEDULE) + 1
            assert len(set(receiver.got)) == 1
            assert await ledger.read(lambda c: c.scalar(select(outbox.c.last_error))) == "the endpoint answered 503"

    asyncio.run(run_it())


def test_a_receiver_that_comes_back_gets_what_waited(sqlite_url: str) -> None:
    async def run_it() -> None:
        clock, receiver = Clock(), Receiver(Said(False))
        async with ledger_with(sqlite_url, clock, range(3)) as ledger:
            assert (await deliver_due(ledger, receiver)).pending == 3
            receiver.answer = Said(True)
            clock.now += 2
            assert await deliver_due(ledger, receiver) == DeliveryReport(3, 0, 0)

    asyncio.run(run_it())


def test_what_the_receiver_never_wants_again_is_dead_at_once(sqlite_url: str) -> None:
    async def run_it() -> None:
        async with ledger_with(sqlite_url, Clock(), range(1)) as ledger:
            gone = Receiver(Said(False, final=True, detail="gone"))
            assert await deliver_due(ledger, gone) == DeliveryReport(0, 0, 1)

    asyncio.run(run_it())


def test_two_relays_share_the_work_and_send_nothing_twice(ledger_url: str) -> None:
    """As two processes would: each has the ledger open for itself, and both begin at the same moment."""

    async def run_it() -> None:
        clock = Clock()
        async with (
            ledger_with(ledger_url, clock, range(60)) as one,
            await Ledger.open(ledger_url, clock=clock) as two,
        ):
            receiver = Receiver()
            reports = await asyncio.gather(deliver_due(one, receiver), deliver_due(two, receiver))
            assert sum(report.delivered for report in reports) == 60
            assert sorted(int(body) for _, body in receiver.got) == list(range(60))

    asyncio.run(run_it())


def test_what_a_dead_relay_had_in_hand_leaves_again_under_the_same_id(sqlite_url: str) -> None:
    """Nobody knows whether it arrived; the id tells the receiver, once the lease has passed."""

    async def run_it() -> None:
        clock = Clock()
        async with ledger_with(sqlite_url, clock, range(1)) as ledger:
            dying, alive = Receiver(hold=asyncio.Event()), Receiver()
            delivery = asyncio.create_task(deliver_due(ledger, dying))
            await dying.entered.wait()  # sent, and never marked: what a kill at this point leaves behind
            assert await deliver_due(ledger, alive) == DeliveryReport(0, 1, 0)
            clock.now += LEASE_SECONDS + 1
            assert await deliver_due(ledger, alive) == DeliveryReport(1, 0, 0)
            assert alive.got == dying.got
            delivery.cancel()
            await asyncio.wait([delivery])

    asyncio.run(run_it())


def test_a_relay_delivers_while_the_run_goes_on(ledger_url: str) -> None:
    async def run_it() -> None:
        receiver = Receiver()
        async with (
            ledger_with(ledger_url, Clock(), range(3)) as ledger,
            await ledger.claim_run("acme", "r2") as run,
            Relay(ledger, receiver) as relay,
        ):
            await wait_until(lambda: len(receiver.got) == 3)
            await run.record("note", "x", None, [Message(REF, "note", "late")])
            assert await relay.flush(5)
            assert receiver.got[-1][1] == '"late"'

    asyncio.run(run_it())


def test_a_receiver_that_hangs_holds_nobody_up(sqlite_url: str) -> None:
    """The run goes on, the flush ends in its time, and what was in hand is due again at once."""

    async def run_it() -> None:
        async with ledger_with(sqlite_url, Clock(), range(3)) as ledger:
            hanging = Receiver(hold=asyncio.Event())
            async with Relay(ledger, hanging) as relay:
                await hanging.entered.wait()
                async with asyncio.timeout(5):
                    async with await ledger.claim_run("acme", "r2") as run:
                        await run.record("note", "x")
                    assert not await relay.flush(0.05)
            assert await deliver_due(ledger, Receiver()) == DeliveryReport(3, 0, 0)

    asyncio.run(run_it())


def test_messages_of_other_endpoints_stay_where_they_are(sqlite_url: str) -> None:
    async def run_it() -> None:
        async with ledger_with(sqlite_url, Clock(), range(3)) as ledger:
            assert await deliver_due(ledger, Receiver(ref="another")) == DeliveryReport(0, 0, 0)
            assert await deliver_due(ledger, Receiver(), limit=2) == DeliveryReport(2, 1, 0)

    asyncio.run(run_it())


@given(st.integers(1, 20), st.randoms(use_true_random=False))
def test_waits_are_spread_and_never_shorter_than_the_schedule(attempts: int, rng: random.Random) -> None:
    """Messages that failed together must not come back together."""
    wait = wait_after(attempts, rng)
    if attempts > len(SCHEDULE):
        assert wait is None
    else:
        assert wait is not None
        assert SCHEDULE[attempts - 1] <= wait <= SCHEDULE[attempts - 1] * 1.2


@pytest.mark.parametrize("error", ["x" * 10_000, ""])
def test_the_last_error_is_kept_within_bounds(sqlite_url: str, error: str) -> None:
    async def run_it() -> None:
        async with ledger_with(sqlite_url, Clock(), range(1)) as ledger:
            await deliver_due(ledger, Receiver(Said(False, detail=error)))
            kept = await ledger.read(lambda c: c.scalar(select(outbox.c.last_error)))
            assert kept == error[:500]

    asyncio.run(run_it())
