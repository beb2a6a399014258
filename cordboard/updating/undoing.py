"""Takes a save back: the edit that turns what it saved into what it replaced, to be merged like any other."""

from __future__ import annotations

from dataclasses import replace

from cordboard.errors import BadCall
from cordboard.ivr.canonical import without_bookkeeping
from cordboard.ivr.dialects.genesys import from_genesys
from cordboard.ivr.merge import Patch, make_patch
from cordboard.ivr.model import Flow
from cordboard.records.effects import EffectState, Entry
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle
from cordboard.updating.earlier import HELD
from cordboard.updating.kept import Kept, saves_of, version_kept


async def undoing(ledger: Ledger, run: RunHandle) -> tuple[Patch, Flow]:
    """The edit that takes an update back, and the version that it is made from.

    Args:
        ledger: where the update is on record.
        run: the update.

    Raises:
        BadCall: it saved nothing.
    """
    kept, entries = await saves_of(ledger, run), await run.all_entries()
    for logical_id, entry in reversed(entries.items()):
        if entry.state is EffectState.DONE and logical_id in kept:
            return await _back(ledger, run, entry, kept[logical_id])
    if any(entry.state in {EffectState.SENT, EffectState.UNKNOWN} for entry in entries.values()):
        raise BadCall(
            f"nobody knows yet whether {run.run_key} was saved: give that update again, which finds out, and then "
            "take it back"
        )
    raise BadCall(f"there is nothing to take back: no save by {run.run_key} is on record here")


async def _back(ledger: Ledger, run: RunHandle, entry: Entry, save: Kept) -> tuple[Patch, Flow]:
    version = (entry.result or {}).get("version") or save.version + 1
    if not save.replaced:
        raise BadCall(f"{run.run_key} cannot be taken back: what it replaced held a secret of ours, and is not kept")
    flow_id = entry.effect.subject
    looked_up = (entry.evidence or {}).get("kind") in {"read_back", HELD}  # such a version may hold others' edits, too
    stored = None if looked_up else await version_kept(ledger, run, flow_id, version)
    after = from_genesys(dict(stored or {**save.sent, "version": version}))
    before = without_bookkeeping(from_genesys(dict(save.replaced)))
    before = replace(before, name=after.name, extra=after.extra)  # no edit changes the head of a flow
    return make_patch(after, before, base_version=version, reason=f"takes back {run.run_key}"), after
