"""The database under the ledger: how it is opened, and what its failures mean to people.

SQLite: WAL, `synchronous=FULL` (an intent must survive a power cut before the first byte leaves) and BEGIN IMMEDIATE
for every write, since a read that turns into a write fails at once whatever the timeout. WAL does not work on network
file systems: several machines share a ledger through PostgreSQL.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from cordboard.errors import BadCall, LedgerUnavailable

T = TypeVar("T")
DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+asyncpg"}
LOCK_SECONDS = 30.0
_MENDS = (
    ("disk is full", "its disk is full; free some space and run again"),
    ("no space left", "its disk is full; free some space and run again"),
    ("disk i/o", "its disk refuses to write (full, a quota or a fault); free some space or mend it and run again"),
    ("readonly", "it may not be written; give this user write access to the file and its folder"),
    (
        "permission denied for",
        "the server refuses this user; grant it USAGE and CREATE on the schema, and its tables",
    ),
    ("permission denied", "it may not be opened; give this user access to the file and its folder"),
    ("locked", "another process keeps it locked; find that process, end it, then run again"),
    ("unable to open", "it cannot be opened; check that the folder exists and that this user may write in it"),
    ("not a database", "the file is no ledger; move it away, or set CORDBOARD_LEDGER_URL to another place"),
    ("malformed", "the file is damaged; restore it from a backup"),
    ("connect call failed", "no server answers there; start it or correct CORDBOARD_LEDGER_URL"),
    ("password authentication", "the server refuses user or password; correct CORDBOARD_LEDGER_URL"),
    ("does not exist", "the server does not know that database or user; correct CORDBOARD_LEDGER_URL"),
)


def ledger_url(text: str) -> URL:
    """Reads a ledger's URL and picks the driver we ship for it.

    Raises:
        BadCall: not a URL, another database, or an SQLite ledger that would live in memory only.
    """
    try:
        url = make_url(text)
    except ArgumentError:
        raise BadCall("the ledger URL must look like sqlite:////path/ledger.db or postgresql://host/name") from None
    if (driver := DRIVERS.get(url.get_backend_name())) is None:
        raise BadCall(f"a ledger lives in SQLite or PostgreSQL, not in {url.get_backend_name()}")
    if url.get_backend_name() == "sqlite" and (not url.database or ":memory:" in url.database):
        raise BadCall("a ledger must outlive its process: give the SQLite URL a file")
    return url.set(drivername=driver)


def sqlite_file(url: URL) -> Path | None:
    """The file of an SQLite ledger."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


class Database(Protocol):
    """Runs functions over a connection, each in one transaction."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs it in a transaction that holds the write lock from its beginning, and commits."""

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs it on one consistent view."""

    async def close(self) -> None:
        """Closes every connection."""


def open_database(url: URL) -> Database:
    """The database behind a ledger's URL; nothing is connected yet."""
    return PostgresDatabase(url) if sqlite_file(url) is None else SqliteDatabase(url)


class SqliteDatabase:
    """SQLite, with the synchronous driver and a thread for readers and one for the writer.

    The asynchronous driver changes threads for every statement, which costs more than the statements of a small
    transaction themselves; here a whole transaction is one change of thread.
    """

    def __init__(self, url: URL) -> None:
        defaults = {} if "timeout" in url.query else {"timeout": LOCK_SECONDS}
        self._engine = create_engine(url, hide_parameters=True, connect_args=defaults)
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)
        self._immediate = self._engine.execution_options(immediate=True)
        self._writer = ThreadPoolExecutor(1, "ledger-writer")
        self._reader = ThreadPoolExecutor(1, "ledger-reader")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs it after BEGIN IMMEDIATE, and commits."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._run, self._immediate, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs it on a snapshot, beside any writer."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._run, self._engine, work)

    async def close(self) -> None:
        """Ends the threads and closes every connection."""
        self._writer.shutdown()
        self._reader.shutdown()
        self._engine.dispose()

    @staticmethod
    def _run(engine: Engine, work: Callable[[Connection], T]) -> T:
        with engine.begin() as connection:
            return work(connection)


class PostgresDatabase:
    """PostgreSQL, with the asynchronous driver."""

    def __init__(self, url: URL) -> None:
        self._engine = create_async_engine(url, hide_parameters=True, pool_pre_ping=True)
        self._snapshot = self._engine.execution_options(isolation_level="REPEATABLE READ")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs it and commits; the audit head's row lock lets one writer in at a time."""
        async with self._engine.begin() as connection:
            return await connection.run_sync(work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs it on a snapshot."""
        async with self._snapshot.begin() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        """Closes every connection."""
        await self._engine.dispose()


def make_file(file: Path) -> None:
    """Makes an SQLite ledger's folder (0700) and file (0600) where there are none; leaves existing ones as they are."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """Turns every failure of the database into one that names the ledger and how to mend it.

    Raises:
        LedgerUnavailable: the database failed. Its text never holds a statement's parameters or a password.
    """
    try:
        yield
    except (SQLAlchemyError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise LedgerUnavailable(f"the ledger {_name(url)} is unavailable: {_mend(error)}") from None


def _name(url: URL) -> str:
    return str(sqlite_file(url) or url.render_as_string(hide_password=True))


def _mend(error: Exception) -> str:
    said = str(getattr(error, "orig", None) or error)
    known = next((mend for sign, mend in _MENDS if sign in said.lower()), None)
    return known or f"{type(error).__name__}: {said.splitlines()[0][:200] if said else 'no details'}"


def _configure(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own: `_begin` does
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
