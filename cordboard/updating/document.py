"""What an update says: to programs, to webhooks and to the audit record."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from cordboard.errors import NO_ACCESS, NOT_NOW
from cordboard.findings import Finding
from cordboard.records.effects import Message
from cordboard.records.metrics import latency_summary
from cordboard.updating.callers import told_of_callers
from cordboard.updating.model import Proposal
from cordboard.updating.run import UpdateRun, content_of, file_of

#: Statuses with which there is nothing left for a person to do.
GOOD: frozenset[str] = frozenset({"planned", "unchanged", "saved"})
#: Statuses with which this edit is a version of the live flow.
SAVED: frozenset[str] = frozenset({"saved", "unverified"})
OPERATION, COMPLIANCE_TAG = "UPDATE_IVR_NODES", "IVR_CHANGE_MANAGEMENT"  # seed 002, step 5
EVENT = "flow.nodes.updated"


def update_document(run: UpdateRun) -> dict[str, Any]:
    """How an update stands, as one JSON object."""
    return {
        **_frame(run.flow_id, file_of(run.patch)),
        "status": run.status,
        "version": run.version,
        "base_version": run.patch.base_version,
        "reason": run.patch.reason,
        "run_key": run.handle.run_key,
        "trace_id": run.trace_id,
        "attempts": run.attempts,
        **_proposed(run.proposal),
        "changes": _changes(run),
        "noticed": [change.as_json() for change in told_of_callers(run)],
        "decision": dict(run.decision) if run.decision else None,
        "verified": run.verified,
        "differences": list(run.differences),
        "notes": list(run.notes),
        "error": _error_of(run),
        "latency": latency_summary(run.latencies),
        "duration_ms": round((time.monotonic() - run.started) * 1000, 3),
        "undo": _undo(run),
    }


def invalid_document(flow_id: str, file: str, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """The document of an edit that was not even tried."""
    return {**_frame(flow_id, file), "findings": [finding.as_json() for finding in findings]}


def messages_of(run: UpdateRun, endpoint: str | None) -> tuple[Message, ...]:
    """The webhook that tells a delivery pipeline of a save; none where no endpoint is set, or nothing was saved."""
    if endpoint is None or run.status not in SAVED:
        return ()
    status = "deployed" if run.status == "saved" else "unverified"
    body = {"event": EVENT, "flow_id": run.flow_id, "version": run.version, "status": status}
    return (Message(endpoint, EVENT, {**body, "run_key": run.handle.run_key, "changes": _changes(run)}),)


def audit_entry(run: UpdateRun) -> dict[str, Any]:
    """What is put on record of an update."""
    return {
        "timestamp": time.time(),
        "flow_id": run.flow_id,
        "operation": OPERATION,
        "success": run.status in GOOD,
        "status": run.status,
        "version": run.version,
        "base_version": run.patch.base_version,
        "reason": run.patch.reason,
        "latency_ms": round(run.latencies[-1], 3) if run.latencies else 0.0,
        "validation_success": run.status not in {"invalid", "conflict"},
        "edit": content_of(run.patch),
        "changes_applied": content_of(run.patch) if run.status in SAVED else {},
        "changes": _changes(run),
        "decision": dict(run.decision) if run.decision else None,
        "compliance_tag": COMPLIANCE_TAG,
    }


def exit_code(document: Mapping[str, Any]) -> int:
    """0 nothing left to do · 1 the verdict is bad · 2 the vendor refuses our credentials · 3 it was out of reach."""
    if document["status"] in GOOD:
        return 0
    kind = (document.get("error") or {}).get("kind")
    if document["status"] == "failed" and kind in NO_ACCESS | NOT_NOW:
        return 2 if kind in NO_ACCESS else 3
    return 1


def _frame(flow_id: str, file: str) -> dict[str, Any]:
    """Every field, as it is where nothing was found out."""
    empty: dict[str, Any] = {name: [] for name in ("conflicts", "findings", "changes", "rehearsals", "unrehearsed")}
    said: dict[str, Any] = {name: [] for name in ("noticed", "differences", "notes")}
    nothing = dict.fromkeys(("version", "base_version", "decision", "verified", "error"))
    texts = dict.fromkeys(("reason", "run_key", "trace_id", "undo"), "")
    numbers = {"attempts": 0, "latency": latency_summary(()), "duration_ms": 0.0}
    return {"flow_id": flow_id, "file": file, "status": "invalid", **empty, **said, **nothing, **texts, **numbers}


def _proposed(proposal: Proposal | None) -> dict[str, Any]:
    if proposal is None:
        return {}
    return {
        "conflicts": [{**conflict.as_json(), "sentence": conflict.sentence} for conflict in proposal.conflicts],
        "findings": [finding.as_json() for finding in proposal.findings],
        "rehearsals": [rehearsal.as_json() for rehearsal in proposal.rehearsals],
        "unrehearsed": list(proposal.unrehearsed),
    }


def _changes(run: UpdateRun) -> list[str]:
    proposed = run.proposal.differences if run.proposal else ()
    return list(run.changes) or [difference.sentence for difference in proposed]


def _error_of(run: UpdateRun) -> dict[str, Any] | None:
    sent = run.sent
    return dict(sent.error) if sent and sent.error and run.status not in GOOD else None


def _undo(run: UpdateRun) -> str:
    saved = run.status in SAVED and run.sent is not None
    return f"python -m flows update-ivr --undo {run.handle.run_key}" if saved else ""
