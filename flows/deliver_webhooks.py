"""Deliver what is waiting in the outbox: webhooks whose receiver was down when their run ended."""

from __future__ import annotations

import os

from prefect import flow

from blocks.webhook import WebhookEndpoint, endpoint_from_env
from cordboard.errors import BadCall
from cordboard.records.ledger import Ledger
from cordboard.records.outbox import deliver_due
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.vendors.transport import quiet_http_logs
from cordboard.vendors.webhook import WebhookSender
from tasks.observing import observed


@flow(name="deliver-webhooks", persist_result=False)
async def deliver_webhooks(webhook: WebhookEndpoint | None = None) -> dict[str, int]:
    """Delivers every message that is due for one endpoint; each keeps its id over all tries.

    Args:
        webhook: The receiver; where none is chosen, the worker's environment.

    Returns:
        How many were `delivered`, are still `pending`, and are `dead` (given up, kept for a person to see).
    """
    quiet_http_logs()
    settings = Settings.from_env(os.environ)
    endpoint = endpoint_from_env(settings, webhook)
    if endpoint is None:
        raise BadCall("no receiver: choose a webhook block, or set CORDBOARD_WEBHOOK_URL and CORDBOARD_WEBHOOK_SECRET")
    async with (
        observed("webhooks", Redactor([endpoint.secret])),
        await Ledger.open(settings.ledger) as ledger,
        WebhookSender(endpoint) as sender,
    ):
        report = await deliver_due(ledger, sender)
    return {"delivered": report.delivered, "pending": report.pending, "dead": report.dead}
