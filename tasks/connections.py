"""What every run that talks to a vendor holds open: a client, its place in the ledger, and the way out for webhooks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from blocks.cxone import CXoneCredentials
from blocks.genesys import GenesysCloudCredentials
from blocks.webhook import WebhookEndpoint, endpoint_from_env
from cordboard.records.checkpointing import Checkpointing
from cordboard.records.checkpoints import CheckpointFile
from cordboard.records.ledger import Ledger
from cordboard.records.relay import Relay
from cordboard.records.run import RunHandle
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.telemetry.labels import Value
from cordboard.vendors.login import Api
from cordboard.vendors.session import VendorSession
from cordboard.vendors.transport import quiet_http_logs
from cordboard.vendors.webhook import Endpoint, WebhookSender
from tasks.observing import observed


@dataclass(frozen=True, slots=True, eq=False)
class Connections:
    """An open run.

    Attributes:
        settings: limits.
        redactor: masks the secrets of this run.
        session: the vendor's client.
        ledger: where effects are on record.
        handle: this run in the ledger.
        endpoint: reference of the webhook endpoint, or None.
        trace_id: 32 hex digits, sent to the vendor as `traceparent` and to webhooks.
    """

    settings: Settings
    redactor: Redactor
    session: VendorSession
    ledger: Ledger
    handle: RunHandle
    endpoint: str | None
    trace_id: str


@asynccontextmanager
async def connected(  # noqa: PLR0913  told by name
    run_key: str,
    *,
    kind: str,
    api: Api,
    credentials: CXoneCredentials | GenesysCloudCredentials | None,
    webhook: WebhookEndpoint | None,
    redactor: Redactor,
    calls_per_second: float | None = None,
    ahead: float | None = None,
    **ids: Value,
) -> AsyncIterator[Connections]:
    """Opens everything for a run, and closes it; call it when everything that can be checked offline has been.

    Args:
        run_key: what makes the run this run and no other, in the ledger.
        kind: what kind of job it is.
        api: which of the vendor's APIs it uses.
        credentials: the tenant; None takes a CXone tenant from the environment.
        webhook: the receiver; None takes it from the environment.
        redactor: learns the secrets.
        calls_per_second: in place of the setting.
        ahead: calls that may get ready while others are open, as a share of those.
        **ids: what logs and spans name the run by, beside its key.
    """
    quiet_http_logs()
    settings = Settings.from_env(os.environ)
    if calls_per_second is not None:
        settings = replace(settings, calls_per_second=calls_per_second)
    endpoint = endpoint_from_env(settings, webhook)
    checkpoints = CheckpointFile.of(settings)
    login = credentials or CXoneCredentials.from_env(os.environ)
    client, tenant = login.get_client(settings, redactor, api, ahead=ahead), settings.tenant or login.tenant(api)
    async with (
        observed(kind, redactor, run_key=run_key, **ids) as trace_id,
        await Ledger.open(settings.ledger, redactor=redactor) as ledger,
        Checkpointing(ledger, checkpoints),
        await ledger.claim_run(tenant, run_key, kind=kind) as handle,
        client as session,
        _relaying(ledger, endpoint, settings),
    ):
        ref = endpoint.ref if endpoint else None
        yield Connections(settings, redactor, session, ledger, handle, ref, trace_id)


@asynccontextmanager
async def _relaying(ledger: Ledger, endpoint: Endpoint | None, settings: Settings) -> AsyncIterator[None]:
    """Delivers status webhooks beside the run; what cannot be delivered in time stays in the outbox."""
    if endpoint is None:
        yield
        return
    async with WebhookSender(endpoint) as sender, Relay(ledger, sender) as relay:
        yield
        await relay.flush(settings.webhook_flush_seconds)
