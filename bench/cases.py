"""What is measured, each in a process of its own: `python -m bench.cases CASE` prints one JSON object.

Every case makes the same calls through the same client and differs only in what stands around them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from prefect import allow_failure, flow, task

from blocks.cxone import CXoneCredentials
from cordboard.settings import Settings
from cordboard.vendors.cxone import execute_data_action
from cordboard.vendors.session import VendorSession
from flows.run_chain import run_chain
from tasks.opening import RunChain

IN_FLIGHT = 50
PORT = os.environ.get("BENCH_PORT", "9799")


def credentials(delay_ms: int) -> CXoneCredentials:
    """A client of the bench's vendor; the delay stands in its base URL."""
    return CXoneCredentials(
        client_id="bench",
        client_secret="bench-secret",
        base_url=f"http://127.0.0.1:{PORT}/{delay_ms}",
        token_url=f"http://127.0.0.1:{PORT}/oauth/token",
    )


def session(delay_ms: int) -> VendorSession:
    """The very client that a run uses."""
    return credentials(delay_ms).get_client(Settings(in_flight=IN_FLIGHT))


async def call(client: VendorSession, n: int) -> None:
    """One data action."""
    request = execute_data_action("def-bench", {"n": n}, idempotent=False)
    answer = await client.call(request, timeout_seconds=30)
    assert answer.verdict.kind == "ok", answer


# What it is compared with ---------------------------------------------------------------------------------------


async def plain(shape: list[int], delay_ms: int) -> float:
    """Plain asyncio: each layer at once, layers one after another."""
    async with session(delay_ms) as client:
        await call(client, -1)  # the token, and one connection
        started = time.perf_counter()
        for width in shape:
            await asyncio.gather(*(call(client, n) for n in range(width)))
        return time.perf_counter() - started


async def naive(shape: list[int], delay_ms: int) -> float:
    """A naive flow: one Prefect task for every call, nothing recorded."""
    taken: list[float] = []

    @task(persist_result=False)
    async def one(client: VendorSession, n: int) -> None:
        await call(client, n)

    @flow(persist_result=False)
    async def naive_flow() -> None:
        async with session(delay_ms) as client:
            await call(client, -1)
            started = time.perf_counter()
            for width in shape:
                await asyncio.gather(*(one(client, n) for n in range(width)))
            taken.append(time.perf_counter() - started)

    await naive_flow()
    return taken[0]


async def empty_tasks(count: int) -> float:
    """What Prefect itself costs: tasks that do nothing, each drawn as waiting for the one before."""
    taken: list[float] = []

    @task(persist_result=False)
    async def nothing() -> None:
        return None

    @flow(persist_result=False)
    async def empty_flow() -> None:
        state = await nothing(return_state=True)
        started = time.perf_counter()
        for _ in range(count):
            state = await nothing(wait_for=[allow_failure(state)], return_state=True)
        taken.append(time.perf_counter() - started)

    await empty_flow()
    return taken[0]


# Ours -----------------------------------------------------------------------------------------------------------


async def ours(text: str, delay_ms: int, params: dict[str, Any]) -> dict[str, float]:
    """A chain through the real flow: the whole flow run, the chain inside it, and its actions."""
    file = Path(tempfile.mkdtemp()) / "chain.yaml"
    file.write_text(text)
    asked = RunChain(file=str(file), params=params)
    started = time.perf_counter()
    state = await run_chain(asked, credentials(delay_ms), None, return_state=True)
    whole = time.perf_counter() - started
    document = await state.aresult()
    assert document["status"] == "completed", document["failures"]
    ends = [(action["started_ms"], action["ended_ms"]) for action in document["actions"].values()]
    fan_out = max(end for _, end in ends) - min(start for start, _ in ends)
    return {"whole": whole, "actions": fan_out / 1000}


def row(length: int) -> str:
    """Actions in a row, each made from the one before."""
    return layers([1] * length)


def layers(shape: list[int]) -> str:
    """Layers of actions; each waits for one of the layer before and is made from it."""
    lines = ["kind: chain", "name: bench", "actions:"]
    for depth, width in enumerate(shape):
        for n in range(width):
            before = f'"{{{{ a{depth - 1}_{n % shape[depth - 1]}.n }}}}"' if depth else "0"
            lines.append(f"  a{depth}_{n}: {{definition_id: def-bench, inputs: {{n: {n}, before: {before}}}}}")
    return "\n".join(lines)


def fan(retries: int = 3) -> str:
    """One action for every item."""
    return f"""
kind: chain
name: bench
params: {{items: {{type: array, required: true}}}}
actions:
  each:
    definition_id: def-bench
    for_each: "{{{{ params.items }}}}"
    inputs: {{n: "{{{{ item }}}}"}}
    retries: {retries}
"""


ROW, GRAPH = [1] * 50, [50] * 20
#: Those that flood the server with task runs come last, so that nobody else's flow run waits for it to catch up.
CASES: dict[str, Callable[[], Awaitable[Any]]] = {
    **{f"plain-fan-{n}": (lambda n=n: plain([n], 50)) for n in (1_000, 10_000)},
    **{f"ours-fan-{n}": (lambda n=n: ours(fan(), 50, {"items": list(range(n))})) for n in (1_000, 10_000)},
    "empty-tasks": lambda: empty_tasks(50),
    **{f"plain-row-{ms}": (lambda ms=ms: plain(ROW, ms)) for ms in (0, 50)},
    **{f"ours-row-{ms}": (lambda ms=ms: ours(row(50), ms, {})) for ms in (0, 50)},
    **{f"naive-row-{ms}": (lambda ms=ms: naive(ROW, ms)) for ms in (0, 50)},
    "plain-graph": lambda: plain(GRAPH, 50),
    "ours-graph": lambda: ours(layers(GRAPH), 50, {}),
    "naive-graph": lambda: naive(GRAPH, 50),
    "naive-fan-1000": lambda: naive([1_000], 50),
}


async def measured(case: str) -> dict[str, Any]:
    """Runs a case after a warm-up flow run, so that no import and no first connection is counted."""
    await ours(row(1), 0, {})
    gc.collect()
    gc.freeze()  # as a run does: every case has the same heap behind it
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = await CASES[case]()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = result if isinstance(result, dict) else {"whole": result, "actions": result}
    return {"case": case, **seconds, "peak_mb": peak / 1024, "grown_mb": (peak - before) / 1024}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measured(sys.argv[1]))))
