"""What a person may settle, what comes of it, and what stands against it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from sqlalchemy import select

from cordboard.errors import BadCall, CordboardError, RunBusy, StaleOwner, WrongState
from cordboard.records.audit import history, verify
from cordboard.records.changes import Aftermath
from cordboard.records.effects import Effect, EffectState
from cordboard.records.ledger import Ledger
from cordboard.records.owner import Owner
from cordboard.records.schema import effects, instances, slots
from cordboard.recovery.resolving import STARTS, Resolution, resolve
from tests.cordboard.recovery.conftest import LOST, RUN, an_effect, leave, leave_in

READY, SENT, DONE, FAILED, UNKNOWN = EffectState
SAYS_DONE = Resolution("orders/1/notify", "done", "ticket 4711: the customer has the text", "kim", {"id": 7})
SAYS_FAILED = Resolution("orders/1/notify", "failed", "not in the vendor's log of that day", "kim")
WithLedger = Callable[[Any], Any]


async def row_of(ledger: Ledger, effect: Effect) -> Any:
    query = select(effects).where(effects.c.key == effect.key)
    return await ledger.read(lambda connection: connection.execute(query).one())


@pytest.mark.parametrize(("state", "says"), [*product(EffectState, (SAYS_DONE, SAYS_FAILED))])
def test_only_what_is_open_can_be_resolved(with_ledger: WithLedger, state: EffectState, says: Resolution) -> None:
    async def work(ledger: Ledger) -> None:
        effect = an_effect()
        await leave(ledger, effect, state)
        if state in {SENT, UNKNOWN}:
            done = await resolve(ledger, says)
            assert (done.before.state, done.verdict) == (state, says.verdict)
            assert (await row_of(ledger, effect)).state == says.verdict
        else:
            with pytest.raises(BadCall, match=rf"is {state} since .*nothing to resolve"):
                await resolve(ledger, says)
            assert (await row_of(ledger, effect)).state == state
        assert (await verify(ledger)).ok

    with_ledger(work)


def test_the_audit_record_says_who_settled_what_how_and_why(with_ledger: WithLedger) -> None:
    async def work(ledger: Ledger) -> None:
        await leave(ledger, an_effect(), UNKNOWN)
        await resolve(ledger, SAYS_DONE)
        (row,) = [row for row in await history(ledger, "acme", RUN) if row["kind"] == "effect.resolved"]
        detail = json.loads(row["detail"])
        assert (detail["by"], detail["as"], detail["evidence"]) == ("kim", "done", SAYS_DONE.evidence)
        assert (detail["from"], detail["to"], detail["before"]) == ("unknown", "done", LOST["message"])
        kept = json.loads((await row_of(ledger, an_effect())).evidence)
        assert (kept["kind"], kept["fingerprint"]) == ("resolved", LOST["fingerprint"])

    with_ledger(work)


def test_a_rerun_of_its_run_finds_it_settled(with_ledger: WithLedger) -> None:
    """It stays with its run: done is reused with its result, failed may be sent again."""

    async def work(ledger: Ledger) -> None:
        first, second = an_effect(), an_effect("orders/2/notify")
        await leave(ledger, first, UNKNOWN)
        await leave(ledger, second, UNKNOWN)
        await resolve(ledger, SAYS_DONE)
        await resolve(ledger, replace(SAYS_FAILED, effect=second.key))
        async with await ledger.claim_run("acme", RUN) as run:
            known = await run.all_entries()
            assert known[first.logical_id].result == {"id": 7}
            with pytest.raises(WrongState):
                await run.intend(first)
            await run.intend(second)

    with_ledger(work)


def test_the_second_one_is_told_that_it_is_settled(with_ledger: WithLedger) -> None:
    async def work(ledger: Ledger) -> None:
        await leave(ledger, an_effect(), UNKNOWN)
        await resolve(ledger, SAYS_DONE)
        with pytest.raises(BadCall, match="is done since"):
            await resolve(ledger, SAYS_FAILED)

    with_ledger(work)


def test_of_two_at_the_same_time_one_settles_it(on_each: WithLedger) -> None:
    async def work(ledger: Ledger) -> None:
        await leave(ledger, an_effect(), UNKNOWN)
        ends = await asyncio.gather(
            *(resolve(ledger, each) for each in (SAYS_DONE, SAYS_FAILED) * 3), return_exceptions=True
        )
        refused = [end for end in ends if isinstance(end, CordboardError)]
        assert len(refused) == 5
        rows = [row for row in await history(ledger, "acme", RUN) if row["kind"] == "effect.resolved"]
        assert len(rows) == 1

    on_each(work)


@pytest.mark.parametrize("state", [SENT, UNKNOWN])
def test_a_live_run_is_never_overruled(with_ledger: WithLedger, state: EffectState) -> None:
    async def work(ledger: Ledger) -> None:
        effect = an_effect()
        async with await ledger.claim_run("acme", RUN) as run:
            await leave_in(run, effect, state)
            with pytest.raises(RunBusy, match="held by process"):
                await resolve(ledger, SAYS_DONE)
            if state is SENT:
                await run.conclude(effect, FAILED)
        if state is UNKNOWN:
            await resolve(ledger, SAYS_DONE)

    with_ledger(work)


def test_what_a_dead_process_sent_can_be_resolved_and_it_writes_no_more(
    with_ledger: WithLedger, dead_owner: Owner
) -> None:
    async def work(ledger: Ledger) -> None:
        effect = an_effect()
        run = await ledger.claim_run("acme", RUN, kind="chain", owner=dead_owner)
        await leave_in(run, effect, SENT)
        done = await resolve(ledger, SAYS_FAILED)
        assert done.before.state is SENT
        with pytest.raises(StaleOwner):
            await run.conclude(effect, DONE)

    with_ledger(work)


@pytest.mark.parametrize("says", [SAYS_DONE, SAYS_FAILED])
def test_what_moved_on_between_the_look_and_the_write_is_left_alone(
    with_ledger: WithLedger, monkeypatch: pytest.MonkeyPatch, says: Resolution
) -> None:
    """Another run sends it again, and ends, just after the person's command has looked."""

    async def work(ledger: Ledger) -> None:
        effect = replace(an_effect(), safety="natural")
        await leave(ledger, effect, UNKNOWN)
        claim = ledger.claim_run

        async def late(*given: Any, **named: Any) -> Any:
            monkeypatch.undo()
            async with await claim("acme", "another") as run:
                await leave_in(run, effect, UNKNOWN)
            return await claim(*given, **named)

        monkeypatch.setattr(ledger, "claim_run", late)
        with pytest.raises(WrongState, match="by run 'another'"):
            await resolve(ledger, says)
        assert (await row_of(ledger, effect)).state == "unknown"

    with_ledger(work)


