"""What the steps of one update share."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from cordboard.ivr.merge import Patch, apply_patch
from cordboard.ivr.model import Flow
from cordboard.ivr.paths import Change
from cordboard.jsontext import digest
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle
from cordboard.sending import Sent
from cordboard.updating.kept import Kept
from cordboard.updating.model import Limits, Proposal, Status
from cordboard.vendors.session import VendorSession
from cordboard.vendors.trace_context import traceparent


@dataclass(slots=True, eq=False)
class UpdateRun:
    """One update of one call flow; not a value: steps write what they found into it.

    Attributes:
        patch: the edit.
        session: the vendor's client.
        ledger: where earlier versions are kept.
        handle: this edit in the ledger.
        trace_id: 32 hex digits, sent to the vendor.
        today: for suppressions that expire.
        limits: how long it goes on.
        suites: files of suites that are rehearsed.
        dry_run: whether nothing is sent, and nothing on record of what earlier runs left open.
        base: the flow that the author edited; found when the live flow was read, unless it is given.
        status: how it stands.
        proposal: what would be saved, as of the last reading.
        attempts: saves that were tried.
        version: of the flow that was saved, or that is live where nothing was.
        sent: how the last save ended.
        verified: whether the saved flow was read back as it was sent; None where it could not be told.
        differences: what was read back otherwise, as sentences.
        notes: what else a person should know, as sentences.
        noticed: what callers notice; None where nobody looked.
        changes: what the save changed, as sentences, where the proposal does not say it: another run made it.
        refused: the versions over which saves were refused as too late.
        decision: what a person said, where somebody was asked.
        decided_on: digest of what that person saw.
        latencies: of each save, milliseconds.
        kept: saves of this run, by the effect's logical id; the ledger has them too, with secrets masked.
        unsettled: what this process knows and could not tell the ledger.
        paused_seconds: how long it waited for a person.
    """

    patch: Patch
    session: VendorSession
    ledger: Ledger
    handle: RunHandle
    trace_id: str
    today: date
    limits: Limits = field(default_factory=Limits)
    suites: tuple[Path, ...] = ()
    dry_run: bool = False
    base: Flow | None = None
    status: Status = "planned"
    proposal: Proposal | None = None
    attempts: int = 0
    version: int | None = None
    sent: Sent | None = None
    verified: bool | None = None
    differences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    noticed: tuple[Change, ...] | None = None
    changes: tuple[str, ...] = ()
    refused: list[int] = field(default_factory=list)
    decision: Mapping[str, Any] | None = None
    decided_on: str = ""
    latencies: list[float] = field(default_factory=list)
    kept: dict[str, Kept] = field(default_factory=dict)
    unsettled: dict[str, Sent | None] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    paused_seconds: float = 0.0

    @property
    def flow_id(self) -> str:
        """The flow."""
        return self.patch.flow_id

    @property
    def proposed(self) -> Proposal:
        """The proposal, once there is one."""
        assert self.proposal is not None
        return self.proposal

    @property
    def deadline(self) -> float:
        """Monotonic time after which nothing is sent."""
        return self.started + self.limits.seconds + self.paused_seconds

    def ours(self) -> Flow:
        """What the author made of the base.

        Raises:
            InvalidDocument: the edit does not fit it.
        """
        assert self.base is not None
        return apply_patch(self.patch, self.base)

    def trace(self, step: str) -> str:
        """The trace context of a step."""
        return traceparent(self.trace_id, f"{self.flow_id}/{step}")


def update_key(patch: Patch) -> str:
    """What makes an edit this edit and no other, in the ledger: the flow, and what is to be changed of which version.

    The reason that it gives, and where its file lies, are no part of it.
    """
    return f"update/{patch.flow_id}/{digest(content_of(patch))[:16]}"


def content_of(patch: Patch) -> dict[str, Any]:
    """What an edit changes, as a JSON object."""
    nodes = {name: None if change is None else asdict(change) for name, change in patch.nodes.items()}
    replace = {name: dict(body) for name, body in patch.replace.items()}
    versions = {"flow_id": patch.flow_id, "base_version": patch.base_version}
    return {**versions, "start": patch.start, "nodes": nodes, "replace": replace}


def file_of(patch: Patch) -> str:
    """Where an edit was read from; empty for one that was made."""
    return patch.document.file if patch.document else ""
