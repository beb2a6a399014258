"""The manual of effects: how one thing is done at a vendor at most once, whatever happens to us."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cordboard.records.audit import verify
from cordboard.records.effects import Effect, EffectState
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle
from cordboard.sandbox.definition import default_definition
from cordboard.sandbox.faults import Faults
from cordboard.sandbox.server import RunningSandbox, running_sandbox
from cordboard.sending import Order, Sent, send_once
from cordboard.vendors.cxone import execute_data_action
from cordboard.vendors.session import VendorSession
from cordboard.vendors.token import TokenSource


@pytest.fixture
def box() -> Iterator[RunningSandbox]:
    """A local vendor that knows what really happened."""
    with running_sandbox(default_definition().changed(data_actions={"def-write": {"echo": True}})) as box:
        yield box


def client(box: RunningSandbox) -> VendorSession:
    env = box.env()
    return VendorSession(
        env["CXONE_BASE_URL"],
        TokenSource(env["CXONE_TOKEN_URL"], env["CXONE_CLIENT_ID"], env["CXONE_CLIENT_SECRET"]),
    )


async def send(run: RunHandle, box: RunningSandbox, idempotent: bool = False, logical_id: str = "order-7") -> Sent:
    """Offers one effect; what an earlier try left is looked up first, as a chain does."""
    request = execute_data_action("def-write", {"n": 7}, idempotent=idempotent)
    effect = Effect("acme", request.operation.name, logical_id, "0" * 64, "write", request.operation.safety)
    known = (await run.entries([logical_id])).get(logical_id)
    async with client(box) as session:
        return await send_once(run, session, Order(effect, request, timeout_seconds=5, attempts=1, known=known))


def in_run(home: Path, *tries: Any) -> list[Any]:
    """Runs coroutines one after another, each in a claim of its own on the same run, as reruns do."""

    async def main() -> list[Any]:
        found = []
        for each in tries:
            async with (
                await Ledger.open(f"sqlite:///{home}/ledger.db") as ledger,
                await ledger.claim_run("acme", "monday") as run,
            ):
                found.append(await each(run))
        return found

    return asyncio.run(main())


def test_what_is_done_is_not_sent_again(tmp_path: Path, box: RunningSandbox) -> None:
    first, second = in_run(tmp_path, lambda run: send(run, box), lambda run: send(run, box))
    assert (first.reused, second.reused) == (False, True)
    assert first.output == second.output == {"n": 7}
    assert len(box.truth.effects_of("def-write")) == 1


def test_a_lost_reply_of_a_write_is_unknown_and_never_repeated_by_itself(tmp_path: Path, box: RunningSandbox) -> None:
    box.sandbox.use_faults(Faults.of({"match": {"nth": [1]}, "fault": {"lost_reply": "after_commit"}}))
    first, second = in_run(tmp_path, lambda run: send(run, box), lambda run: send(run, box))
    assert first.state is second.state is EffectState.UNKNOWN
    assert len(box.truth.requests_for("def-write")) == 1


def test_an_idempotent_write_is_repeated_after_a_lost_reply(tmp_path: Path, box: RunningSandbox) -> None:
    box.sandbox.use_faults(Faults.of({"match": {"nth": [1]}, "fault": {"lost_reply": "after_commit"}}))
    first, second = in_run(tmp_path, lambda run: send(run, box, True), lambda run: send(run, box, True))
    assert (first.state, second.state) == (EffectState.UNKNOWN, EffectState.DONE)


def test_a_doubt_stays_whatever_a_repeat_ends_with_short_of_success(tmp_path: Path, box: RunningSandbox) -> None:
    """Else taking `idempotent` out of the file again would send what may have taken effect already."""
    lost, busy = {"lost_reply": "after_commit"}, {"status": 422}
    box.sandbox.use_faults(Faults.of({"match": {"nth": [1]}, "fault": lost}, {"match": {"nth": [1, 2]}, "fault": busy}))
    tries = [lambda run: send(run, box, True), lambda run: send(run, box, True), lambda run: send(run, box)]
    assert [sent.state for sent in in_run(tmp_path, *tries)] == [EffectState.UNKNOWN] * 3
    assert len(box.truth.requests_for("def-write")) == 2


@pytest.mark.parametrize(("idempotent", "state"), [(True, EffectState.DONE), (False, EffectState.UNKNOWN)])
def test_an_intent_without_an_outcome_means_that_a_run_died_in_between(
    tmp_path: Path, box: RunningSandbox, idempotent: bool, state: EffectState
) -> None:
    async def die(run: RunHandle) -> None:
        request = execute_data_action("def-write", {"n": 7}, idempotent=idempotent)
        await run.intend(Effect("acme", request.operation.name, "order-7", "0" * 64, "write", request.operation.safety))

    _, rerun = in_run(tmp_path, die, lambda run: send(run, box, idempotent))
    assert rerun.state is state
    assert len(box.truth.requests_for("def-write")) == (1 if idempotent else 0)


def test_nothing_is_sent_where_the_intent_cannot_be_written(tmp_path: Path, box: RunningSandbox) -> None:
    """Here because another owner has taken the run over: the old one is fenced off before its first byte."""

    async def overtaken(run: RunHandle) -> str:
        run._fence = type(run._fence)(run._fence.run_id, run.epoch - 1)
        try:
            await send(run, box)
        except Exception as error:
            return type(error).__name__
        return "sent"

    assert in_run(tmp_path, lambda run: send(run, box, logical_id="other"), overtaken)[1] == "StaleOwner"
    assert len(box.truth.requests_for("def-write")) == 1


def test_every_step_is_on_a_record_that_shows_when_it_was_changed(tmp_path: Path, box: RunningSandbox) -> None:
    in_run(tmp_path, lambda run: send(run, box))

    async def check() -> Any:
        async with await Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
            before = await verify(ledger)
            await ledger.write(
                lambda connection, _: connection.exec_driver_sql("UPDATE audit SET subject='x' WHERE seq=2")
            )
            return before, await verify(ledger)

    whole, broken = asyncio.run(check())
    assert whole.ok and not broken.ok
