"""Asks the vendor how instances stand: for vendors that do not call back, and for what never reported its end.

An instance that the vendor does not know is given up as `lost` only once the vendor has shown that it knows another one
of ours: a wrong address, or another tenant's credentials, know none of them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, literal, select, tuple_

from cordboard.completion.applying import fence_of
from cordboard.completion.ended import Applied, Ended, Lost
from cordboard.completion.model import Completion
from cordboard.errors import NO_ACCESS, NOT_NOW, BadCall
from cordboard.records.capacity import SKEW_SECONDS
from cordboard.records.changes import RUNNING
from cordboard.records.ledger import Ledger
from cordboard.records.page import chunks
from cordboard.records.run import RunHandle
from cordboard.records.schema import audit, instances
from cordboard.vendors.cxone_workflows import Instance, read_instance
from cordboard.vendors.session import VendorSession
from cordboard.vendors.wire import Outcome

TIMEOUT_SECONDS = 30.0
BATCH = 200
SETTLED_SECONDS = 300.0  # a vendor may be slow to show an instance; a younger one is not given up
COMPLETED = "completed"  # the vendor's word for the usual end
STOPPED = "reaper.stopped"  # the audit record of where a run of the reaper stopped before it had asked for all
_KNOWN = frozenset({"ended", "running", "lost"})
#: Troubles that say nothing of the one instance: the vendor answers nobody, or not us.
_NO_ANSWER = NOT_NOW | NO_ACCESS | {"forbidden", "gateway_timeout", "lost_reply", "redirected", "timeout"}


@dataclass(frozen=True, slots=True)
class Polled:
    """How instances stood.

    Attributes:
        ended: they have ended; what was not known of it before is applied, as by a completion.
        running: they run on.
        lost: the vendor does not know them, and they are closed.
        left: nothing could be learned; they stay as they are.
        troubles: for those, how often each kind of failure was met.
    """

    ended: int = 0
    running: int = 0
    lost: int = 0
    left: int = 0
    troubles: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Polled) -> Polled:
        troubles = Counter(self.troubles) + Counter(other.troubles)
        return Polled(
            self.ended + other.ended,
            self.running + other.running,
            self.lost + other.lost,
            self.left + other.left,
            dict(troubles),
        )

    @property
    def asked(self) -> int:
        """How many were asked for."""
        return self.ended + self.running + self.lost + self.left

    @property
    def is_unanswered(self) -> bool:
        """Whether the vendor answered for none of them."""
        return self.asked > 0 and sum(self.troubles.get(kind, 0) for kind in _NO_ANSWER) == self.asked

    def as_json(self) -> dict[str, Any]:
        """The numbers as a JSON object."""
        return {
            "ended": self.ended,
            "running": self.running,
            "lost": self.lost,
            "left": self.left,
            "troubles": dict(self.troubles),
        }


async def poll(  # noqa: PLR0913, PLR0917 - told by name
    session: VendorSession,
    ledger: Ledger,
    handle: RunHandle,
    tenant: str,
    instance_ids: Iterable[str],
    erp: str | None,
    *,
    may_lose: bool = False,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Polled:
    """Asks how instances stand, as many at a time as the session allows, and applies the ends.

    Args:
        session: of the vendor's API `workflows`.
        ledger: where the ends are applied.
        handle: a run that is held; its key stands on the audit record.
        tenant: whose instances.
        instance_ids: the vendor's ids.
        erp: reference of the ERP's endpoint (`erp_ref`), where records are to be made.
        may_lose: whether an instance that the vendor does not know is closed as `lost`, as long as it knows another
            one. Leave it out for those that were just started: a vendor may be slow to show them.
        timeout_seconds: for each call.

    Raises:
        StaleOwner: the run was taken over.
        LedgerUnavailable: an end cannot be written.
        ValueError: the run is another tenant's.
    """
    if tenant != handle.tenant:
        raise ValueError(f"the run is held for {handle.tenant!r}, and the instances are of {tenant!r}")
    ids = tuple(instance_ids)
    kinds = await asyncio.gather(*(_ask(session, ledger, handle, each, erp, timeout_seconds) for each in ids))
    found, gone = Counter(kinds), [each for each, kind in zip(ids, kinds, strict=True) if kind == "not_found"]
    is_ours = found["ended"] + found["running"] > 0
    if may_lose and gone and (is_ours or await _knows_the_newest(session, ledger, tenant, gone, timeout_seconds)):
        old = await _settled(ledger, tenant, gone)
        given_up = await asyncio.gather(*(_give_up(ledger, handle, each) for each in old))
        found["not_found"] -= len(given_up)
        found += Counter(given_up)
    troubles = {kind: count for kind, count in found.items() if kind not in _KNOWN}
    return Polled(found["ended"], found["running"], found["lost"], sum(troubles.values()), troubles)


async def overdue(ledger: Ledger, tenant: str, started_by: float, limit: int, after: str = "") -> list[str]:
    """Ids of instances that were started by a time (seconds since the epoch) and have not reported, oldest first.

    What seems to have been started in the future was started before a clock was set back, and counts.

    Args:
        ledger: where they stand.
        tenant: whose.
        started_by: the latest start that counts.
        limit: how many at the most.
        after: goes on behind this instance.
    """
    at, order = instances.c.started_at, (instances.c.started_at, instances.c.instance_id)
    since = (at <= started_by) | (at > ledger.clock() + SKEW_SECONDS)
    query = select(instances.c.instance_id).where(_running(tenant), since).order_by(*order).limit(limit)

    def read(connection: Connection) -> list[str]:
        if not after:
            return list(connection.scalars(query))
        one = (instances.c.tenant == tenant) & (instances.c.instance_id == after)
        began = connection.scalar(select(at).where(one))
        return list(connection.scalars(query.where(tuple_(*order) > tuple_(literal(began), literal(after)))))

    return await ledger.read(read)


async def reap(  # noqa: PLR0913, PLR0917 - told by name
    session: VendorSession,
    ledger: Ledger,
    handle: RunHandle,
    erp: str | None,
    report_within_seconds: float,
    most: int,
) -> Polled:
    """Closes instances that should have reported by now, the oldest first, and stops where the vendor answers nothing.

    Where it stopped, or reached its limit, the next run goes on: those that run for very long, or for which the vendor
    never answers, hold none of the others up.

    Args:
        session: of the vendor's API `workflows`.
        ledger: where they stand.
        handle: a run that is held.
        erp: reference of the ERP's endpoint, where records are to be made.
        report_within_seconds: how old a running instance must be. Below five minutes none becomes lost.
        most: how many are asked for at the most.
    """
    started_by, total = ledger.clock() - report_within_seconds, Polled()
    may_lose = report_within_seconds >= SETTLED_SECONDS
    async for ids in _in_turn(ledger, handle, started_by, most):
        batch = await poll(session, ledger, handle, handle.tenant, ids, erp, may_lose=may_lose)
        total += batch
        if batch.is_unanswered or total.asked >= most:
            await handle.record(STOPPED, ids[-1])
            break
    return total


async def _in_turn(ledger: Ledger, handle: RunHandle, started_by: float, most: int) -> AsyncIterator[list[str]]:
    """Overdue instances, some at a time, each once: from where the last run stopped to the end, then the others."""
    seen: set[str] = set()
    for begin in dict.fromkeys((await _stopped_at(ledger, handle), "")):
        last = begin
        while len(seen) < most:
            ids = await overdue(ledger, handle.tenant, started_by, min(BATCH, most - len(seen)), last)
            new = [each for each in ids if each not in seen]
            if not new:  # the end, or where it began
                break
            last = ids[-1]
            seen.update(new)
            yield new


async def _stopped_at(ledger: Ledger, handle: RunHandle) -> str:
    mine = (audit.c.tenant == handle.tenant) & (audit.c.run_key == handle.run_key) & (audit.c.kind == STOPPED)
    query = select(audit.c.subject).where(mine).order_by(audit.c.seq.desc()).limit(1)
    return await ledger.read(lambda connection: connection.scalar(query)) or ""


async def _ask(  # noqa: PLR0913, PLR0917 - see poll
    session: VendorSession,
    ledger: Ledger,
    handle: RunHandle,
    instance_id: str,
    erp: str | None,
    timeout_seconds: float,
) -> str:
    """Returns `ended`, `running`, or why it was left."""
    try:
        request = read_instance(instance_id)
    except BadCall:
        return "bad_id"
    verdict = (await session.call(request, timeout_seconds=timeout_seconds)).verdict
    if verdict.outcome is Outcome.ACCEPTED:
        return await _apply(ledger, handle, instance_id, verdict.value, erp)
    return verdict.kind


async def _give_up(ledger: Ledger, handle: RunHandle, instance_id: str) -> str:
    return "lost" if await ledger.submit(Lost(fence_of(handle), instance_id)) else "ended"


async def _knows_the_newest(
    session: VendorSession, ledger: Ledger, tenant: str, gone: Sequence[str], timeout_seconds: float
) -> bool:
    """Whether the vendor knows the newest of our instances that run, or the newest that completed."""

    def read(connection: Connection) -> list[str]:
        mine = select(instances.c.instance_id).where(instances.c.tenant == tenant)
        latest = mine.order_by(instances.c.started_at.desc()).limit(1)
        found = (connection.scalar(latest.where(instances.c.status == status)) for status in (RUNNING, COMPLETED))
        return [each for each in found if each is not None and each not in gone]

    for instance_id in await ledger.read(read):
        if await _knows(session, instance_id, timeout_seconds):
            return True
    return False


async def _knows(session: VendorSession, instance_id: str, timeout_seconds: float) -> bool:
    try:
        request = read_instance(instance_id)
    except BadCall:
        return False
    verdict = (await session.call(request, timeout_seconds=timeout_seconds)).verdict
    return verdict.outcome is Outcome.ACCEPTED and verdict.value.id == instance_id


async def _settled(ledger: Ledger, tenant: str, gone: Sequence[str]) -> list[str]:
    """Those of them that are certainly not young: one that seems to be of the future may have started just now."""
    began = (instances.c.tenant == tenant) & (instances.c.started_at <= ledger.clock() - SETTLED_SECONDS)
    queries = [select(instances.c.instance_id).where(began, instances.c.instance_id.in_(ids)) for ids in chunks(gone)]
    return await ledger.read(lambda connection: [each for query in queries for each in connection.scalars(query)])


def _running(tenant: str) -> ColumnElement[bool]:
    return (instances.c.tenant == tenant) & (instances.c.status == RUNNING)


async def _apply(ledger: Ledger, handle: RunHandle, instance_id: str, instance: Instance, erp: str | None) -> str:
    if instance.id != instance_id:
        return "another_instance"
    if not instance.has_ended:
        return "running"
    completion = Completion(instance.id, instance.workflow_id, instance.status, instance.context)
    applied = await ledger.submit(Ended(fence_of(handle), completion, None, erp, ledger.redactor))
    return "another_workflow" if applied is Applied.UNFIT else "ended"
