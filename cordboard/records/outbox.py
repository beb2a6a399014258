"""The outbox: messages that were written with the change they tell of, and how they leave.

A relay claims a message by moving its next time on by a lease, in one write; so two relays never send the same one
while both live, and what a dead relay had in hand comes due again. Delivery is at least once, always under the same id:
the receiver can tell a repeat. Messages of one run leave in order; one that fails goes back to its schedule and lets
the next ones pass.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, func, select, update

from cordboard.records.ledger import Ledger
from cordboard.records.page import iso
from cordboard.records.schema import outbox

MINUTE, HOUR = 60.0, 3600.0
SCHEDULE = (1.0, 5.0, 30.0, 2 * MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, 24 * HOUR)  # waits after failures, then dead
LEASE_SECONDS = 60.0  # longer than a delivery may take
MAX_ERROR = 500


class MessageState(StrEnum):
    """Where a message stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"


class Delivery(Protocol):
    """What came of sending a message."""

    @property
    def delivered(self) -> bool:
        """Whether the receiver took it."""

    @property
    def final(self) -> bool:
        """Whether sending it again is pointless."""

    @property
    def detail(self) -> str:
        """What happened, in one sentence without secrets."""


class Sender(Protocol):
    """Sends messages to one endpoint; it never raises for what the receiver does."""

    @property
    def ref(self) -> str:
        """The endpoint's reference, as messages carry it."""

    async def send(self, message_id: str, body: str) -> Delivery:
        """Sends one message."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that was claimed. `attempts` counts this one."""

    seq: int
    id: str
    tenant: str
    run_key: str
    kind: str
    body: str
    attempts: int


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """How many messages of an endpoint were delivered now, still wait, and were given up for good."""

    delivered: int
    pending: int
    dead: int


def wait_after(attempts: int, rng: random.Random) -> float | None:
    """Seconds until the next try after so many failed ones, up to a fifth longer at random; None when it is given up.

    >>> wait_after(9, random.Random(1)) is None
    True
    """
    if attempts > len(SCHEDULE):
        return None
    return SCHEDULE[attempts - 1] * (1 + rng.random() / 5)


async def claim_due(ledger: Ledger, ref: str, limit: int = 16) -> list[Outgoing]:
    """Claims messages of an endpoint that are due, oldest first; each is ours until the lease passes."""

    def claim(connection: Connection, now: float) -> list[Outgoing]:
        due = select(outbox.c.seq).where(_pending(ref), outbox.c.next_at <= now).order_by(outbox.c.seq).limit(limit)
        due = due.with_for_update(skip_locked=True)  # of two relays on PostgreSQL, each gets messages of its own
        ours = outbox.c.seq.in_([row.seq for row in connection.execute(due)])
        later = {"attempts": outbox.c.attempts + 1, "next_at": now + LEASE_SECONDS, "updated_at": iso(now)}
        connection.execute(update(outbox).where(ours).values(later))
        columns = [outbox.c[name] for name in Outgoing.__slots__]
        return [Outgoing(*row) for row in connection.execute(select(*columns).where(ours).order_by(outbox.c.seq))]

    if not await ledger.read(lambda connection: _due(connection, ref, ledger.clock())):
        return []  # looking costs no write lock
    return await ledger.write(claim)


async def settle(ledger: Ledger, message: Outgoing, delivery: Delivery, rng: random.Random) -> MessageState:
    """Records what came of a message: delivered, to be tried again, or dead."""
    wait = None if delivery.final else wait_after(message.attempts, rng)
    if delivery.delivered:
        state = MessageState.DELIVERED
    else:
        state = MessageState.DEAD if wait is None else MessageState.PENDING
    said = None if delivery.delivered else ledger.redactor.text(delivery.detail)[:MAX_ERROR]

    def write(connection: Connection, now: float) -> None:
        columns = {"state": state.value, "last_error": said, "next_at": now + (wait or 0), "updated_at": iso(now)}
        connection.execute(update(outbox).where(outbox.c.seq == message.seq).values(columns))

    await ledger.write(write)
    return state


async def give_back(ledger: Ledger, messages: Sequence[Outgoing]) -> None:
    """Makes claimed messages due at once: they were not sent, or nobody waited for the answer."""
    seqs = [message.seq for message in messages]
    kept = outbox.c.seq.in_(seqs) & (outbox.c.state == MessageState.PENDING.value)

    def write(connection: Connection, now: float) -> None:
        connection.execute(update(outbox).where(kept).values(next_at=now, attempts=outbox.c.attempts - 1))

    if seqs:
        await ledger.write(write)


async def deliver_due(
    ledger: Ledger, sender: Sender, limit: int = 1000, rng: random.Random | None = None
) -> DeliveryReport:
    """Delivers what is due for an endpoint, each message at most once, and reports how the endpoint stands.

    Raises:
        LedgerUnavailable: the outbox cannot be read or written.
    """
    chance = rng or random.Random()  # noqa: S311 - spreads retries, guards nothing
    delivered = taken = 0
    while taken < limit and (batch := await claim_due(ledger, sender.ref, min(16, limit - taken))):
        states = await deliver_batch(ledger, sender, batch, chance)
        delivered += states.count(MessageState.DELIVERED)
        taken += len(batch)
    waiting = await counts(ledger, sender.ref)
    return DeliveryReport(delivered, waiting[MessageState.PENDING], waiting[MessageState.DEAD])


async def counts(ledger: Ledger, ref: str) -> dict[MessageState, int]:
    """How many messages of an endpoint stand in each state."""
    query = select(outbox.c.state, func.count()).where(outbox.c.endpoint == ref).group_by(outbox.c.state)
    found: dict[str, int] = await ledger.read(lambda connection: {row[0]: row[1] for row in connection.execute(query)})
    return {state: found.get(state.value, 0) for state in MessageState}


async def deliver_batch(
    ledger: Ledger, sender: Sender, batch: Sequence[Outgoing], rng: random.Random
) -> list[MessageState]:
    """Delivers a batch: the messages of a run in order, several runs at a time."""
    todo = list(batch)
    by_run = groupby(sorted(batch, key=_run_of), key=_run_of)

    async def deliver(messages: list[Outgoing]) -> list[MessageState]:
        states = []
        for message in messages:
            delivery = await sender.send(message.id, message.body)
            todo.remove(message)
            states.append(await asyncio.shield(settle(ledger, message, delivery, rng)))
        return states

    try:
        groups = await asyncio.gather(*(deliver(list(messages)) for _, messages in by_run))
    except asyncio.CancelledError:
        await asyncio.shield(give_back(ledger, todo))
        raise
    return [state for states in groups for state in states]


def _run_of(message: Outgoing) -> tuple[str, str]:
    return message.tenant, message.run_key


def _pending(ref: str) -> ColumnElement[bool]:
    return (outbox.c.endpoint == ref) & (outbox.c.state == MessageState.PENDING.value)


def _due(connection: Connection, ref: str, by: float) -> bool:
    query = select(outbox.c.seq).where(_pending(ref), outbox.c.next_at <= by).limit(1)
    return connection.execute(query).first() is not None


async def is_due(ledger: Ledger, ref: str, by: float) -> bool:
    """Whether a message of the endpoint is due by a time, in seconds since the epoch."""
    return await ledger.read(lambda connection: _due(connection, ref, by))
