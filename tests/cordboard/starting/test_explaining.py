"""`--explain` says what is so: of workers that live, of the limit, and of who waits for what."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cordboard.records.capacity import LIVE_SECONDS, Asking, count_failed, counted, take
from cordboard.records.ledger import Ledger
from cordboard.records.owner import Owner
from cordboard.starting.explaining import explain
from cordboard.starting.model import Batch
from tests.cordboard.starting.conftest import TRIGGER, WORKFLOW

NOW = 1_795_000_000.0
SUNDAY = Batch(TRIGGER, None, "acme", "sunday")  # type: ignore[arg-type]
Explained = Callable[..., dict[str, Any]]


def asking(batch: str, count: int, priority: int = 5, limit: int = 2) -> Asking:
    return Asking(
        "acme", WORKFLOW, limit, batch, "one", priority, [(f"{batch}{n}", f"starts/{batch}/1") for n in range(count)]
    )


async def count_of(ledger: Ledger, wanted: Asking, number: int) -> None:
    ticket = (await ledger.write(lambda c, now: take(c, now, wanted))).ticket
    await ledger.write(lambda c, now: counted(c, now, wanted, ticket, number))


@pytest.fixture
def clock() -> list[float]:
    return [NOW]


@pytest.fixture
def explained(tmp_path: Path, clock: list[float]) -> Explained:
    """What is said of the batch `sunday` once something was done to the ledger."""

    def run(work: Callable[[Ledger], Coroutine[Any, Any, None]], batch: Batch = SUNDAY) -> dict[str, Any]:
        async def main() -> dict[str, Any]:
            async with await Ledger.open(f"sqlite:///{tmp_path / 'l.db'}", clock=lambda: clock[0]) as ledger:
                await work(ledger)
                return await explain(batch, ledger)

        return asyncio.run(main())

    return run


def test_of_a_batch_that_nobody_started_it_says_so(explained: Explained) -> None:
    async def nothing(_: Ledger) -> None: ...

    assert explained(nothing)["sentences"] == [
        "nobody works on it",
        f"no limit of {WORKFLOW} is known to the ledger",
    ]


def test_it_says_who_waits_and_for_what(explained: Explained) -> None:
    async def full(ledger: Ledger) -> None:
        await count_of(ledger, asking("sunday", 5), 1)
        assert (await ledger.write(lambda c, now: take(c, now, asking("sunday", 5)))).granted == 1
        await ledger.write(lambda c, now: take(c, now, asking("evening", 3, priority=7)))

    said = explained(full)["sentences"]
    assert said[1:] == [
        "1 instance ran when the vendor was asked at 2026-11-18T11:06:40.000000+00:00, and 1 start came since: "
        "up to 2 of 2",
        "this batch (priority 5) waits with 4 starts for a place: up to 2 of 2 instances run",
        "batch evening (priority 7) waits with 3 starts for a place: up to 2 of 2 instances run",
    ]


async def two_wait(ledger: Ledger) -> None:
    await count_of(ledger, asking("start-1", 2), 2)
    await ledger.write(lambda c, now: take(c, now, asking("start-1", 2)))
    await ledger.write(lambda c, now: take(c, now, asking("start-2", 1)))


def test_of_a_single_start_without_a_run_key_it_says_what_its_whole_workflow_waits_for(explained: Explained) -> None:
    """No run can be the one that is meant; that nobody works on it would be wrong."""
    said = explained(two_wait, replace(SUNDAY, run_key=""))
    assert said["workers"] is None
    assert said["sentences"][0] == (
        f"each single start has a run key of its own, and none was given: this is of all of {WORKFLOW}"
    )
    assert [each["batch"] for each in said["waiting"]] == ["start-1", "start-2"]


@pytest.mark.parametrize(("limit", "said"), [(2, 0), (5, 1), (None, 0)])
def test_a_limit_that_another_batch_gave_is_said(explained: Explained, limit: int | None, said: int) -> None:
    sentences = explained(two_wait, replace(SUNDAY, limit=limit))["sentences"]
    told = "another batch has given the limit 2, and this one 5: give all the same"
    assert sentences.count(told) == said


def test_a_failed_count_is_said_with_its_reason(explained: Explained) -> None:
    async def failed(ledger: Ledger) -> None:
        wanted = asking("sunday", 1)
        await ledger.write(lambda c, now: take(c, now, wanted))
        await ledger.write(lambda c, now: count_failed(c, now, wanted, "HTTP 503", 2.0))
        await ledger.write(lambda c, now: take(c, now, wanted))

    said = explained(failed)["sentences"]
    assert said[1:] == [
        "the vendor's running instances were not counted yet",
        "the last count failed: HTTP 503",
        "this batch (priority 5) waits with 1 start for the vendor's count of running instances, "
        "which failed: HTTP 503",
    ]


def test_whoever_asked_long_ago_waits_no_more(explained: Explained, clock: list[float]) -> None:
    async def gone(ledger: Ledger) -> None:
        await count_of(ledger, asking("evening", 3), 2)
        clock[0] += LIVE_SECONDS + 0.1

    assert explained(gone)["waiting"] == []


@pytest.mark.parametrize(("owner", "workers"), [(None, 1), (Owner(socket.gethostname(), 2**22 + 7, "1"), 0)])
def test_a_worker_that_was_killed_works_no_more(explained: Explained, owner: Owner | None, workers: int) -> None:
    """Its lease runs on for a while, and says nothing."""
    found: list[dict[str, Any]] = []

    async def held(ledger: Ledger) -> None:
        async with (
            await ledger.claim_run("acme", "starts/sunday/05-000000", owner=owner),
            await ledger.claim_run("acme", "starts/sunday/05-000001", owner=owner),
            await ledger.claim_run("acme", "starts/sunday2/05-000001"),
            await ledger.claim_run("other", "starts/sunday/05-000001"),
        ):
            found.append(await explain(Batch(TRIGGER, None, "acme", "sunday"), ledger))  # type: ignore[arg-type]

    explained(held)
    assert found[0]["workers"] == workers
    said = {1: "1 worker on batch sunday", 0: "nobody works on it"}[workers]
    assert found[0]["sentences"][0] == said
