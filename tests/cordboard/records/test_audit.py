"""The audit chain: whatever is done to it shows, and anybody can check that with the standard library."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench import audit as bench
from cordboard.records.audit import COLUMNS, AuditReport, check_chain, verify
from cordboard.records.command import audit_verify
from cordboard.records.ledger import Ledger
from cordboard.records.link import GENESIS, HASHED, row_hash
from tests.cordboard.records import independent

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


def edit_and_hash_alone(rows: list[Row], at: int, _: int) -> None:
    edit(rows, at, 0)
    rows[at]["hash"] = row_hash(rows[at])


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


def checked(rows: list[Row], head_hash: str) -> AuditReport:
    return check_chain([tuple(row[name] for name in COLUMNS) for row in rows], LENGTH, head_hash)


def test_an_untouched_chain_is_whole() -> None:
    rows = a_chain()
    report = checked(rows, rows[-1]["hash"])
    assert (report.ok, report.rows, report.head) == (True, LENGTH, rows[-1]["hash"])


@pytest.mark.parametrize(
    "mutate",
    [
        edit, edit_and_hash_alone, edit_and_hash_anew, delete, delete_and_number_anew, insert, swap, swap_contents,
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
    report = checked(rows, head)
    assert not report.ok
    assert report.first_fault
    assert report.rows <= LENGTH


@pytest.mark.parametrize("column", [*TEXT_COLUMNS, "prev", "hash"])
def test_every_column_is_protected_and_the_first_bad_record_is_named(column: str) -> None:
    rows = a_chain()
    rows[16][column] = "0" * 64
    report = checked(rows, rows[-1]["hash"])
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
        ("INSERT INTO audit_head SELECT 2, seq, hash FROM audit_head", 0),
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


@pytest.mark.parametrize("damage", ["x'ff'", "CAST(x'22ff22' AS TEXT)", "7"])
def test_a_column_that_holds_no_text_is_a_fault_of_that_record(
    sqlite_url: str, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    """SQLite takes anything in any column; to read bytes as text must not end the verification."""
    fill(sqlite_url)
    change(sqlite_url, f"UPDATE audit SET detail = {damage} WHERE seq = 2050")
    assert audit_verify(sqlite_url) == 1
    assert "broken at record 2050: its content is not what was recorded" in capsys.readouterr().out


def row_of(column: str, text: str) -> Row:
    return {**dict.fromkeys(HASHED, "x"), "seq": 7, column: text}


@given(st.sampled_from([name for name in HASHED if name != "seq"]), st.text())
def test_the_hash_is_that_of_the_canonical_json(column: str, text: str) -> None:
    """Any text in any column, also what JSON escapes: the quick form and the documented one agree."""
    row = row_of(column, text)
    canonical = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert row_hash(row) == hashlib.sha256(canonical.encode()).hexdigest()


def test_a_verification_holds_a_part_of_the_chain_in_memory(sqlite_url: str) -> None:
    """Three times the records take the same memory."""

    async def peak(many: int) -> int:
        async with await Ledger.open(sqlite_url) as ledger:
            await ledger.write(lambda connection, _: connection.exec_driver_sql("DELETE FROM audit"))
            await bench.fill(ledger, many)
            tracemalloc.start()
            assert (await verify(ledger)).rows == many
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return found

    assert asyncio.run(peak(12_000)) < 1.2 * asyncio.run(peak(4_000))


def test_an_independent_verifier_agrees(sqlite_url: str) -> None:
    """From the documented rule alone, with the standard library, and no line of ours."""
    fill(sqlite_url, 200)
    assert independent.fault(sqlite_url.removeprefix("sqlite:///")) is None
    assert len(Path(independent.__file__).read_text().splitlines()) <= 80
