"""Which runs somebody holds, and whether that somebody still lives."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from cordboard.errors import BadCall
from cordboard.findings import did_you_mean, near
from cordboard.records.owner import Owner
from cordboard.records.page import iso
from cordboard.records.schema import HELD_RUNS, audit, runs
from cordboard.records.tenants import tenants

SHOWN = 20  # tenants that a message names
FORGOTTEN_SECONDS = 7 * 24 * 3600.0  # whoever wanted to go on with a run that died has done so by then


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run that a process holds, or held when it died.

    Attributes:
        tenant: whose run it is.
        run_key: its key in the ledger.
        kind: what kind of job it is.
        epoch: counts its claims.
        holder: the process.
        since: when that process claimed it; ISO 8601, UTC.
        lease_until: seconds since the epoch.
        is_alive: whether the process runs; on another host, whether its lease has not passed.
    """

    tenant: str
    run_key: str
    kind: str
    epoch: int
    holder: Owner
    since: str
    lease_until: float
    is_alive: bool

    def as_json(self) -> dict[str, Any]:
        """The run as a JSON object."""
        return {
            "tenant": self.tenant, "run_key": self.run_key, "kind": self.kind, "epoch": self.epoch,
            "host": self.holder.host, "pid": self.holder.pid, "since": self.since, "alive": self.is_alive,
        }  # fmt: skip


def held_runs(connection: Connection, now: float, tenant: str = "") -> list[HeldRun]:
    """Every run that is marked as held.

    Args:
        connection: of the ledger.
        now: seconds since the epoch.
        tenant: whose; empty means everybody's.
    """
    query = select(runs).where(HELD_RUNS).order_by(runs.c.tenant, runs.c.run_key)
    if tenant:
        query = query.where(runs.c.tenant == tenant)
    return [_held(connection, row, now) for row in connection.execute(query)]


def left_behind(connection: Connection, held: Iterable[HeldRun], now: float) -> list[HeldRun]:
    """Those of the dead that nobody has taken up since, for a week.

    A worker of a batch holds a run of its own beside those of its pieces, which no other worker ever claims: it counts
    until the batch has ended elsewhere.
    """
    dead = (run for run in held if not run.is_alive and run.lease_until > now - FORGOTTEN_SECONDS)
    return [run for run in dead if not _has_ended_elsewhere(connection, run)]


def is_held_by_the_living(connection: Connection, now: float, key: str) -> bool:
    """Whether a live process holds a run of this key; one that ends with `/` stands for every run below it."""
    query = select(runs.c.owner, runs.c.lease_until).where(HELD_RUNS, _called(key))
    return any(lives(Owner.parse(row.owner), row.lease_until, now) for row in connection.execute(query))


def was_claimed_since(connection: Connection, key: str, since: float) -> bool:
    """Whether a run of this key was claimed after a time; one that ends with `/` stands for every run below it.

    Args:
        connection: of the ledger.
        key: of the run.
        since: seconds since the epoch.
    """
    claimed = (audit.c.kind == "run.claimed") & (audit.c.at > iso(since))
    for each in tenants(connection):
        called = select(runs.c.run_key).where(runs.c.tenant == each, _called(key))
        mine = select(audit.c.seq).where(audit.c.tenant == each, audit.c.subject.in_(called), claimed)
        if connection.execute(mine.limit(1)).first() is not None:
            return True
    return False


def contents_of(connection: Connection, key: str) -> frozenset[str]:
    """Digests of what a batch was when each tenant that has one of this key began it last.

    Args:
        connection: of the ledger.
        key: what the runs of the batch begin with, such as `starts/sunday/`.
    """
    batch = key.removeprefix("starts/").rstrip("/")
    began = (audit.c.subject == batch) & (audit.c.kind == "batch.began")
    queries = (
        select(audit.c.detail).where(audit.c.tenant == each, began).order_by(audit.c.seq.desc()).limit(1)
        for each in tenants(connection)
    )
    found = filter(None, (connection.scalar(query) for query in queries))
    return frozenset(str(json.loads(detail).get("content", "")) for detail in found)


def is_known(connection: Connection, key: str) -> bool:
    """Whether any tenant ever had a run of this key; one that ends with `/` stands for every run below it."""
    queries = (select(runs.c.epoch).where(runs.c.tenant == each, _called(key)).limit(1) for each in tenants(connection))
    return any(connection.execute(query).first() is not None for query in queries)


def require_tenant(connection: Connection, tenant: str) -> None:
    """Refuses a tenant that a ledger does not know, where it knows others.

    Args:
        connection: of the ledger.
        tenant: its name; empty means everybody's.

    Raises:
        BadCall: it knows none of this name.
    """
    known = list(tenants(connection)) if tenant else []
    if known and tenant not in known:
        hint = did_you_mean(near(tenant, known)) or f"It knows {', '.join(known[:SHOWN])}."
        raise BadCall(f"the ledger knows no tenant {tenant!r}. {hint}")


def lives(holder: Owner, lease_until: float, now: float) -> bool:
    """Whether a holder lives, as the ledger itself judges it when somebody else claims the run."""
    return holder.is_alive() if holder.is_here() else lease_until > now


def _has_ended_elsewhere(connection: Connection, run: HeldRun) -> bool:
    batch, of_a_worker, _ = run.run_key.removeprefix("starts/").rpartition("/worker-")
    if not of_a_worker:
        return False
    ended = (audit.c.tenant == run.tenant) & (audit.c.subject == batch) & (audit.c.kind == "batch.ended")
    return connection.execute(select(audit.c.seq).where(ended, audit.c.at > run.since).limit(1)).first() is not None


def _called(key: str) -> ColumnElement[bool]:
    return runs.c.run_key.startswith(key, autoescape=True) if key.endswith("/") else runs.c.run_key == key


def _held(connection: Connection, row: Any, now: float) -> HeldRun:
    holder = Owner.parse(row.owner)
    alive = lives(holder, row.lease_until, now)
    since = _claimed_at(connection, row.tenant, row.run_key) or row.updated_at
    return HeldRun(row.tenant, row.run_key, row.kind, row.epoch, holder, since, row.lease_until, alive)


def _claimed_at(connection: Connection, tenant: str, run_key: str) -> str | None:
    """When it was last claimed. Asked for by subject: a run has very many records, and few about itself."""
    mine = (audit.c.tenant == tenant) & (audit.c.subject == run_key) & (audit.c.kind == "run.claimed")
    found: str | None = connection.scalar(select(func.max(audit.c.at)).where(mine))
    return found
