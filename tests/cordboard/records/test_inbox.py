"""The inbox: what came in is there for good, and once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from cordboard.errors import BadCall
from cordboard.records.inbox import (
    InboxState,
    Incoming,
    Received,
    counts,
    inbox_id_of,
    oldest_waiting,
    receive,
    waiting,
)
from cordboard.records.ledger import Ledger
from cordboard.records.schema import inbox


def run(url: str, work: Callable[[Ledger], object], clock: Callable[[], float] = lambda: 1_700_000_000.0) -> None:
    async def run_it() -> None:
        async with await Ledger.open(url, clock=clock) as ledger:
            await work(ledger)  # type: ignore[misc]

    asyncio.run(run_it())


def test_a_message_is_kept_once_under_an_id_of_ours(ledger_url: str) -> None:
    """Also after the process that took it in is gone: the id is made from endpoint and message id."""

    async def first(ledger: Ledger) -> None:
        assert await receive(ledger, "completions/acme", "msg_1", "{}") == Received(inbox_id, True)

    async def again(ledger: Ledger) -> None:
        assert await receive(ledger, "completions/acme", "msg_1", "{}") == Received(inbox_id, False)
        other = await receive(ledger, "completions/acme", "msg_1", '{"another": 1}')
        assert other == Received(inbox_id, False, is_same=False)
        assert await waiting(ledger, "completions/acme", 9) == [Incoming(inbox_id, "{}")]

    inbox_id = inbox_id_of("completions/acme", "msg_1")
    assert uuid.UUID(inbox_id).version == 5
    run(ledger_url, first)
    run(ledger_url, again)


def test_one_id_at_two_endpoints_is_two_messages(ledger_url: str) -> None:
    async def work(ledger: Ledger) -> None:
        both = [await receive(ledger, f"completions/{tenant}", "msg_1", "{}") for tenant in ("acme", "globex")]
        assert [each.is_new for each in both] == [True, True]
        assert [each.inbox_id for each in await waiting(ledger, "completions/globex", 9)] == [both[1].inbox_id]

    run(ledger_url, work)


def test_two_processes_that_take_the_same_messages_in_at_once_keep_each_once(ledger_url: str) -> None:
    async def work(one: Ledger) -> None:
        async with await Ledger.open(ledger_url) as two:
            kept = await asyncio.gather(
                *(receive(ledger, "e", f"msg_{number % 40}", "{}") for number in range(200) for ledger in (one, two))
            )
        assert sum(each.is_new for each in kept) == 40
        assert await one.read(lambda c: c.scalar(select(func.count()).select_from(inbox))) == 40

    run(ledger_url, work)


def test_messages_wait_in_the_order_in_which_they_came(ledger_url: str) -> None:
    now = [1_700_000_000.0]

    async def work(ledger: Ledger) -> None:
        assert await oldest_waiting(ledger, "e") is None
        came = []
        for number in (3, 1, 2):
            now[0] += 1
            came.append((await receive(ledger, "e", f"msg_{number}", str(number))).inbox_id)
        assert [each.inbox_id for each in await waiting(ledger, "e", 2)] == came[:2]
        assert await oldest_waiting(ledger, "e") == came[0]
        assert await oldest_waiting(ledger, "e", by=now[0] - 2) == came[0]
        assert await oldest_waiting(ledger, "e", by=now[0] - 3) is None
        assert await counts(ledger, "e") == dict.fromkeys(InboxState, 0) | {InboxState.NEW: 3}

    run(ledger_url, work, lambda: now[0])


@pytest.mark.parametrize("message_id", ["a\0", "\ud800", "x" * 201])
def test_an_id_that_cannot_be_stored_is_refused_before_it_spoils_the_batch(sqlite_url: str, message_id: str) -> None:
    async def work(ledger: Ledger) -> None:
        with pytest.raises(BadCall):
            await receive(ledger, "e", message_id, "{}")

    run(sqlite_url, work)