def test_it_is_found_by_key_by_the_beginning_of_it_and_by_its_id(on_each: WithLedger) -> None:
    async def work(ledger: Ledger) -> None:
        for number, name in enumerate(("whole", "begin", "id")):
            effect = an_effect(f"orders/{number}/{name}")
            await leave(ledger, effect, UNKNOWN)
            given = {"whole": effect.key, "begin": effect.key[:10], "id": effect.logical_id}[name]
            assert (await resolve(ledger, replace(SAYS_DONE, effect=given))).before.key == effect.key

    on_each(work)


def test_what_people_call_it_finds_it_where_it_is_open(on_each: WithLedger) -> None:
    async def work(ledger: Ledger) -> None:
        done, unknown = an_effect("orders/1"), replace(an_effect("orders/2"), subject="notify orders/1")
        await leave(ledger, done, DONE)
        await leave(ledger, unknown, UNKNOWN)
        assert (await resolve(ledger, replace(SAYS_DONE, effect="notify orders/1"))).before.key == unknown.key

    on_each(work)


def test_a_number_that_is_another_effect_s_beginning_too_settles_neither(with_ledger: WithLedger) -> None:
    """Rows are often called by numbers, and keys are hexadecimal: it must not be a matter of luck which is meant."""

    async def work(ledger: Ledger) -> None:
        other = an_effect("orders/1")
        named = replace(an_effect("orders/2"), subject=other.key[:5])
        for effect in (other, named):
            await leave(ledger, effect, UNKNOWN)
        with pytest.raises(BadCall, match="several effects are called"):
            await resolve(ledger, replace(SAYS_DONE, effect=other.key[:5]))

    with_ledger(work)


