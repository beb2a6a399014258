"""Ledgers for the tests: an SQLite file each, and a PostgreSQL database each where a server answers."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from cordboard.records.effects import Effect

POSTGRES = os.environ.get("CORDBOARD_TEST_POSTGRES", "postgresql+asyncpg://postgres@127.0.0.1:5432/test")

MakeEffect = Callable[..., Effect]


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state' / 'ledger.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty ledger, on each database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state' / 'ledger.db'}"
        return
    name = f"cordboard_{uuid.uuid4().hex[:12]}"
    try:
        _on_server(f'CREATE DATABASE "{name}"')
    except (OSError, asyncpg.PostgresError) as error:
        pytest.skip(f"no PostgreSQL for tests ({type(error).__name__}); set CORDBOARD_TEST_POSTGRES")
    yield f"{POSTGRES.rpartition('/')[0]}/{name}"
    _on_server(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def make_effect() -> MakeEffect:
    """Makes effects that differ in what a test names."""

    def make(logical_id: str = "r1/notify/1", body: str = "a", safety: str = "neither", tenant: str = "acme") -> Effect:
        return Effect(tenant, "dataactions.execute", logical_id, body * 64, f"notify {logical_id}", safety)

    return make


def _on_server(statement: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(POSTGRES.replace("+asyncpg", ""), timeout=5)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())
