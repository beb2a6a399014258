"""`python -m bench.trigger`: 10,000 starts of a workflow, against the physical limit and a client that records nothing.

    python -m bench.trigger [--starts N] [--many N] [--profile FILE]

The limit is starts x latency / calls in flight. *bare* is aiohttp and a few lines of asyncio that send the same bodies.
*workers* is `start_all` with its ledger on SQLite, without Prefect; *flow* is the real flow on a Prefect server. Each
is timed twice: from the first start to the last, and all of it, with every row checked, the results written and, in
the flow, the pages drawn. Each runs in a process of its own. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.batch import write_rows

IN_FLIGHT, LATENCY_MS = 50, 50
MAX_OF_LIMIT, ROWS_A_TASK, MAX_GROWTH = 1.3, 500, 1.2
FEW, MANY = 10_000, 200_000
TRIGGER = """
kind: trigger
workflow_id: wf_bench
priority: 3
safety: keyed
key: "{{ row.appointment }}"
context:
  customerId: {value: "{{ row.customer }}", data_type: string}
  phone: {value: "{{ row.phone }}", data_type: string}
  hoursBefore: {value: "{{ row.hours_before }}", data_type: integer}
  mayCall: {value: "{{ row.may_call }}", data_type: boolean}
  clinic: {value: {name: "{{ row.clinic }}", language: en}, data_type: object}
metadata: {sourceSystem: scheduling, appointment: "{{ row.appointment }}"}
"""


@dataclass(frozen=True, slots=True)
class Task:
    """What is measured.

    Attributes:
        folder: holds the trigger and the rows, and takes everything that is written.
        starts: how many rows there are.
        delay_ms: how long the vendor takes.
    """

    folder: Path
    starts: int
    delay_ms: int


def vendor_of(delay_ms: int) -> dict[str, Any]:
    """Where the vendor is, with the delay in its base URL, and who we are there."""
    root = f"http://127.0.0.1:{os.environ['BENCH_PORT']}"
    places = {"base_url": f"{root}/{delay_ms}", "token_url": f"{root}/oauth/token"}
    return {"client_id": "bench", "client_secret": "bench-secret", **places}


async def bare(task: Task) -> dict[str, float]:
    """The same calls by the fastest client that we know, and nothing else."""
    import aiohttp  # noqa: PLC0415  only what is measured is in memory

    url = f"{vendor_of(task.delay_ms)['base_url']}/api/v2/workflows/instances"
    numbers = iter(range(task.starts))
    context = {"customerId": "CUST-1", "phone": "+15550000001", "hoursBefore": 24, "mayCall": True}
    body = {"workflowId": "wf_bench", "priority": 3, "context": {**context, "clinic": {"name": "R", "language": "en"}}}

    async def sender(client: aiohttp.ClientSession) -> None:
        for number in numbers:
            metadata = {"sourceSystem": "scheduling", "appointment": f"APP-{number}", "cordboardReference": "f" * 64}
            async with client.post(url, json={**body, "metadata": metadata}) as reply:
                assert (await reply.json())["id"]

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=IN_FLIGHT)) as client:
        began = time.perf_counter()
        await asyncio.gather(*(sender(client) for _ in range(IN_FLIGHT)))
        seconds = time.perf_counter() - began
    return {"starts": seconds, "whole": seconds}


async def workers(task: Task) -> dict[str, float]:
    """What the flow does, without Prefect."""
    from cordboard.records.ledger import Ledger  # noqa: PLC0415
    from cordboard.redaction import Redactor  # noqa: PLC0415
    from cordboard.settings import Settings  # noqa: PLC0415
    from cordboard.starting.model import Batch, Progress  # noqa: PLC0415
    from cordboard.starting.pieces import StartRun  # noqa: PLC0415
    from cordboard.starting.results import write_results  # noqa: PLC0415
    from cordboard.starting.spool import spool_batch  # noqa: PLC0415
    from cordboard.starting.working import start_all  # noqa: PLC0415
    from cordboard.triggers.reading import load_trigger  # noqa: PLC0415
    from cordboard.vendors.login import CXoneLogin  # noqa: PLC0415
    from tasks.process import settled_heap  # noqa: PLC0415

    began, since = time.perf_counter(), datetime.now(UTC).isoformat(timespec="microseconds")
    trigger, settings, redactor = load_trigger(task.folder / "trigger.yaml"), Settings(in_flight=IN_FLIGHT), Redactor()
    batch = Batch(trigger, spool_batch(trigger, task.folder / "rows.csv", task.folder), "acme", "bench")
    async with (
        await Ledger.open(f"sqlite:///{task.folder}/ledger.db", redactor=redactor) as ledger,
        CXoneLogin(**vendor_of(task.delay_ms)).session(settings, redactor, "workflows", ahead=1.0) as session,
    ):
        progress = Progress(batch.spool.total, time.monotonic)
        opened = time.perf_counter()
        with settled_heap():
            await start_all(StartRun(batch, session, ledger, "1" * 32, progress))
        seconds = time.perf_counter() - opened
        await write_results(batch, ledger, task.folder / "results.csv", since)
    assert progress.started == task.starts, progress
    return {"starts": seconds, "whole": time.perf_counter() - began}


async def flow(task: Task) -> dict[str, float]:
    """The real flow, and how many task runs it made."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId  # noqa: PLC0415

    from blocks.cxone import CXoneCredentials  # noqa: PLC0415
    from flows.trigger_workflows import TriggerWorkflows, trigger_workflows  # noqa: PLC0415

    asked = TriggerWorkflows(trigger=str(task.folder / "trigger.yaml"), rows=str(task.folder / "rows.csv"))
    began = time.perf_counter()
    state: Any = await trigger_workflows(asked, CXoneCredentials(**vendor_of(task.delay_ms)), return_state=True)
    whole = time.perf_counter() - began
    document: dict[str, Any] = await state.aresult()
    assert document["started"] == task.starts, document
    run_id = state.state_details.flow_run_id
    assert run_id is not None
    async with get_client() as client:
        runs = await client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])))
    return {"starts": document["duration_ms"] / 1000, "whole": whole, "task_runs": len(runs)}


