"""Fixtures that reach over folders: a real Prefect server, an own home, a local vendor."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import certifi
import httpx
import pytest

from tests.scheduling import Scheduling, longest_first

CHECKOUT = Path(__file__).parent.parent
os.environ.setdefault("PREFECT_HOME", str(CHECKOUT / ".cordboard/tests"))  # not the developer's own
Path(os.environ["PREFECT_HOME"]).mkdir(parents=True, exist_ok=True)
ONE_ROOT = Path(os.environ["PREFECT_HOME"]) / "one-root.pem"
if not ONE_ROOT.exists():
    ONE_ROOT.write_text("".join(Path(certifi.where()).read_text().partition("-----END CERTIFICATE-----\n")[:2]))
os.environ["SSL_CERT_FILE"] = str(ONE_ROOT)  # no test speaks TLS, and to read all roots takes a third of a small run
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
POSTGRES = os.environ.get("CORDBOARD_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432").rstrip("/")
for name in [name for name in os.environ if name.startswith(("CORDBOARD_", "CXONE_", "GENESYS_", "PREFECT_API_"))]:
    if not name.startswith("CORDBOARD_TEST_"):
        del os.environ[name]  # a developer's own tenant or server is never what a test talks to


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected stays to the end: it is looked through neither meanwhile nor in every test."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    return Scheduling(config, log)


@pytest.fixture(scope="session")
def prefect_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the Prefect server's database, empty at first.

    On PostgreSQL where there is one: on SQLite the server answers 503 to two writes at once, and the client then waits
    two seconds, so the same tests take several times as long.
    """
    with own_database() as database:
        yield database or f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('database')}/prefect.db"


@pytest.fixture(scope="session")
def prefect_server(prefect_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prefect server; yields its API URL."""
    from prefect.logging.handlers import APILogHandler
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    folder = tmp_path_factory.mktemp("prefect")
    with (
        serving_prefect(folder, prefect_database) as url,
        temporary_settings({PREFECT_API_URL: url, PREFECT_HOME: folder}),
    ):
        yield url
        APILogHandler().flush()  # else Prefect offers what is left to a server that is gone, for a minute, at exit


@contextmanager
def own_database() -> Iterator[str | None]:
    """A database of our own on the local PostgreSQL, dropped at the end; None where there is no PostgreSQL."""
    name = f"cordboard_prefect_{os.getpid()}"
    try:
        asyncio.run(_statement(f"CREATE DATABASE {name}"))
    except (OSError, asyncpg.PostgresError):
        yield None
        return
    try:
        yield f"{POSTGRES}/{name}".replace("postgresql:", "postgresql+asyncpg:")
    finally:
        asyncio.run(_statement(f"DROP DATABASE {name} WITH (FORCE)"))


async def _statement(text: str) -> None:
    connection = await asyncpg.connect(f"{POSTGRES}/postgres", timeout=3)
    try:
        await connection.execute(text)
    finally:
        await connection.close()


@contextmanager
def serving_prefect(folder: Path, database: str) -> Iterator[str]:
    """`prefect server start` on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": database,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "50",  # one by one they are half of its work
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",  # whole seconds: less is taken for none
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/api/health") or server.poll() is not None, 180)
        assert server.poll() is None, (folder / "server.log").read_text()
        yield f"http://127.0.0.1:{port}/api"
    finally:
        server.terminate()
        server.wait(30)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False, verify=False).status_code == 200
    except httpx.HTTPError:
        return False


def wait_until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    """Waits for something to become true; fails when it does not in time. The longer it takes, the rarer it asks."""
    began = time.monotonic()
    while not is_so():
        waited = time.monotonic() - began
        assert waited < seconds, f"not so within {seconds} s"
        time.sleep(max(0.01, waited / 20))


@pytest.fixture(name="wait_until", scope="session")
def _wait_until() -> Callable[..., None]:
    """`wait_until(predicate, seconds)`, the only way in which a test waits."""
    return wait_until


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder for everything that a run writes."""
    folder = tmp_path / "home"
    monkeypatch.setenv("CORDBOARD_HOME", str(folder))
    return folder


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of the checkout, as working directory."""
    monkeypatch.chdir(CHECKOUT)
    return CHECKOUT
