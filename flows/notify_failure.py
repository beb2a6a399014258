"""Tell people of runs that failed, or crashed and were not resumed: each once, signed, from the outbox."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.runtime import deployment
from prefect.states import Completed
from pydantic import BaseModel, Field

from blocks.webhook import WebhookEndpoint, endpoint_from_env
from cordboard.errors import BadCall, RunBusy
from cordboard.records.ledger import Ledger
from cordboard.records.outbox import deliver_due
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.vendors.transport import quiet_http_logs
from cordboard.vendors.webhook import WebhookSender
from tasks.failures import Failure, failures, secrets_of, tell
from tasks.process import cancelled_by_sigterm

TENANT, RUN_KEY = "cordboard", "notify-failure"  # its place in the ledger, where no tenant is set


class NotifyFailure(BaseModel):
    """Which failures to tell of."""

    crashed_minutes: float = Field(
        default=6,
        ge=0,
        le=24 * 60,
        title="Crashed for (minutes)",
        description="A run that crashed is told of when nobody resumed it for so long; `recover-runs` looks every five"
        " minutes.",
        json_schema_extra={"position": 0},
    )
    within_hours: float = Field(
        default=24,
        gt=0,
        le=366 * 24,
        title="Not older than (hours)",
        description="Runs that ended earlier are not told of any more.",
        json_schema_extra={"position": 1},
    )


@flow(name="notify-failure", persist_result=False)
async def notify_failure(
    notice: NotifyFailure | None = None, flow_run: str = "", webhook: WebhookEndpoint | None = None
) -> State[Any]:
    """Tells of every run of this project's deployments that ended badly and of which nobody was told.

    Args:
        notice: Which failures to tell of.
        flow_run: The run whose end started this one, for people to find it by.
        webhook: The receiver; where none is chosen, the worker's environment.

    Returns:
        Completed; with the name Busy where another one is at it. The data is the document of the run.

    Raises:
        BadCall: there is no receiver.
        LedgerUnavailable: the ledger cannot be read or written; what was not told is told by the next run.
    """
    quiet_http_logs()
    asked, settings = notice or NotifyFailure(), Settings.from_env(os.environ)
    endpoint = endpoint_from_env(settings, webhook)
    if endpoint is None:
        raise BadCall("no receiver: choose a webhook block, or set CORDBOARD_WEBHOOK_URL and CORDBOARD_WEBHOOK_SECRET")
    found = await _found(asked)
    redactor = Redactor([*secrets_of(os.environ), endpoint.url, endpoint.secret])
    async with cancelled_by_sigterm(), await Ledger.open(settings.ledger, redactor=redactor) as ledger:
        try:
            async with await ledger.claim_run(settings.tenant or TENANT, RUN_KEY, kind="notice") as handle:
                new = await tell(ledger, handle, endpoint.ref, found)
        except RunBusy:
            return Completed(name="Busy", message="another process tells of them already", data={"status": "busy"})
        async with WebhookSender(endpoint) as sender:
            report = await deliver_due(ledger, sender)
    counts = {"delivered": report.delivered, "pending": report.pending, "dead": report.dead}
    dead = f", {report.dead} given up" if report.dead else ""
    said = (
        f"{new} of {len(found)} failures are news; {report.delivered} messages delivered, {report.pending} wait{dead}"
    )
    return Completed(message=said, data={"status": "completed", "flow_run": flow_run, "told": new, **counts})


async def _found(asked: NotifyFailure) -> list[Failure]:
    ours = UUID(str(deployment.id)) if deployment.id else None
    within, crashed = timedelta(hours=asked.within_hours), timedelta(minutes=asked.crashed_minutes)
    async with get_client() as client:
        return await failures(client, ours, within, crashed, datetime.now(UTC))
