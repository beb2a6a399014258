"""Ledgers, as in the tests of the records, and effects that ended in every way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from cordboard.records.changes import Aftermath
from cordboard.records.effects import Effect, EffectState
from cordboard.records.ledger import Ledger
from cordboard.records.owner import Owner
from tests.cordboard.records.conftest import ledger_url, sqlite_url

__all__ = ["ledger_url", "sqlite_url"]
RUN = "orders/2026-11-21"
LOST = {"kind": "timeout", "message": "no answer within 30 s", "fingerprint": {"value": "f1"}}


def an_effect(logical_id: str = "orders/1/notify", operation: str = "cxone.dataactions.execute") -> Effect:
    return Effect("acme", operation, logical_id, "a" * 64, f"notify {logical_id}", "neither")


async def leave(ledger: Ledger, effect: Effect, state: EffectState, after: Aftermath | None = None) -> None:
    """Lets a run that ends properly leave an effect in a state."""
    async with await ledger.claim_run(effect.tenant, RUN) as run:
        await leave_in(run, effect, state, after)


async def leave_in(run: Any, effect: Effect, state: EffectState, after: Aftermath | None = None) -> None:
    await run.intend(effect)
    if state is not EffectState.SENT:
        why = LOST if state is EffectState.UNKNOWN else {"kind": "told"}
        result = {"id": 1} if state is EffectState.DONE else None
        await run.conclude(effect, state, result=result, evidence=why, aftermath=after)


@pytest.fixture
def dead_owner() -> Owner:
    """A process of this host that has ended."""
    script = "from cordboard.records.owner import Owner; print(Owner.current())"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return Owner.parse(said.strip())


WithLedger = Callable[[Callable[[Ledger], Any]], Any]


@pytest.fixture
def with_ledger(sqlite_url: str) -> WithLedger:
    """`with_ledger(work)`: runs `await work(ledger)` on an own ledger in SQLite, and gives back its result."""
    return lambda work: asyncio.run(_with(sqlite_url, work))


@pytest.fixture
def on_each(ledger_url: str) -> WithLedger:
    """The same on SQLite and on PostgreSQL, for what depends on the database."""
    return lambda work: asyncio.run(_with(ledger_url, work))


async def _with(url: str, work: Callable[[Ledger], Any]) -> Any:
    async with await Ledger.open(url) as ledger:
        return await work(ledger)
