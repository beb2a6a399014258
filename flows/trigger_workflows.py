"""Start instances of a workflow: one, or every row of a batch, each once, however often it is run."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.utilities.annotations import quote
from pydantic import BaseModel, Field

from blocks.cxone import CXoneCredentials
from cordboard.completion.erp import erp_endpoint
from cordboard.errors import CordboardError
from cordboard.records.ledger import Ledger
from cordboard.records.outbox import deliver_due
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.starting.document import batch_document, planned_document
from cordboard.starting.explaining import explain
from cordboard.starting.model import Batch, Progress, batch_run_key, single_run_key
from cordboard.starting.pieces import StartRun
from cordboard.starting.places import Places
from cordboard.starting.results import write_results
from cordboard.starting.source import rows_file
from cordboard.starting.spool import Piece, Spool, spool_batch
from cordboard.starting.waiting import wait_for_ends
from cordboard.starting.working import start_all
from cordboard.triggers.model import Trigger
from cordboard.triggers.reading import load_trigger
from cordboard.vendors.webhook import WebhookSender
from tasks.batch_pages import publish_batch, shown_progress
from tasks.connections import Connections, connected
from tasks.documents import file_name, keep_document
from tasks.process import beside_the_point, cancelled_by_sigterm, settled_heap
from tasks.starts import check_rows, start_instances


class TriggerWorkflows(BaseModel):
    """What to start."""

    trigger: str = Field(
        title="Trigger file",
        description="Path of the trigger (`kind: trigger`), from the root of the checkout.",
        examples=["examples/reminders.yaml"],
        json_schema_extra={"position": 0},
    )
    rows: str = Field(
        default="",
        title="Rows",
        description="CSV or JSONL file of a batch, or its https address. `{today}` stands for the date in UTC.",
        examples=["examples/reminders.csv", "https://files.example.org/reminders-{today}.csv"],
        json_schema_extra={"position": 1},
    )
    run_key: str = Field(
        default="",
        max_length=128,
        pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]*)?$",
        title="Run key",
        description="Go on with an earlier run. Empty: by the content of a batch, so that the same file goes on.",
        json_schema_extra={"position": 2},
    )
    max_concurrent: int = Field(
        default=0,
        ge=0,
        title="Instances at once",
        description="The workflow's limit of instances that run at once; 0 takes that of the trigger file.",
        json_schema_extra={"position": 3},
    )
    rate: float = Field(
        default=0,
        ge=0,
        title="Calls a second",
        description="At the most, in each worker; 0 takes the worker's setting. It adapts to the vendor's answers.",
        json_schema_extra={"position": 4},
    )
    skip_faulty: bool = Field(
        default=False,
        title="Leave faulty rows out",
        description="Start the rows that fit. Otherwise one row that does not fit keeps all of them from being sent.",
        json_schema_extra={"position": 5},
    )
    dry_run: bool = Field(
        default=False,
        title="Check only",
        description="Check every row and send nothing.",
        json_schema_extra={"position": 6},
    )
    wait: bool = Field(
        default=False,
        title="Wait for the ends",
        description="Ask the vendor until every instance has ended; for vendors that do not report ends themselves.",
        json_schema_extra={"position": 8},
    )
    wait_minutes: float = Field(
        default=60,
        gt=0,
        le=7 * 24 * 60,
        title="Wait at the most (minutes)",
        description="Instances that run on after this are reported as running.",
        json_schema_extra={"position": 9},
    )
    patience_minutes: float = Field(
        default=10,
        gt=0,
        le=24 * 60,
        title="Patience (minutes)",
        description="How long the vendor may start nothing before the run gives up; what is left can be run again.",
        json_schema_extra={"position": 7},
    )


def run_name() -> str:
    """Name of the flow run in the UI: the trigger, and the file of rows."""
    asked = flow_run.parameters.get("start", {})
    asked = asked if isinstance(asked, dict) else asked.model_dump()
    names = [Path(str(asked[part])).name for part in ("trigger", "rows") if asked.get(part)]
    return " over ".join(names) + (" (check only)" if asked.get("dry_run") else "")


@flow(name="trigger-workflows", flow_run_name=run_name, persist_result=False)
async def trigger_workflows(start: TriggerWorkflows, credentials: CXoneCredentials | None = None) -> State[Any]:
    """Starts instances of a workflow, one or one for each row, and each once, whatever is lost on the way.

    Args:
        start: What to start.
        credentials: The CXone tenant; where none is chosen, the worker's environment (`CXONE_*`).

    Returns:
        Completed where every row is started, else Failed; the data is the document of the run.

    Raises:
        InvalidDocument: the trigger or the rows cannot be read; nothing was sent.
    """
    settings, trigger = Settings.from_env(os.environ), load_trigger(Path(start.trigger))
    async with cancelled_by_sigterm():
        rows = await rows_file(start.rows, settings.home, datetime.now(UTC).date()) if start.rows else None
        spool = await _checked(trigger, rows, settings.home)
        faulty = not spool.tally.is_whole or (spool.tally.faulty and not start.skip_faulty)
        if start.dry_run or faulty:
            return _state_of(planned_document(trigger.workflow_id, _run_key(start, spool), spool))
        login = credentials or CXoneCredentials.from_env(os.environ)
        tenant, limit = settings.tenant or login.tenant("workflows"), start.max_concurrent or trigger.max_running
        batch = Batch(trigger, spool, tenant, _run_key(start, spool), limit)
        return _state_of(await _conduct(start, batch, login, settings))


async def explain_workflows(start: TriggerWorkflows, credentials: CXoneCredentials | None = None) -> dict[str, Any]:
    """Says what a batch waits for, wherever it runs; nothing is sent.

    Args:
        start: As for the batch itself.
        credentials: As for the batch itself.
    """
    settings, trigger = Settings.from_env(os.environ), load_trigger(Path(start.trigger))
    login = credentials or CXoneCredentials.from_env(os.environ)
    rows = await rows_file(start.rows, settings.home, datetime.now(UTC).date()) if start.rows else None
    spool = await asyncio.to_thread(spool_batch, trigger, rows, settings.home)
    tenant = settings.tenant or login.tenant("workflows")
    async with await Ledger.open(settings.ledger) as ledger:
        return await explain(Batch(trigger, spool, tenant, _run_key(start, spool)), ledger)


async def _checked(trigger: Trigger, rows: Path | None, home: Path) -> Spool:
    faulty = home / "batches" / f"faulty-{rows.name}" if rows else None
    state = await _state(check_rows, quote(trigger), rows, home, faulty)
    found = await state.aresult(raise_on_failure=False)
    if isinstance(found, BaseException):
        raise found
    return found  # type: ignore[no-any-return]


def _run_key(start: TriggerWorkflows, spool: Spool) -> str:
    """A batch goes on where it is run again; a single start is a new one each time, unless a key says which it is."""
    if start.run_key:
        return start.run_key
    return batch_run_key(spool.digest) if start.rows else single_run_key(str(flow_run.id or spool.digest))


async def _conduct(
    start: TriggerWorkflows, batch: Batch, login: CXoneCredentials, settings: Settings
) -> dict[str, Any]:
    ended: dict[str, int] | None = None
    began, redactor, trouble = datetime.now(UTC).isoformat(timespec="microseconds"), Redactor(), ""
    progress = Progress(batch.spool.total, asyncio.get_running_loop().time)
    worker = f"{os.getpid()}-{os.urandom(3).hex()}"
    async with AsyncExitStack() as stack:
        connections = await stack.enter_async_context(
            connected(
                f"{batch.ledger_key}/worker-{worker}",
                kind="workflow-starts",
                api="workflows",
                credentials=login,
                webhook=None,
                redactor=redactor,
                calls_per_second=start.rate or None,
                # Who gets ready while others are open is in doubt where the process dies: few, where doubt is for good.
                ahead=0.2 if batch.trigger.safety == "neither" else 1.0,
            )
        )
        run = await _opened(stack, start, batch, progress, connections, worker)
        try:
            with settled_heap():
                await start_all(run, partial(_start_piece, run))
            progress.finish()
            if start.wait:
                ended = await _ends(start, run, connections)
        except CordboardError as error:
            trouble = str(error)
            progress.finish()
        results_path = settings.home / "runs" / "workflow starts" / f"{file_name(batch.run_key)}.csv"
        results = await write_results(batch, connections.ledger, results_path, began)
        document: dict[str, Any] = redactor.value(batch_document(batch, progress, results, trouble, ended))
        facts = {
            name: document[name] for name in ("status", "total", "started", "already_started", "failed", "unknown")
        }
        await connections.handle.record("batch.ended", batch.run_key, facts)
    _announce(batch, document)
    keep_document(settings.home, "workflow starts", batch.run_key, document)
    async with beside_the_point("the page of the run"):
        await publish_batch(document)
    return document


async def _opened(  # noqa: PLR0913, PLR0917
    stack: AsyncExitStack,
    start: TriggerWorkflows,
    batch: Batch,
    progress: Progress,
    connections: Connections,
    worker: str,
) -> StartRun:
    def told(reason: str) -> None:
        progress.waiting = reason

    session, ledger = connections.session, connections.ledger
    facts = {"workflow_id": batch.trigger.workflow_id, "starts": batch.spool.total, "content": batch.spool.digest}
    await connections.handle.record("batch.began", batch.run_key, {**facts, "limit": batch.limit})
    places, patience = None, start.patience_minutes * 60
    if batch.limit is not None:
        waiting = Places(batch, ledger, session, worker, told, patience_seconds=patience)
        places = await stack.enter_async_context(waiting)
    await stack.enter_async_context(shown_progress(batch, progress))
    return StartRun(batch, session, ledger, connections.trace_id, progress, places, patience)


async def _ends(start: TriggerWorkflows, run: StartRun, connections: Connections) -> dict[str, int]:
    """Waits for the ends of the instances, and sends the ERP what came of them."""
    endpoint = erp_endpoint(connections.settings, run.batch.tenant)
    ref = endpoint.ref if endpoint else None
    found = await wait_for_ends(run, connections.handle, ref, start.wait_minutes * 60)
    if endpoint:
        async with WebhookSender(endpoint) as sender:
            await deliver_due(connections.ledger, sender)
    return found


async def _start_piece(run: StartRun, piece: Piece) -> int | None:
    """Starts a piece as a task of its own; what every start would meet ends the flow too."""
    state = await _state(start_instances, _label(run, piece), quote(piece), quote(run))
    if state.is_failed() and state.name != "Partial":
        error = await state.aresult(raise_on_failure=False)
        raise error if isinstance(error, BaseException) else RuntimeError(str(state.message))
    return None if state.name == "Elsewhere" else 0


async def _state(task: Any, *given: Any) -> State[Any]:
    state: State[Any] = await task(*given, return_state=True)
    return state


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


def _state_of(document: dict[str, Any]) -> State[Any]:
    status = str(document["status"])
    good = document["started"] + document["already_started"]
    message = f"{good} of {document['total']} started; run key {document['run_key']}"
    return (Completed if status in {"completed", "planned"} else Failed)(
        name=status.title(), message=message, data=document
    )
