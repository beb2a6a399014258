"""Start instances of a workflow: one, or every row of a batch, each once, however often it is run."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.utilities.annotations import quote
from pydantic import BaseModel, Field

from blocks.cxone import CXoneCredentials
from cordboard.records.ledger import Ledger
from cordboard.settings import Settings
from cordboard.starting.document import planned_document
from cordboard.starting.explaining import explain
from cordboard.starting.model import Batch, batch_run_key, single_run_key
from cordboard.starting.source import rows_file
from cordboard.starting.spool import Spool, spool_batch
from cordboard.triggers.model import Trigger
from cordboard.triggers.reading import load_trigger
from tasks.batch_pages import publish_batch
from tasks.batch_run import Conditions, conduct
from tasks.process import beside_the_point, cancelled_by_sigterm
from tasks.starts import check_rows, state_of


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
        spool = await _checked(trigger, await _rows(start, settings), settings.home)
        run_key = _run_key(start, spool) or single_run_key(str(flow_run.id))
        faulty = not spool.tally.is_whole or (spool.tally.faulty and not start.skip_faulty)
        if start.dry_run or faulty:
            document = planned_document(trigger.workflow_id, run_key, spool)
            async with beside_the_point("the page of the run"):
                await publish_batch(document)
            return _state_of(document)
        login = credentials or CXoneCredentials.from_env(os.environ)
        batch = Batch(trigger, spool, _tenant(settings, login), run_key, _limit(start, trigger))
        wait = start.wait_minutes * 60 if start.wait else None
        conditions = Conditions(start.rate or None, start.patience_minutes * 60, wait)
        return _state_of(await conduct(batch, login, settings, conditions))


async def explain_workflows(start: TriggerWorkflows, credentials: CXoneCredentials | None = None) -> dict[str, Any]:
    """Says what a batch waits for, wherever it runs; nothing is sent.

    Args:
        start: As for the batch itself; of a single start without a run key, all that its workflow has waiting.
        credentials: As for the batch itself; not looked at where the tenant is set.
    """
    settings, trigger = Settings.from_env(os.environ), load_trigger(Path(start.trigger))
    tenant = _tenant(settings, credentials)
    spool = await asyncio.to_thread(spool_batch, trigger, await _rows(start, settings), settings.home)
    batch = Batch(trigger, spool, tenant, _run_key(start, spool), _limit(start, trigger))
    async with await Ledger.open(settings.ledger) as ledger:
        return await explain(batch, ledger)


async def _rows(start: TriggerWorkflows, settings: Settings) -> Path | None:
    return await rows_file(start.rows, settings.home, datetime.now(UTC).date()) if start.rows else None


async def _checked(trigger: Trigger, rows: Path | None, home: Path) -> Spool:
    state = await state_of(check_rows, quote(trigger), rows, home)
    found = await state.aresult(raise_on_failure=False)
    if isinstance(found, BaseException):
        raise found
    return found  # type: ignore[no-any-return]


def _run_key(start: TriggerWorkflows, spool: Spool) -> str:
    """A batch goes on where it is run again; a single start is a new one each time, unless a key says which it is."""
    return start.run_key or (batch_run_key(spool.digest) if start.rows else "")


def _tenant(settings: Settings, login: CXoneCredentials | None) -> str:
    return settings.tenant or (login or CXoneCredentials.from_env(os.environ)).tenant("workflows")


def _limit(start: TriggerWorkflows, trigger: Trigger) -> int | None:
    return start.max_concurrent or trigger.max_running


def _state_of(document: dict[str, Any]) -> State[Any]:
    status = str(document["status"])
    good = document["started"] + document["already_started"]
    message = f"{good} of {document['total']} started; run key {document['run_key']}"
    return (Completed if status in {"completed", "planned"} else Failed)(
        name=status.title(), message=message, data=document
    )