CASES: dict[str, Callable[[Task], Awaitable[dict[str, float]]]] = {"bare": bare, "workers": workers, "flow": flow}


def case(name: str, starts: int, delay_ms: int, profile: str = "") -> dict[str, float]:
    """One measurement in this process; `peak_mb` is the most memory that it ever held."""
    with tempfile.TemporaryDirectory() as folder:
        task = Task(Path(folder), starts, delay_ms)
        (task.folder / "trigger.yaml").write_text(TRIGGER)
        write_rows(task.folder / "rows.csv", starts)
        os.environ |= {"CORDBOARD_HOME": folder, "CORDBOARD_IN_FLIGHT": str(IN_FLIGHT)}
        if profile:
            with cProfile.Profile() as profiler:
                found = asyncio.run(_awaited(CASES[name](task)))
            profiler.dump_stats(profile)
        else:
            found = asyncio.run(_awaited(CASES[name](task)))
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {**found, "cpu": used.ru_utime + used.ru_stime, "peak_mb": used.ru_maxrss / 1024}


async def _awaited(work: Awaitable[dict[str, float]]) -> dict[str, float]:
    return await work


@contextmanager
def vendor() -> Iterator[None]:
    """The vendor as a process of its own, on a free port that our environment names."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ["BENCH_PORT"] = str(free.getsockname()[1])
    child = subprocess.Popen([sys.executable, "-m", "bench.vendor", os.environ["BENCH_PORT"]])
    try:
        yield
    finally:
        child.kill()
        child.wait()


def measure(name: str, starts: int, delay_ms: int, *options: str) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "bench.trigger", "--case", name, str(starts), str(delay_ms), *options]
    environment = {**os.environ, "PREFECT_LOGGING_LEVEL": "CRITICAL", "CORDBOARD_LEDGER_URL": ""}
    if name == "flow":
        from prefect.settings import PREFECT_API_URL  # noqa: PLC0415  only where it is needed

        environment["PREFECT_API_URL"] = PREFECT_API_URL.value()
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    print(f"  {name}, {starts:,} starts", file=sys.stderr, flush=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def disk_ms(folder: Path) -> float:
    """The median of what the disk takes to keep one page: each start waits for two such commits, shared with others."""
    taken = []
    with (folder / "page").open("wb", buffering=0) as file:
        for _ in range(100):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken)


def report(found: dict[str, dict[str, float]], starts: int, many: int) -> bool:
    """Prints the tables.

    Returns:
        Whether every bar is met.
    """
    limit, plain = starts * LATENCY_MS / 1000 / IN_FLIGHT, found["bare"]["starts"]
    print(f"{starts:,} starts, {LATENCY_MS} ms each, {IN_FLIGHT} in flight: {limit:.1f} s at the least")
    print(f"{'':<10}{'starts':>9}{'/ limit':>9}{'/ bare':>9}{'whole':>9}{'/ limit':>9}{'CPU s':>9}")
    for name in ("bare", "workers", "flow"):
        took, whole, cpu = (found[name][figure] for figure in ("starts", "whole", "cpu"))
        shown = (took, took / limit, took / plain, whole, whole / limit, cpu)
        print(f"{name:<10}" + "".join(f"{figure:>9.2f}" for figure in shown))
    tasks, allowed = found["flow"]["task_runs"], starts / ROWS_A_TASK
    print(f"task runs {tasks:.0f} (bar {allowed:.0f})")
    few, lots = found["few"]["peak_mb"], found["many"]["peak_mb"]
    print(f"peak memory: {FEW:,} starts {few:.0f} MB, {many:,} starts {lots:.0f} MB, ratio {lots / few:.2f}")
    print(f"  {many / found['many']['starts']:,.0f} starts a second without latency")
    slow = max(found[name]["starts"] / limit for name in ("workers", "flow"))
    print(f"bars: starts / limit {slow:.2f} (at most {MAX_OF_LIMIT}), memory {lots / few:.2f} (at most {MAX_GROWTH})")
    return slow <= MAX_OF_LIMIT and tasks <= allowed and lots / few <= MAX_GROWTH


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=MANY, help="rows of the large batch, whose memory is measured")
    parser.add_argument("--case", nargs=3, metavar=("NAME", "STARTS", "DELAY_MS"), help="measure in this process")
    parser.add_argument("--profile", default="", metavar="FILE", help="with --case: where to keep a profile")
    options = parser.parse_args()
    if options.case:
        name, starts, delay_ms = options.case
        print(json.dumps(case(name, int(starts), int(delay_ms), options.profile)))
        return 0
    from prefect.testing.utilities import prefect_test_harness  # noqa: PLC0415  only where it is needed

    with vendor(), tempfile.TemporaryDirectory() as folder:
        print(
            f"the disk keeps a page in {disk_ms(Path(folder)):.1f} ms, {os.getloadavg()[0]:.1f} processes want to run"
        )
        found = {name: measure(name, options.starts, LATENCY_MS) for name in ("bare", "workers")}
        found |= {"few": measure("workers", FEW, 0), "many": measure("workers", options.many, 0)}
        with prefect_test_harness(server_startup_timeout=180):
            found["flow"] = measure("flow", options.starts, LATENCY_MS)
    return 0 if report(found, options.starts, options.many) else 1


if __name__ == "__main__":
    sys.exit(main())
