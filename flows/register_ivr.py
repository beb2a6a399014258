"""Register a call flow: check, read what is live, plan, register once, read back, compare, tell."""

from __future__ import annotations

import time
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

from blocks.cxone import CXoneCredentials
from blocks.webhook import WebhookEndpoint
from cordboard.errors import BadCall
from cordboard.findings import errors_in
from cordboard.ivr.reading import load_flow
from cordboard.ivr.topology import check_flow
from cordboard.redaction import Redactor
from cordboard.registration.plan import require_cxone
from cordboard.registration.restore import replaced_flow
from cordboard.registration.saved import SavedPlan, load_plan
from tasks.call_flows import doubts, read_and_plan, register, settle_open, verify
from tasks.connections import connected
from tasks.documents import keep_document
from tasks.flow_artifacts import publish_registration
from tasks.process import beside_the_point, cancelled_by_sigterm
from tasks.registration_document import GOOD, invalid_document
from tasks.registration_run import RegistrationRun


class RegisterIvr(BaseModel):
    """Which call flow to register."""

    file: str = Field(
        default="",
        title="Call flow file",
        description="Path of the call flow's file, from the root of the checkout.",
        examples=["examples/hospital_menu.yaml"],
        json_schema_extra={"position": 0},
    )
    dry_run: bool = Field(
        default=False,
        title="Plan only",
        description="Stop after the plan: nothing is sent.",
        json_schema_extra={"position": 1},
    )
    plan: str = Field(
        default="",
        title="Saved plan",
        description="A plan that `cordboard plan --out` saved: refuse if the live flow has moved since.",
        json_schema_extra={"position": 2},
    )
    restore: str = Field(
        default="",
        title="Restore",
        description="Instead of a file: the id of a flow whose last registration from a file is to be taken back.",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9_.-]{0,127})?$",
        json_schema_extra={"position": 3},
    )
    deadline_seconds: float = Field(
        default=300,
        gt=0,
        le=3600,
        title="Deadline (seconds)",
        description="Nothing is sent after this long.",
        json_schema_extra={"position": 4},
    )

    @model_validator(mode="after")
    def _one_source(self) -> RegisterIvr:
        if bool(self.file) == bool(self.restore):
            raise ValueError("give either a call flow file or the id of a flow to restore")
        if self.plan and self.restore:
            raise ValueError("a saved plan is about a file; a restore is planned against what is live now")
        return self


def run_name() -> str:
    """Name of the flow run in the UI: the file, or what is restored."""
    asked = flow_run.parameters.get("registration", {})
    asked = asked if isinstance(asked, dict) else asked.model_dump()
    what = f"restore {asked['restore']}" if asked.get("restore") else Path(str(asked.get("file", "flow"))).stem
    return f"{what} (plan only)" if asked.get("dry_run") else what


@flow(name="register-ivr", flow_run_name=run_name, persist_result=False)
async def register_ivr(
    registration: RegisterIvr, credentials: CXoneCredentials | None = None, webhook: WebhookEndpoint | None = None
) -> State[Any]:
    """Registers a call flow kept as a file, once, and proves that the vendor has it.

    Args:
        registration: Which call flow to register.
        credentials: The CXone tenant; where none is chosen, the worker's environment (`CXONE_*`).
        webhook: Receiver of webhooks; where none is chosen, the worker's environment.

    Returns:
        Completed with the name Registered, Unchanged or Planned, or Failed with the name of the verdict; the data is
        the document of the run.

    Raises:
        InvalidDocument: the file cannot be read as a call flow; nothing was sent.
        VendorFailed: the live flow cannot be read; nothing was sent.
    """
    redactor, today = Redactor(), datetime.now(UTC).date()
    call_flow = load_flow(Path(registration.file)) if registration.file else None
    saved = load_plan(Path(registration.plan)) if registration.plan else None
    if call_flow is not None:
        require_cxone(call_flow)
        if saved is not None:
            saved.demand(call_flow)
        findings = check_flow(call_flow, today=today)
        if errors_in(findings) and call_flow.existing == "replace":  # else the live connections take part
            document = invalid_document(call_flow.id, call_flow.file, findings)
            async with beside_the_point("the page of the run"):
                await publish_registration(call_flow, document, findings)
            return _state_of(document)
    flow_id = call_flow.id if call_flow else registration.restore
    async with (
        cancelled_by_sigterm(),
        connected(
            f"ivr/{flow_id}",
            kind="ivr",
            api="flows",
            credentials=credentials,
            webhook=webhook,
            redactor=redactor,
            call_flow=flow_id,
        ) as connections,
    ):
        deadline = time.monotonic() + registration.deadline_seconds
        source = call_flow or await replaced_flow(connections.ledger, connections.handle, flow_id)
        run = RegistrationRun(source, connections, today, deadline, restoring=call_flow is None)
        await _conduct(run, saved, dry_run=registration.dry_run)
        document = redactor.value(run.document())
        await _tell(run, document)
        keep_document(connections.settings.home, "call flows", flow_id, document)
        async with beside_the_point("the page of the run"):
            await publish_registration(run.planned.flow, document, run.planned.findings)
    return _state_of(document)


async def _conduct(run: RegistrationRun, saved: SavedPlan | None, *, dry_run: bool) -> None:
    """Goes as far as it may; how far that was is `run.status`."""
    planned = await _state(read_and_plan, run)
    if run.plan is None:
        await planned.aresult()  # raises what ended it
        return
    if not (run.plan.is_sound or run.restoring):  # what was live before may be restored whatever we think of it
        run.status = "invalid"
        return
    if run.plan.changes_nothing:
        run.status = "unchanged"
        await settle_open(run)
        return
    if saved is not None:
        if saved.live_hash != run.plan.live_hash:
            run.status, run.differences = "conflict", saved.moved(run.plan.live)
            return
        saved.demand_content(run.plan.flow)
    if not dry_run:
        sent = await _state(register, run.flow.id, run, wait_for=[planned])
        if run.sent is None:
            raise BadCall("the registration ended without a result; run it again: the same key is used")
        run.doubts = await doubts(run)
        if run.status == "registered":
            await _state(verify, run.flow.id, run, wait_for=[sent])


async def _state(task: Any, *given: Any, **after: Any) -> State[Any]:
    """Runs a task; how it ended is in the run, and its state is for the UI."""
    hidden = [quote(each) if isinstance(each, RegistrationRun) else each for each in given]  # else Prefect walks it all
    state: State[Any] = await task(*hidden, **after, return_state=True)
    return state


async def _tell(run: RegistrationRun, document: dict[str, Any]) -> None:
    """Puts the end on record with its webhook, and tells Prefect, so that automations can follow."""
    messages = run.messages() if run.sent else ()
    facts = {**run.audit_entry(), "stored_hash": run.stored_hash}
    await run.connections.handle.record(f"flow.{run.status}", run.flow.id, facts, messages=messages)
    emit_event(
        event=f"cordboard.ivr.{run.status}",
        resource={"prefect.resource.id": f"cordboard.ivr.{run.flow.id}", "prefect.resource.name": run.flow.id},
        payload={"status": run.status, "verified": run.verified, "latency_ms": document["latency_ms"]},
    )


def _state_of(document: dict[str, Any]) -> State[Any]:
    status, plan = document["status"], document["plan"]
    changes = len(plan["changes"]) if plan else 0
    message = f"{document['flow_id']}: {status}" + (f", {changes} changes" if status == "planned" else "")
    name = str(status).title()
    return (Completed if status in GOOD else Failed)(name=name, message=message, data=document)
