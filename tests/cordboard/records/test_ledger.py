"""The ledger on real databases: what it keeps, what it refuses, and that one bad write spoils no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text

from cordboard.errors import InvalidJson, SameIdOtherBody, StaleOwner, WrongState
from cordboard.records.audit import history, verify
from cordboard.records.effects import Effect, EffectState, Message, may_move
from cordboard.records.ledger import Ledger
from cordboard.records.owner import Owner
from cordboard.records.run import RunHandle
from cordboard.records.schema import audit, effects, outbox
from cordboard.redaction import Redactor

READY, SENT, DONE, FAILED, UNKNOWN = EffectState
GONE = Owner("a-host-that-is-gone", 1, "1")
MakeEffect = Callable[..., Effect]
ROUTES = {READY: (), SENT: (SENT,), DONE: (SENT, DONE), FAILED: (FAILED,), UNKNOWN: (SENT, UNKNOWN)}


async def move(run: RunHandle, effect: Effect, to: EffectState) -> None:
    await (run.intend(effect) if to is SENT else run.conclude(effect, to))


async def count(ledger: Ledger, table: Any) -> int:
    def read(connection: Connection) -> int:
        return int(connection.scalar(select(func.count()).select_from(table)) or 0)

    return await ledger.read(read)


def test_what_was_concluded_is_there_in_a_later_run(ledger_url: str, make_effect: MakeEffect) -> None:
    """A rerun under the same run key finds every result, as the JSON value that it was."""
    output = {"id": 7, "names": ["Zoë", None], "ok": True, "+1": "00123", "nul": "\0"}

    async def first() -> None:
        async with await Ledger.open(ledger_url) as ledger, await ledger.claim_run("acme", "r1") as run:
            await run.intend(make_effect(), attempt=1)
            await run.refused(make_effect(), {"status": 429})
            await run.intend(make_effect(), attempt=2)
            await run.conclude(make_effect(), DONE, result=output, evidence={"status": 200}, attempts=2)

    async def later() -> None:
        async with await Ledger.open(ledger_url) as ledger, await ledger.claim_run("acme", "r1") as run:
            entry = (await run.entries(["r1/notify/1", "never seen"]))["r1/notify/1"]
            assert (entry.state, entry.result, entry.evidence) == (DONE, output, {"status": 200})
            assert (entry.attempts, entry.epoch, run.epoch, entry.body_hash) == (2, 1, 2, "a" * 64)
            assert await run.all_entries() == await run.all_entries("r1/") == {"r1/notify/1": entry}
            assert await run.all_entries("r_/") == {}

    asyncio.run(first())
    asyncio.run(later())


def test_the_same_id_with_another_body_is_refused_and_writes_nothing(ledger_url: str, make_effect: MakeEffect) -> None:
    """An edited retry must not become a second effect; the error names both bodies."""

    async def run_it() -> None:
        async with await Ledger.open(ledger_url) as ledger, await ledger.claim_run("acme", "r1") as run:
            await run.intend(make_effect(body="a"))
            before = await count(ledger, audit)
            for write in (run.intend, run.refused):
                with pytest.raises(SameIdOtherBody) as refusal:
                    await write(make_effect(body="b"))
                assert (refusal.value.recorded, refusal.value.offered) == ("a" * 64, "b" * 64)
            assert await count(ledger, audit) == before
            assert (await run.entries(["r1/notify/1"]))["r1/notify/1"].body_hash == "a" * 64

    asyncio.run(run_it())


def test_a_result_as_deep_as_a_vendor_may_send_is_read_back(sqlite_url: str, make_effect: MakeEffect) -> None:
    """Limits stand where data comes in. Here they would lock a result away that was paid for."""
    deep: Any = "end"
    for _ in range(200):
        deep = [deep]

    async def run_it() -> None:
        async with await Ledger.open(sqlite_url) as ledger, await ledger.claim_run("acme", "r1") as run:
            await run.intend(make_effect())
            await run.conclude(make_effect(), DONE, deep, deep)
            assert (await run.all_entries())["r1/notify/1"].result == deep

    asyncio.run(run_it())


def test_two_tenants_have_two_effects_of_one_id(ledger_url: str, make_effect: MakeEffect) -> None:
    async def run_it() -> None:
        async with await Ledger.open(ledger_url) as ledger:
            for tenant in ("acme", "globex"):
                async with await ledger.claim_run(tenant, "r1") as run:
                    await run.intend(make_effect(tenant=tenant, body=tenant[0]))
                    assert len(await run.all_entries()) == 1
            assert await count(ledger, effects) == 2

    asyncio.run(run_it())


@pytest.mark.parametrize("safety", ["natural", "neither"])
def test_the_ledger_holds_every_effect_to_the_policy(sqlite_url: str, make_effect: MakeEffect, safety: str) -> None:
    """Every state is reached on a real ledger and every move is tried from it; a refused one changes nothing."""

    async def run_it() -> None:
        async with await Ledger.open(sqlite_url) as ledger, await ledger.claim_run("acme", "r1") as run:
            for before, route in ROUTES.items():
                for after in EffectState:
                    effect = make_effect(f"{before}-{after}", safety=safety)
                    for stop in route:
                        await move(run, effect, stop)
                    if may_move(before, after, safety):
                        await move(run, effect, after)
                    else:
                        with pytest.raises(WrongState, match=f"is {before} and cannot become {after}"):
                            await move(run, effect, after)
                    entry = (await run.entries([effect.logical_id])).get(effect.logical_id)
                    wanted = after if may_move(before, after, safety) else before
                    assert (entry.state if entry else READY) == wanted

    asyncio.run(run_it())


def test_a_bad_write_fails_its_caller_alone(ledger_url: str, make_effect: MakeEffect) -> None:
    """A hundred writes share a transaction; the refused ones among them take nothing away from the others."""

    async def run_it() -> None:
        async with await Ledger.open(ledger_url) as ledger, await ledger.claim_run("acme", "r1") as run:
            await run.intend(make_effect("taken"))
            writes = [run.intend(make_effect(f"good-{number}")) for number in range(100)]
            writes[30:30] = [run.intend(make_effect("taken", body="b")), run.conclude(make_effect("new"), DONE)]
            writes[60:60] = [run.record("note", "x", float("nan")), run.record("note", "x", "\ud800")]
            outcomes = await asyncio.gather(*writes, return_exceptions=True)
            refused = [type(outcome) for outcome in outcomes if outcome is not None]
            assert refused == [SameIdOtherBody, WrongState, InvalidJson, InvalidJson]
            assert len(await run.all_entries("good-")) == 100
            assert (await verify(ledger)).ok

    asyncio.run(run_it())


def test_an_owner_that_was_overtaken_writes_no_more(ledger_url: str, make_effect: MakeEffect) -> None:
    """A worker that wakes up after its lease finds each write refused, and the refusals on record."""

    async def run_it() -> None:
        now = 1_700_000_000.0
        async with (
            await Ledger.open(ledger_url, clock=lambda: now) as ledger,
            await ledger.claim_run("acme", "r1", owner=GONE) as old,
        ):
            await old.intend(make_effect())
            now += 60
            async with await ledger.claim_run("acme", "r1") as new:
                late = (
                    old.intend(make_effect("another")),
                    old.refused(make_effect()),
                    old.conclude(make_effect(), DONE, messages=[Message("hook", "done", {})]),
                    old.record("note", "x"),
                    old.renew(),
                )
                outcomes = await asyncio.gather(*late, return_exceptions=True)
                assert [type(outcome) for outcome in outcomes] == [StaleOwner] * 5
                assert [entry.state for entry in (await new.all_entries()).values()] == [SENT]
                kinds = [row["kind"] for row in await history(ledger, "acme", "r1")]
                assert kinds.count("write.refused") == 5
                assert await count(ledger, outbox) == 0

    asyncio.run(run_it())


def test_a_run_that_was_given_back_takes_no_writes(sqlite_url: str, make_effect: MakeEffect) -> None:
    async def run_it() -> None:
        async with await Ledger.open(sqlite_url) as ledger:
            run = await ledger.claim_run("acme", "r1")
            await run.release()
            await run.release()
            with pytest.raises(StaleOwner):
                await run.intend(make_effect())

    asyncio.run(run_it())


def test_what_a_dead_owner_left_open_is_settled_by_its_class(ledger_url: str, make_effect: MakeEffect) -> None:
    """What may be repeated is sent again; what may not stays unknown, with the reason, and is never sent by itself."""

    async def run_it() -> None:
        now = 1_700_000_000.0
        async with await Ledger.open(ledger_url, clock=lambda: now) as ledger:
            dead = await ledger.claim_run("acme", "r1", owner=GONE)
            for safety in ("natural", "keyed", "lookup", "neither"):
                await dead.intend(make_effect(safety, safety=safety))
            now += 60
            async with await ledger.claim_run("acme", "r1") as run:
                await run.intend(make_effect("of this run"))
                left = await run.left_open()
                assert sorted(entry.effect.logical_id for entry in left) == ["keyed", "lookup", "natural", "neither"]
                assert len(await run.settle_unknown(left)) == 2
                found = await run.all_entries()
                assert {name for name, entry in found.items() if entry.state is UNKNOWN} == {"lookup", "neither"}
                assert "ended before the outcome was recorded" in found["neither"].evidence["reason"]
                await run.intend(make_effect("natural", safety="natural"))
                with pytest.raises(WrongState):
                    await run.intend(make_effect("neither"))

    asyncio.run(run_it())


def test_an_intent_whose_caller_was_cancelled_is_taken_back(ledger_url: str, make_effect: MakeEffect) -> None:
    """Nothing was sent, so nothing may look as if it had been."""

    async def run_it() -> None:
        async with await Ledger.open(ledger_url) as ledger, await ledger.claim_run("acme", "r1") as run:
            intent = asyncio.create_task(run.intend(make_effect()))
            await asyncio.sleep(0)  # it is queued now
            intent.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await intent
            await run.record("note", "after it")
            assert (await run.all_entries())["r1/notify/1"].state is READY

    asyncio.run(run_it())


def test_an_outcome_is_written_though_its_caller_was_cancelled(sqlite_url: str, make_effect: MakeEffect) -> None:
    async def run_it() -> None:
        async with await Ledger.open(sqlite_url) as ledger, await ledger.claim_run("acme", "r1") as run:
            await run.intend(make_effect())
            outcome = asyncio.create_task(run.conclude(make_effect(), DONE, result={"id": 1}))
            await asyncio.sleep(0)
            outcome.cancel()
            await asyncio.wait([outcome])
            await run.record("note", "after it")
            assert (await run.all_entries())["r1/notify/1"].state is DONE

    asyncio.run(run_it())


def test_a_message_leaves_with_its_change_or_not_at_all(ledger_url: str, make_effect: MakeEffect) -> None:
    async def run_it() -> None:
        async with await Ledger.open(ledger_url) as ledger, await ledger.claim_run("acme", "r1") as run:
            message = Message("hook", "action.completed", {"n": 1})
            with pytest.raises(WrongState):
                await run.conclude(make_effect(), DONE, messages=[message])
            assert await count(ledger, outbox) == 0
            await run.intend(make_effect())
            await run.conclude(make_effect(), DONE, messages=[message])
            await run.record("run.finished", "r1", {"status": "completed"}, [message])
            assert await count(ledger, outbox) == 2

    asyncio.run(run_it())


def test_known_secrets_reach_no_column(sqlite_url: str, make_effect: MakeEffect) -> None:
    """Whatever echoes a secret, the file holds none: not in results, evidence, audit or outgoing messages."""
    secret = "s3cr3t/value+with=signs"

    async def run_it() -> None:
        async with await Ledger.open(sqlite_url, redactor=Redactor([secret])) as ledger:
            async with await ledger.claim_run("acme", "r1") as run:
                echo = {"said": [f"Bearer {secret}"], secret: 1}
                await run.intend(make_effect())
                await run.refused(make_effect(), echo)
                await run.intend(make_effect())
                await run.conclude(make_effect(), DONE, echo, echo, messages=[Message("hook", "done", echo)])
                await run.record("note", "x", echo)
            dump = await ledger.read(_everything)
        assert secret not in dump
        assert "********" in dump

    asyncio.run(run_it())


def test_any_number_of_ids_is_asked_for_at_once(ledger_url: str, make_effect: MakeEffect) -> None:
    async def run_it() -> None:
        async with await Ledger.open(ledger_url) as ledger, await ledger.claim_run("acme", "r1") as run:
            await asyncio.gather(*(run.intend(make_effect(f"item-{number}")) for number in range(1200)))
            found = await run.entries(f"item-{number}" for number in range(40_000))
            assert len(found) == 1200

    asyncio.run(run_it())


def _everything(connection: Connection) -> str:
    tables = ("runs", "effects", "outbox", "audit")
    return repr([connection.execute(text(f"SELECT * FROM {table}")).all() for table in tables])
