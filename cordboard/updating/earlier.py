"""What earlier runs of the same edit left in the ledger: saves that are done, and saves of which nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cordboard.errors import BadCall
from cordboard.records.audit import told
from cordboard.records.effects import EffectState
from cordboard.sending import Sent
from cordboard.updating.kept import saves_of
from cordboard.updating.reading import read_live
from cordboard.updating.run import UpdateRun
from cordboard.updating.saving import looked_up

#: Evidence of a save of which nobody knows: what was live already held the edit.
HELD = "held"
_OPEN = frozenset({EffectState.SENT, EffectState.UNKNOWN})
#: The end after which nothing of a save is left to do: it was read back, and told to everybody who waits for it.
_TOLD = "flow.update.saved"
_MAKE_ANEW = "to make it again, say which version you edit now: set `base_version`"
_BRING_BACK = "it was taken back by this already: if it is live again, give --undo the update that brought it back"
_END_IT = "the run that saved it did not end: give it again without the dry run, to read it back and tell of it"


async def recall(run: UpdateRun) -> None:
    """Where this very edit was saved before: it is not made again, also where somebody took it back since.

    A run that died between its save and the telling of it, or could not read it back, leaves that to this one, unless
    this is a dry run.

    Raises:
        BadCall: the live flow is not the one in which it was saved.
        VendorFailed: the live flow cannot be read.
    """
    for entry in (await run.handle.all_entries()).values():
        if entry.state is EffectState.DONE:
            run.version = (entry.result or {}).get("version")
            was_told = await _was_told(run)
            run.status = "unchanged" if was_told or run.dry_run else "saved"
            run.sent = Sent(EffectState.DONE, entry.result, reused=True)
            if (entry.evidence or {}).get("kind") == HELD:
                run.verified = True  # it was found by joining the edit with that version, which changed nothing
            if run.status == "unchanged":
                await _demand_same_flow(run)
                anew = _MAKE_ANEW if run.patch.document else _BRING_BACK  # an undo has no file to say a version in
                what_then = anew if was_told else _END_IT
                run.notes += (f"this very edit was saved as version {run.version} at {entry.updated_at}; {what_then}",)


async def settle_open(run: UpdateRun, live: Mapping[str, Any]) -> None:
    """Finds out what became of saves whose run died; one that took effect is the end of this edit.

    One that was made for the version that is live still is left as it is: it is sent again, which is the same. A dry
    run only says what it finds.
    """
    left = {name: entry for name, entry in (await run.handle.all_entries()).items() if entry.state in _OPEN}
    kept = {**await saves_of(run.ledger, run.handle), **run.kept} if left else {}
    for logical_id, entry in left.items():
        if logical_id in kept:
            sent = await looked_up(run, entry.effect, kept[logical_id], live)
            if sent is not None and sent.state is EffectState.DONE:
                run.sent, run.version = sent, sent.output["version"]
                run.status = "unchanged" if run.dry_run else "saved"
                run.notes += (f"an earlier run saved it as version {run.version}; {_END_IT}",) if run.dry_run else ()


async def conclude_as_held(run: UpdateRun) -> bool:
    """Where the live flow holds the edit: concludes saves of which nobody knows. Whether there was one."""
    open_ones = [entry for entry in (await run.handle.all_entries()).values() if entry.state in _OPEN]
    for entry in open_ones:
        proof, result = {"kind": HELD, "message": "the live flow holds the edit"}, dict(run.proposed.body)
        await run.handle.conclude(entry.effect, EffectState.DONE, result=result, evidence=proof, attempts=0)
        run.sent = Sent(EffectState.DONE, result, reused=True, proof=proof)
    if open_ones:
        run.verified = True  # what is live was read just now, and joining the edit with it changes nothing
        run.notes = (f"the answer to its save was lost; version {run.version}, which is live, holds the edit",)
    return bool(open_ones)


async def _demand_same_flow(run: UpdateRun) -> None:
    """Versions only grow: a flow that is older than what we saved is another one.

    Raises:
        BadCall: it is another.
    """
    now = (await read_live(run))["version"]
    if run.version is not None and now < run.version:
        raise BadCall(
            f"the ledger has this edit as version {run.version} of {run.flow_id}, and the live flow is version {now}: "
            "it was made anew since, or it is another vendor's (a new sandbox); use another ledger for it"
        )


async def _was_told(run: UpdateRun) -> bool:
    handle = run.handle
    return bool(await told(run.ledger, handle.tenant, handle.run_key, _TOLD))
