"""Where records of completions go. Each tenant has a reference of its own: no outbox row of one leaves for another."""

from __future__ import annotations

import hashlib

from sqlalchemy import Connection, update

from cordboard.records.ledger import Ledger
from cordboard.records.outbox import MessageState
from cordboard.records.page import iso
from cordboard.records.schema import outbox
from cordboard.settings import Settings
from cordboard.vendors.webhook import Endpoint


def erp_ref(tenant: str) -> str:
    """The name of a tenant's ERP in ledger and outbox, of bounded length.

    >>> erp_ref("acme")
    'erp/acme'
    """
    named = tenant if len(tenant) <= 200 else hashlib.sha256(tenant.encode()).hexdigest()
    return f"erp/{named}"


async def send_again(ledger: Ledger, ref: str) -> int:
    """Makes the records due that were given up, each with all its tries and the id that it had.

    Args:
        ledger: where they stand.
        ref: the ERP, as `erp_ref` names it.

    Returns:
        How many they are.

    Raises:
        LedgerUnavailable: the outbox cannot be written.
    """
    dead = (outbox.c.endpoint == ref) & (outbox.c.state == MessageState.DEAD.value)

    def write(connection: Connection, now: float) -> int:
        columns = {"state": MessageState.PENDING.value, "attempts": 0, "next_at": now, "updated_at": iso(now)}
        return connection.execute(update(outbox).where(dead).values(columns)).rowcount

    return await ledger.write(write)


def erp_endpoint(settings: Settings, tenant: str) -> Endpoint | None:
    """The ERP of `CORDBOARD_ERP_URL`, or None where none is set: then completions are applied and no record is made.

    Raises:
        BadCall: the URL is neither https nor on this machine, or the secret is missing or malformed.
    """
    if not settings.erp_url:
        return None
    return Endpoint(ref=erp_ref(tenant), url=settings.erp_url, secret=settings.erp_secret)
