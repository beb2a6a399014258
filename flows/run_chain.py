"""Run a chain of data actions: each action a task run, independent ones at the same time, every effect once."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from prefect import allow_failure, flow
from prefect.blocks.system import Secret
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import BaseModel, Field

from blocks.cxone import CXoneCredentials
from blocks.webhook import WebhookEndpoint, endpoint_from_env
from cordboard.chains.model import Action, load_chain
from cordboard.chains.params import bind_params, secrets_from_env
from cordboard.chains.results import ActionResult, ActionStatus, ChainStatus
from cordboard.chains.steps import FanOut, next_step
from cordboard.errors import BadCall
from cordboard.records.ledger import Ledger
from cordboard.records.relay import Relay
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.vendors.transport import quiet_http_logs
from cordboard.vendors.webhook import Endpoint, WebhookSender
from tasks.artifacts import publish
from tasks.chain_document import chain_document, keep_document
from tasks.chain_run import ChainRun
from tasks.data_actions import SLICE, begin_fan_out, finish_fan_out, run_action, run_slice

SLICES_AT_ONCE = 2  # one that drains while the next one fills, so that memory does not grow with the items


class RunChain(BaseModel):
    """What to run."""

    file: str = Field(
        title="Chain file",
        description="Path of the chain file, from the root of the checkout.",
        examples=["examples/customer_sync.yaml"],
        json_schema_extra={"position": 0},
    )
    params: dict[str, Any] = Field(
        default_factory=dict,
        title="Parameters",
        description="Values for the chain's `params`, as a JSON object.",
        json_schema_extra={"position": 1},
    )
    secrets: dict[str, str] = Field(
        default_factory=dict,
        title="Secret parameters",
        description="For each parameter that the chain declares secret, the name of a Prefect Secret block.",
        json_schema_extra={"position": 4},
    )
    run_key: str = Field(
        default="",
        title="Run key",
        description="Leave empty for a new run. With the key of an earlier run, what completed then is reused.",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,127})?$",
        json_schema_extra={"position": 2},
    )
    deadline_seconds: float = Field(
        default=3600,
        gt=0,
        le=86400,
        title="Deadline (seconds)",
        description="Nothing starts after this long; calls that are open then are ended.",
        json_schema_extra={"position": 3},
    )


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
    async with _cancelled_by_sigterm(), _opened(chain, credentials, webhook, redactor) as run:
        await run.handle.record("run.started", run.chain.name, {"file": chain.file, "trace_id": run.trace_id})
        with _settled_heap():
            await _conduct(run)
        document = redactor.value(chain_document(run))
        await run.handle.record("run.ended", run.chain.name, {"status": document["status"]})
        keep_document(run.settings.home, document)
        await publish(run, document)
    return _state_of(document)


@asynccontextmanager
async def _cancelled_by_sigterm() -> AsyncIterator[None]:
    """Lets SIGTERM cancel this flow, as Ctrl-C does: calls that are open are put on record before the process ends.

    Prefect's handler raises out of the event loop, which then cancels all its tasks at once, the ledger's writer too.
    """
    loop, flow_task, before = asyncio.get_running_loop(), asyncio.current_task(), signal.getsignal(signal.SIGTERM)
    assert flow_task is not None
    try:
        loop.add_signal_handler(signal.SIGTERM, flow_task.cancel)
    except (RuntimeError, ValueError):  # not in the main thread, or not on Unix
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)


@asynccontextmanager
async def _opened(
    asked: RunChain, credentials: CXoneCredentials | None, webhook: WebhookEndpoint | None, redactor: Redactor
) -> AsyncIterator[ChainRun]:
    """Checks everything that can be checked offline, then opens client, ledger and webhook relay, and closes them."""
    quiet_http_logs()
    settings = Settings.from_env(os.environ)
    chain = load_chain(Path(asked.file))
    secrets = {**secrets_from_env(chain, os.environ), **await _secrets_from_blocks(asked.secrets)}
    params = bind_params(chain, asked.params, secrets)
    redactor.learn(*secrets.values())
    endpoint = endpoint_from_env(settings, webhook)
    client = (credentials or CXoneCredentials.from_env(os.environ)).get_client(settings, redactor)
    run_key = asked.run_key or str(flow_run.id or uuid.uuid4())
    ledger = await Ledger.open(settings.ledger, redactor=redactor)
    try:
        handle = await ledger.claim_run(settings.tenant, f"{chain.name}/{run_key}", kind="chain")
        try:
            async with client as session, _relaying(ledger, endpoint, settings):
                yield ChainRun(
                    chain,
                    params,
                    run_key=run_key,
                    session=session,
                    handle=handle,
                    settings=settings,
                    redactor=redactor,
                    endpoint=endpoint.ref if endpoint else None,
                    known=await handle.all_entries() if handle.epoch > 1 else {},
                    deadline=time.monotonic() + asked.deadline_seconds,
                )
        finally:
            await handle.release()
    finally:
        await ledger.close()


async def _secrets_from_blocks(names: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for param, block in names.items():
        try:
            secret: Any = await Secret.aload(block)
            found[param] = str(secret.get())
        except ValueError as error:
            raise BadCall(f"no Secret block {block!r} for the parameter {param}: {error}") from None
    return found


@asynccontextmanager
async def _relaying(ledger: Ledger, endpoint: Endpoint | None, settings: Settings) -> AsyncIterator[None]:
    """Delivers status webhooks beside the run; what cannot be delivered in time stays in the outbox."""
    if endpoint is None:
        yield
        return
    async with WebhookSender(endpoint) as sender, Relay(ledger, sender) as relay:
        yield
        await relay.flush(settings.webhook_flush_seconds)


@contextmanager
def _settled_heap() -> Iterator[None]:
    """Keeps what was there before out of the garbage collector while calls are made.

    Prefect's modules are some 200,000 objects; walking them again and again took a fifth of a large fan-out's time.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


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

    async with asyncio.TaskGroup() as group:
        for name in plan.order:
            group.create_task(conduct(name))


