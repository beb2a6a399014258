"""A simulation is worth what it finds: each of these mistakes in the design shows within some hundred histories."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cordboard.records import changes
from cordboard.records.effects import EffectState
from cordboard.records.run import RunHandle
from cordboard.vendors import attempts, session
from cordboard.vendors.wire import Outcome, Safety, Verdict
from tests.cordboard.sending.conftest import violations
from tests.cordboard.sending.simulator import Rules

TRIED = 400


def first_violation(drawn: Callable[..., Any], rules: Rules) -> str:
    return next(violations(drawn(rules, range(TRIED))), "")


@pytest.mark.parametrize("safety", ["keyed", "lookup", "neither"])
def test_without_a_fault_nothing_is_found(drawn: Callable[..., Any], safety: str) -> None:
    assert first_violation(drawn, Rules(safety)) == ""


def test_a_fresh_key_for_each_try_is_found(drawn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, real = itertools.count(), session._headers_of

    def with_a_fresh_key(request: Any, token: str | None) -> dict[str, str]:
        return {**real(request, token), "idempotency-key": f"try-{next(fresh)}"}

    monkeypatch.setattr(session, "_headers_of", with_a_fresh_key)
    assert "2 effects" in first_violation(drawn, Rules("keyed"))


@pytest.mark.parametrize("safety", ["keyed", "lookup", "neither"])
def test_an_intent_recorded_after_the_call_is_found(
    drawn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, safety: str
) -> None:
    intend, conclude, refused = RunHandle.intend, RunHandle.conclude, RunHandle.refused

    async def later(self: RunHandle, effect: Any, *_: Any, **__: Any) -> None:
        self.late = effect  # type: ignore[attr-defined]

    async def first(self: RunHandle) -> None:
        if effect := self.__dict__.pop("late", None):
            await intend(self, effect)

    async def concluding(self: RunHandle, *given: Any, **named: Any) -> None:
        await first(self)
        await conclude(self, *given, **named)

    async def refusing(self: RunHandle, *given: Any, **named: Any) -> None:
        await first(self)
        await refused(self, *given, **named)

    monkeypatch.setattr(RunHandle, "intend", later)
    monkeypatch.setattr(RunHandle, "conclude", concluding)
    monkeypatch.setattr(RunHandle, "refused", refusing)
    found = list(itertools.islice(violations(drawn(Rules(safety), range(TRIED))), 100))
    assert any("no intent on record before it" in each for each in found)
    if safety != "keyed":
        assert any("2 effects" in each for each in found)


def test_no_time_to_settle_is_found(drawn: Callable[..., Any]) -> None:
    assert "2 effects" in "".join(itertools.islice(violations(drawn(Rules("lookup", settle=0.0), range(TRIED))), 20))


def test_a_time_to_settle_that_forgets_the_look_ups_lag_is_found(drawn: Callable[..., Any]) -> None:
    from tests.cordboard.sending.vendor_model import LAG

    found = violations(drawn(Rules("lookup", settle=LAG + 0.01), range(TRIED)))
    assert "2 effects" in "".join(itertools.islice(found, 20))


def repeats_blindly(verdict: Verdict, safety: Safety) -> bool:
    return verdict.outcome is Outcome.REFUSED or (verdict.status or 0) >= 500


def test_a_blind_resend_after_a_5xx_is_found(drawn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    real = changes.may_move
    monkeypatch.setattr(attempts, "may_repeat", repeats_blindly)
    monkeypatch.setattr(
        changes, "may_move", lambda before, after, safety: after is EffectState.SENT or real(before, after, safety)
    )
    assert "2 effects" in first_violation(drawn, Rules("lookup"))


@pytest.mark.parametrize("safety", ["lookup", "neither"])
def test_the_ledger_alone_keeps_a_blind_resend_from_leaving(
    drawn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, safety: str
) -> None:
    """Two guards for one promise: a mistake in what is repeated is stopped by what the ledger lets happen."""
    monkeypatch.setattr(attempts, "may_repeat", repeats_blindly)
    histories = list(drawn(Rules(safety), range(TRIED)))
    assert all(sum(event[0] == "commit" for event in history.log) <= 1 for history in histories)


def test_a_process_that_is_never_taken_up_again_is_found(drawn: Callable[..., Any]) -> None:
    async def once_only(world: Any) -> None:
        from tests.cordboard.sending.simulator import MONDAY, Process

        await world.loop.create_task(Process(world, MONDAY).live())

    found = violations(drawn(replace(Rules("lookup"), mishaps=1), range(TRIED), once_only))
    assert "lost" in next(found, "")
