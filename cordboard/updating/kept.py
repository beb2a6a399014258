"""The versions of live flows that the ledger keeps: what each save replaced, and what it sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from cordboard.records.audit import about
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle
from cordboard.records.schema import audit

INTENDED, READ = "flow.save.intended", "flow.version"


@dataclass(frozen=True, slots=True)
class Kept:
    """One save, as it was put on record before it was sent.

    Attributes:
        logical_id: the effect.
        version: the version that it replaces.
        replaced: the flow of that version; empty where it could not be kept.
        sent: the flow that takes its place; empty where it could not be kept.
    """

    logical_id: str
    version: int
    replaced: Mapping[str, Any]
    sent: Mapping[str, Any]


async def keep_intended(ledger: Ledger, run: RunHandle, flow_id: str, kept: Kept) -> None:
    """Puts on record what is about to be replaced by what; before it is sent.

    A flow that holds one of our secrets is not kept: the ledger masks it, and masked it must never be live again.
    """
    facts: dict[str, Any] = {"logical_id": kept.logical_id, "version": kept.version}
    facts |= {"replaced": dict(kept.replaced), "sent": dict(kept.sent)}
    if ledger.redactor.value(facts) != facts:
        facts |= {"replaced": {}, "sent": {}}
    await run.record(INTENDED, _subject(flow_id, kept.version), facts)


async def keep_read(ledger: Ledger, run: RunHandle, flow_id: str, definition: Mapping[str, Any]) -> None:
    """Puts a version on record as it was read, so that edits can be made from it later."""
    if ledger.redactor.value(definition) == definition:
        await run.record(READ, _subject(flow_id, definition["version"]), {"definition": dict(definition)})


async def saves_of(ledger: Ledger, run: RunHandle) -> dict[str, Kept]:
    """The saves of one edit that were put on record, by the effect's logical id, the oldest first."""
    mine = (audit.c.tenant == run.tenant) & (audit.c.run_key == run.run_key) & (audit.c.kind == INTENDED)
    query = select(audit.c.detail).where(mine).order_by(audit.c.seq)
    found = [Kept(**json.loads(text)) for text in await ledger.read(lambda connection: connection.scalars(query).all())]
    return {kept.logical_id: kept for kept in found}


async def version_kept(ledger: Ledger, run: RunHandle, flow_id: str, version: int) -> Mapping[str, Any] | None:
    """A version of the flow, where any edit through this ledger read it."""
    subject = _subject(flow_id, version)
    for kind, name in ((READ, "definition"), (INTENDED, "replaced")):
        for row in await about(ledger, run.tenant, subject, kind, limit=1):
            if found := json.loads(row["detail"])[name]:
                return dict(found)
    return None


def _subject(flow_id: str, version: int) -> str:
    return f"{flow_id}@{version}"
