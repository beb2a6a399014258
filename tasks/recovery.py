"""Finds flow runs that broke off, resumes those that may go on, and looks afterwards whether they do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import DeploymentResponse, SetStateStatus
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Crashed

from cordboard.records.audit import about
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle
from cordboard.recovery.judging import Act, Bounds, Found, Judgement, judge
from tasks.recovery_ground import JOBS, another_job, ground_of, in_hand

RESUMED, CLOSED, LEFT, LOST = "recovery.resumed", "recovery.closed", "recovery.left", "recovery.lost"
_KINDS = {Act.RESUME: RESUMED, Act.CLOSE: CLOSED, Act.LEAVE: LEFT}
_PAGE = 100
_SIGNS_APART = 60.0  # seconds; two heartbeats of a run are not further apart
_BEGUN = [StateType.PENDING, StateType.RUNNING, StateType.COMPLETED, StateType.FAILED, StateType.CRASHED]


@dataclass(eq=False, slots=True)
class Recovery:
    """One search; not a value: what was done is written into it.

    Attributes:
        client: of the Prefect API.
        ledger: what was sent, and who holds what.
        handle: this search in the ledger.
        home: folder for what runs write.
        bounds: when a run counts as broken off.
        within: how old a run may be.
        alive: ids of the flow runs whose processes run on this host.
        dry_run: whether nothing is changed at all.
        ours: the deployment of this very flow; runs of deployments that run elsewhere are another project's.
        rows: what was done with each run, and why.
        deployments: by id, as far as they were asked for.
    """

    client: PrefectClient
    ledger: Ledger
    handle: RunHandle
    home: Path
    bounds: Bounds
    within: timedelta
    alive: frozenset[str]
    dry_run: bool = False
    ours: DeploymentResponse | None = None
    rows: list[dict[str, str]] = field(default_factory=list)
    deployments: dict[UUID, DeploymentResponse | None] = field(default_factory=dict)


async def recover(recovery: Recovery, verify_seconds: float) -> None:
    """Looks at every run that broke off, does what may be done, and verifies it.

    Args:
        recovery: the search; what was done stands in its `rows`.
        verify_seconds: how long it waits before it looks whether another report has overwritten what it set.
    """
    resumed: dict[UUID, dict[str, str]] = {}
    async for run, job in _broken_off(recovery):
        found, key = await _found(recovery, run, job)
        judgement = judge(found, recovery.bounds)
        if not recovery.dry_run and judgement.act is not Act.LEAVE:
            judgement = await _carried_out(recovery, run, judgement)
        row = {"run": run.name, "id": str(run.id), "job": job, "did": str(judgement.act), "why": judgement.why}
        recovery.rows.append(row)
        await _note(recovery, run, judgement, {"job": job, "ledger_key": key, "resumed": found.resumed})
        if judgement.act is Act.RESUME and not recovery.dry_run:
            resumed[run.id] = row
    if resumed:
        await asyncio.sleep(verify_seconds)
        for run_id, row in resumed.items():
            await _verify(recovery, run_id, row)


async def _broken_off(recovery: Recovery) -> AsyncIterator[tuple[FlowRun, str]]:
    """Runs of our deployments that crashed, or say that they are running or about to; the oldest first.

    A worker that dies between taking a run and starting it leaves that run pending, and no other worker takes it up.
    """
    kinds = FlowRunFilterStateType(any_=[StateType.CRASHED, StateType.RUNNING, StateType.PENDING])
    wanted = FlowRunFilter(
        state=FlowRunFilterState(type=kinds),
        deployment_id=FlowRunFilterDeploymentId(is_null_=False),
        expected_start_time=FlowRunFilterExpectedStartTime(after_=datetime.now(UTC) - recovery.within),
    )
    for run in await _all_runs(recovery.client, wanted):
        job = await _job_of(recovery, run)
        if job and run.parent_task_run_id is None:
            yield run, job


async def _all_runs(client: PrefectClient, wanted: FlowRunFilter) -> list[FlowRun]:
    found: list[FlowRun] = []
    while True:
        page = await client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE, offset=len(found))
        found += page
        if len(page) < _PAGE:
            return sorted(found, key=lambda run: run.expected_start_time or datetime.now(UTC))


async def _job_of(recovery: Recovery, run: FlowRun) -> str:
    """The entry point of the run's flow; empty where its deployment is none of this project."""
    known, wanted = recovery.deployments, run.deployment_id
    assert wanted is not None
    if wanted not in known:
        try:
            known[wanted] = await recovery.client.read_deployment(wanted)
        except ObjectNotFound:
            known[wanted] = None
    deployment = known[wanted]
    if deployment is None or (recovery.ours and _place(deployment) != _place(recovery.ours)):
        return ""
    job = (deployment.entrypoint or "").replace(".py:", ".").replace("/", ".")
    return job if job in JOBS else ""


