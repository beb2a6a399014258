"""How a batch that was checked is started: what it holds open, its pieces as tasks, and what came of it."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from prefect.events import emit_event
from prefect.utilities.annotations import quote

from blocks.cxone import CXoneCredentials
from cordboard.completion.erp import erp_endpoint
from cordboard.errors import CordboardError
from cordboard.records.outbox import deliver_due
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.starting.clients import require_same_client
from cordboard.starting.document import batch_document
from cordboard.starting.model import Batch, Progress
from cordboard.starting.pieces import StartRun
from cordboard.starting.places import Places
from cordboard.starting.results import write_results
from cordboard.starting.spool import Piece
from cordboard.starting.waiting import wait_for_ends
from cordboard.starting.working import start_all
from cordboard.vendors.webhook import WebhookSender
from tasks.batch_pages import publish_batch, shown_progress
from tasks.connections import Connections, connected
from tasks.documents import file_name, keep_document
from tasks.process import beside_the_point, settled_heap
from tasks.starts import start_instances, state_of


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which conditions a batch is started.

    Attributes:
        calls_per_second: at the most, in this worker; None takes the setting.
        patience_seconds: how long the vendor may start nothing before the run gives up.
        wait_seconds: how long to wait for the ends of the instances; None for not at all.
    """

    calls_per_second: float | None
    patience_seconds: float
    wait_seconds: float | None


async def conduct(batch: Batch, login: CXoneCredentials, settings: Settings, conditions: Conditions) -> dict[str, Any]:
    """Starts a batch, beside other workers that do the same.

    Args:
        batch: what is started.
        login: the tenant.
        settings: of this process.
        conditions: how fast, and how patiently.

    Returns:
        The document of the run, also where it ended early.
    """
    progress = Progress(batch.spool.total, asyncio.get_running_loop().time)
    async with AsyncExitStack() as stack:
        began, redactor = datetime.now(UTC).isoformat(timespec="microseconds"), Redactor()
        worker = f"{os.getpid()}-{os.urandom(3).hex()}"
        connections = await stack.enter_async_context(_connected(batch, login, redactor, conditions, worker))
        run = await _opened(stack, batch, progress, connections, worker, conditions.patience_seconds)
        ends, trouble = await _started(run, connections, conditions)
        path = settings.home / "runs" / "workflow starts" / f"{file_name(batch.run_key)}.csv"
        results = await write_results(batch, connections.ledger, path, began)
        document: dict[str, Any] = redactor.value(batch_document(batch, progress, results, trouble, ends))
        names = ("status", "total", "started", "already_started", "failed", "unknown")
        await connections.handle.record("batch.ended", batch.run_key, {name: document[name] for name in names})
    _announce(batch, document)
    keep_document(settings.home, "workflow starts", batch.run_key, document)
    async with beside_the_point("the page of the run"):
        await publish_batch(document)
    return document


def _connected(batch: Batch, login: CXoneCredentials, redactor: Redactor, conditions: Conditions, worker: str) -> Any:
    return connected(
        f"{batch.ledger_key}/worker-{worker}",
        kind="workflow-starts",
        api="workflows",
        credentials=login,
        webhook=None,
        redactor=redactor,
        calls_per_second=conditions.calls_per_second,
        # Who gets ready while others are open is in doubt where the process dies: few, where doubt is for good.
        ahead=0.2 if batch.trigger.safety == "neither" else 1.0,
        workflow=batch.trigger.workflow_id,
    )


async def _opened(  # noqa: PLR0913, PLR0917
    stack: AsyncExitStack,
    batch: Batch,
    progress: Progress,
    connections: Connections,
    worker: str,
    patience_seconds: float,
) -> StartRun:
    def told(reason: str) -> None:
        progress.waiting = reason

    session, ledger = connections.session, connections.ledger
    if not connections.settings.tenant:
        await require_same_client(batch, ledger)
    facts = {"workflow_id": batch.trigger.workflow_id, "starts": batch.spool.total, "content": batch.spool.digest}
    await connections.handle.record("batch.began", batch.run_key, {**facts, "limit": batch.limit})
    places = None
    if batch.limit is not None:
        waiting = Places(batch, ledger, session, worker, told, patience_seconds=patience_seconds)
        places = await stack.enter_async_context(waiting)
    await stack.enter_async_context(shown_progress(batch, progress))
    return StartRun(batch, session, ledger, connections.trace_id, progress, places, patience_seconds)


async def _started(
    run: StartRun, connections: Connections, conditions: Conditions
) -> tuple[dict[str, int] | None, str]:
    """How the instances ended, where that is waited for, and why the run ended early, where it did."""
    try:
        with settled_heap():
            await start_all(run, partial(_start_piece, run))
        run.progress.finish()
        wait = conditions.wait_seconds
        return None if wait is None else await _ends(run, connections, wait), ""
    except CordboardError as error:
        run.progress.finish()
        return None, str(error)


async def _ends(run: StartRun, connections: Connections, seconds: float) -> dict[str, int]:
    """Waits for the ends of the instances, and sends the ERP what came of them."""
    endpoint = erp_endpoint(connections.settings, run.batch.tenant)
    found = await wait_for_ends(run, connections.handle, endpoint.ref if endpoint else None, seconds)
    if endpoint:
        async with WebhookSender(endpoint) as sender:
            await deliver_due(connections.ledger, sender)
    return found


async def _start_piece(run: StartRun, piece: Piece) -> int | None:
    """Starts a piece as a task of its own; what every start would meet ends the flow too."""
    state = await state_of(start_instances, _label(run, piece), quote(piece), quote(run))
    if state.is_failed() and state.name != "Partial":
        error = await state.aresult(raise_on_failure=False)
        raise error if isinstance(error, BaseException) else RuntimeError(str(state.message))
    return None if state.name == "Elsewhere" else 0


def _label(run: StartRun, piece: Piece) -> str:
    total = run.batch.spool.total
    return f"{piece.count} instances" if piece.count == total else f"{piece.first} to {piece.last} of {total}"


def _announce(batch: Batch, document: dict[str, Any]) -> None:
    emit_event(
        event=f"cordboard.workflow.batch.{document['status']}",
        resource={
            "prefect.resource.id": f"cordboard.workflow.{batch.trigger.workflow_id}",
            "prefect.resource.name": batch.trigger.workflow_id,
        },
        payload={name: document[name] for name in ("run_key", "status", "total", "started", "failed", "unknown")},
    )
