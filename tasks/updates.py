"""Updates of live call flows as Prefect tasks: join the edit with what is live, rehearse, save, read back."""

from __future__ import annotations

from typing import Any

from prefect import get_run_logger, task
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from cordboard.findings import errors_in
from cordboard.records.effects import EffectState
from cordboard.sending import Sent
from cordboard.updating import callers, loop
from cordboard.updating.run import UpdateRun
from cordboard.updating.saving import is_overtaken, read_back, save
from tasks.data_actions import PROCESS_TROUBLE


@task(name="join-edit", task_run_name="join the edit with what is live", persist_result=False)
async def join(run: UpdateRun) -> State[Any]:
    """Reads the live flow, joins the edit with it and checks what comes of it, into `run.proposal`."""
    await loop.join(run)
    if run.status == "saved":
        return Completed(message=f"an earlier run saved it as version {run.version}")
    proposal = run.proposed
    if proposal.merged is None:
        return Failed(name="Conflict", message="; ".join(each.sentence for each in proposal.conflicts[:5]))
    faults = errors_in(proposal.findings)
    if faults:
        return Failed(name="Invalid", message="; ".join(f"[{each.rule}] {each.message}" for each in faults[:5]))
    count = len(proposal.differences)
    return Completed(message=f"version {proposal.version}, {count} change{'' if count == 1 else 's'}")


@task(name="rehearse-flow", task_run_name="rehearse the merged flow", persist_result=False)
async def rehearse(run: UpdateRun) -> State[Any]:
    """Makes the calls of the suites on the merged flow, before it is anybody's."""
    await loop.rehearse(run)
    rehearsals = run.proposed.rehearsals
    broken = [f"{each.suite}: {result.name}" for each in rehearsals for result in each.broken]
    if broken:
        return Failed(name="Invalid", message=f"calls are not as they must be: {'; '.join(broken[:5])}")
    return Completed(message=f"{sum(len(each.results) for each in rehearsals)} calls")


@task(name="compare-behaviour", task_run_name="say what callers notice", persist_result=False)
async def compare(run: UpdateRun) -> State[Any]:
    """Says what is different for callers, into `run.noticed`."""
    if why := callers.compare(run):
        return Failed(name="NotCompared", message=why)
    count = len(run.noticed or ())
    return Completed(message=f"{count} thing{'' if count == 1 else 's'} that callers notice")


@task(name="save-flow", task_run_name="save {flow_id}", persist_result=False, **PROCESS_TROUBLE)
async def save_flow(flow_id: str, run: UpdateRun) -> State[Any]:
    """Saves the merged flow once, over the version that it was made for.

    Args:
        flow_id: names the task run.
        run: the update.
    """
    await save(run)
    assert run.sent is not None
    state = state_of_save(run.sent, run)
    get_run_logger().info("%s %s", flow_id, state.name)
    return state


def state_of_save(sent: Sent, run: UpdateRun) -> State[Any]:
    """How a save stands in the UI; one that came too late is made anew in the next round, and is no plan."""
    if sent.state is EffectState.DONE:
        return Completed(message=f"version {run.version}")
    name = "overtaken" if is_overtaken(sent) else run.status
    return Failed(name=name.title(), message=str((sent.error or {}).get("message", "")))


@task(name="verify-flow", task_run_name="read {flow_id} back", persist_result=False)
async def verify(flow_id: str, run: UpdateRun) -> State[Any]:
    """Reads the saved version back and compares it with what was sent.

    Args:
        flow_id: names the task run.
        run: the update.
    """
    await read_back(run)
    if run.verified:
        return Completed(message="the vendor has what was sent")
    if run.status == "unverified":
        return Failed(name="Unverified", message="; ".join(run.differences[:5]))
    return Completed(name="Overwritten", message="; ".join(run.notes[-1:]))
