"""What a registration's document says to programs: verdicts and exit codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cordboard.errors import NO_ACCESS, NOT_NOW
from cordboard.findings import Finding

#: Statuses with which there is nothing left for a person to do.
GOOD: frozenset[str] = frozenset({"planned", "unchanged", "registered"})


def invalid_document(flow_id: str, file: str, findings: tuple[Finding, ...]) -> dict[str, Any]:
    """The document of a flow that was not even planned."""
    return {
        "flow_id": flow_id,
        "file": file,
        "status": "invalid",
        "run_key": "",
        "trace_id": "",
        "idempotency_key": "",
        "verified": None,
        "findings": [finding.as_json() for finding in findings],
        "plan": None,
        "differences": [],
        "doubts": [],
        "error": None,
        "attempts": 0,
        "latency_ms": 0.0,
        "duration_ms": 0.0,
        "restore": "",
    }


def exit_code(document: Mapping[str, Any]) -> int:
    """0 nothing left to do · 1 the verdict is bad · 2 the vendor refuses our credentials · 3 it was out of reach."""
    if document["status"] in GOOD:
        return 0
    kind = (document.get("error") or {}).get("kind")
    if document["status"] == "failed" and kind in NO_ACCESS | NOT_NOW:
        return 2 if kind in NO_ACCESS else 3
    return 1
