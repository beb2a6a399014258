"""What the flows of completions share: the ledger, whose completions they are, the ERP; and their tasks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prefect import get_run_logger, task
from prefect.artifacts import acreate_table_artifact

from blocks.cxone import CXoneCredentials
from cordboard.completion.applying import Drained, drain
from cordboard.completion.erp import erp_endpoint, send_again
from cordboard.completion.polling import Polled, reap
from cordboard.completion.receiving import inbox_endpoint
from cordboard.records.inbox import reconsider
from cordboard.records.ledger import Ledger
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.telemetry.labels import Value
from cordboard.vendors.session import VendorSession
from cordboard.vendors.transport import quiet_http_logs
from cordboard.vendors.webhook import WebhookSender
from tasks.observing import observed
from tasks.process import beside_the_point

REAPER = "reap-instances"  # its run in the ledger: one reaper at a time for a tenant


class Desk:
    """What is open while completions are dealt with; not a value: tasks write what they found into it.

    Attributes:
        settings: limits, and where the ERP is.
        ledger: where completions wait and instances stand.
        tenant: whose they are.
        sender: the ERP, or None.
        redactor: masks the secrets.
        drained: what came of the inbox and the outbox.
        polled: how instances stood that were asked for.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, tenant: str, sender: WebhookSender | None, redactor: Redactor
    ) -> None:
        self.settings, self.ledger, self.tenant, self.sender = settings, ledger, tenant, sender
        self.redactor = redactor
        self.drained, self.polled = Drained(), Polled()


@asynccontextmanager
async def opened_desk(credentials: CXoneCredentials | None, **ids: Value) -> AsyncIterator[Desk]:
    """Opens the ledger and the way to the ERP, and closes them.

    Args:
        credentials: whose completions; None takes `CORDBOARD_TENANT`, or a CXone tenant of the environment.
        **ids: what logs and spans name the run by.

    Raises:
        BadCall: nothing says whose completions they are, or the ERP's URL or secret is wrong.
        LedgerUnavailable: the ledger cannot be opened.
    """
    quiet_http_logs()
    settings = Settings.from_env(os.environ)
    tenant = settings.tenant or (credentials or CXoneCredentials.from_env(os.environ)).tenant("workflows")
    endpoint, redactor = erp_endpoint(settings, tenant), Redactor([settings.erp_secret])
    async with (
        observed("completions", redactor, **ids),
        await Ledger.open(settings.ledger, redactor=redactor) as ledger,
    ):
        if endpoint is None:
            yield Desk(settings, ledger, tenant, None, redactor)
            return
        async with WebhookSender(endpoint) as sender:
            yield Desk(settings, ledger, tenant, sender, redactor)


@task(name="apply-completions", persist_result=False)
async def apply_completions(desk: Desk, retry_given_up: bool = False) -> None:
    """Applies what waits in the inbox and delivers to the ERP what is due; at wish also what was given up."""
    if retry_given_up:
        unfit = await reconsider(desk.ledger, inbox_endpoint(desk.tenant))
        dead = await send_again(desk.ledger, desk.sender.ref) if desk.sender else 0
        get_run_logger().info("%d unfit completions and %d ERP records are tried again", unfit, dead)
    desk.drained = await drain(desk.ledger, desk.tenant, desk.sender)
    get_run_logger().info("%s", desk.drained.as_json())


@task(name="poll-instances", persist_result=False)
async def poll_overdue(desk: Desk, session: VendorSession, report_within_seconds: float, most: int) -> None:
    """Asks for instances that should have reported by now, and closes what has ended or is lost.

    Raises:
        RunBusy: another process does just that.
    """
    erp = desk.sender.ref if desk.sender else None
    async with await desk.ledger.claim_run(desk.tenant, REAPER, kind="reaper") as handle:
        desk.polled = await reap(session, desk.ledger, handle, erp, report_within_seconds, most)
    get_run_logger().info("%s", desk.polled.as_json())


async def publish(key: str, rows: list[tuple[str, object]], description: str) -> None:
    """Leaves a small table in the UI."""
    table = [{"what": what, "how many": str(how_many)} for what, how_many in rows]
    async with beside_the_point(f"the table of {key}"):
        await acreate_table_artifact(table, key=key, description=description)
