"""The limit of concurrent instances: never more at the vendor than it allows, and no place lost for good."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Connection, create_engine, select

from cordboard.records.capacity import (
    COUNTING_SECONDS,
    LIVE_SECONDS,
    OPEN_SECONDS,
    Asking,
    count_failed,
    counted,
    give_back,
    leave,
    let_go,
    take,
)
from cordboard.records.changes import Aftermath
from cordboard.records.effects import Effect, EffectState
from cordboard.records.ledger import Ledger
from cordboard.records.schema import metadata, pools, slots
from tests.thorough import count

LIMIT = 5
InLedger = Callable[[Callable[[Ledger], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def in_ledger(ledger_url: str) -> InLedger:
    """Runs a test on each database."""

    def run_it(work: Callable[[Ledger], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            async with await Ledger.open(ledger_url) as ledger:
                await work(ledger)

        asyncio.run(main())

    return run_it


def asking(batch: str, *keys: str, priority: int = 5, limit: int = LIMIT) -> Asking:
    return Asking("acme", "wf", limit, batch, "one", priority, [(key, batch) for key in keys])


def make_due(connection: Connection, _now: float = 0.0, pause: float = 0.0) -> None:
    """Whoever asks next counts, however young the last count is; or from so many seconds after it on."""
    connection.execute(pools.update().values(pause=pause))


@dataclass
class Call:
    """A start on its way: its request may reach the vendor at any time until the answer is in."""

    key: str
    reached: bool = False


@dataclass
class Place:
    """A ledger in memory and a clock."""

    now: float = 1000.0
    connection: Connection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = create_engine("sqlite://").connect()
        metadata.create_all(self.connection)

    def take(self, wanted: Asking) -> Any:
        return take(self.connection, self.now, wanted)

    def end(self, key: str) -> None:
        """What concluding a start as DONE does to its slot."""
        from cordboard.records.page import _END_SLOT

        self.connection.execute(_END_SLOT, [{"its_key": key}])

    def count(self, number: int, batch: str = "a") -> None:
        """A whole count: none of the batch's starts gets a place by it."""
        make_due(self.connection)
        wanted = asking(batch, "for-counting")
        taken = self.take(wanted)
        self.connection.execute(slots.delete().where(slots.c.effect_key == "for-counting"))
        assert taken.ticket is not None
        counted(self.connection, self.now, wanted, taken.ticket, number)
        make_due(self.connection, pause=1.0)