def test_none_and_several_are_errors_that_help(with_ledger: WithLedger) -> None:
    async def work(ledger: Ledger) -> None:
        same = [an_effect(), an_effect(operation="cxone.other")]
        for effect in same:
            await leave(ledger, effect, UNKNOWN)
        with pytest.raises(BadCall, match=r"no effect 'nobody'.*--list"):
            await resolve(ledger, replace(SAYS_DONE, effect="nobody"))
        with pytest.raises(BadCall, match=r"no effect .* of tenant 'other'"):
            await resolve(ledger, replace(SAYS_DONE, tenant="other"))
        with pytest.raises(BadCall, match="several effects") as refused:
            await resolve(ledger, SAYS_DONE)
        assert all(effect.key in str(refused.value) for effect in same)

    with_ledger(work)


@pytest.mark.parametrize(
    "wrong",
    [{"evidence": " "}, {"by": ""}, {"verdict": "failed"}, {"evidence": "a\0b"}, {"by": "\ud800"}],
    ids=["no evidence", "nobody", "a result of what failed", "NUL", "surrogate"],
)
def test_a_resolution_without_a_name_or_evidence_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadCall):
        replace(SAYS_DONE, **wrong)


START = an_effect("wf_reminder/row-1", STARTS)


@pytest.mark.parametrize(
    ("says", "instance", "slot"),
    [
        (replace(SAYS_DONE, result={"instance_id": "i-1"}), "running", "ended"),
        (replace(SAYS_DONE, result=None), None, "ended"),
        (SAYS_FAILED, None, "free"),
    ],
    ids=["with its instance", "without", "failed"],
)
def test_a_start_gets_its_instance_and_its_place_is_given_back(
    with_ledger: WithLedger, says: Resolution, instance: str | None, slot: str
) -> None:
    async def work(ledger: Ledger) -> None:
        place = {
            "effect_key": START.key,
            "tenant": "acme",
            "workflow_id": "wf_reminder",
            "run_key": RUN,
            "lease_until": 1,
        }
        pool = "INSERT INTO pools VALUES ('acme', 'wf_reminder', 5, 3, 0, 3, 0, 0, 1, NULL)"
        await ledger.write(lambda connection, _: connection.execute(slots.insert(), place))
        await ledger.write(lambda connection, _: connection.exec_driver_sql(pool))
        await leave(ledger, START, UNKNOWN, Aftermath("", "wf_reminder", 60.0))
        done = await resolve(ledger, replace(says, effect=START.logical_id))
        rows = await ledger.read(lambda connection: connection.execute(select(instances)).all())
        assert [row.status for row in rows] == ([instance] if instance else [])
        assert done.instance_id == ("i-1" if instance else "")
        if rows:
            assert (rows[0].workflow_id, rows[0].effect_key, rows[0].run_key) == ("wf_reminder", START.key, RUN)
        ticks = await ledger.read(lambda connection: list(connection.scalars(select(slots.c.ended_tick))))
        assert ticks == ([3] if slot == "ended" else [])

    with_ledger(work)


def test_the_result_of_a_start_names_its_instance(with_ledger: WithLedger) -> None:
    async def work(ledger: Ledger) -> None:
        digested = an_effect("f" * 64, STARTS)
        for effect in (START, digested):
            await leave(ledger, effect, UNKNOWN)
        for result in ({"id": 1}, "i-1", {"instance_id": 7}, {"instance_id": "i" * 201}):
            with pytest.raises(BadCall, match=r"instance"):
                await resolve(ledger, replace(SAYS_DONE, effect=START.key, result=result))
        with pytest.raises(BadCall, match="workflow_id"):
            await resolve(ledger, replace(SAYS_DONE, effect=digested.key, result={"instance_id": "i-1"}))
        named = {"instance_id": "i-1", "workflow_id": "wf_long"}
        await resolve(ledger, replace(SAYS_DONE, effect=digested.key, result=named))
        workflows = await ledger.read(lambda connection: list(connection.scalars(select(instances.c.workflow_id))))
        assert workflows == ["wf_long"]

    with_ledger(work)
