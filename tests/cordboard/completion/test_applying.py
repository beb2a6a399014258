"""From the inbox to the ERP: everything once, whoever sends it how often in what order, and whoever dies on the way."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from cordboard.completion import applying
from cordboard.completion.applying import Drained, drain
from cordboard.completion.ended import Applied
from cordboard.completion.erp import erp_endpoint, erp_ref
from cordboard.completion.model import MAX_BYTES, Completion
from cordboard.completion.receiving import Reception, inbox_endpoint
from cordboard.completion.verification import Headers, Keys
from cordboard.errors import BadCall
from cordboard.records.inbox import InboxState, counts, receive, waiting
from cordboard.records.ledger import Ledger
from cordboard.records.outbox import Delivery
from cordboard.records.schema import audit, runs
from cordboard.settings import Settings
from tests.thorough import count

SHARED = "the-secret-that-both-sides-hold"
PLAIN = [(b"content-type", b"application/json"), (b"x-cordboard-secret", SHARED.encode())]
KEY = b"k" * 32
Work = Callable[[Ledger], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Said:
    """What the ERP answered."""

    delivered: bool = True
    final: bool = False
    detail: str = "the endpoint answered 503"


@dataclass
class Erp:
    """An ERP in this process: answers as told, and remembers every record that it took."""

    answer: Said = Said()
    ref: str = erp_ref("acme")
    taken: list[dict[str, Any]] = field(default_factory=list)
    on_send: Callable[[], Coroutine[Any, Any, None]] | None = None

    async def send(self, message_id: str, body: str) -> Delivery:
        if self.on_send:
            await self.on_send()
        if self.answer.delivered:
            self.taken.append(json.loads(body))
        return self.answer

    def ids(self) -> Counter[str]:
        return Counter(record["externalId"] for record in self.taken)


def run(url: str, work: Work, clock: Callable[[], float] = lambda: 1_700_000_000.0) -> None:
    async def run_it() -> None:
        async with await Ledger.open(url, clock=clock) as ledger:
            await work(ledger)

    asyncio.run(run_it())


async def report(ledger: Ledger, number: int, status: str = "completed", message: str = "") -> None:
    completion = Completion(f"inst-{number}", "wf_1", status, {"customerId": number})
    await receive(ledger, inbox_endpoint("acme"), message or f"msg_{number}", completion.as_text())


def test_all_that_waits_is_applied_and_each_instance_is_one_record(ledger_url: str) -> None:
    async def work(ledger: Ledger) -> None:
        erp = Erp()
        await asyncio.gather(*(report(ledger, number % 200, message=f"msg_{number}") for number in range(600)))
        drained = await drain(ledger, "acme", erp)
        assert (drained.applied[Applied.ENDED], drained.applied[Applied.REPEATED]) == (200, 400)
        assert drained.erp is not None and (drained.erp.delivered, drained.erp.pending) == (200, 0)
        assert erp.ids() == dict.fromkeys((f"inst-{number}" for number in range(200)), 1)
        assert await drain(ledger, "acme", erp) == Drained(erp=drained.erp.__class__(0, 0, 0))
        assert (await counts(ledger, inbox_endpoint("acme")))[InboxState.NEW] == 0

    run(ledger_url, work)


def test_an_empty_inbox_costs_no_turn_and_leaves_no_record(sqlite_url: str) -> None:
    async def work(ledger: Ledger) -> None:
        async with await ledger.claim_run("acme", applying.RUN_KEY):
            assert await drain(ledger, "acme", Erp()) == Drained(erp=(await drain(ledger, "acme", Erp())).erp)

    run(sqlite_url, work)


def test_while_another_has_the_turn_it_is_busy(sqlite_url: str) -> None:
    async def work(ledger: Ledger) -> None:
        await report(ledger, 1)
        async with await ledger.claim_run("acme", applying.RUN_KEY):
            assert (await drain(ledger, "acme", None)).as_json()["status"] == "busy"
        assert (await drain(ledger, "acme", None)).applied == {Applied.ENDED: 1}

    run(sqlite_url, work)


def test_what_comes_in_while_it_delivers_is_applied_in_the_same_turn(sqlite_url: str) -> None:
    """No event has to come for it: whoever has the turn looks again."""

    async def work(ledger: Ledger) -> None:
        late = iter(range(1, 4))

        async def another() -> None:
            if (number := next(late, None)) is not None:
                await report(ledger, number)

        await report(ledger, 0)
        erp = Erp(on_send=another)
        assert (await drain(ledger, "acme", erp)).applied == {Applied.ENDED: 4}
        assert len(erp.taken) == 4
        claims = select(func.count()).select_from(audit).where(audit.c.kind == "run.claimed")
        assert await ledger.read(lambda connection: connection.scalar(claims)) == 1

    run(sqlite_url, work)


def test_what_comes_in_between_the_last_look_and_the_end_of_the_turn_is_not_forgotten(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own event found the turn taken and went away; so it is for whoever had the turn to look once more."""
    from cordboard.records.run import RunHandle

    async def work(ledger: Ledger) -> None:
        late = iter([7])
        release = RunHandle.release

        async def slow(self: RunHandle) -> None:
            if self.run_key == applying.RUN_KEY and (number := next(late, None)):
                await report(ledger, number)
                assert (await drain(ledger, "acme", None)).busy
            await release(self)

        with monkeypatch.context() as patch:
            patch.setattr(RunHandle, "release", slow)
            await report(ledger, 1)
            assert (await drain(ledger, "acme", None)).applied == {Applied.ENDED: 2}

    run(sqlite_url, work)


