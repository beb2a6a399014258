"""Whoever can write the whole database still cannot change what a signed checkpoint vouches for without it showing.

A chain of 10,000 records has a checkpoint every 1,000 records, the last at 9,000. Each mutation leaves a chain that is
as consistent as its kind allows, its numbers without a gap and, where it says so, its head mended.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.audit import records
from cordboard.records.audit import AuditReport, verify
from cordboard.records.checkpoints import VERSION, Checkpoint, CheckpointFile
from cordboard.records.ledger import Ledger
from cordboard.records.link import GENESIS, row_hash
from tests.cordboard.records import independent
from tests.thorough import count

LENGTH, EVERY, VOUCHED = 10_000, 1_000, 9_000
KEY = b"k" * 32
Row = dict[str, Any]
COLUMNS = ("seq", "at", "tenant", "run_key", "kind", "subject", "detail", "prev", "hash")


def hash_anew(rows: list[Row], start: int = 0) -> None:
    """Numbers and hashes records from here on, so that the chain is whole again."""
    for index in range(start, len(rows)):
        rows[index] |= {"seq": index + 1, "prev": rows[index - 1]["hash"] if index else GENESIS}
        rows[index]["hash"] = row_hash(rows[index])


def number_anew(rows: list[Row], start: int = 0) -> None:
    for index in range(start, len(rows)):
        rows[index]["seq"] = index + 1


def edit(rows: list[Row], at: int, _: int) -> int:
    rows[at]["detail"] = rows[at]["detail"].replace('"epoch":1', '"epoch":2')
    return at


def delete(rows: list[Row], at: int, _: int) -> int:
    del rows[at]
    return at


def insert(rows: list[Row], at: int, other: int) -> int:
    rows.insert(at, {**rows[other], "subject": "forged"})
    return at


def swap(rows: list[Row], at: int, other: int) -> int:
    other = other if other != at else (at + 1) % VOUCHED
    rows[at], rows[other] = rows[other], rows[at]
    return min(at, other)


def duplicate(rows: list[Row], at: int, _: int) -> int:
    rows.insert(at + 1, dict(rows[at]))
    return at + 1


def cut_the_tail(rows: list[Row], at: int, _: int) -> int:
    del rows[at:]
    return at


def cut_and_grow_again(rows: list[Row], at: int, _: int) -> int:
    for row in rows[at:]:
        row["subject"] += " forged"
    return at


def rewrite(rows: list[Row], _: int, __: int) -> int:
    return cut_and_grow_again(rows, 0, 0)


def rewrite_after_the_first(rows: list[Row], _: int, __: int) -> int:
    return cut_and_grow_again(rows, 1, 0)


MUTATIONS = [
    edit, delete, insert, swap, duplicate, cut_the_tail, cut_and_grow_again, rewrite, rewrite_after_the_first,
]  # fmt: skip


@dataclass(frozen=True)
class Template:
    """A folder with a ledger of 10,000 records and its checkpoints, and the records."""

    folder: Path
    rows: list[Row]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("template")

    async def make() -> None:
        await (await Ledger.open(f"sqlite:///{folder}/ledger.db")).close()

    asyncio.run(make())
    store(folder / "ledger.db", rows := list(records(LENGTH)), mend_head=True)
    keep = CheckpointFile(folder, (KEY,))
    for row in rows[EVERY - 1 : VOUCHED : EVERY]:
        keep.add(Checkpoint(VERSION, rows[0]["hash"], row["seq"], row["hash"], row["at"]))
    return Template(folder, rows)


def store(file: Path, rows: list[Row], mend_head: bool) -> None:
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("DELETE FROM audit")
        places = ", ".join(f":{name}" for name in COLUMNS)
        database.executemany(f"INSERT INTO audit ({', '.join(COLUMNS)}) VALUES ({places})", rows)
        head = rows[-1]["hash"] if rows else GENESIS
        if mend_head:
            database.execute("UPDATE audit_head SET seq = ?, hash = ?", (len(rows), head))


def verified(folder: Path) -> AuditReport:
    async def run_it() -> AuditReport:
        async with await Ledger.open(f"sqlite:///{folder}/ledger.db") as ledger:
            return await verify(ledger, CheckpointFile(folder, (KEY,)))

    return asyncio.run(run_it())


def independently(folder: Path) -> str | None:
    said: str | None = independent.fault(folder / "ledger.db", folder / "checkpoints.jsonl", [KEY])
    return said


def mutated(template: Template, folder: Path, change: Callable[[list[Row]], int], how: str) -> None:
    shutil.copytree(template.folder, folder, dirs_exist_ok=True)
    rows = [dict(row) for row in template.rows]
    first = change(rows)
    (hash_anew if how == "hashed anew" else number_anew)(rows, first)
    store(folder / "ledger.db", rows, mend_head=how != "head left")


def test_the_untouched_ledger_is_what_its_checkpoints_vouch_for(template: Template) -> None:
    report = verified(template.folder)
    assert (report.ok, report.rows) == (True, LENGTH)
    assert report.checkpoints
    assert (report.checkpoints.checked, report.checkpoints.after_last) == (9, LENGTH - VOUCHED)
    assert independently(template.folder) is None


@pytest.mark.timeout(900)
@pytest.mark.parametrize("how", ["hashed anew", "head mended", "head left"])
@pytest.mark.parametrize("mutate", MUTATIONS)
def test_no_mutation_of_what_is_vouched_for_goes_unnoticed(
    template: Template, tmp_path: Path, mutate: Callable[[list[Row], int, int], int], how: str
) -> None:
    """By this verifier or by an independent one; hashed anew, only the checkpoints can tell, and they do.

    Each mutation, at random places, 500 times when thorough: 167 for each way of covering it up.
    """
    for turn in range(count(1, 167)):
        chance = random.Random(f"{mutate.__name__} {how} {turn}")
        at, other = chance.randrange(VOUCHED), chance.randrange(VOUCHED)
        mutated(template, tmp_path, lambda rows, at=at, other=other: mutate(rows, at, other), how)
        report = verified(tmp_path)
        assert not report.ok, (at, other)
        assert independently(tmp_path), (at, other)
        if how == "hashed anew":
            assert report.first_fault is None
            assert report.checkpoints
            assert report.checkpoints.first_fault
            assert report.checkpoints.first_fault.at


def test_after_the_last_checkpoint_only_the_chain_speaks(template: Template, tmp_path: Path) -> None:
    """The limit of what is detected: a tail hashed anew with its head, where no checkpoint vouches for it yet."""
    mutated(template, tmp_path, lambda rows: edit(rows, VOUCHED, 0), "hashed anew")
    report = verified(tmp_path)
    assert report.ok
    assert report.checkpoints
    assert report.checkpoints.after_last == LENGTH - VOUCHED
    assert independently(tmp_path) is None
    mutated(template, tmp_path, lambda rows: edit(rows, VOUCHED, 0), "head mended")
    assert not verified(tmp_path).ok
