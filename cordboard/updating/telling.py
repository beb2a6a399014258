"""Puts the end of an update on record, together with the webhook that tells of it: both or neither."""

from __future__ import annotations

from cordboard.records.audit import told
from cordboard.updating.document import SAVED, audit_entry, messages_of
from cordboard.updating.run import UpdateRun
from cordboard.updating.saving import changes_of_save


async def tell(run: UpdateRun, endpoint: str | None) -> None:
    """Records how the update ended; a save is told to the endpoint once, also where the run that made it died.

    One that is still unverified when it is looked at again was told as that before, and is not told again.

    Raises:
        LedgerUnavailable: nothing was recorded, and nothing told.
    """
    kind, handle = f"flow.update.{run.status}", run.handle
    run.changes = await changes_of_save(run) if run.status in SAVED else ()
    was_told = run.status in SAVED and await told(run.ledger, handle.tenant, handle.run_key, kind)
    messages = () if was_told else messages_of(run, endpoint)
    await handle.record(kind, run.flow_id, audit_entry(run), messages=messages)
