"""Update a live call flow: join an edit with what is live, check, rehearse, ask, save once, read back, tell."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.utilities.annotations import quote
from pydantic import BaseModel, Field, model_validator

from blocks.genesys import GenesysCloudCredentials
from blocks.webhook import WebhookEndpoint
from cordboard.documents import read_document
from cordboard.ivr.merge import Patch, load_patch
from cordboard.ivr.model import Flow
from cordboard.ivr.reading import load_flow
from cordboard.records.ledger import Ledger
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.updating.document import GOOD, update_document
from cordboard.updating.loop import Steps, bring_about
from cordboard.updating.metrics import flow_metrics
from cordboard.updating.model import Limits
from cordboard.updating.reading import check_base
from cordboard.updating.run import UpdateRun, update_key
from cordboard.updating.telling import tell
from cordboard.updating.undoing import undoing
from tasks.approval import agreed
from tasks.connections import connected
from tasks.documents import keep_document
from tasks.process import beside_the_point, cancelled_by_sigterm
from tasks.update_pages import publish_update, question_markdown
from tasks.updates import compare, join, rehearse, save_flow, verify

RUN_KEY = re.compile(r"update/[A-Za-z0-9][A-Za-z0-9_.-]{0,127}/[0-9a-f]{16}")


class UpdateIvr(BaseModel):
    """Which edit of which live call flow."""

    patch: str = Field(
        default="",
        title="Patch file",
        description="Path of the patch, from the root of the checkout.",
        examples=["examples/clinic_holiday.yaml"],
        json_schema_extra={"position": 0},
    )
    suites: list[str] = Field(
        default=[],
        max_length=50,
        title="Suites",
        description="Suites whose calls are made on the merged flow; one that is not as it must be stops the update.",
        json_schema_extra={"position": 1},
    )
    dry_run: bool = Field(
        default=False,
        title="Plan only",
        description="Stop before anybody is asked and anything is sent.",
        json_schema_extra={"position": 2},
    )
    approval: bool = Field(
        default=False,
        title="Ask first",
        description="Pause before the save, with what changes on the run's page, until a person agrees.",
        json_schema_extra={"position": 3},
    )
    approval_minutes: float = Field(
        default=60,
        gt=0,
        le=7 * 24 * 60,
        title="Wait for an answer (minutes)",
        description="No answer in this time is a no.",
        json_schema_extra={"position": 4},
    )
    undo: str = Field(
        default="",
        title="Take back",
        description="Instead of a patch: the run key of an update, such as update/FLOW/0123456789abcdef.",
        json_schema_extra={"position": 5},
    )
    base: str = Field(
        default="",
        title="Edited version",
        description="The flow's file that was edited, where neither ledger nor vendor has that version any more.",
        json_schema_extra={"position": 6},
    )
    attempts: int = Field(
        default=20,
        ge=1,
        le=1000,
        title="Attempts",
        description="Saves that are tried at the most where others save in between.",
        json_schema_extra={"position": 7},
    )
    deadline_seconds: float = Field(
        default=300,
        gt=0,
        le=3600,
        title="Deadline (seconds)",
        description="Nothing is sent after this long; waiting for an answer does not count.",
        json_schema_extra={"position": 8},
    )

    @model_validator(mode="after")
    def _one_source(self) -> UpdateIvr:
        if bool(self.patch) == bool(self.undo):
            raise ValueError("give either a patch file or the run key of an update to take back")
        if self.undo and not RUN_KEY.fullmatch(self.undo):
            raise ValueError(f"{self.undo!r} is no run key of an update; each update prints its own, update/FLOW/…")
        if self.undo and self.base:
            raise ValueError("what an update saved and replaced is on record; an undo needs no base")
        return self


def run_name() -> str:
    """Name of the flow run in the UI: the patch, or what is taken back."""
    asked = flow_run.parameters.get("update", {})
    asked = asked if isinstance(asked, dict) else asked.model_dump()
    what = f"take back {asked['undo']}" if asked.get("undo") else Path(str(asked.get("patch", "update"))).stem
    return f"{what} (plan only)" if asked.get("dry_run") else what


@flow(name="update-ivr", flow_run_name=run_name, persist_result=False)
async def update_ivr(
    update: UpdateIvr, credentials: GenesysCloudCredentials | None = None, webhook: WebhookEndpoint | None = None
) -> State[Any]:
    """Changes nodes of a live call flow that others edit too, and loses nobody's edit.

    Args:
        update: Which edit of which live call flow.
        credentials: The Genesys Cloud organisation; where none is chosen, the worker's environment (`GENESYS_*`).
        webhook: Receiver of webhooks; where none is chosen, the worker's environment.

    Returns:
        Completed with the name Saved, Unchanged or Planned, or Failed with the name of the verdict; the data is the
        document of the run.

    Raises:
        InvalidDocument: the patch or a suite has faults, all of them listed; nothing was sent.
        BadCall: the version that was edited cannot be found, or there is no such flow; nothing was sent.
        VendorFailed: the live flow cannot be read; nothing was sent.
    """
    redactor, login = Redactor(), credentials or GenesysCloudCredentials.from_env(os.environ)
    patch = load_patch(Path(update.patch)) if update.patch else None
    base = load_flow(Path(update.base)) if update.base else None
    for suite in update.suites:
        read_document(Path(suite), "ivr-suite")
    async with cancelled_by_sigterm():
        if patch is None:
            patch, base = await _undone(update.undo, login, redactor)
        async with _opened(update, patch, base, login, webhook, redactor) as (run, connections):
            await _conduct(run, update, redactor)
            await tell(run, connections.endpoint)
            metrics = await flow_metrics(run.ledger, run.handle.tenant, run.flow_id)
            document = redactor.value({**update_document(run), "metrics": metrics})
            _announce(run)
            keep_document(connections.settings.home, "call flow updates", run.handle.run_key, document)
            async with beside_the_point("the page of the run"):
                await publish_update(run, document)
    return _state_of(document)


async def _undone(run_key: str, login: GenesysCloudCredentials, redactor: Redactor) -> tuple[Patch, Flow]:
    settings = Settings.from_env(os.environ)
    tenant = settings.tenant or login.tenant("flows")
    async with (
        await Ledger.open(settings.ledger, redactor=redactor) as ledger,
        await ledger.claim_run(tenant, run_key, kind="ivr-update") as handle,
    ):
        return await undoing(ledger, handle)


@asynccontextmanager
async def _opened(  # noqa: PLR0913, PLR0917
    update: UpdateIvr,
    patch: Patch,
    base: Flow | None,
    login: GenesysCloudCredentials,
    webhook: WebhookEndpoint | None,
    redactor: Redactor,
) -> AsyncIterator[Any]:
    async with connected(
        update_key(patch),
        kind="ivr-update",
        api="flows",
        credentials=login,
        webhook=webhook,
        redactor=redactor,
        call_flow=patch.flow_id,
    ) as connections:
        run = UpdateRun(
            patch,
            connections.session,
            connections.ledger,
            connections.handle,
            connections.trace_id,
            datetime.now(UTC).date(),
            Limits(update.attempts, update.deadline_seconds),
            tuple(Path(suite) for suite in update.suites),
        )
        if base is not None:
            check_base(run, base)
            run.base = base
        yield run, connections


async def _conduct(run: UpdateRun, update: UpdateIvr, redactor: Redactor) -> None:
    async def agree(run: UpdateRun) -> bool:
        await _state(compare, run)
        if not update.approval:
            return True
        document = redactor.value(update_document(run))
        async with beside_the_point("the page of the run"):
            await publish_update(run, document)
        return await agreed(run, question_markdown(document), update.approval_minutes * 60)

    steps = Steps(
        join=lambda run: _done(join, run),
        rehearse=lambda run: _done(rehearse, run),
        agree=agree,
        save=lambda run: _done(save_flow, run.flow_id, run),
        verify=lambda run: _done(verify, run.flow_id, run),
    )
    await bring_about(run, steps, dry_run=update.dry_run)
    if run.proposal is not None and run.proposal.merged is not None and run.noticed is None:
        await _state(compare, run)


async def _done(task: Any, *given: Any) -> None:
    """Runs a task; what it found is in the run, and an error of ours passes on."""
    found = await (await _state(task, *given)).aresult(raise_on_failure=False)
    if isinstance(found, BaseException):
        raise found


async def _state(task: Any, *given: Any) -> State[Any]:
    hidden = [quote(each) if isinstance(each, UpdateRun) else each for each in given]  # else Prefect walks all of it
    state: State[Any] = await task(*hidden, return_state=True)
    return state


def _announce(run: UpdateRun) -> None:
    """Tells Prefect how it ended, so that automations can follow."""
    emit_event(
        event=f"cordboard.ivr.update.{run.status}",
        resource={"prefect.resource.id": f"cordboard.ivr.{run.flow_id}", "prefect.resource.name": run.flow_id},
        payload={"status": run.status, "version": run.version, "run_key": run.handle.run_key},
    )


def _state_of(document: dict[str, Any]) -> State[Any]:
    status = str(document["status"])
    version = f", version {document['version']}" if document["version"] else ""
    message = f"{document['flow_id']}: {status}{version}"
    return (Completed if status in GOOD else Failed)(name=status.title(), message=message, data=document)
