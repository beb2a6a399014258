"""Takes a save back: the edit that turns what it saved into what it replaced, to be merged like any other."""

from __future__ import annotations

from cordboard.errors import BadCall
from cordboard.ivr.canonical import without_bookkeeping
from cordboard.ivr.dialects.genesys import from_genesys
from cordboard.ivr.merge import Patch, make_patch
from cordboard.ivr.model import Flow
from cordboard.records.effects import EffectState
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle
from cordboard.updating.kept import saves_of


async def undoing(ledger: Ledger, run: RunHandle) -> tuple[Patch, Flow]:
    """The edit that takes an update back, and the version that it is made from.

    Args:
        ledger: where the update is on record.
        run: the update.

    Raises:
        BadCall: it saved nothing.
    """
    kept = await saves_of(ledger, run)
    for logical_id, entry in reversed((await run.all_entries()).items()):
        if entry.state is EffectState.DONE and logical_id in kept:
            save = kept[logical_id]
            version = (entry.result or {}).get("version") or save.version + 1
            before = without_bookkeeping(from_genesys(dict(save.replaced)))
            after = from_genesys({**save.sent, "version": version})
            return make_patch(after, before, base_version=version, reason=f"takes back {run.run_key}"), after
    raise BadCall(f"there is nothing to take back: no save by {run.run_key} is on record here")
