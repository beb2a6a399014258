"""Puts the end of an update on record, together with the webhook that tells of it: both or neither."""

from __future__ import annotations

from cordboard.updating.document import audit_entry, messages_of
from cordboard.updating.run import UpdateRun


async def tell(run: UpdateRun, endpoint: str | None) -> None:
    """Records how the update ended; a save is told to the endpoint once, also where the run that made it died.

    Raises:
        LedgerUnavailable: nothing was recorded, and nothing told.
    """
    kind = f"flow.update.{run.status}"
    await run.handle.record(kind, run.flow_id, audit_entry(run), messages=messages_of(run, endpoint))
