"""Data actions as Prefect tasks: one task run for an action, one for each slice of a fan-out.

The ledger owns the repeats of a vendor call, inside the client. Prefect's own retries answer trouble of this process
(the ledger's disk was full, its database restarted), which is safe to repeat because the ledger is asked again first.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

from prefect import get_run_logger, task
from prefect.client.schemas.objects import State, StateType, TaskRun
from prefect.states import Completed, Failed
from prefect.tasks import Task, exponential_backoff

from cordboard.chains.model import Action
from cordboard.chains.results import ActionResult, ActionStatus
from cordboard.chains.steps import Broken, FanOut, Send, Skip, Step
from cordboard.errors import LedgerUnavailable
from cordboard.records.effects import EffectState
from cordboard.sending import Sent
from cordboard.telemetry import step
from tasks.chain_run import ChainRun, log

SLICE = 500


def is_process_trouble(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether Prefect may try a task again: only where the ledger could not be reached."""
    return isinstance(state.data, LedgerUnavailable)


#: Prefect's own repeats of a task that sends: only for trouble of this process, after which the ledger is asked again.
PROCESS_TROUBLE: dict[str, Any] = {
    "retries": 2,
    "retry_delay_seconds": exponential_backoff(backoff_factor=1),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_process_trouble,
}


@task(
    name="data-action",
    task_run_name="{action_id}",
    description="Calls one data action, recorded in the ledger before and after.",
    persist_result=False,
    **PROCESS_TROUBLE,
)
async def run_action(action_id: str, run: ChainRun) -> State[Any]:
    """Carries out the step that was decided for an action and keeps its result in `run.results`.

    Returns:
        A state that says in the UI how the action ended: Completed, Cached, Fallback, Skipped, Failed or Unknown.
    """
    action, started_ms = run.chain.actions[action_id], run.elapsed_ms()
    with step(f"action {action_id}", action=action_id) as span:
        result = await _result_of(action, run.steps[action_id], run)
        result = replace(result, started_ms=round(started_ms, 3), ended_ms=round(run.elapsed_ms(), 3))
        result = run.keep(action.id, result)
        span.ended(result.status, result.error)
        tell(action_id, result)
    return state_of(result)


@task(
    name="data-action-slice",
    task_run_name="{label}",
    description="Calls one data action for a slice of a fan-out's items, each recorded in the ledger.",
    persist_result=False,
    **PROCESS_TROUBLE,
)
async def run_slice(action_id: str, start: int, label: str, run: ChainRun) -> State[Any]:
    """Calls an action for a slice of its items from `start` on, many at a time, and keeps each end in `run.sent`."""
    action, fan, sent = run.chain.actions[action_id], run.fan_out(action_id), run.sent[action_id]
    indexes = range(start, min(start + SLICE, len(fan.items)))

    async def one(index: int) -> None:
        if sent[index] is None:  # else an earlier try of this task has it
            sent[index] = await run.send_item(action, index)

    # Trouble with one item must not cut off the calls of the others.
    with step(f"slice {action_id}", action=action_id, items=f"{indexes.start}-{indexes.stop - 1}"):
        ended_by = await asyncio.gather(*(one(index) for index in indexes), return_exceptions=True)
    for error in ended_by:
        if error is not None:
            raise error
    ends = Counter(item.state for index in indexes if (item := sent[index]))
    if ends[EffectState.DONE] < len(indexes):
        return Failed(message=f"{len(indexes) - ends[EffectState.DONE]} of {len(indexes)} items did not complete")
    reused = all(item.reused for index in indexes if (item := sent[index]))
    return Completed(name="Cached" if reused else "Completed", message=f"{len(indexes)} items")


async def finish_fan_out(
    action: Action, run: ChainRun, started_ms: float, troubles: Mapping[int, Mapping[str, Any]]
) -> None:
    """Keeps one result for a fan-out that began at `started_ms`, and tells of it.

    Args:
        action: the action.
        run: its run.
        started_ms: since the start of the run.
        troubles: what ended a slice early, by the index of its first item.
    """
    sent = run.sent[action.id]
    missing = [index for index, item in enumerate(sent) if item is None]
    if missing:
        ids = run.earlier.item_ids(action, run.fan_out(action.id))
        for start, trouble in troubles.items():
            lost = [index for index in missing if start <= index < start + SLICE]
            stands = await run.standing(action, [ids[index] for index in lost], trouble)
            for index, item in zip(lost, stands, strict=True):
                sent[index] = item
    gathered = _gathered(action, run.fan_out(action.id), [item for item in sent if item], run, started_ms)
    result = run.keep(action.id, gathered)
    tell(action.id, result)
    if not result.cached or action.id not in run.told:
        status: Literal["completed", "failed"] = "completed" if result.status == "completed" else "failed"
        facts = {"items": result.items, "error": result.error}
        try:
            await run.note(f"action.{status}", action.id, facts, run.messages(action.id, status, facts))
        except LedgerUnavailable as error:  # a rerun finds no record of it and tells then
            get_run_logger().error("%s ended %s, and that could not be put on record: %s", action.id, status, error)


async def begin_fan_out(action: Action, run: ChainRun) -> None:
    """Tells that a fan-out begins, unless an earlier run completed all of it.

    Raises:
        LedgerUnavailable: it cannot be told.
    """
    fan = run.fan_out(action.id)
    run.sent[action.id] = [None] * len(fan.items)
    if run.earlier.all_done(action, fan):
        return
    facts = {"items": len(fan.items)}
    await run.note("action.started", action.id, facts, run.messages(action.id, "started", facts))


