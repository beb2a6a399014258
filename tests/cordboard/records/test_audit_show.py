"""The records of one run: found by the index, read a part at a time, named as people name a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from sqlalchemy import event

from cordboard.records import audit
from cordboard.records.audit import history, records_of
from cordboard.records.command import audit_show
from cordboard.records.ledger import Ledger


def fill(url: str, *runs: tuple[str, str], records: int = 0) -> None:
    async def run_it() -> None:
        async with await Ledger.open(url) as ledger:
            for tenant, run_key in runs:
                async with await ledger.claim_run(tenant, run_key) as run:
                    await asyncio.gather(*(run.record("note", f"n{number}", {}) for number in range(records)))

    asyncio.run(run_it())


def found(url: str, tenant: str, run_key: str) -> list[tuple[str, str]]:
    async def run_it() -> list[tuple[str, str]]:
        async with await Ledger.open(url) as ledger:
            rows = await history(ledger, tenant, run_key)
            assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
            return sorted({(row["tenant"], row["run_key"]) for row in rows})

    return asyncio.run(run_it())


def test_the_records_of_a_run_are_shown(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    fill(sqlite_url, ("default", "r1"), records=2)
    assert audit_show(sqlite_url, "r1") == 0
    shown = capsys.readouterr().out
    assert [line.split()[2] for line in shown.splitlines()] == ["run.claimed", "note", "note", "run.released"]
    assert audit_show(sqlite_url, "r1", as_json=True) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[1])["subject"] == "n0"
    assert audit_show(sqlite_url, "r2") == 2


def test_a_run_is_named_in_full_or_by_its_own_key(ledger_url: str) -> None:
    """The ledger's own name goes first; only where no run has it, every chain's run of that key is meant."""
    runs = [("a", "sync/r1"), ("b", "sync/r1"), ("a", "r2"), ("a", "sync/r2"), ("a", "sync/x%"), ("a", "sync/R3")]
    fill(ledger_url, *runs)
    assert found(ledger_url, "", "sync/r1") == [("a", "sync/r1"), ("b", "sync/r1")]
    assert found(ledger_url, "b", "sync/r1") == [("b", "sync/r1")]
    assert found(ledger_url, "", "r1") == [("a", "sync/r1"), ("b", "sync/r1")]
    assert found(ledger_url, "a", "r2") == [("a", "r2")]
    assert found(ledger_url, "b", "r2") == []
    assert found(ledger_url, "a", "x%") == [("a", "sync/x%")]
    assert found(ledger_url, "a", "r3") == found(ledger_url, "a", "%") == found(ledger_url, "c", "r1") == []


def test_records_are_read_a_part_at_a_time_in_one_order(ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of two runs lie mixed, and none is lost or repeated at a seam."""
    monkeypatch.setattr(audit, "_CHUNK", 4)
    fill(ledger_url, ("a", "sync/r1"), ("b", "sync/r1"), ("a", "other"), ("a", "sync/r1"), records=5)

    async def run_it() -> list[int]:
        async with await Ledger.open(ledger_url) as ledger:
            return [row["seq"] async for row in records_of(ledger, "", "r1")]

    assert asyncio.run(run_it()) == [*range(1, 15), *range(22, 29)]


@pytest.mark.parametrize("tenant", ["a", ""])
def test_a_run_is_found_by_the_index(sqlite_url: str, tenant: str) -> None:
    """However long the audit record is: no statement walks through it."""
    fill(sqlite_url, ("a", "sync/r1"), records=3)
    plans: list[str] = []

    def explain(connection: object, cursor: object, statement: str, values: Sequence[object], *_: object) -> None:
        if "FROM audit" in statement and "EXPLAIN" not in statement:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(values))
            plans.extend(row[-1] for row in rows)

    async def run_it() -> int:
        async with await Ledger.open(sqlite_url) as ledger:
            event.listen(ledger._database._engine, "before_cursor_execute", explain)
            return len(await history(ledger, tenant, "sync/r1"))

    assert asyncio.run(run_it()) == 5
    assert plans
    assert all(plan.startswith("SEARCH audit USING") for plan in plans), plans
