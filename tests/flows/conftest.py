"""Chains, written as text and run through the real flow on a real Prefect server against a real local vendor."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from cordboard.sandbox.definition import default_definition
from cordboard.sandbox.faults import Faults
from cordboard.sandbox.server import RunningSandbox, running_sandbox

CHECKOUT = Path(__file__).parents[2]


class Vendor(Protocol):
    """Starts a sandbox with further data actions and faults."""

    def __call__(self, *faults: dict[str, Any], **actions: dict[str, Any]) -> RunningSandbox: ...


class Run(Protocol):
    """Runs a chain and gives back its document."""

    def __call__(self, box: RunningSandbox, chain: str | Path, **asked: Any) -> dict[str, Any]: ...


class Start(Protocol):
    """Starts a job of `python -m flows` as a process of its own."""

    def __call__(self, box: RunningSandbox, *args: str | Path, **variables: str) -> subprocess.Popen[str]: ...


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
        from flows.run_chain import RunChain, run_chain

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
def start(prefect_server: str, home: Path) -> Iterator[Start]:
    """`start(box, "run-chain", file, "--json", NAME="value")`: with these variables; none outlives the test."""
    with ExitStack() as stack:

        def begin(box: RunningSandbox, *args: str | Path, **variables: str) -> subprocess.Popen[str]:
            ours = {"PREFECT_API_URL": prefect_server, "PREFECT_HOME": str(home / "prefect"), **box.env()}
            process = subprocess.Popen(
                [sys.executable, "-m", "flows", *map(str, args)],
                env={**os.environ, **ours, **variables},
                cwd=CHECKOUT,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            stack.callback(stack.enter_context(process).kill)
            return process

        yield begin


def write_chain(folder: Path, text: str) -> Path:
    """Writes a chain's text to a file."""
    path = folder / "chain.yaml"
    path.write_text(textwrap.dedent(text))
    return path


@pytest.fixture
def chain_file(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a chain to `chain.yaml`."""
    return lambda text: write_chain(tmp_path, text)
