"""What to restore: the flow that the latest registration from a file replaced, as the ledger kept it.

Before each registration the ledger gets a record of what it replaces. Of these records count only those of
registrations from a file that may have taken effect: one that was certainly refused replaced nothing, and one that
restores must not be undone by the next restore. A flow that was read back as something that nobody sent is nothing to
go back to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from cordboard.errors import BadCall
from cordboard.ivr.canonical import without_bookkeeping
from cordboard.ivr.dialects.cxone import from_cxone
from cordboard.ivr.model import Flow
from cordboard.records.audit import history
from cordboard.records.effects import EffectState, Entry
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle
from cordboard.registration.plan import Plan

REPLACED, UNVERIFIED = "flow.replaced", "flow.unverified"
Source = Literal["file", "restore"]


async def keep_replaced(run: RunHandle, plan: Plan, logical_id: str, source: Source) -> None:
    """Puts on record what a registration is about to replace; before it is sent.

    Args:
        run: the ledger's handle.
        plan: what is registered.
        logical_id: the effect that replaces it.
        source: whether it comes from a file or takes another registration back.
    """
    if plan.live is None:
        return
    facts = {"logical_id": logical_id, "by": source, "live_hash": plan.live_hash, "definition": plan.live}
    await run.record(REPLACED, plan.flow.id, facts)


async def replaced_flow(ledger: Ledger, run: RunHandle, flow_id: str) -> Flow:
    """The flow to restore.

    Raises:
        BadCall: there is none.
    """
    rows = await history(ledger, run.tenant, run.run_key)
    entries = await run.all_entries()
    spoilt = {json.loads(row["detail"]).get("stored_hash") for row in rows if row["kind"] == UNVERIFIED}
    for row in reversed(rows):
        if row["kind"] != REPLACED:
            continue
        kept = json.loads(row["detail"])
        if _counts(kept, entries.get(kept["logical_id"])) and kept["live_hash"] not in spoilt:
            return without_bookkeeping(from_cxone(kept["definition"]))
    raise BadCall(f"there is nothing to restore: no registration of {flow_id} from a file replaced a flow here")


def _counts(kept: Mapping[str, Any], entry: Entry | None) -> bool:
    if kept["by"] != "file" or entry is None:
        return False
    if entry.state in {EffectState.READY, EffectState.FAILED}:
        return False
    return (entry.evidence or {}).get("kind") != "conflict"  # answered 409: the vendor has what it had
