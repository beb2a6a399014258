"""Simulate a call flow: the calls of a suite, with our engine, the vendor's or both; reports of what came of them."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact, acreate_progress_artifact, aupdate_progress_artifact
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import BaseModel, Field

from blocks.cxone import CXoneCredentials
from cordboard.errors import BadCall
from cordboard.ivr.model import Flow
from cordboard.ivr.reports import Report, as_document, to_markdown, write_reports
from cordboard.ivr.reports.storing import opened
from cordboard.ivr.suite import Suite, load_suite
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.vendors.transport import quiet_http_logs
from tasks.flow_artifacts import artifact_key
from tasks.observing import observed
from tasks.process import beside_the_point, cancelled_by_sigterm
from tasks.simulation import SLICE, Simulation, look_at_live, simulate_call, simulate_slice

Engine = Literal["local", "vendor", "both"]
PROGRESS_FROM = 20  # calls at the vendor, each of them two seconds


class SimulateIvr(BaseModel):
    """Which calls to simulate."""

    suite: str = Field(
        title="Suite",
        description="Path of the suite's file, from the root of the checkout.",
        examples=["examples/hospital_suite.yaml"],
        json_schema_extra={"position": 0},
    )
    engine: Engine = Field(
        default="local",
        title="Engine",
        description="`local` runs offline in milliseconds, `vendor` asks the tenant, `both` compares the two.",
        json_schema_extra={"position": 1},
    )
    report_dir: str = Field(
        default="",
        title="Report folder",
        description="Where reports are written; left empty, `reports` below the home folder.",
        json_schema_extra={"position": 2},
    )
    deadline_seconds: float = Field(
        default=28_800,
        gt=0,
        le=86_400,
        title="Deadline (seconds)",
        description="The vendor is asked for nothing after this long.",
        json_schema_extra={"position": 3},
    )


def run_name() -> str:
    """Name of the flow run in the UI: the suite, and the engine where it is not ours."""
    asked = flow_run.parameters.get("simulation", {})
    asked = asked if isinstance(asked, dict) else asked.model_dump()
    engine = asked.get("engine", "local")
    return Path(str(asked.get("suite", "suite"))).stem + ("" if engine == "local" else f" ({engine})")


@flow(name="simulate-ivr", flow_run_name=run_name, persist_result=False)
async def simulate_ivr(simulation: SimulateIvr, credentials: CXoneCredentials | None = None) -> State[Any]:
    """Makes every call of a suite and says which were not as they must be.

    Args:
        simulation: Which calls to simulate.
        credentials: The CXone tenant, where the vendor makes calls; where none is chosen, the worker's environment.

    Returns:
        Completed where every case passed, else Failed; the data is the document of the run.

    Raises:
        InvalidDocument: the suite or its flow cannot be read, with every fault; nothing was asked for.
    """
    quiet_http_logs()
    settings, suite = Settings.from_env(os.environ), load_suite(Path(simulation.suite))
    if suite.flow is None and simulation.engine != "vendor":
        raise BadCall(f"{simulation.suite} names a flow at the vendor: simulate it with the engine `vendor`")
    folder = Path(simulation.report_dir) if simulation.report_dir else settings.home / "reports"
    with opened(folder):  # a folder that cannot be written is told before the first call
        redactor, session = Redactor(), None
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(cancelled_by_sigterm())
        told = observed("simulation", redactor, call_flow=suite.flow_id, run_key=suite.name)
        trace_id = await stack.enter_async_context(told)
        if simulation.engine != "local":
            login = credentials or CXoneCredentials.from_env(os.environ)
            session = await stack.enter_async_context(login.get_client(settings, redactor, "debug"))
        run = Simulation(suite, trace_id, session, redactor, simulation.deadline_seconds)
        try:
            if simulation.engine != "vendor":
                await _locally(run)
            if session is not None:
                await look_at_live(run)
                await _at_vendor(run, settings.in_flight)
        except asyncio.CancelledError:  # what has been made is not lost
            await asyncio.shield(_concluded(run, simulation, folder))
            raise
    return await _concluded(run, simulation, folder)


async def _locally(run: Simulation) -> None:
    total = len(run.suite.cases)
    for start in range(0, total, SLICE):
        last = min(start + SLICE, total)
        label = f"{total} calls" if total <= SLICE else f"calls {start + 1} to {last} of {total}"
        await _state(simulate_slice, start, label, run)


async def _at_vendor(run: Simulation, in_flight: int) -> None:
    """One task a call, at the vendor's pace; a long suite shows how far it is."""
    cases, room, done = run.suite.cases, asyncio.Semaphore(in_flight), 0
    progress = None
    if len(cases) >= PROGRESS_FROM:
        async with beside_the_point("the progress bar"):
            progress = await acreate_progress_artifact(0.0, key=f"{artifact_key(run.suite.name)}-progress")

    async def call(number: int) -> None:
        nonlocal done
        async with room:
            await _state(simulate_call, cases[number].name, number, run)
        done += 1
        if progress and (done % max(len(cases) // 50, 1) == 0 or done == len(cases)):
            async with beside_the_point("the progress bar"):
                await aupdate_progress_artifact(progress, 100 * done / len(cases))

    await asyncio.gather(*(call(number) for number in range(len(cases))))


async def _concluded(run: Simulation, simulation: SimulateIvr, folder: Path) -> State[Any]:
    """Writes the reports, leaves the page in the UI, and says how the suite ended."""
    results = run.results(simulation.engine)
    report = Report(
        run.suite.name,
        run.suite.flow or Flow(run.suite.flow_id, "", (), ()),
        simulation.engine,
        datetime.now(UTC).isoformat(timespec="seconds"),
        results,
        run.coverage(results),
    )
    async with beside_the_point("the page of the run"):
        await acreate_markdown_artifact(
            to_markdown(report), key=f"{artifact_key(run.suite.name)}-simulation", description="What came of each call"
        )
    paths: list[str] = []
    async with beside_the_point("the reports"):
        paths = [str(path) for path in write_reports(report, folder)]
    document = as_document(report, paths)
    document["vendor_failures"] = sorted(run.kinds)
    document["only_here"] = {run.suite.cases[number].name: why for number, why in sorted(run.only_here.items())}
    _announce(run.suite, document)
    totals = report.totals
    message = f"{totals.passed} of {totals.all} calls passed"
    return (Completed if document["status"] == "passed" else Failed)(message=message, data=document)


def _announce(suite: Suite, document: dict[str, Any]) -> None:
    emit_event(
        event=f"cordboard.ivr.simulation.{document['status']}",
        resource={"prefect.resource.id": f"cordboard.ivr.{suite.flow_id}", "prefect.resource.name": suite.flow_id},
        payload={"suite": suite.name, "status": document["status"]},
    )


async def _state(task: Any, *given: Any) -> State[Any]:
    """Runs a task; what came of it is in the run, and its state is for the UI."""
    state: State[Any] = await task(*given, return_state=True)
    return state
