"""What stands open in a ledger, all read at one moment; nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from cordboard.records.ledger import Ledger
from cordboard.records.page import iso
from cordboard.recovery.holding import HeldRun, held_runs, left_behind
from cordboard.recovery.opened import OpenEffects, open_effects
from cordboard.recovery.waiting import LONG_SECONDS, Waiting, waiting

SHOWN = 20  # effects and runs that are named


@dataclass(frozen=True, slots=True)
class Overview:
    """How a ledger stands.

    Attributes:
        at: when; ISO 8601, UTC.
        held: runs that are held, first those of the dead that nobody has taken up since.
        effects: what was sent and has no certain end.
        waiting: what waits.
    """

    at: str
    held: tuple[HeldRun, ...]
    effects: OpenEffects
    waiting: Waiting

    @property
    def needs_somebody(self) -> bool:
        """Whether something will not go on by itself."""
        stuck = any(queue.stuck for queue in (*self.waiting.outbox, *self.waiting.inbox))
        dead = any(not run.is_alive for run in self.held)
        return bool(self.effects.unknown or self.effects.interrupted or stuck or dead)

    def as_json(self) -> dict[str, Any]:
        """The whole as a JSON object."""
        runs = [run.as_json() for run in self.held]
        facts = {"at": self.at, "needs_somebody": self.needs_somebody, "held": runs}
        return {**facts, "effects": self.effects.as_json(), **self.waiting.as_json()}


async def overview(
    ledger: Ledger, tenant: str = "", limit: int = SHOWN, long_seconds: float = LONG_SECONDS
) -> Overview:
    """Reads it.

    Args:
        ledger: which.
        tenant: whose; empty means everybody's.
        limit: effects that are named at the most; all are counted.
        long_seconds: instances that have run for longer are named.

    Raises:
        LedgerUnavailable: it cannot be read.
    """
    now = ledger.clock()

    def read(connection: Connection) -> Overview:
        held = held_runs(connection, now, tenant)
        found = open_effects(connection, now, held, tenant, limit)
        shown = (*left_behind(connection, held, now), *(run for run in held if run.is_alive))
        return Overview(iso(now), shown, found, waiting(connection, now, tenant, long_seconds))

    return await ledger.read(read)
