"""Where records of completions go. Each tenant has a reference of its own: no outbox row of one leaves for another."""

from __future__ import annotations

import hashlib

from cordboard.settings import Settings
from cordboard.vendors.webhook import Endpoint


def erp_ref(tenant: str) -> str:
    """The name of a tenant's ERP in ledger and outbox, of bounded length.

    >>> erp_ref("acme")
    'erp/acme'
    """
    named = tenant if len(tenant) <= 200 else hashlib.sha256(tenant.encode()).hexdigest()
    return f"erp/{named}"


def erp_endpoint(settings: Settings, tenant: str) -> Endpoint | None:
    """The ERP of `CORDBOARD_ERP_URL`, or None where none is set: then completions are applied and no record is made.

    Raises:
        BadCall: the URL is neither https nor on this machine, or the secret is missing or malformed.
    """
    if not settings.erp_url:
        return None
    return Endpoint(ref=erp_ref(tenant), url=settings.erp_url, secret=settings.erp_secret)
