"""Run a chain of data actions: each action a task run, independent ones at the same time, every effect once."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from pathlib import Path
from typing import Any

from prefect import allow_failure, flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from blocks.cxone import CXoneCredentials
from blocks.webhook import WebhookEndpoint
from cordboard.chains.model import Action
from cordboard.chains.results import ActionResult, ActionStatus, ChainStatus
from cordboard.chains.steps import FanOut, Send, Step, next_step
from cordboard.errors import LedgerUnavailable
from cordboard.redaction import Redactor
from tasks.artifacts import publish
from tasks.chain_document import chain_document
from tasks.chain_run import ChainRun
from tasks.data_actions import (
    SLICE,
    after_failure,
    begin_fan_out,
    ended,
    finish_fan_out,
    run_action,
    run_slice,
)
from tasks.documents import keep_document
from tasks.opening import RunChain, opened
from tasks.process import all_of, beside_the_point, cancelled_by_sigterm, settled_heap

NET_SECONDS = 60  # for the ledger and the token, beside what the run allows
SLICES_AT_ONCE = 2  # one that drains while the next one fills, so that memory does not grow with the items


def run_name() -> str:
    """Name of the flow run in the UI: the chain's file and, on a rerun, its key."""
    asked = flow_run.parameters.get("chain", {})
    asked = asked if isinstance(asked, dict) else asked.model_dump()
    stem = Path(str(asked.get("file", "chain"))).stem.replace("_", "-")
    return f"{stem} ({asked['run_key']})" if asked.get("run_key") else stem


@flow(name="run-chain", flow_run_name=run_name, persist_result=False)
async def run_chain(
    chain: RunChain, credentials: CXoneCredentials | None = None, webhook: WebhookEndpoint | None = None
) -> State[Any]:
    """Runs a chain of data actions kept as a file.

    Args:
        chain: What to run.
        credentials: The CXone tenant; where none is chosen, the worker's environment (`CXONE_*`).
        webhook: Receiver of status webhooks; where none is chosen, the worker's environment.

    Returns:
        Completed, or Failed with the name Partial or Failed; the data is the document of the run.

    Raises:
        InvalidDocument: the file or its parameters are faulty; every fault is listed, nothing was sent.
    """
    redactor = Redactor()
    async with cancelled_by_sigterm(), opened(chain, credentials, webhook, redactor) as run:
        await run.handle.record("run.started", run.chain.name, {"file": chain.file, "trace_id": run.trace_id})
        with settled_heap():
            await _conduct(run)
        document = redactor.value(chain_document(run))
        keep_document(run.settings.home, run.chain.name, run.run_key, document)
        await run.note("run.ended", run.chain.name, {"status": document["status"]})
        async with beside_the_point("the page of the run"):
            await publish(run, document)
    return _state_of(document)


async def _conduct(run: ChainRun) -> None:
    """Starts each action as soon as its upstreams have ended, at most `in_flight` at once."""
    plan = run.plan
    states: dict[str, list[State[Any]]] = {}
    ended = {name: asyncio.Event() for name in plan.order}
    room = asyncio.Semaphore(run.settings.in_flight)

    async def conduct(name: str) -> None:
        upstream = plan.upstream[name]
        for above in upstream:
            await ended[above].wait()
        async with room:
            waits = [allow_failure(state) for above in upstream for state in states[above]]
            states[name] = await _carry_out(run, run.chain.actions[name], upstream, waits)
        ended[name].set()

    await all_of(conduct(name) for name in plan.order)


async def _carry_out(run: ChainRun, action: Action, upstream: tuple[str, ...], waits: list[Any]) -> list[State[Any]]:
    step = next_step(action, run.params, {name: run.results[name] for name in upstream}, run.named_params)
    run.steps[action.id] = step
    if isinstance(step, FanOut) and step.items:
        return await _fan_out(run, action, len(step.items), waits)
    state = await _within(run_action, run.allowed_seconds)(action.id, run, wait_for=waits, return_state=True)
    if action.id not in run.results:
        run.keep(action.id, await _after_trouble(run, action, step, await _trouble_of(state)))
    return [state]


async def _fan_out(run: ChainRun, action: Action, items: int, waits: list[Any]) -> list[State[Any]]:
    room = asyncio.Semaphore(SLICES_AT_ONCE)

    async def slice_from(start: int) -> State[Any]:
        async with room:
            label = _label(action, start, min(start + SLICE, items), items)
            slice_task = _within(run_slice, run.allowed_seconds)
            state: State[Any] = await slice_task(action.id, start, label, run, wait_for=waits, return_state=True)
            return state

    started = run.elapsed_ms()
    try:
        await begin_fan_out(action, run)
    except LedgerUnavailable as error:
        failed = ActionResult(ActionStatus.FAILED, error={"kind": "ledger", "message": str(error)})
        run.keep(action.id, after_failure(action, failed))
        return []
    starts = range(0, items, SLICE)
    states = await asyncio.gather(*(slice_from(start) for start in starts))
    troubles = {start: await _trouble_of(state) for start, state in zip(starts, states, strict=True)}
    await finish_fan_out(action, run, started, troubles)
    return states


def _label(action: Action, start: int, last: int, items: int) -> str:
    whole = last - start == items
    return f"{action.id} ({items} items)" if whole else f"{action.id} ({start + 1} to {last} of {items})"


@lru_cache(maxsize=64)
def _within(task: Any, seconds: float) -> Any:
    """The task with Prefect's timeout as a net under the run's own deadline, which ends each call with its evidence.

    Waiting for a free connection may take most of what the run allows, so no shorter time would do. Cached, because
    Prefect reads a task's source anew each time that its options change.
    """
    return task.with_options(timeout_seconds=seconds + NET_SECONDS)


async def _trouble_of(state: State[Any]) -> dict[str, Any]:
    """What ended a task that kept no result, as an error for people."""
    cause = await state.aresult(raise_on_failure=False) if state.data is not None else None
    kind = "ledger" if isinstance(cause, LedgerUnavailable) else type(cause).__name__ if cause else "crashed"
    return {"kind": kind, "message": str(cause or "") or state.message or "the task ended without a result"}


async def _after_trouble(run: ChainRun, action: Action, step: Step, trouble: dict[str, Any]) -> ActionResult:
    """The result of an action whose task kept none: by what the ledger says of its effect."""
    if not isinstance(step, Send):
        return after_failure(action, ActionResult(ActionStatus.FAILED, error=trouble))
    (sent,) = await run.standing(action, [run.earlier.id_of(action, step.fingerprint)], trouble)
    return ended(action, step, sent, run)


def _state_of(document: dict[str, Any]) -> State[Any]:
    done = sum(action["status"] == ActionStatus.COMPLETED for action in document["actions"].values())
    message = f"{done} of {len(document['actions'])} actions completed; run key {document['run_key']}"
    if document["status"] == ChainStatus.COMPLETED:
        return Completed(message=message, data=document)
    name = "Partial" if document["status"] == ChainStatus.PARTIAL else "Failed"
    return Failed(name=name, message=message, data=document)