def _place(deployment: DeploymentResponse) -> str:
    """Where a deployment's code is: two checkouts on one server have the same entry points."""
    return json.dumps([deployment.path, deployment.pull_steps], default=str, sort_keys=True)


async def _found(recovery: Recovery, run: FlowRun, job: str) -> tuple[Found, str]:
    """What is to be known of a run, and its key in the ledger where that was looked for.

    Files are read last, and only for a run that would be touched: those of a batch may be large.
    """
    found = await _seen(recovery, run)
    if judge(found, recovery.bounds).act is Act.LEAVE:
        return found, ""
    ground = await ground_of(job, run.parameters, str(run.id), recovery.home)
    hindrance = ground.hindrance or await another_job(recovery.ledger, ground)
    # What says that it runs may have claimed its run after its last sign of life, where that was its very first one.
    silent = found.silent_seconds - (_SIGNS_APART if found.is_running else 0.0)
    held, taken_up = await in_hand(recovery.ledger, ground.key, recovery.ledger.clock() - silent)
    return replace(found, is_held=held, is_taken_up=taken_up, hindrance=hindrance), ground.key


async def _seen(recovery: Recovery, run: FlowRun) -> Found:
    state, now = run.state, datetime.now(UTC)
    assert state is not None
    history = await recovery.client.read_flow_run_states(run.id)
    stable = (now - state.timestamp).total_seconds()
    is_running = _is_under_way(state)
    return Found(
        is_running=is_running,
        stable_seconds=stable,
        silent_seconds=await silent_seconds(recovery, run, stable) if is_running else stable,
        states=[each.type.value for each in history],
        resumed=await _times_resumed(recovery, run),
        again=await _again(recovery.client, run, state),
        is_process_alive=str(run.id) in recovery.alive,
    )


def _is_under_way(state: State[Any]) -> bool:
    return state.is_running() or state.is_pending()


async def silent_seconds(recovery: Recovery, run: FlowRun, stable: float) -> float:
    """Since the last event of the run or of its tasks: heartbeats are events too.

    Args:
        recovery: the search.
        run: which says that it is running.
        stable: seconds since its state was set, which was a sign of life as well.
    """
    since = datetime.now(UTC) - timedelta(seconds=recovery.bounds.silent_seconds + 1)
    asked = {
        "filter": {
            "occurred": {"since": since.isoformat()},
            "any_resource": {"id": [f"prefect.flow-run.{run.id}"]},
            "order": "DESC",
        },
        "limit": 1,
    }
    events = (await recovery.client.request("POST", "/events/filter", json=asked)).json()["events"]
    if not events:
        return stable
    last = datetime.fromisoformat(events[0]["occurred"].replace("Z", "+00:00"))
    return min(stable, (datetime.now(UTC) - last).total_seconds())


