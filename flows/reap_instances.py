"""Close workflow instances that never report: ask the vendor how they stand, and apply what it says."""

from __future__ import annotations

import os
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import BaseModel, Field

from blocks.cxone import CXoneCredentials
from cordboard.errors import RunBusy
from cordboard.vendors.session import VendorSession
from tasks.completions import Desk, apply_completions, opened_desk, poll_overdue, publish
from tasks.process import cancelled_by_sigterm


class ReapInstances(BaseModel):
    """Which instances to ask for."""

    report_within_minutes: float = Field(
        default=24 * 60,
        ge=0,
        le=366 * 24 * 60,
        title="Report within (minutes)",
        description="Instances that have run for longer without reporting their end are asked for.",
        json_schema_extra={"position": 0},
    )
    limit: int = Field(
        default=5_000,
        ge=1,
        le=100_000,
        title="Limit",
        description="How many are asked for in one run at the most, the oldest first.",
        json_schema_extra={"position": 1},
    )


@flow(name="reap-instances", persist_result=False)
async def reap_instances(reaping: ReapInstances, credentials: CXoneCredentials | None = None) -> State[Any]:
    """Asks the vendor for overdue instances; those that ended are applied as if they had reported.

    Args:
        reaping: Which instances to ask for.
        credentials: The CXone tenant; where none is chosen, the worker's environment (`CXONE_*`).

    Returns:
        Completed; with the name Busy where another process is at it already; Failed with the name Unanswered where the
        vendor answered for none. The data is the document of the run.

    Raises:
        BadCall: there are no credentials.
        LedgerUnavailable: the ledger cannot be read or written.
    """
    async with cancelled_by_sigterm(), opened_desk(credentials) as desk:
        try:
            async with _session(desk, credentials) as session:
                await poll_overdue(desk, session, reaping.report_within_minutes * 60, reaping.limit)
        except RunBusy:
            return Completed(name="Busy", message="another process asks for them already", data={"status": "busy"})
        await apply_completions(desk)
    found = desk.polled.as_json()
    await publish("reaped-instances", list(found.items()), "Instances that had not reported, and how they stood")
    said = f"{found['ended']} ended, {found['running']} run on, {found['lost']} lost, {found['left']} left"
    document = {"status": "completed", **found, "erp": desk.drained.as_json()["erp"]}
    if unknown := desk.polled.troubles.get("not_found"):
        said += f"; {unknown} the vendor does not know: if that stays so, look at its URL and credentials"
    if found["left"] and found["left"] == desk.polled.asked:
        return Failed(name="Unanswered", message=said, data=document | {"status": "unanswered"})
    return Completed(message=said, data=document)


def _session(desk: Desk, credentials: CXoneCredentials | None) -> VendorSession:
    login = credentials or CXoneCredentials.from_env(os.environ)
    return login.get_client(desk.settings, desk.redactor, "workflows")