def _gathered(action: Action, fan: FanOut, sent: Sequence[Sent], run: ChainRun, started_ms: float) -> ActionResult:
    ends = Counter(str(status_of(action, item)) for item in sent)
    worst = next((status for status in ("unknown", "failed") if ends[status]), "completed")
    errors = [{"item": index, **item.error} for index, item in enumerate(sent) if item.error]
    failed = worst != "completed"
    stand_in = action.on_failure.value  # null unless the action has a fallback
    result = ActionResult(
        ActionStatus(worst),
        output=[item.output if item.state is EffectState.DONE else stand_in for item in sent],
        available=True,
        cached=bool(sent) and all(item.reused and item.state is EffectState.DONE for item in sent),
        reason=run.earlier.why_items(action, fan),
        error=_items_error(errors, len(sent)) if failed else None,
        attempts=sum(item.attempts for item in sent),
        latency_ms=max((item.latency_ms for item in sent), default=0.0),
        latencies_ms=tuple(item.latency_ms for item in sent if item.attempts),
        items=dict(ends),
        fingerprint=fan.fingerprint.value,
        started_ms=round(started_ms, 3),
        ended_ms=round(run.elapsed_ms(), 3),
    )
    return after_failure(action, result) if failed else result


def status_of(action: Action, sent: Sent) -> ActionStatus:
    """How an action or item ended. Where a repeat is the same, an uncertain end is a plain failure: rerun it."""
    if sent.state is EffectState.DONE:
        return ActionStatus.COMPLETED
    unknown = sent.state is EffectState.UNKNOWN and not action.idempotent
    return ActionStatus.UNKNOWN if unknown else ActionStatus.FAILED


def after_failure(action: Action, result: ActionResult) -> ActionResult:
    """Applies the action's `on_failure` to a result that failed or cannot be known."""
    mode = action.on_failure.mode
    if mode == "fallback":
        known = result.status is ActionStatus.FAILED
        return replace(
            result,
            status=ActionStatus.COMPLETED if known else result.status,
            output=action.on_failure.value if result.items is None else result.output,
            available=True,
            reason=f"fell back after: {(result.error or {}).get('message', 'a failure')}",
        )
    if mode == "continue":
        return replace(result, available=result.items is not None)
    return replace(result, available=False, blocks=True)


def state_of(result: ActionResult) -> State[Any]:
    """The Prefect state of an action. It carries no data: Prefect logs what a failed state carries."""
    if result.status is ActionStatus.COMPLETED:
        name = "Cached" if result.cached else "Fallback" if result.error else "Completed"
        return Completed(name=name, message=result.reason or None)
    if result.status is ActionStatus.SKIPPED:
        return State(type=StateType.COMPLETED, name="Skipped", message=result.reason)
    name = "Unknown" if result.status is ActionStatus.UNKNOWN else "Failed"
    return Failed(name=name, message=str((result.error or {}).get("message", "")))


def tell(action_id: str, result: ActionResult) -> None:
    """Says how an action ended: in the log of the run, for the UI, and to whoever runs it by hand."""
    line = f"{action_id} {in_words(result)}"
    get_run_logger().log(logging.INFO if result.error is None else logging.WARNING, line)
    log.info(line)


def in_words(result: ActionResult) -> str:
    """One line on how an action ended, for logs and terminals."""
    if result.status is ActionStatus.SKIPPED:
        return f"skipped: {result.reason}"
    if result.cached and result.status is ActionStatus.COMPLETED:
        return result.reason
    items = f" {sum(result.items.values())} items" if result.items else ""
    took = f"{result.status}{items} in {result.ended_ms - result.started_ms:.0f} ms"
    cause = f": {result.error.get('message', '')}" if result.error else ""
    return took + cause + (f" ({result.reason})" if result.reason else "")


async def _result_of(action: Action, step: Step, run: ChainRun) -> ActionResult:
    match step:
        case Skip():
            await run.handle.record("action.skipped", action.id, {"reason": step.reason})
            return ActionResult(ActionStatus.SKIPPED, blocks=step.blocks, reason=step.reason)
        case Broken():
            error = {"kind": "binding", "message": step.message}
            result = ActionResult(ActionStatus.FAILED, error=error)
            await run.handle.record(
                "action.failed", action.id, error, messages=run.messages(action.id, "failed", {"error": error})
            )
            return after_failure(action, result)
        case Send():
            return await _send(action, step, run)
        case FanOut():
            return _gathered(action, step, (), run, run.elapsed_ms())  # nothing to do: the list is empty


async def _send(action: Action, step: Send, run: ChainRun) -> ActionResult:
    return ended(action, step, await run.send(action, step), run)


def ended(action: Action, step: Send, sent: Sent, run: ChainRun) -> ActionResult:
    """The result of an action from how its one effect ended."""
    result = ActionResult(
        status_of(action, sent),
        output=sent.output,
        available=sent.state is EffectState.DONE,
        cached=sent.reused and sent.state is EffectState.DONE,
        reason=run.earlier.why(action, step.fingerprint),
        error=sent.error,
        attempts=sent.attempts,
        latency_ms=round(sent.latency_ms, 3),
        latencies_ms=(sent.latency_ms,) if sent.attempts else (),
        fingerprint=run.earlier.generation(action, step.fingerprint),
    )
    return result if sent.state is EffectState.DONE else after_failure(action, result)


def _items_error(errors: list[dict[str, Any]], total: int) -> dict[str, Any]:
    kinds = Counter(error.get("kind", "") for error in errors)
    kind = kinds.most_common(1)[0][0]
    shown = 20  # the ledger has them all; a document with 10,000 errors helps nobody
    return {
        "kind": kind,
        "kinds": dict(kinds),
        "message": f"{len(errors)} of {total} items did not complete; item {errors[0]['item']}: {errors[0]['message']}",
        "items": errors[:shown],
    }