async def _times_resumed(recovery: Recovery, run: FlowRun) -> int:
    """How often it was resumed; what another report overwrote does not count."""
    kinds = [row["kind"] for row in await _records(recovery, run)]
    return kinds.count(RESUMED) - kinds.count(LOST)


async def _again(client: PrefectClient, run: FlowRun, state: State[Any]) -> str:
    """A later run of the same deployment with the same parameters, which makes this one pointless."""
    wanted = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[run.deployment_id] if run.deployment_id else []),
        expected_start_time=FlowRunFilterExpectedStartTime(after_=run.expected_start_time),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_BEGUN)),
    )
    ended = run.end_time or state.timestamp
    for each in await _all_runs(client, wanted):
        is_later = each.id != run.id and each.start_time is not None and each.start_time >= ended
        if is_later and each.parameters == run.parameters:
            return each.name
    return ""


async def _carried_out(recovery: Recovery, run: FlowRun, judgement: Judgement) -> Judgement:
    """Sets the states, by the server's own rules and only over the state that was judged."""
    client = recovery.client
    now = await client.read_flow_run(run.id)
    if now.state is None or run.state is None or now.state.id != run.state.id:
        return Judgement(Act.LEAVE, "its state changed while it was looked at")
    if _is_under_way(run.state):
        crashed: State[Any] = Crashed(message=f"Closed by recover-runs: {judgement.why}.")
        if (await client.set_flow_run_state(run.id, crashed)).status is not SetStateStatus.ACCEPT:
            return Judgement(Act.LEAVE, "the server did not let it be said to have crashed")
    if judgement.act is Act.RESUME:
        waiting: State[Any] = AwaitingRetry(message=f"Resumed by recover-runs: {judgement.why}.")
        if (await client.set_flow_run_state(run.id, waiting)).status is not SetStateStatus.ACCEPT:
            return Judgement(Act.LEAVE, "the server did not let it be scheduled again")
    return judgement


async def _verify(recovery: Recovery, run_id: UUID, row: dict[str, str]) -> None:
    """Notes where a late report of the crash overwrote what was set; the next search finds the run again."""
    states = [each.type for each in await recovery.client.read_flow_run_states(run_id)]
    after = states[len(states) - states[::-1].index(StateType.SCHEDULED) :] if StateType.SCHEDULED in states else states
    if after and after[-1] is StateType.CRASHED and StateType.RUNNING not in after:
        row["did"], row["why"] = "lost", "a late report of the crash overwrote it; the next search resumes it again"
        await recovery.handle.record(LOST, str(run_id), {"why": row["why"]})


async def _note(recovery: Recovery, run: FlowRun, judgement: Judgement, facts: Mapping[str, Any]) -> None:
    """Puts it on the audit record; that a run is left, once for each reason."""
    if recovery.dry_run:
        return
    kind, words = _KINDS[judgement.act], " ".join(word for word in judgement.why.split() if not word.isdigit())
    if judgement.act is Act.LEAVE:
        last = [json.loads(row["detail"]) for row in await _records(recovery, run) if row["kind"] == LEFT][-1:]
        if last and last[0].get("reason") == words:
            return
    await recovery.handle.record(kind, str(run.id), {**facts, "run": run.name, "why": judgement.why, "reason": words})


async def _records(recovery: Recovery, run: FlowRun) -> list[dict[str, Any]]:
    return await about(recovery.ledger, recovery.handle.tenant, str(run.id), "recovery.")


def alive_here(processes: Path = Path("/proc")) -> frozenset[str]:
    """Ids of the flow runs whose processes run on this host and may be looked at by us."""
    found = set()
    for each in processes.glob("[0-9]*/environ"):
        try:
            variables = each.read_bytes().split(b"\0")
        except OSError:  # gone, or another user's
            continue
        name = b"PREFECT__FLOW_RUN_ID="
        found |= {value.removeprefix(name).decode(errors="replace") for value in variables if value.startswith(name)}
    return frozenset(found)