class Vendor(RuleBasedStateMachine):
    """Random starts, answers, ends, counts and deaths; counts take their time, and so do requests."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Place()
        self.running: set[str] = set()
        self.calls: list[Call] = []
        self.made = 0
        self.tickets: list[tuple[int, int | None]] = []

    @rule(wanted=st.integers(1, 4))
    def some_want_to_start(self, wanted: int) -> None:
        keys = [f"k{self.made + number}" for number in range(wanted)]
        self.made += wanted
        make_due(self.place.connection)
        taken = self.place.take(asking("a", *keys))
        self.calls += [Call(key) for key in keys[: taken.granted]]
        if taken.ticket is not None:
            self.tickets.append((taken.ticket, None))

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def a_request_reaches_the_vendor(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from(self.calls))
        if not call.reached:
            call.reached = True
            self.running.add(call.key)

    @precondition(lambda self: any(call.reached for call in self.calls))
    @rule(data=st.data())
    def an_answer_arrives(self, data: st.DataObject) -> None:
        call = data.draw(st.sampled_from([call for call in self.calls if call.reached]))
        self.calls.remove(call)
        self.place.end(call.key)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def an_instance_ends(self, data: st.DataObject) -> None:
        self.running.remove(data.draw(st.sampled_from(sorted(self.running))))

    @precondition(lambda self: self.tickets)
    @rule()
    def the_vendor_counts(self) -> None:
        ticket, _ = self.tickets.pop()
        self.tickets.append((ticket, len(self.running)))

    @precondition(lambda self: any(number is not None for _, number in self.tickets))
    @rule(fails=st.booleans())
    def a_count_arrives(self, fails: bool) -> None:
        ticket, number = next(each for each in self.tickets if each[1] is not None)
        self.tickets.remove((ticket, number))
        if fails:
            count_failed(self.place.connection, self.place.now, asking("a"), "HTTP 503", 1.0)
        else:
            assert number is not None
            counted(self.place.connection, self.place.now, asking("a"), ticket, number)

    @rule(seconds=st.sampled_from([0.1, 1.0, LIVE_SECONDS, COUNTING_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        # A request may reach the vendor for as long as it is open: its slot's lease is longer than its timeout.
        self.place.now += seconds
        keys = [call.key for call in self.calls]
        self.place.connection.execute(
            slots.update().where(slots.c.effect_key.in_(keys)).values(lease_until=self.place.now + OPEN_SECONDS)
        )

    @invariant()
    def the_limit_holds(self) -> None:
        assert len(self.running) <= LIMIT

    def teardown(self) -> None:
        """Once everything has ended and was counted, every place is free again."""
        for call in self.calls:
            self.place.end(call.key)
        self.place.now += COUNTING_SECONDS + 1
        self.place.count(0)
        assert self.place.take(asking("a", *map(str, range(9)))).granted == LIMIT
        self.place.connection.close()


TestTheLimit = Vendor.TestCase
TestTheLimit.settings = settings(max_examples=count(60, 1000), stateful_step_count=40, deadline=None)


def test_nothing_starts_before_the_vendor_was_counted() -> None:
    place = Place()
    taken = place.take(asking("a", "one"))
    assert (taken.granted, taken.reason) == (0, "the vendor's count of running instances")
    assert taken.ticket is not None


def test_a_failed_count_is_neither_full_nor_free() -> None:
    place = Place()
    ticket = place.take(asking("a", "one")).ticket
    assert ticket
    count_failed(place.connection, place.now, asking("a"), "HTTP 503", 2.0)
    waits = place.take(asking("a", "one"))
    assert (waits.granted, waits.ticket) == (0, None)
    assert "failed: HTTP 503" in waits.reason
    place.now += 2.1
    again = place.take(asking("a", "one"))
    assert again.ticket == ticket + 1
    counted(place.connection, place.now, asking("a"), again.ticket, 0)
    assert place.take(asking("a", "one")).granted == 1


def test_instances_of_others_take_places_too() -> None:
    place = Place()
    place.count(LIMIT - 2)
    taken = place.take(asking("a", "1", "2", "3"))
    assert (taken.granted, taken.reason) == (2, f"a place: up to {LIMIT} of {LIMIT} instances run")


def test_an_old_count_is_taken_anew_before_anything_starts() -> None:
    place = Place()
    place.count(0)
    place.now += 60
    assert place.take(asking("a", "1")).granted == 0


def test_an_answer_that_came_while_the_vendor_counted_is_not_taken_twice() -> None:
    """Its instance may or may not be in the number, so its slot stays until the next count."""
    place = Place()
    place.count(0)
    assert place.take(asking("a", "1", "2")).granted == 2
    place.end("1")
    place.now += 2
    wanted = asking("a", *map(str, range(10, 20)))
    taken = place.take(wanted)
    assert taken.granted == LIMIT - 2
    assert taken.ticket
    place.end("2")
    counted(place.connection, place.now, wanted, taken.ticket, 2)
    assert place.take(asking("a", "30")).reason == f"a place: up to {2 + (LIMIT - 2) + 1} of {LIMIT} instances run"


def test_a_late_count_changes_nothing() -> None:
    place = Place()
    first = place.take(asking("a", "1")).ticket
    place.now += COUNTING_SECONDS + 1  # whoever counted is dead
    second = place.take(asking("a", "1")).ticket
    assert first
    assert second
    counted(place.connection, place.now, asking("a"), second, 4)
    counted(place.connection, place.now, asking("a"), first, 0)
    assert place.connection.scalar(select(pools.c.counted)) == 4


def test_batches_get_equal_shares_and_urgent_ones_come_first() -> None:
    place = Place()
    place.count(0)
    many = [f"a{number}" for number in range(40)]
    assert place.take(asking("a", *many)).granted == LIMIT
    assert place.take(asking("b", "b1", "b2", "b3", "b4", "b5", "b6")).granted == 0
    got = {"a": 0, "b": 0}
    for turn in range(20):
        place.now += 1
        place.count(LIMIT - 2)
        connection_free = place.connection.execute(slots.delete())
        assert connection_free is not None
        for batch in ("a", "b") if turn % 2 else ("b", "a"):
            wanted = asking(batch, *(f"{batch}{turn}-{number}" for number in range(10)))
            got[batch] += place.take(wanted).granted
    assert abs(got["a"] - got["b"]) <= 2
    place.now += 0.5
    place.count(LIMIT - 2)
    place.connection.execute(slots.delete())
    place.take(asking("urgent", *(f"u{number}" for number in range(20)), priority=1, limit=0))
    assert place.take(asking("a", "late")).granted == 0
    leave(place.connection, asking("urgent"))
    leave(place.connection, asking("b"))
    assert place.take(asking("a", "late")).granted == 1


def test_a_place_that_was_not_used_can_be_given_back() -> None:
    place = Place()
    place.count(LIMIT - 1)
    assert place.take(asking("a", "1")).granted == 1
    assert place.take(asking("a", "2")).granted == 0
    give_back(place.connection, [("1", "a")])
    assert place.take(asking("a", "2")).granted == 1


def effect(name: str) -> Effect:
    return Effect("acme", "start", name, "0" * 64, name, "keyed")


@pytest.mark.parametrize(
    ("state", "left"),
    [(EffectState.DONE, [("ended", "a/1")]), (EffectState.FAILED, []), (EffectState.UNKNOWN, [("open", "")])],
)
def test_the_end_of_a_start_moves_its_place_in_the_same_transaction(
    in_ledger: InLedger,
    state: EffectState,
    left: list[tuple[str, str]],
) -> None:
    async def run_it(ledger: Ledger) -> None:
        one, wanted = effect("one"), asking("a")
        wanted = Asking("acme", "wf", LIMIT, "a", "one", 5, [(one.key, "a/1")])
        ticket = (await ledger.write(lambda c, now: take(c, now, wanted))).ticket
        await ledger.write(lambda c, now: counted(c, now, wanted, ticket, 0))
        assert (await ledger.write(lambda c, now: take(c, now, wanted))).granted == 1
        async with await ledger.claim_run("acme", "a/1") as run:
            await run.intend(one)
            after = Aftermath("inst-1" if state is EffectState.DONE else "", "wf", 30.0)
            await run.conclude(one, state, aftermath=after)
        rows = await ledger.read(lambda c: c.execute(select(slots)).all())
        assert [("open" if row.ended_tick is None else "ended", row.run_key) for row in rows] == left

    in_ledger(run_it)


def test_the_places_of_a_dead_holder_come_back_and_those_of_a_live_one_do_not(
    in_ledger: InLedger,
) -> None:
    async def run_it(ledger: Ledger) -> None:
        wanted = Asking("acme", "wf", 2, "a", "one", 5, [("live", "a/1"), ("dead", "a/2")])
        later = Asking("acme", "wf", 2, "b", "two", 5, [("next", "b/1"), ("last", "b/1")])
        ticket = (await ledger.write(lambda c, now: take(c, now, wanted))).ticket
        await ledger.write(lambda c, now: counted(c, now, wanted, ticket, 0))
        assert (await ledger.write(lambda c, now: take(c, now, wanted))).granted == 2
        async with await ledger.claim_run("acme", "a/1"):
            soon = OPEN_SECONDS + 1  # shorter than the lease of a run
            await ledger.write(make_due)
            ticket = (await ledger.write(lambda c, now: take(c, now + soon, later))).ticket
            assert ticket
            await ledger.write(lambda c, now: counted(c, now + soon, later, ticket, 0))
            assert (await ledger.write(lambda c, now: take(c, now + soon, later))).granted == 1

    in_ledger(run_it)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_clock_that_is_set_does_not_stop_the_counting(jump: float) -> None:
    place = Place()
    place.count(LIMIT)
    assert place.take(asking("ghost", "g1")).granted == 0
    make_due(place.connection)
    assert place.take(asking("a", "1")).ticket  # and whoever counts dies
    place.now += jump
    taken = place.take(asking("a", "1"))
    assert (taken.granted, taken.is_fresh) == (0, False)
    assert taken.ticket is not None
    counted(place.connection, place.now, asking("a"), taken.ticket, 0)
    assert place.take(asking("a", "1", "2", "3", "4", "5")).granted == LIMIT  # nobody shares with a ghost


def test_clocks_that_differ_a_little_are_no_reason_to_count_anew() -> None:
    place = Place()
    place.count(0)
    place.now -= 1.0  # another machine
    taken = place.take(asking("a", "1"))
    assert (taken.granted, taken.ticket) == (1, None)


def test_a_place_that_another_live_run_has_in_hand_is_not_taken_from_it(
    in_ledger: InLedger,
) -> None:
    """Two batches hold the same start: the one that finds it in other hands gives nothing back that is not its own."""

    async def run_it(ledger: Ledger) -> None:
        one = Asking("acme", "wf", 3, "a", "one", 5, [("same", "a/1")])
        two = Asking("acme", "wf", 3, "b", "two", 5, [("same", "b/1"), ("other", "b/1")])
        ticket = (await ledger.write(lambda c, now: take(c, now, one))).ticket
        await ledger.write(lambda c, now: counted(c, now, one, ticket, 0))
        async with await ledger.claim_run("acme", "a/1"):
            await ledger.write(lambda c, now: take(c, now, one))
            await ledger.write(lambda c, now: take(c, now, two))
            await ledger.write(lambda c, _: give_back(c, [("same", "b/1"), ("other", "b/1")]))
            rows = await ledger.read(lambda c: c.execute(select(slots.c.effect_key, slots.c.run_key)).all())
            assert [tuple(row) for row in rows] == [("same", "a/1")]
        await ledger.write(lambda c, now: take(c, now, two))
        rows = await ledger.read(lambda c: c.execute(select(slots.c.run_key).distinct()).all())
        assert [tuple(row) for row in rows] == [("b/1",)]

    in_ledger(run_it)


def test_what_an_earlier_holder_left_open_counts_for_as_long_as_is_said(
    in_ledger: InLedger,
) -> None:
    async def run_it(ledger: Ledger) -> None:
        wanted = Asking("acme", "wf", 2, "a", "one", 5, [("1", "a/1"), ("2", "a/1")])
        later = Asking("acme", "wf", 2, "a", "two", 5, [("3", "a/1"), ("4", "a/1")])
        ticket = (await ledger.write(lambda c, now: take(c, now, wanted))).ticket
        await ledger.write(lambda c, now: counted(c, now, wanted, ticket, 0))
        assert (await ledger.write(lambda c, now: take(c, now, wanted))).granted == 2
        async with await ledger.claim_run("acme", "a/1"):
            await ledger.write(lambda c, now: let_go(c, "acme", "wf", "a/1", now + 3))
            for seconds, places in ((2, 0), (4, 2)):
                await ledger.write(make_due)
                ticket = (await ledger.write(lambda c, now, s=seconds: take(c, now + s, later))).ticket
                await ledger.write(lambda c, now, s=seconds, t=ticket: counted(c, now + s, later, t, 0))
                taken = await ledger.write(lambda c, now, s=seconds: take(c, now + s, later))
                assert taken.granted == places
                await ledger.write(lambda c, now: count_failed(c, now, later, "its worker was stopped", 0.0))

    in_ledger(run_it)


def test_a_start_that_has_a_place_needs_no_second_one() -> None:
    """After a kill its places wait for those very starts; the workflow is full, and they go on at once."""
    place = Place()
    place.count(LIMIT - 2)
    assert place.take(asking("a", "1", "2", "3")).granted == 2
    again = place.take(asking("b", "2", "1", "3"))
    assert (again.granted, again.reason) == (2, f"a place: up to {LIMIT} of {LIMIT} instances run")
    place.now += 60
    assert place.take(asking("b", "2")).granted == 0  # nothing starts on an old count


def test_batches_that_give_different_limits_are_told_so() -> None:
    """An urgent batch with a low limit holds the others back: they see free places and get none."""
    place = Place()
    place.count(1)
    place.take(asking("a", "a1", "a2", "a3", "a4", "a5"))
    place.take(asking("urgent", "u1", priority=1, limit=1))
    assert "; another batch has given the limit 1: give all the same" in place.take(asking("a", "a9")).reason
    leave(place.connection, asking("urgent"))
    assert "another batch" not in place.take(asking("a", "a9")).reason
