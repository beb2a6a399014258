"""The audit record: whether checkpoints vouch for it, and how old the last one is."""

from __future__ import annotations

import asyncio
from datetime import datetime

from sqlalchemy import Connection, inspect, select

from cordboard.doctor.model import Check, Surroundings, error, ok, skipped, warning
from cordboard.errors import CordboardError
from cordboard.records.checkpoints import Checkpoint, CheckpointFile
from cordboard.records.engine import explained, ledger_url, open_database, sqlite_file
from cordboard.records.schema import audit

STALE_SECONDS = 600.0
_NAME = "audit checkpoints"
_MEND = (
    "Run `cordboard audit checkpoint` now and every minute, and see why runs made none (log `cordboard.checkpoints`)."
)


async def probe(place: Surroundings) -> list[Check]:
    """The age of the last checkpoint, against the first record that it does not vouch for."""
    try:
        keep = CheckpointFile.of(place.settings)
        if keep is None:
            return [skipped(_NAME, "CORDBOARD_CHECKPOINT_KEY is not set: a rewrite of the whole record would not show")]
        last = keep.last()
        async with asyncio.timeout(2 * place.timeout_seconds):
            waiting = await _first_after(place, last.seq if last else 0)
    except TimeoutError:
        return [skipped(_NAME, "the ledger did not answer in time")]
    except CordboardError as fault:
        return [error(_NAME, str(fault), "Correct CORDBOARD_CHECKPOINT_KEY or CORDBOARD_CHECKPOINT_DIR.")]
    return [judge_checkpoints(last, waiting, place.now())]


async def _first_after(place: Surroundings, seq: int) -> str | None:
    """When the first record after this one was written; None where there is none."""
    url = ledger_url(place.settings.ledger)
    file = sqlite_file(url)
    if file and not file.exists():
        return None

    def read(connection: Connection) -> str | None:
        if not inspect(connection).has_table(audit.name):
            return None
        return connection.scalar(select(audit.c.at).where(audit.c.seq == seq + 1))

    with explained(url):
        database = open_database(url)
        try:
            return await database.read(read)
        finally:
            await database.close()


def judge_checkpoints(last: Checkpoint | None, waiting: str | None, now: float) -> Check:
    """How the last checkpoint stands to the record.

    Args:
        last: the last good checkpoint.
        waiting: when the first record that has none was written, in ISO 8601.
        now: seconds since the epoch.
    """
    since = now - datetime.fromisoformat(waiting).timestamp() if waiting else 0.0
    said = f"the last was made at {last.at}" if last else "there is none yet"
    if since > STALE_SECONDS:
        return warning(_NAME, f"{said}, and records have waited for one for {since / 60:.0f} minutes", _MEND)
    return ok(_NAME, f"{said}, and no record has waited for one for longer than {STALE_SECONDS / 60:.0f} minutes")
