"""The database under the ledger: how it is opened, and that each of its failures says what to do."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cordboard.errors import BadCall, LedgerUnavailable
from cordboard.records.effects import Effect
from cordboard.records.ledger import Ledger

MakeEffect = Callable[..., Effect]


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///").partition("?")[0])


def open_and_close(url: str) -> None:
    async def run_it() -> None:
        await (await Ledger.open(url)).close()

    asyncio.run(run_it())


def test_the_ledger_is_its_owners_alone(sqlite_url: str) -> None:
    open_and_close(sqlite_url)
    file = path_of(sqlite_url)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_write_takes_the_lock_as_it_begins_and_syncs_as_it_commits(sqlite_url: str) -> None:
    """A transaction that only reads first and writes later would fail at once beside another writer."""

    async def run_it() -> None:
        async with await Ledger.open(sqlite_url) as ledger:
            with sqlite3.connect(path_of(sqlite_url), timeout=0, check_same_thread=False) as other:

                def meanwhile(connection: object, _: float) -> None:
                    with pytest.raises(sqlite3.OperationalError, match="locked"):
                        other.execute("BEGIN IMMEDIATE")

                await ledger.write(meanwhile)
                other.execute("BEGIN IMMEDIATE")
                other.rollback()
            pragmas = ("synchronous", "journal_mode")
            found = await ledger.write(lambda c, _: [c.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas])
            assert found == [2, "wal"]  # 2 is FULL

    asyncio.run(run_it())


def test_reading_waits_for_no_writer(sqlite_url: str) -> None:
    async def run_it() -> None:
        async with await Ledger.open(sqlite_url) as ledger:
            with sqlite3.connect(path_of(sqlite_url)) as other:
                other.execute("BEGIN IMMEDIATE")
                assert await ledger.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar()) == 1
                other.rollback()

    asyncio.run(run_it())


def test_a_ledger_that_another_process_keeps_locked_is_unavailable(sqlite_url: str, make_effect: MakeEffect) -> None:
    """The intent is refused, so nothing is sent; once the lock is gone the same run goes on."""

    async def run_it() -> None:
        async with (
            await Ledger.open(f"{sqlite_url}?timeout=0.05") as ledger,
            await ledger.claim_run("acme", "r1") as run,
        ):
            with sqlite3.connect(path_of(sqlite_url)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(LedgerUnavailable, match="another process keeps it locked"):
                    await run.intend(make_effect())
                other.rollback()
            await run.intend(make_effect())

    asyncio.run(run_it())


def test_a_newer_ledger_is_left_alone(ledger_url: str) -> None:
    async def make_newer() -> None:
        async with await Ledger.open(ledger_url) as ledger:
            await ledger.write(lambda c, _: c.exec_driver_sql("UPDATE schema_version SET version = 99"))

    asyncio.run(make_newer())
    with pytest.raises(LedgerUnavailable, match="version 99, made by a newer Cordboard"):
        open_and_close(ledger_url)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("no url", "must look like"),
        ("mysql://host/name", "not in mysql"),
        ("sqlite://", "give the SQLite URL a file"),
        ("sqlite:///:memory:", "give the SQLite URL a file"),
    ],
)
def test_a_url_of_no_ledger_is_refused(url: str, hint: str) -> None:
    with pytest.raises(BadCall, match=hint):
        open_and_close(url)


def test_a_file_that_is_no_ledger_is_named(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, just a long enough text " * 100)
    with pytest.raises(LedgerUnavailable, match=r"notes\.txt is unavailable: the file is no ledger"):
        open_and_close(f"sqlite:///{file}")
    assert file.read_text().startswith("not a database")


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(LedgerUnavailable, match="no server answers there") as failure:
        open_and_close("postgresql://user:hunter22@127.0.0.1:1/name")
    assert "127.0.0.1:1/name" in str(failure.value)
    assert "hunter22" not in str(failure.value)


def test_a_failure_shows_no_parameters(sqlite_url: str) -> None:
    """What was to be written never stands in an error text, a chained traceback included."""

    async def run_it() -> None:
        async with await Ledger.open(sqlite_url) as ledger:
            with pytest.raises(LedgerUnavailable) as failure:
                await ledger.write(lambda c, _: c.exec_driver_sql("INSERT INTO nothing VALUES (?)", ("a secret",)))
            assert "a secret" not in str(failure.value)
            assert failure.value.__cause__ is None
            assert failure.value.__suppress_context__

    asyncio.run(run_it())


def test_a_closed_ledger_says_so(sqlite_url: str, make_effect: MakeEffect) -> None:
    async def run_it() -> None:
        ledger = await Ledger.open(sqlite_url)
        run = await ledger.claim_run("acme", "r1")
        await ledger.close()
        with pytest.raises(LedgerUnavailable, match="closed"):
            await run.intend(make_effect())
        async with await Ledger.open(sqlite_url) as again:
            assert (await again.claim_run("acme", "r1")).epoch == 2  # closing gave the run back

    asyncio.run(run_it())
