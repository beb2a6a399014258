"""The audit chain: whatever is done to it shows, and anybody can check that with the standard library."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.records.audit import check_chain
from cordboard.records.command import audit_show, audit_verify
from cordboard.records.ledger import Ledger
from cordboard.records.link import GENESIS, row_hash

Row = dict[str, Any]
LENGTH = 20
TEXT_COLUMNS = ("at", "tenant", "run_key", "kind", "subject", "detail")


def a_chain() -> list[Row]:
    rows: list[Row] = []
    for seq in range(1, LENGTH + 1):
        row: Row = {name: f"{name} {seq} é" for name in TEXT_COLUMNS}
        row |= {"seq": seq, "prev": rows[-1]["hash"] if rows else GENESIS}
        rows.append({**row, "hash": row_hash(row)})
    return rows


def rehash_from(rows: list[Row], start: int) -> None:
    for index in range(start, len(rows)):
        rows[index]["prev"] = rows[index - 1]["hash"] if index else GENESIS
        rows[index]["hash"] = row_hash(rows[index])


def edit(rows: list[Row], at: int, _: int) -> None:
    rows[at]["detail"] += "!"


def edit_and_hash_anew(rows: list[Row], at: int, _: int) -> None:
    edit(rows, at, 0)
    rehash_from(rows, at)


def delete(rows: list[Row], at: int, _: int) -> None:
    del rows[at]


def delete_and_number_anew(rows: list[Row], at: int, _: int) -> None:
    del rows[at]
    for index, row in enumerate(rows):
        row["seq"] = index + 1
    rehash_from(rows, 0)


def insert(rows: list[Row], at: int, other: int) -> None:
    rows.insert(at, {**rows[other], "seq": rows[at]["seq"]})


def swap(rows: list[Row], at: int, other: int) -> None:
    other = other if other != at else (at + 1) % LENGTH
    rows[at], rows[other] = rows[other], rows[at]


def swap_contents(rows: list[Row], at: int, other: int) -> None:
    other = other if other != at else (at + 1) % LENGTH
    for name in TEXT_COLUMNS:
        rows[at][name], rows[other][name] = rows[other][name], rows[at][name]


def duplicate(rows: list[Row], at: int, _: int) -> None:
    rows.insert(at, dict(rows[at]))


def cut_the_tail(rows: list[Row], at: int, _: int) -> None:
    del rows[at:]


def add_at_the_end(rows: list[Row], _: int, __: int) -> None:
    rows.append({**rows[-1], "seq": len(rows) + 1, "prev": rows[-1]["hash"]})
    rows[-1]["hash"] = row_hash(rows[-1])


def test_an_untouched_chain_is_whole() -> None:
    rows = a_chain()
    report = check_chain(rows, LENGTH, rows[-1]["hash"])
    assert (report.ok, report.rows, report.head) == (True, LENGTH, rows[-1]["hash"])


@pytest.mark.parametrize(
    "mutate",
    [
        edit, edit_and_hash_anew, delete, delete_and_number_anew, insert, swap, swap_contents,
        duplicate, cut_the_tail, add_at_the_end,
    ],
)  # fmt: skip
@given(at=st.integers(0, LENGTH - 1), other=st.integers(0, LENGTH - 1))
def test_whatever_is_done_to_the_chain_shows(
    mutate: Callable[[list[Row], int, int], None], at: int, other: int
) -> None:
    """Any record changed, removed, added or moved, at any place, even when the hashes after it were made anew."""
    rows = a_chain()
    head = rows[-1]["hash"]
    mutate(rows, at, other)
    report = check_chain(rows, LENGTH, head)
    assert not report.ok
    assert report.first_fault
    assert report.rows <= LENGTH


@pytest.mark.parametrize("column", [*TEXT_COLUMNS, "prev", "hash"])
def test_every_column_is_protected_and_the_first_bad_record_is_named(column: str) -> None:
    rows = a_chain()
    rows[16][column] = "0" * 64
    report = check_chain(rows, LENGTH, rows[-1]["hash"])
    assert report.first_fault
    assert (report.rows, report.first_fault.seq) == (16, 17)


def fill(url: str, records: int = 2100) -> None:
    async def run_it() -> None:
        async with await Ledger.open(url) as ledger, await ledger.claim_run("default", "r1") as run:
            await asyncio.gather(*(run.record("note", f"n{number}", {"ü": number}) for number in range(records - 2)))

    asyncio.run(run_it())


def change(url: str, statement: str) -> None:
    async def run_it() -> None:
        async with await Ledger.open(url) as ledger:
            await ledger.write(lambda connection, _: connection.exec_driver_sql(statement))

    asyncio.run(run_it())


@pytest.mark.parametrize(
    ("damage", "first_bad"),
    [
        ("UPDATE audit SET subject = 'x' WHERE seq = 2050", 2050),
        ("DELETE FROM audit WHERE seq = 2000", 2000),  # at the seam of two chunks
        ("DELETE FROM audit WHERE seq > 2090", 2091),
        ("DELETE FROM audit", 1),
        ("DELETE FROM audit_head", 0),
        ("UPDATE audit_head SET seq = 2099", 2100),
        ("UPDATE audit SET seq = -1 WHERE seq = 1", -1),
    ],
)
def test_the_command_names_the_first_bad_record(
    ledger_url: str, capsys: pytest.CaptureFixture[str], damage: str, first_bad: int
) -> None:
    fill(ledger_url)
    assert audit_verify(ledger_url) == 0
    assert "whole: 2100 records" in capsys.readouterr().out
    change(ledger_url, damage)
    assert audit_verify(ledger_url) == 1
    assert f"broken at record {first_bad}:" in capsys.readouterr().out
    assert audit_verify(ledger_url, as_json=True) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["first_fault"]["seq"]) == (False, first_bad)


def test_a_ledger_that_is_not_there_or_not_to_be_had_ends_with_its_own_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typing error in the path must not be answered with an empty chain that is whole."""
    missing = tmp_path / "none.db"
    assert audit_verify(f"sqlite:///{missing}") == 2
    assert str(missing) in capsys.readouterr().err
    assert not missing.exists()
    assert audit_verify("postgresql://nobody@127.0.0.1:1/none") == 3


def test_the_records_of_a_run_are_shown(sqlite_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    fill(sqlite_url, 4)
    assert audit_show(sqlite_url, "r1") == 0
    shown = capsys.readouterr().out
    assert [line.split()[2] for line in shown.splitlines()] == ["run.claimed", "note", "note", "run.released"]
    assert audit_show(sqlite_url, "r1", as_json=True) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[1])["subject"] == "n0"
    assert audit_show(sqlite_url, "r2") == 2


def test_an_independent_verifier_agrees(sqlite_url: str) -> None:
    """Fifteen lines of standard library, from the documented rule alone, and no line of ours."""
    fill(sqlite_url, 200)
    file = sqlite_url.removeprefix("sqlite:///")
    columns = ("seq", "at", "tenant", "run_key", "kind", "subject", "detail", "prev")
    with sqlite3.connect(file) as database:
        prev = "0" * 64
        rows = database.execute(f"SELECT {', '.join(columns)}, hash FROM audit ORDER BY seq").fetchall()
        for number, (*values, found) in enumerate(rows, start=1):
            record = dict(zip(columns, values, strict=True))
            canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
            assert record["seq"] == number
            assert record["prev"] == prev
            assert hashlib.sha256(canonical.encode()).hexdigest() == found
            prev = found
        assert database.execute("SELECT seq, hash FROM audit_head").fetchone() == (len(rows), prev)
