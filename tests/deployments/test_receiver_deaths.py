"""The receiver is killed at its worst moment, again and again: a message is stored and nobody told its sender so."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from cordboard.completion.applying import Drained, drain
from cordboard.completion.erp import erp_endpoint
from cordboard.completion.receiving import inbox_endpoint
from cordboard.records.audit import verify
from cordboard.records.inbox import InboxState, counts
from cordboard.records.ledger import Ledger
from cordboard.records.schema import audit, inbox
from cordboard.sandbox import RunningSandbox, running_sandbox
from cordboard.settings import Settings
from cordboard.vendors.webhook import WebhookSender
from tests.deployments.receiving import SECRET, completion, post, receiver, signed
from tests.thorough import THOROUGH, count

SEED = 20_240_501


@dataclass(frozen=True)
class Callback:
    """One delivery of a report; several have the same id, or say the same under another."""

    message_id: str
    body: bytes


async def drained(ledger_url: str, box: RunningSandbox) -> Drained:
    """What the flow does."""
    endpoint = erp_endpoint(Settings(erp_url=f"{box.base_url}/erp/records", erp_secret=SECRET), "acme")
    assert endpoint is not None
    async with await Ledger.open(ledger_url) as ledger, WebhookSender(endpoint) as sender:
        return await drain(ledger, "acme", sender)


async def read(ledger_url: str, query: Any) -> list[Any]:
    async with await Ledger.open(ledger_url) as ledger:
        return await ledger.read(lambda connection: list(connection.execute(query)))


def test_a_receiver_that_dies_between_its_commit_and_its_answer_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """The sender sends again and is told that it is there."""
    url, body = f"sqlite:///{tmp_path}/ledger.db", completion(1)
    with closing(httpx.Client(trust_env=False, timeout=10)) as client:
        with receiver(url, dies_after=1) as (process, at):
            assert post(client, at, body, signed(body, "msg_1")) is None
            assert process.wait(10) == -9
        with receiver(url) as (_, at):
            assert post(client, at, body, signed(body, "msg_1")) == 200
    with running_sandbox() as box:
        found = asyncio.run(drained(url, box))
        assert (found.as_json()["ended"], [entry.external_id for entry in box.truth.erp]) == (1, ["inst-1"])


@pytest.mark.slow
@pytest.mark.timeout(600 if THOROUGH else 120)
def test_callbacks_that_come_twice_out_of_order_and_again_are_applied_once_each(tmp_path: Path) -> None:
    """Each of the vendor's deliveries is repeated until it is answered, while the receiver dies under it."""
    instances, kills = count(60, 1000), count(2, 10)
    rng = random.Random(SEED)
    url, queue = f"sqlite:///{tmp_path}/ledger.db", deliveries(instances, rng)
    ids = {each.message_id for each in queue}
    answered: Counter[int] = Counter()
    with running_sandbox() as box:
        for _ in range(kills):
            with dying(url, dies_after=len(queue) // (kills * 3) + 1) as (process, at):
                queue = asyncio.run(deliver(at, queue, answered, rng))
                assert process.wait(20) == -9
            asyncio.run(drained(url, box))
        with receiver(url) as (_, at):
            assert asyncio.run(deliver(at, queue, answered, rng)) == []
        asyncio.run(drained(url, box))
        records = Counter(entry.external_id for entry in box.truth.erp)
    assert answered.keys() <= {200, 202} and answered.total() == instances * 5
    assert records == {f"inst-{number}": 1 for number in range(instances)}
    asyncio.run(check(url, instances, ids))


def deliveries(instances: int, rng: random.Random) -> list[Callback]:
    """Five for each instance: three under one id, and one each under two others; all of them shuffled."""
    found = [Callback(f"msg_{number}_{name}", completion(number)) for number in range(instances) for name in "aaabc"]
    rng.shuffle(found)
    return found


@contextmanager
def dying(url: str, dies_after: int) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with receiver(url, dies_after=dies_after) as both:
        yield both


async def deliver(at: str, queue: list[Callback], answered: Counter[int], rng: random.Random) -> list[Callback]:
    """Sends 20 at a time until the receiver is gone; gives back what was not answered, in another order."""
    todo, left = list(queue), []
    limits = httpx.Limits(max_connections=20)
    async with httpx.AsyncClient(trust_env=False, timeout=20, limits=limits) as client:

        async def send() -> None:
            while todo:
                each = todo.pop()
                try:
                    headers = signed(each.body, each.message_id)
                    answer = await client.post(f"{at}/completions", content=each.body, headers=headers)
                    answered[answer.status_code] += 1
                except httpx.HTTPError:
                    left.append(each)
                    return

        await asyncio.gather(*(send() for _ in range(20)))
    left += todo
    rng.shuffle(left)
    return left


async def check(url: str, instances: int, ids: set[str]) -> None:
    """Every id is kept once, every instance ended once, and the record of it is whole."""
    kept = await read(url, select(inbox.c.message_id))
    assert sorted(row[0] for row in kept) == sorted(ids)
    subject = audit.c.subject
    query = select(subject, func.count()).where(audit.c.kind == "instance.ended").group_by(subject)
    ended = await read(url, query)
    assert dict(tuple(row) for row in ended) == {f"inst-{number}": 1 for number in range(instances)}
    async with await Ledger.open(url) as ledger:
        stands = await counts(ledger, inbox_endpoint("acme"))
        assert (stands[InboxState.APPLIED], stands[InboxState.REPEATED]) == (instances, len(ids) - instances)
        assert (await verify(ledger)).ok
