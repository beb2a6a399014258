"""What a flow run's parameters mean for its ledger, and whether the same parameters still mean the same job.

A chain whose key was made for it has its flow run's id as key, which stays when that run is scheduled again. A batch
and an edit of a live flow go on only where the ledger knows them with the content that their files have today: what a
person wrote since is another job, and nobody has asked for it yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from cordboard.chains.model import load_chain
from cordboard.errors import CordboardError
from cordboard.ivr.merge import load_patch
from cordboard.ivr.reading import load_flow
from cordboard.records.ledger import Ledger
from cordboard.recovery.holding import contents_of, is_held_by_the_living, is_known, was_claimed_since
from cordboard.starting.model import batch_run_key, ledger_key, single_run_key
from cordboard.starting.source import rows_file
from cordboard.starting.spool import spool_batch
from cordboard.triggers.reading import load_trigger
from cordboard.updating.run import update_key

_UNKNOWN = (
    "the ledger knows no run of what its files say now: they were changed since, or nothing was sent; start it anew"
)
_CHANGED = "its files say something else than when it began; start it anew if that is what is wanted"
_LATER = "every run of this job takes up all that waits, so the next one does what this one left"


@dataclass(frozen=True, slots=True)
class Ground:
    """On what a run would go on.

    Attributes:
        key: its key in the ledger; one that ends with `/` stands for all below it; empty where it has none.
        must_be_known: whether it goes on only where the ledger knows that key.
        content: digest of what its files say now; where the ledger has another one for that key, it does not go on.
        hindrance: why it cannot go on; empty where it can.
    """

    key: str = ""
    must_be_known: bool = False
    content: str = ""
    hindrance: str = ""


async def ground_of(job: str, parameters: Mapping[str, Any], flow_run_id: str, home: Path) -> Ground:
    """Works it out from files as they are now; nothing is sent.

    Args:
        job: entry point of the flow, such as `flows.run_chain.run_chain`.
        parameters: of the flow run, as the API has them.
        flow_run_id: its id.
        home: folder for what a run writes.
    """
    name, find = JOBS[job]
    asked = parameters.get(name) if name else {}
    if not isinstance(asked, Mapping):
        return Ground(hindrance="its parameters cannot be read")
    try:
        return await find(asked, flow_run_id, home)
    except (CordboardError, OSError) as error:
        return Ground(hindrance=f"its files cannot be read as they are now: {str(error)[:300]}")


async def another_job(ledger: Ledger, ground: Ground) -> str:
    """Why going on would be another job than the one that broke off; empty where it is the same.

    Args:
        ledger: knows what was begun.
        ground: what the files say now.
    """
    if ground.must_be_known and not await ledger.read(lambda connection: is_known(connection, ground.key)):
        return _UNKNOWN
    began = await ledger.read(lambda connection: contents_of(connection, ground.key)) if ground.content else ()
    return _CHANGED if began and ground.content not in began else ""


async def in_hand(ledger: Ledger, key: str, since: float) -> tuple[bool, bool]:
    """Whether a live process holds the run in the ledger, and whether somebody has claimed it since it broke off.

    Workers of a batch claim runs below its key all the time, and what they started is not started again: that one of
    them has is no reason to leave another.

    Args:
        ledger: knows who has what.
        key: of the run, or of those below it.
        since: when it broke off, in seconds since the epoch.
    """

    def read(connection: Connection) -> tuple[bool, bool]:
        taken_up = not key.startswith(ledger_key("")) and was_claimed_since(connection, key, since)
        return is_held_by_the_living(connection, ledger.clock(), key), taken_up

    return await ledger.read(read) if key else (False, False)


async def _chain(asked: Mapping[str, Any], flow_run_id: str, _home: Path) -> Ground:
    chain = await asyncio.to_thread(load_chain, Path(_text(asked, "file")))
    return Ground(f"{chain.name}/{_text(asked, 'run_key') or flow_run_id}")


async def _registration(asked: Mapping[str, Any], _flow_run_id: str, _home: Path) -> Ground:
    if _text(asked, "restore"):
        # What is taken back is the latest registration, and since then there may have been another one.
        return Ground(f"ivr/{_text(asked, 'restore')}", hindrance="a person must say anew what is to be restored")
    flow = await asyncio.to_thread(load_flow, Path(_text(asked, "file")))
    return Ground(f"ivr/{flow.id}")


async def _update(asked: Mapping[str, Any], _flow_run_id: str, _home: Path) -> Ground:
    if undo := _text(asked, "undo"):
        return Ground(f"{undo.rpartition('/')[0]}/")
    patch = await asyncio.to_thread(load_patch, Path(_text(asked, "patch")))
    return Ground(update_key(patch), must_be_known=True)


async def _batch(asked: Mapping[str, Any], flow_run_id: str, home: Path) -> Ground:
    key, rows = _text(asked, "run_key"), _text(asked, "rows")
    if asked.get("dry_run"):
        return Ground()
    trigger = await asyncio.to_thread(load_trigger, Path(_text(asked, "trigger")))
    file = await rows_file(rows, home, datetime.now(UTC).date()) if rows else None
    spool = await asyncio.to_thread(spool_batch, trigger, file, home)
    if key or not rows:
        return Ground(f"{ledger_key(key or single_run_key(flow_run_id))}/", content=spool.digest)
    return Ground(f"{ledger_key(batch_run_key(spool.digest))}/", must_be_known=True, content=spool.digest)


async def _nothing_sent(_asked: Mapping[str, Any], _flow_run_id: str, _home: Path) -> Ground:
    return Ground()


async def _taken_up_later(_asked: Mapping[str, Any], _flow_run_id: str, _home: Path) -> Ground:
    return Ground(hindrance=_LATER)


def _text(asked: Mapping[str, Any], name: str) -> str:
    return str(asked.get(name) or "")


_Find = Callable[[Mapping[str, Any], str, Path], Awaitable[Ground]]
#: Every flow of the project that a deployment can have, with the parameter that says what to do.
JOBS: Mapping[str, tuple[str, _Find]] = {
    "flows.run_chain.run_chain": ("chain", _chain),
    "flows.register_ivr.register_ivr": ("registration", _registration),
    "flows.update_ivr.update_ivr": ("update", _update),
    "flows.trigger_workflows.trigger_workflows": ("start", _batch),
    "flows.simulate_ivr.simulate_ivr": ("", _nothing_sent),
    "flows.detect_drift.detect_drift": ("", _nothing_sent),
    "flows.deliver_webhooks.deliver_webhooks": ("", _taken_up_later),
    "flows.sync_completion.sync_completion": ("", _taken_up_later),
    "flows.reap_instances.reap_instances": ("", _taken_up_later),
    "flows.recover_runs.recover_runs": ("", _taken_up_later),
    "flows.notify_failure.notify_failure": ("", _taken_up_later),
}
