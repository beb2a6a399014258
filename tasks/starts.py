"""Starts of a batch as Prefect tasks: check all of it, then a thousand starts a task."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from prefect import task
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from cordboard.starting.pieces import StartRun, start_piece
from cordboard.starting.spool import Piece, Spool, spool_batch
from cordboard.triggers.model import Trigger


@task(name="check-batch", task_run_name="check every row", persist_result=False)
async def check_rows(trigger: Trigger, rows: Path | None, home: Path) -> Spool:
    """Checks a batch and keeps what is to be sent; nothing is sent.

    Args:
        trigger: says how to start the workflow.
        rows: the file of a batch, or None.
        home: folder for everything a run writes.

    Raises:
        InvalidDocument, BadCall: there is no batch that could be read.
    """
    return await asyncio.to_thread(spool_batch, trigger, rows, home, keep_faulty=True)


async def state_of(wanted: Any, *given: Any) -> State[Any]:
    """Runs a task and gives back its state, a form that Prefect's types do not have for tasks that are awaited."""
    state: State[Any] = await wanted(*given, return_state=True)
    return state


@task(name="start-instances", task_run_name="start {label}", persist_result=False)
async def start_instances(label: str, piece: Piece, run: StartRun) -> State[Any]:
    """Starts the instances of a piece, many at a time, each on record before it is sent.

    It has no retries: the ledger knows what was sent, and a rerun goes on from there.

    Args:
        label: names the task run.
        piece: the starts.
        run: the batch.
    """
    wrong = await start_piece(run, piece)
    if wrong is None:
        return Completed(name="Elsewhere", message="another worker has it in hand")
    if wrong:
        return Failed(name="Partial", message=f"{wrong} of {piece.count} failed or cannot be known")
    return Completed(message=f"{piece.count} starts")
