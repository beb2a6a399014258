"""Bring what vendors reported into the ledger and into the ERP: started by the receiver's event, or by a schedule."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from blocks.cxone import CXoneCredentials
from cordboard.completion.applying import Drained
from tasks.completions import apply_completions, opened_desk, publish
from tasks.process import cancelled_by_sigterm


def run_name() -> str:
    """Name of the flow run in the UI: the message that started it, or that a schedule or a person did."""
    inbox_id = flow_run.parameters.get("inbox_id")
    return f"completion {str(inbox_id)[:8]}" if inbox_id else "completions"


@flow(name="sync-completion", flow_run_name=run_name, persist_result=False)
async def sync_completion(
    inbox_id: UUID | None = None, credentials: CXoneCredentials | None = None, retry_given_up: bool = False
) -> State[Any]:
    """Applies every completion that waits, not only the one that is named, and delivers the ERP's records.

    Args:
        inbox_id: The message of the inbox that started this run, for people to find it by.
        credentials: The CXone tenant; where none is chosen, the worker's environment.
        retry_given_up: Look again at completions that were unfit, and send the ERP again what it refused for good.

    Returns:
        Completed, with the name Busy where another process is at it already; the data is the document of the run.

    Raises:
        LedgerUnavailable: the ledger cannot be read or written; what was not applied still waits.
    """
    async with cancelled_by_sigterm(), opened_desk(credentials, inbox_id=str(inbox_id or "")) as desk:
        await apply_completions(desk, retry_given_up)
        drained = desk.drained
    document = drained.as_json() | {"inbox_id": str(inbox_id) if inbox_id else None}
    if drained.busy:
        return Completed(name="Busy", message="another process applies them already", data=document)
    await publish("completions", rows_of(document), "Completions that were applied, and records for the ERP")
    return Completed(message=in_short(drained), data=document)


def rows_of(document: dict[str, Any]) -> list[tuple[str, object]]:
    """The table of a run: what, and how many."""
    erp = document["erp"]
    told = [(f"ERP records {name}", erp[name]) for name in ("delivered", "pending", "dead")] if erp else []
    return [
        ("instances that ended", document["ended"]),
        ("repeated reports", document["repeated"]),
        ("reports of another end than the first", document["contradicted"]),
        ("reports that cannot be applied", document["unfit"]),
        *(told or [("ERP records", "none: CORDBOARD_ERP_URL is not set")]),
    ]


def in_short(drained: Drained) -> str:
    """One sentence for the list of runs."""
    found = drained.as_json()
    told = f"; {found['erp']['delivered']} ERP records delivered" if found["erp"] else ""
    aside = f", {found['unfit']} unfit" if found["unfit"] else ""
    return f"{found['ended']} ended, {found['repeated'] + found['contradicted']} repeated{aside}{told}"
