"""The inbox: what others send us, durable before it is answered, and kept once however often it is sent.

A sender that hears nothing sends again, so the sender's own id of a message decides whether we have it. Our id is made
from endpoint and message id: the same in every process, and fit to travel in an event, where the body is not.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from cordboard.errors import BadCall
from cordboard.records.capacity import SKEW_SECONDS
from cordboard.records.effects import require_text
from cordboard.records.ledger import Ledger
from cordboard.records.schema import audit_head, inbox

MAX_MESSAGE_ID = 200  # characters; the column's width
_OURS = uuid.UUID("0c0bdb0a-2d5e-5a7e-9d3c-8f1f6f4a2b11")  # a name space of our own for ids made from names


class InboxState(StrEnum):
    """Where a message that came in stands."""

    NEW = "new"
    APPLIED = "applied"
    REPEATED = "repeated"  # it says what another one had said
    UNFIT = "unfit"  # it cannot be applied; `detail` says why


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a message that came in.

    Attributes:
        inbox_id: our id of it.
        is_new: whether it is the first under its id.
        is_same: whether the body that is kept is the one that came.
    """

    inbox_id: str
    is_new: bool
    is_same: bool = True


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that waits to be applied; `body` is JSON text."""

    inbox_id: str
    body: str


def inbox_id_of(endpoint: str, message_id: str) -> str:
    """Our id of a message: a UUID, the same for the same endpoint and message id."""
    return str(uuid.uuid5(_OURS, f"{endpoint}\n{message_id}"))


async def receive(ledger: Ledger, endpoint: str, message_id: str, body: str) -> Received:
    """Keeps a message, once; when this returned it is durable.

    Args:
        ledger: where it is kept.
        endpoint: which of our endpoints it came to.
        message_id: the sender's id of it, at most 200 characters.
        body: JSON text; where there is a message of this id already, that one's body stays as it is.

    Raises:
        BadCall: endpoint or message id cannot be stored.
        LedgerUnavailable: it could not be written: the sender must try again.
    """
    require_text(endpoint=endpoint, message_id=message_id)
    if len(message_id) > MAX_MESSAGE_ID:
        raise BadCall(f"the message id is longer than {MAX_MESSAGE_ID} characters: {message_id[:80]!a}…")
    inbox_id = inbox_id_of(endpoint, message_id)
    row = {"id": inbox_id, "endpoint": endpoint, "message_id": message_id, "body": body, "state": InboxState.NEW.value}

    def write(connection: Connection, now: float) -> Received:
        # Two receivers on PostgreSQL: this row is the lock that every writer of the ledger takes.
        connection.execute(select(audit_head.c.seq).with_for_update())
        if kept := connection.execute(select(inbox.c.body).where(inbox.c.id == inbox_id)).first():
            return Received(inbox_id, False, kept.body == body)
        connection.execute(insert(inbox), {**row, "received_at": now})
        return Received(inbox_id, True)

    return await ledger.write(write)


async def waiting(ledger: Ledger, endpoint: str, limit: int) -> list[Incoming]:
    """Messages of an endpoint that wait to be applied, oldest first.

    Raises:
        LedgerUnavailable: the inbox cannot be read.
    """
    query = select(inbox.c.id, inbox.c.body).where(_new(endpoint)).order_by(inbox.c.received_at, inbox.c.id)
    return await ledger.read(lambda connection: [Incoming(*row) for row in connection.execute(query.limit(limit))])


async def oldest_waiting(ledger: Ledger, endpoint: str, by: float | None = None) -> str | None:
    """Our id of the message that waits longest, if one came in by a time (seconds since the epoch); else None.

    What seems to have come in the future came before a clock was set back, and counts as old.

    Raises:
        LedgerUnavailable: the inbox cannot be read.
    """
    query = select(inbox.c.id).where(_new(endpoint)).order_by(inbox.c.received_at, inbox.c.id).limit(1)
    if by is not None:
        came = inbox.c.received_at
        query = query.where((came <= by) | (came > ledger.clock() + SKEW_SECONDS))
    return await ledger.read(lambda connection: connection.scalar(query))


async def newest_applied(ledger: Ledger, endpoint: str) -> str | None:
    """Our id of the message that came last among those that were applied; None where there is none.

    Raises:
        LedgerUnavailable: the inbox cannot be read.
    """
    applied = (inbox.c.endpoint == endpoint) & (inbox.c.state == InboxState.APPLIED.value)
    query = select(inbox.c.id).where(applied).order_by(inbox.c.received_at.desc()).limit(1)
    return await ledger.read(lambda connection: connection.scalar(query))


async def reconsider(ledger: Ledger, endpoint: str) -> int:
    """Makes what is unfit wait again, such as after an upgrade that can apply it; returns how many that are.

    Raises:
        LedgerUnavailable: the inbox cannot be written.
    """
    unfit = (inbox.c.endpoint == endpoint) & (inbox.c.state == InboxState.UNFIT.value)
    again = update(inbox).where(unfit).values(state=InboxState.NEW.value, detail=None, applied_at=None)
    return await ledger.write(lambda connection, _: connection.execute(again).rowcount)


async def counts(ledger: Ledger, endpoint: str) -> dict[InboxState, int]:
    """How many messages of an endpoint stand in each state.

    Raises:
        LedgerUnavailable: the inbox cannot be read.
    """
    query = select(inbox.c.state, func.count()).where(inbox.c.endpoint == endpoint).group_by(inbox.c.state)
    found: dict[str, int] = await ledger.read(lambda connection: {row[0]: row[1] for row in connection.execute(query)})
    return {state: found.get(state.value, 0) for state in InboxState}


def _new(endpoint: str) -> ColumnElement[bool]:
    return (inbox.c.endpoint == endpoint) & (inbox.c.state == InboxState.NEW.value)
