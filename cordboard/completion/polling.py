"""Asks the vendor how instances stand: for vendors that do not call back, and for what never reported its end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, literal, select, tuple_

from cordboard.completion.applying import fence_of
from cordboard.completion.ended import Applied, Ended, Lost
from cordboard.completion.model import Completion
from cordboard.errors import BadCall
from cordboard.records.changes import RUNNING
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle
from cordboard.records.schema import instances
from cordboard.vendors.cxone_workflows import Instance, read_instance
from cordboard.vendors.session import VendorSession
from cordboard.vendors.wire import Outcome

TIMEOUT_SECONDS = 30.0
BATCH = 200
_KNOWN = frozenset({"ended", "running", "lost"})


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
        may_lose: whether an instance that the vendor does not know is closed as `lost`. Leave it out for those that
            were just started: a vendor may be slow to show them.
        timeout_seconds: for each call.

    Raises:
        StaleOwner: the run was taken over.
        LedgerUnavailable: an end cannot be written.
        ValueError: the run is another tenant's.
    """
    if tenant != handle.tenant:
        raise ValueError(f"the run is held for {handle.tenant!r}, and the instances are of {tenant!r}")
    asked = (_ask(session, ledger, handle, each, erp, may_lose, timeout_seconds) for each in instance_ids)
    found = Counter(await asyncio.gather(*asked))
    troubles = {kind: count for kind, count in found.items() if kind not in _KNOWN}
    return Polled(found["ended"], found["running"], found["lost"], sum(troubles.values()), troubles)


async def overdue(ledger: Ledger, tenant: str, started_by: float, limit: int, after: str = "") -> list[str]:
    """Ids of instances that were started by a time (seconds since the epoch) and have not reported, oldest first.

    Args:
        ledger: where they stand.
        tenant: whose.
        started_by: the latest start that counts.
        limit: how many at the most.
        after: goes on behind this instance.
    """
    mine = (instances.c.tenant == tenant) & (instances.c.status == RUNNING) & (instances.c.started_at <= started_by)
    order = (instances.c.started_at, instances.c.instance_id)
    query = select(instances.c.instance_id).where(mine).order_by(*order).limit(limit)

    def read(connection: Connection) -> list[str]:
        if not after:
            return list(connection.scalars(query))
        one = (instances.c.tenant == tenant) & (instances.c.instance_id == after)
        at = connection.scalar(select(instances.c.started_at).where(one))
        return list(connection.scalars(query.where(tuple_(*order) > tuple_(literal(at), literal(after)))))

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

    Args:
        session: of the vendor's API `workflows`.
        ledger: where they stand.
        handle: a run that is held.
        erp: reference of the ERP's endpoint, where records are to be made.
        report_within_seconds: how old a running instance must be.
        most: how many are asked for at the most.
    """
    started_by, total, last = ledger.clock() - report_within_seconds, Polled(), ""
    while total.asked < most:
        ids = await overdue(ledger, handle.tenant, started_by, min(BATCH, most - total.asked), last)
        if not ids:
            break
        batch = await poll(session, ledger, handle, handle.tenant, ids, erp, may_lose=True)
        total, last = total + batch, ids[-1]
        if batch.left == batch.asked:
            break
    return total


async def _ask(  # noqa: PLR0913, PLR0917 - see poll
    session: VendorSession,
    ledger: Ledger,
    handle: RunHandle,
    instance_id: str,
    erp: str | None,
    may_lose: bool,
    timeout_seconds: float,
) -> str:
    """Returns `ended`, `running`, `lost`, or why it was left."""
    try:
        request = read_instance(instance_id)
    except BadCall:
        return "bad_id"
    verdict = (await session.call(request, timeout_seconds=timeout_seconds)).verdict
    if verdict.outcome is Outcome.ACCEPTED:
        return await _apply(ledger, handle, instance_id, verdict.value, erp)
    if verdict.kind == "not_found" and may_lose:
        return "lost" if await ledger.submit(Lost(fence_of(handle), instance_id)) else "ended"
    return verdict.kind


async def _apply(ledger: Ledger, handle: RunHandle, instance_id: str, instance: Instance, erp: str | None) -> str:
    if instance.id != instance_id:
        return "another_instance"
    if not instance.has_ended:
        return "running"
    completion = Completion(instance.id, instance.workflow_id, instance.status, instance.context)
    applied = await ledger.submit(Ended(fence_of(handle), completion, None, erp, ledger.redactor))
    return "another_workflow" if applied is Applied.UNFIT else "ended"
