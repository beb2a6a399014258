"""Chains, written as text and run through the real flow on a real Prefect server against a real local vendor."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

import asyncpg
import httpx
import pytest

from cordboard.sandbox.definition import default_definition
from cordboard.sandbox.faults import Faults
from cordboard.sandbox.server import RunningSandbox, running_sandbox
from tests.flows.forked import Forked

CHECKOUT = Path(__file__).parents[2]


class Vendor(Protocol):
    """Starts a sandbox with further data actions and faults."""

    def __call__(self, *faults: dict[str, Any], **actions: dict[str, Any]) -> RunningSandbox: ...


class Run(Protocol):
    """Runs a chain and gives back its document."""

    def __call__(self, box: RunningSandbox, chain: str | Path, **asked: Any) -> dict[str, Any]: ...


class Start(Protocol):
    """Starts a job of `python -m flows` in a process of its own."""

    def __call__(self, box: RunningSandbox, *args: str | Path, **variables: str) -> Forked | subprocess.Popen[str]: ...


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """`vendor(fault, …, name={"echo": True})`: a sandbox with the data actions `def-name` beside the default ones."""
    with ExitStack() as stack:

        def start(*faults: dict[str, Any], **actions: dict[str, Any]) -> RunningSandbox:
            more = {f"def-{name.replace('_', '-')}": behaviour for name, behaviour in actions.items()}
            definition = default_definition().changed(data_actions={"def-echo": {"echo": True}, **more})
            return stack.enter_context(running_sandbox(definition, Faults.of(*faults)))

        yield start


@pytest.fixture
def run(prefect_server: str, home: Path, tmp_path: Path) -> Run:
    """Runs a chain, from its text or its file, in this process; the run key is `test` unless another is given."""

    def start(box: RunningSandbox, chain: str | Path, **asked: Any) -> dict[str, Any]:
        from blocks.cxone import CXoneCredentials
        from flows.run_chain import run_chain
        from tasks.opening import RunChain

        file = chain if isinstance(chain, Path) else write_chain(tmp_path, chain)
        webhook = asked.pop("webhook", None)
        request = RunChain(file=str(file), **({"run_key": "test"} | asked))

        async def flow() -> dict[str, Any]:
            state = await run_chain(request, CXoneCredentials.from_env(box.env()), webhook, return_state=True)
            found = await state.aresult(raise_on_failure=False)
            if isinstance(found, BaseException):
                raise found
            return json.loads(json.dumps(found))  # what a caller sees is JSON

        return asyncio.run(flow())

    return start


@pytest.fixture
def start(prefect_server: str, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """`start(box, "run-chain", file, "--json", NAME="value")`: with these variables; none outlives the test.

    The process is forked from one that has imported Prefect. `start_anew` is for what shows only from the beginning.
    """
    with ExitStack() as stack:

        def begin(box: RunningSandbox, *args: str | Path, **variables: str) -> Forked:
            environment = _variables(prefect_server, home, box) | variables
            process = Forked([*map(str, args)], environment, tmp_path_factory.mktemp("job"))
            stack.callback(process.kill)
            return process

        yield begin


@pytest.fixture
def start_anew(prefect_server: str, home: Path) -> Iterator[Start]:
    """As `start`, and it is the command itself, which imports Prefect for seconds."""
    with ExitStack() as stack:

        def begin(box: RunningSandbox, *args: str | Path, **variables: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows", *map(str, args)],
                env=_variables(prefect_server, home, box) | variables,
                cwd=CHECKOUT,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            stack.callback(stack.enter_context(process).kill)
            return process

        yield begin


def _variables(server: str, home: Path, box: RunningSandbox) -> dict[str, str]:
    return {**os.environ, "PREFECT_API_URL": server, "PREFECT_HOME": str(home / "prefect"), **box.env()}


def write_chain(folder: Path, text: str) -> Path:
    """Writes a chain's text to a file."""
    path = folder / "chain.yaml"
    path.write_text(textwrap.dedent(text))
    return path


@pytest.fixture
def chain_file(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a chain to `chain.yaml`."""
    return lambda text: write_chain(tmp_path, text)


@pytest.fixture(scope="session")
def prefect_keeps(
    prefect_server: str, prefect_database: str, wait_until: Callable[..., None]
) -> Callable[[], dict[str, bytes]]:
    """`prefect_keeps()`: everything that Prefect's server keeps, through its API and in the raw database."""

    def read() -> dict[str, bytes]:
        from prefect.events import emit_event
        from prefect.logging.handlers import APILogHandler

        APILogHandler().flush()  # what this process logged and told has arrived when its last event has
        last = emit_event("cordboard.last", {"prefect.resource.id": f"cordboard.{os.getpid()}"})
        wait_until(lambda: str(last and last.id).encode() in through_api(prefect_server)["events of the API"])
        return through_api(prefect_server) | {"database": asyncio.run(raw(prefect_database))}

    return read


def through_api(server: str) -> dict[str, bytes]:
    """What anybody may read who can reach the Prefect server; secrets of blocks are not asked for."""
    found = {}
    with httpx.Client(base_url=server, trust_env=False) as client:
        for kind in ("flow_runs", "task_runs", "logs", "artifacts", "block_documents"):
            pages: list[Any] = []
            while not pages or len(pages[-1]) == 200:
                asked = {"limit": 200, "offset": len(pages) * 200}
                pages.append(client.post(f"/{kind}/filter", json=asked).raise_for_status().json())
            found[f"{kind} of the API"] = json.dumps(pages, ensure_ascii=False).encode()
        found["events of the API"] = client.post("/events/filter", json={"limit": 50}).content
    return found


async def raw(database: str) -> bytes:
    """Every row of every table as text; for SQLite, its files."""
    if database.startswith("sqlite"):
        return b"".join(file.read_bytes() for file in Path(database.partition("///")[2]).parent.iterdir())
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [await connection.fetch(f'SELECT t::text FROM "{name}" t') for (name,) in tables]
    finally:
        await connection.close()
    return "\n".join(text for table in rows for (text,) in table).encode()


@pytest.fixture(scope="module")
def kept_log() -> Iterator[StringIO]:
    """Every log record of this process from DEBUG on, as a log file would have it, and its raw arguments."""
    kept, levels = StringIO(), {logger: logger.level for logger in map(logging.getLogger, ("", "prefect"))}
    handler = logging.StreamHandler(kept)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s %(args)r"))
    for logger in levels:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
    yield kept
    for logger, level in levels.items():
        logger.setLevel(level)
        logger.removeHandler(handler)
