"""Compare live call flows with their files: somebody may have edited one in the vendor's console."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any, cast

from prefect import flow, get_run_logger, task
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.states import Completed, Failed
from pydantic import BaseModel, Field

from blocks.cxone import CXoneCredentials
from cordboard.errors import BadCall
from cordboard.ivr.model import Flow
from cordboard.ivr.reading import load_flow
from cordboard.redaction import Redactor
from cordboard.registration.drift import Drift, drift_of, status_of
from cordboard.registration.plan import read_live
from cordboard.settings import Settings
from cordboard.vendors.session import VendorSession
from cordboard.vendors.transport import quiet_http_logs
from tasks.flow_artifacts import drift_markdown
from tasks.observing import observed
from tasks.process import beside_the_point


class DetectDrift(BaseModel):
    """Which call flows to compare."""

    files: list[str] = Field(
        default=["examples/hospital_menu.yaml"],
        min_length=1,
        title="Call flow files",
        description="Paths or patterns such as `flows/*.yaml`, from the root of the checkout.",
        json_schema_extra={"position": 0},
    )


@flow(name="detect-drift", persist_result=False)
async def detect_drift(drift: DetectDrift, credentials: CXoneCredentials | None = None) -> State[Any]:
    """Reads every live flow and compares it, by meaning, with its file.

    Args:
        drift: Which call flows to compare.
        credentials: The CXone tenant; where none is chosen, the worker's environment (`CXONE_*`).

    Returns:
        Completed where all are the same, else Failed with the name Drifted; the data is the document of the run.

    Raises:
        InvalidDocument: a file cannot be read as a call flow; nothing was asked for.
    """
    quiet_http_logs()
    call_flows = [load_flow(path) for path in files_of(drift.files)]
    login = credentials or CXoneCredentials.from_env(os.environ)
    redactor = Redactor()
    async with (
        observed("drift", redactor),
        login.get_client(Settings.from_env(os.environ), redactor, "flows") as session,
    ):
        found = [await _compared(each, session) for each in call_flows]
    document = {"status": status_of(found), "flows": [each.as_json() for each in found]}
    async with beside_the_point("the page of the run"):
        await acreate_markdown_artifact(
            drift_markdown(found), key="call-flow-drift", description="Live flows and files"
        )
    return _state_of(document)


class Comparison:
    """One live flow and its file; not a value: the task writes what it found into it."""

    def __init__(self, call_flow: Flow, session: VendorSession) -> None:
        self.call_flow, self.session = call_flow, session
        self.found: Drift | None = None


@task(name="compare-flow", task_run_name="compare {flow_id}", persist_result=False)
async def compare(flow_id: str, comparison: Comparison) -> State[Any]:
    """Compares one live flow with its file.

    Args:
        flow_id: names the task run.
        comparison: takes the result.
    """
    found = comparison.found = await drift_of(comparison.call_flow, partial(read_live, comparison.session))
    get_run_logger().info("%s %s", flow_id, found.status)
    if found.status == "same":
        return Completed(message="the live flow means what the file says")
    return Failed(name=found.status.title(), message=found.in_short())


async def _compared(call_flow: Flow, session: VendorSession) -> Drift:
    comparison, task_run = Comparison(call_flow, session), cast(Any, compare)
    state: State[Any] = await task_run(call_flow.id, comparison, return_state=True)
    if comparison.found is None:
        await state.aresult()  # raises what ended it
        raise BadCall(f"{call_flow.id} was not compared")
    _announce(comparison.found)
    return comparison.found


def _announce(found: Drift) -> None:
    """An event for each flow that moved, for automations."""
    if found.status == "same":
        return
    emit_event(
        event=f"cordboard.ivr.{found.status}",
        resource={"prefect.resource.id": f"cordboard.ivr.{found.flow_id}", "prefect.resource.name": found.flow_id},
        payload=found.as_json(),
    )


def _state_of(document: dict[str, Any]) -> State[Any]:
    moved = [each["flow_id"] for each in document["flows"] if each["status"] != "same"]
    if not moved:
        return Completed(message=f"{len(document['flows'])} live flows mean what their files say", data=document)
    name = "Unreadable" if document["status"] == "unreadable" else "Drifted"
    return Failed(name=name, message=f"not the same: {', '.join(moved)}", data=document)


def files_of(patterns: list[str]) -> list[Path]:
    """The files that paths and patterns name, each once, in order.

    Raises:
        BadCall: one names nothing.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        path = Path(pattern)
        named = [path]
        if any(char in pattern for char in "*?["):
            named = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
        if not named:
            raise BadCall(f"no file fits {pattern}")
        found |= dict.fromkeys(named)
    return list(found)
