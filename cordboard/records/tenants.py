"""Whose effects a ledger holds."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, func, select

from cordboard.records.schema import runs


def tenants(connection: Connection) -> Iterator[str]:
    """Every tenant, by one step in the index for each."""
    query = select(func.min(runs.c.tenant))
    found = connection.scalar(query)
    while found is not None:
        yield found
        found = connection.scalar(query.where(runs.c.tenant > found))