async def _carry_out(run: ChainRun, action: Action, upstream: tuple[str, ...], waits: list[Any]) -> list[State[Any]]:
    step = next_step(action, run.params, {name: run.results[name] for name in upstream}, run.mask)
    run.steps[action.id] = step
    if isinstance(step, FanOut) and step.items:
        return await _fan_out(run, action, len(step.items), waits)
    task: Any = run_action.with_options(task_run_name=action.id, timeout_seconds=_net(run, action))
    state = await task(action.id, run, wait_for=waits, return_state=True)
    if action.id not in run.results:
        run.keep(action.id, await _ended_by_trouble(state))
    return [state]


async def _fan_out(run: ChainRun, action: Action, items: int, waits: list[Any]) -> list[State[Any]]:
    room = asyncio.Semaphore(SLICES_AT_ONCE)

    async def slice_from(start: int) -> State[Any]:
        async with room:
            last = min(start + SLICE, items)
            task: Any = run_slice.with_options(task_run_name=_slice_name(action, start, last, items))
            state: State[Any] = await task(action.id, start, run, wait_for=waits, return_state=True)
            return state

    started = run.elapsed_ms()
    await begin_fan_out(action, run)
    states = await asyncio.gather(*(slice_from(start) for start in range(0, items, SLICE)))
    await finish_fan_out(action, run, started)
    return states


def _slice_name(action: Action, start: int, last: int, items: int) -> str:
    return (
        f"{action.id} ({items} items)" if last - start == items else f"{action.id} ({start + 1} to {last} of {items})"
    )


def _net(run: ChainRun, action: Action) -> float:
    """Prefect's timeout of a task: a net under the client's own, which ends each call and keeps its evidence."""
    return action.timeout_seconds + run.settings.retry_total_seconds + 30


async def _ended_by_trouble(state: State[Any]) -> ActionResult:
    cause = await state.aresult(raise_on_failure=False)
    error = {"kind": type(cause).__name__, "message": str(cause) or state.message or "the task ended without a result"}
    return ActionResult(ActionStatus.FAILED, error=error, blocks=True)


def _state_of(document: dict[str, Any]) -> State[Any]:
    done = sum(action["status"] == ActionStatus.COMPLETED for action in document["actions"].values())
    message = f"{done} of {len(document['actions'])} actions completed; run key {document['run_key']}"
    if document["status"] == ChainStatus.COMPLETED:
        return Completed(message=message, data=document)
    name = "Partial" if document["status"] == ChainStatus.PARTIAL else "Failed"
    return Failed(name=name, message=message, data=document)