def test_an_erp_that_is_down_holds_no_completion_up_and_hears_all_later(sqlite_url: str) -> None:
    now = [1_700_000_000.0]

    async def work(ledger: Ledger) -> None:
        erp = Erp(Said(False))
        await asyncio.gather(*(report(ledger, number) for number in range(300)))
        drained = await drain(ledger, "acme", erp)
        assert drained.applied == {Applied.ENDED: 300}
        assert drained.erp is not None and (drained.erp.delivered, drained.erp.pending) == (0, 300)
        erp.answer = Said()
        now[0] += 60
        later = await drain(ledger, "acme", erp)
        assert later.erp is not None and (later.erp.delivered, later.erp.pending) == (300, 0)
        assert set(erp.ids().values()) == {1}

    run(sqlite_url, work, lambda: now[0])


def test_what_cannot_be_read_is_set_aside_and_holds_nothing_up(sqlite_url: str) -> None:
    async def work(ledger: Ledger) -> None:
        await receive(ledger, inbox_endpoint("acme"), "odd", '{"of": "an older version"}')
        await report(ledger, 1)
        assert (await drain(ledger, "acme", None)).applied == {Applied.UNFIT: 1, Applied.ENDED: 1}

    run(sqlite_url, work)


def test_whatever_was_accepted_is_applied_though_it_is_kept_longer_than_it_came(sqlite_url: str) -> None:
    """A number such as 9e15 is kept with all its noughts: four times as long as the largest body that is taken."""
    context = "[" + ",".join(["9e15"] * 13_000) + "]"
    body = f'{{"instanceId": "inst-1", "workflowId": "wf_1", "status": "completed", "context": {{"n": {context}}}}}'
    assert 60_000 < len(body) < MAX_BYTES

    async def work(ledger: Ledger) -> None:
        desk = Reception(ledger, "acme", Keys(shared=(SHARED.encode(),)))
        assert (await desk.take(PLAIN, body.encode())).status == 202
        assert (await drain(ledger, "acme", erp := Erp())).applied == {Applied.ENDED: 1}
        assert erp.ids() == {"inst-1": 1}

    run(sqlite_url, work)


