"""Effects that are open: sent, and nobody knows what came of them."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select, true

from cordboard.records.effects import EffectState
from cordboard.records.schema import OPEN_EFFECTS, effects
from cordboard.recovery.holding import HeldRun


@dataclass(frozen=True, slots=True)
class OpenEffect:
    """An effect that was sent and has no certain end.

    Attributes:
        key: the ledger's key of it.
        tenant: whose effect it is.
        run_key: the run that wrote it last.
        operation: the vendor operation.
        logical_id: what makes it this effect and no other.
        subject: what people call it.
        safety: whether it may be sent again.
        body_hash: SHA-256 of the request body, in hex.
        state: SENT, its run having died before the outcome was on record, or UNKNOWN.
        attempts: sends that were recorded.
        since: ISO 8601, UTC.
        age_seconds: since then.
        evidence: the JSON value that was recorded, or None.
    """

    key: str
    tenant: str
    run_key: str
    operation: str
    logical_id: str
    subject: str
    safety: str
    body_hash: str
    state: EffectState
    attempts: int
    since: str
    age_seconds: float
    evidence: Any

    @property
    def why(self) -> str:
        """Why nobody knows, in one sentence."""
        if self.state is EffectState.SENT:
            return "it was sent, its run died, and no answer is on record"
        said = self.evidence if isinstance(self.evidence, dict) else {}
        return str(said.get("message") or said.get("reason") or "no reason is on record")

    def as_json(self) -> dict[str, Any]:
        """The effect as a JSON object."""
        return {
            "key": self.key, "tenant": self.tenant, "run_key": self.run_key, "operation": self.operation,
            "logical_id": self.logical_id, "subject": self.subject, "safety": self.safety, "state": str(self.state),
            "attempts": self.attempts, "since": self.since, "age_seconds": round(self.age_seconds, 3),
            "why": self.why, "evidence": self.evidence,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenEffects:
    """How many effects are open, and the oldest of those that need somebody.

    Attributes:
        in_flight: sent by runs that live.
        interrupted: sent by runs that died.
        unknown: what nobody can know.
        shown: the oldest of the last two kinds.
        by_operation: how many of the last two kinds there are of each operation.
    """

    in_flight: int
    interrupted: int
    unknown: int
    shown: tuple[OpenEffect, ...]
    by_operation: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """The numbers and the effects as a JSON object."""
        return {
            "in_flight": self.in_flight, "interrupted": self.interrupted, "unknown": self.unknown,
            "by_operation": self.by_operation, "shown": [effect.as_json() for effect in self.shown],
        }  # fmt: skip


def open_effects(
    connection: Connection, now: float, held: Collection[HeldRun], tenant: str = "", limit: int = 20
) -> OpenEffects:
    """Reads what is open.

    Args:
        connection: of the ledger.
        now: seconds since the epoch.
        held: the runs that are held, dead or alive.
        tenant: whose; empty means everybody's.
        limit: effects that are shown at the most.
    """
    mine = and_(OPEN_EFFECTS, effects.c.tenant == tenant if tenant else true())
    live = _sent_by_the_living(held)
    counts = {
        row[0]: row[1]
        for row in connection.execute(select(effects.c.state, func.count()).where(mine).group_by(effects.c.state))
    }
    flying = connection.scalar(select(func.count()).select_from(effects).where(mine, live)) or 0
    left = and_(mine, not_(live))
    operations = select(effects.c.operation, func.count()).where(left).group_by(effects.c.operation)
    rows = connection.execute(select(effects).where(left).order_by(effects.c.updated_at, effects.c.key).limit(limit))
    return OpenEffects(
        flying,
        counts.get("sent", 0) - flying,
        counts.get("unknown", 0),
        tuple(open_effect(row, now) for row in rows),
        {row[0]: row[1] for row in connection.execute(operations.order_by(effects.c.operation))},
    )


def open_effect(row: Any, now: float) -> OpenEffect:
    """One row of the ledger."""
    age = now - datetime.fromisoformat(row.updated_at).timestamp()
    return OpenEffect(
        row.key, row.tenant, row.run_key, row.operation, row.logical_id, row.subject, row.safety,
        row.body_hash, EffectState(row.state), row.attempts, row.updated_at, age,
        json.loads(row.evidence) if row.evidence else None,
    )  # fmt: skip


def _sent_by_the_living(held: Collection[HeldRun]) -> ColumnElement[bool]:
    """SENT under a run that its holder still has in hand: its answer may come any moment."""
    by_tenant: dict[str, list[str]] = {}
    for run in held:
        if run.is_alive:
            by_tenant.setdefault(run.tenant, []).append(run.run_key)
    theirs = [and_(effects.c.tenant == each, effects.c.run_key.in_(keys)) for each, keys in by_tenant.items()]
    return and_(effects.c.state == EffectState.SENT.value, or_(*theirs)) if theirs else effects.c.key.is_(None)
