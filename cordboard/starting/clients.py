"""A tenant that is known by its client id alone looks like another one once that client is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from sqlalchemy import Connection, select

from cordboard.errors import BadCall
from cordboard.records.ledger import Ledger
from cordboard.records.schema import audit, effects
from cordboard.records.tenants import tenants
from cordboard.starting.model import Batch
from cordboard.starting.orders import logical_id_of

_AT_ONCE = 500  # logical ids of one query


async def require_same_client(batch: Batch, ledger: Ledger) -> None:
    """Refuses to start what another client of the same host has started: all of it would be started again.

    Call it where the tenant is no name that somebody gave, but host and client id of the credentials.

    Args:
        batch: what is to be started.
        ledger: knows who began it.

    Raises:
        BadCall: it was begun by another client, or a key of it was used by one; names the client.
        LedgerUnavailable: the ledger cannot be read.
    """
    other = await ledger.read(lambda connection: _begun_by(connection, batch))
    if other:
        raise BadCall(
            f"batch {batch.run_key} was begun as {other}, or keys of it were used so, by another client of the same"
            f" host: all that was started then would be started again. Set CORDBOARD_TENANT={other} to go on with it;"
            f" where this is another tenant, set CORDBOARD_TENANT={batch.tenant} for it, as it is on record so far"
        )


def _begun_by(connection: Connection, batch: Batch) -> str:
    """The other client; empty where there is none, or where this one has begun the batch too."""
    if _has_begun(connection, batch, batch.tenant):
        return ""
    host = f"{batch.tenant.partition('/')[0]}/"
    others = [each for each in tenants(connection) if each.startswith(host) and each != batch.tenant]
    begun = next((each for each in others if _has_begun(connection, batch, each)), "")
    return begun or _used_by(connection, batch, others)


def _has_begun(connection: Connection, batch: Batch, tenant: str) -> bool:
    began = (audit.c.tenant == tenant) & (audit.c.subject == batch.run_key) & (audit.c.kind == "batch.began")
    return connection.execute(select(audit.c.seq).where(began).limit(1)).first() is not None


def _used_by(connection: Connection, batch: Batch, others: list[str]) -> str:
    """Another client that has used a key of it which this one has not; such a key means the same in every batch."""
    if batch.trigger.key is None or not others:
        return ""
    for ids in _logical_ids(batch):
        mine = _known(connection, batch.tenant, ids)
        for each in others:
            if _known(connection, each, ids) - mine:
                return each
    return ""


def _logical_ids(batch: Batch) -> Iterator[list[str]]:
    ids = (logical_id_of(batch, start) for start in batch.spool.starts())
    while some := list(islice(ids, _AT_ONCE)):
        yield some


def _known(connection: Connection, tenant: str, ids: list[str]) -> set[str]:
    query = select(effects.c.logical_id).where(effects.c.tenant == tenant, effects.c.logical_id.in_(ids))
    return set(connection.scalars(query))