def test_two_reports_under_one_id_are_two_and_neither_is_lost(ledger_url: str) -> None:
    """A sender that numbers its messages anew after a restart, or by what they are about, says two things with one id.

    A repeat of either is a repeat. In the records, only the first has the sender's id.
    """
    first, second = (Completion(f"inst-{number}", "wf_1", "completed").as_text().encode() for number in (1, 2))

    async def work(ledger: Ledger) -> None:
        desk = Reception(ledger, "acme", Keys(signing=(KEY,)))
        answers = [await desk.take(signed(body, "msg_1"), body) for body in (first, second, first, second)]
        assert [answer.status for answer in answers] == [202, 202, 200, 200]
        assert answers[0].inbox_id and answers[1].inbox_id and answers[0].inbox_id != answers[1].inbox_id
        assert (await drain(ledger, "acme", erp := Erp())).applied == {Applied.ENDED: 2}
        assert erp.ids() == {"inst-1": 1, "inst-2": 1}

    run(ledger_url, work)


def signed(body: bytes, message_id: str) -> Headers:
    """The headers of a signed callback at the time of these ledgers."""
    signature = base64.b64encode(hmac.digest(KEY, f"{message_id}.1700000000.".encode() + body, "sha256"))
    return [
        (b"content-type", b"application/json"),
        (b"webhook-id", message_id.encode()),
        (b"webhook-timestamp", b"1700000000"),
        (b"webhook-signature", b"v1," + signature),
    ]


def test_another_tenants_completions_and_records_are_left_alone(sqlite_url: str) -> None:
    async def work(ledger: Ledger) -> None:
        await report(ledger, 1)
        other = Completion("inst-9", "wf_1", "completed", {})
        await receive(ledger, inbox_endpoint("globex"), "msg_9", other.as_text())
        globex, acme = Erp(ref=erp_ref("globex")), Erp()
        assert (await drain(ledger, "globex", globex)).applied == {Applied.ENDED: 1}
        assert (await drain(ledger, "acme", acme)).applied == {Applied.ENDED: 1}
        assert (globex.ids(), acme.ids()) == ({"inst-9": 1}, {"inst-1": 1})

    run(sqlite_url, work)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ledgers")


@settings(max_examples=count(8, 200), deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_order_reports_come_in_the_first_that_is_applied_is_the_only_one_told(folder: Path, seed: int) -> None:
    """Repeats under one id and under others, contradictions, drains between them, and a turn that dies half-way."""
    rng = random.Random(seed)
    url = f"sqlite:///{folder / f'{seed}.db'}"

    async def work(ledger: Ledger) -> None:
        erp = Erp()
        for _ in range(rng.randint(1, 6)):
            for _ in range(rng.randint(0, 12)):
                number, status = rng.randrange(5), rng.choice(["completed", "failed", "running"])
                await report(ledger, number, status, f"msg_{number}_{status}_{rng.randrange(3)}")
            if rng.random() < 0.4:
                dying = asyncio.create_task(drain(ledger, "acme", erp))
                for _ in range(rng.randint(0, 30)):
                    await asyncio.sleep(0)
                dying.cancel()
                await asyncio.wait([dying])
                await ledger.write(lambda connection, _: connection.execute(update(runs).values(state="released")))
            elif rng.random() < 0.7:
                await drain(ledger, "acme", erp)
        now[0] += 120  # what a dead turn had in hand comes due again
        await drain(ledger, "acme", erp)
        stands = await counts(ledger, inbox_endpoint("acme"))
        assert stands[InboxState.NEW] == 0
        assert len(erp.ids()) == stands[InboxState.APPLIED]
        told = {(record["externalId"], record["finalStatus"]) for record in erp.taken}
        assert len(told) == stands[InboxState.APPLIED] and "running" not in {status for _, status in told}

    now = [1_700_000_000.0]
    run(url, work, lambda: now[0])
    for file in folder.glob(f"{seed}.db*"):
        file.unlink()


def test_the_reception_stores_before_it_answers_and_says_what_it_refuses(sqlite_url: str) -> None:
    body = Completion("inst-1", "wf_1", "completed", {}).as_text().encode()
    gzip = (b"content-encoding", b"gzip")

    async def work(ledger: Ledger) -> None:
        desk = Reception(ledger, "acme", Keys(shared=(SHARED.encode(),)))
        statuses = [
            (await desk.take(PLAIN, body)).status,
            (await desk.take(PLAIN, body)).status,
            (await desk.take([*PLAIN, gzip], body)).status,
            (await desk.take(PLAIN[1:], body)).status,
            (await desk.take([(b"content-type", b"text/plain"), PLAIN[1]], body)).status,
            (await desk.take([(b"content-type", b"Application/JSON; charset=utf-8"), PLAIN[1]], body)).status,
            (await desk.take(PLAIN[:1], body)).status,
            (await desk.take(PLAIN, body[:-1])).status,
            (await desk.take(PLAIN, b"{}")).status,
            (await desk.take(PLAIN, b" " * 65_537)).status,
        ]
        assert statuses == [202, 200, 415, 415, 415, 200, 401, 400, 422, 413]
        assert (await counts(ledger, inbox_endpoint("acme")))[InboxState.NEW] == 1
        assert SHARED not in repr(desk)

    run(sqlite_url, work)


def test_a_ledger_that_cannot_be_written_makes_the_sender_try_again(
    sqlite_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """And so does one that takes too long; what is stored late is then known as a repeat."""
    body = Completion("inst-1", "wf_1", "completed", {}).as_text().encode()

    async def work(ledger: Ledger) -> None:
        keys = Keys(shared=(SHARED.encode(),))
        held = asyncio.Event()
        ledger._writer._commit, real = _held(held, ledger._writer._commit), ledger._writer._commit  # type: ignore[method-assign]
        assert (await Reception(ledger, "acme", keys, store_seconds=0.05).take(PLAIN, body)).status == 503
        held.set()
        ledger._writer._commit = real  # type: ignore[method-assign]
        assert (await Reception(ledger, "acme", keys).take(PLAIN, body)).status == 200
        other = await Ledger.open(sqlite_url)
        await other.close()
        assert (await Reception(other, "acme", keys).take(PLAIN, body)).status == 503

    run(sqlite_url, work)
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "the ledger took longer than 0.05 s", "the ledger was closed; nothing can be written any more",
    ]  # fmt: skip


def test_a_tenant_that_no_ledger_can_hold_is_refused_at_once_and_not_with_each_completion(sqlite_url: str) -> None:
    async def work(ledger: Ledger) -> None:
        for tenant in ("x" * 1_000, "\udc80"):
            with pytest.raises(BadCall, match="tenant"):
                Reception(ledger, tenant, Keys(shared=(SHARED.encode(),)))

    run(sqlite_url, work)


def _held(until: asyncio.Event, commit: Any) -> Any:
    async def held(batch: Any) -> Any:
        await until.wait()
        return await commit(batch)

    return held


def test_a_secret_that_a_vendor_repeats_is_masked_before_it_is_stored(sqlite_url: str) -> None:
    async def work(ledger: Ledger) -> None:
        ledger.redactor.learn(SHARED)
        body = Completion("inst-1", "wf_1", "completed", {"customerId": SHARED}).as_text().encode()
        assert (await Reception(ledger, "acme", Keys(shared=(SHARED.encode(),))).take(PLAIN, body)).status == 202
        (kept,) = await waiting(ledger, inbox_endpoint("acme"), 9)
        assert json.loads(kept.body)["context"] == {"customerId": "********"}

    run(sqlite_url, work)


def test_where_the_erp_is() -> None:
    given = Settings(
        erp_url="https://erp.example.com/records", erp_secret="whsec_dGhlIHJlY2VpdmVyIGhvbGRzIHRoZSBzYW1lIQ=="
    )
    found = erp_endpoint(given, "acme")
    assert found is not None and found.ref == "erp/acme"
    assert erp_endpoint(Settings(), "acme") is None
    assert len(erp_ref("x" * 5000)) < 100
    with pytest.raises(BadCall, match="whsec_"):
        erp_endpoint(Settings(erp_url="https://erp.example.com"), "acme")
