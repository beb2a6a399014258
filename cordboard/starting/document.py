"""What a batch came to, as one JSON document."""

from __future__ import annotations

from typing import Any

from cordboard.starting.model import Batch, Progress
from cordboard.starting.results import SHOWN, Results
from cordboard.starting.spool import Spool


def batch_document(
    batch: Batch, progress: Progress, results: Results, trouble: str = "", ends: dict[str, int] | None = None
) -> dict[str, Any]:
    """The document of a run.

    Args:
        batch: what was started.
        progress: of this process: its latencies and its pace.
        results: how every start stands, also those of other workers.
        trouble: why the run ended before its end; empty where it did not.
        ends: instances by status, where the run waited for their ends.
    """
    counts = {name: results.counts[name] for name in ("started", "already_started", "failed", "unknown")}
    total, good = batch.spool.total, counts["started"] + counts["already_started"]
    tally = batch.spool.tally
    return {
        "run_key": batch.run_key,
        "workflow_id": batch.trigger.workflow_id,
        "status": _status(good, total, tally.faulty),
        "total": total,
        **counts,
        "faulty": tally.faulty,
        "faulty_rows": _path(batch.spool),
        "kinds": dict(results.kinds.most_common()),
        "instances": results.instances if total <= SHOWN else str(results.path),
        "results": str(results.path),
        "latency": progress.latencies.summary(),
        "success_rate": round(good / total, 4) if total else float(not tally.faulty),
        "starts_per_second": round(progress.per_second, 2),
        "duration_ms": round(progress.seconds * 1000, 3),
        "waiting": progress.waits_for,
        "ends": ends,
        "error": trouble or None,
    }


def _status(good: int, total: int, left_out: int) -> str:
    """A batch of which every row was left out has started nothing that was asked for."""
    if good == total and (total or not left_out):
        return "completed"
    return "partial" if good else "failed"


def _path(spool: Spool) -> str | None:
    return None if spool.faulty is None else str(spool.faulty)


def planned_document(workflow_id: str, run_key: str, spool: Spool) -> dict[str, Any]:
    """The document of a run that only checks."""
    tally = spool.tally
    findings = [finding.as_json() for finding in tally.shown]
    return {
        "run_key": run_key,
        "workflow_id": workflow_id,
        "status": "invalid" if tally.faulty or not tally.is_whole else "planned",
        "total": spool.total,
        "started": 0,
        "already_started": 0,
        "failed": 0,
        "unknown": 0,
        "faulty": tally.faulty,
        "faulty_rows": _path(spool),
        "faults": tally.faults,
        "read_to_its_end": tally.is_whole,
        "findings": findings,
        "instances": [],
        "latency": {"count": 0},
    }


def exit_code(document: dict[str, Any]) -> int:
    """0 done, 1 something was not started or did not complete, 2 rows do not fit and nothing was sent, 3 it gave up."""
    if document["status"] == "invalid":
        return 2
    if document.get("error"):
        return 3
    ends = set(document.get("ends") or ())
    return 0 if document["status"] in {"completed", "planned"} and ends <= {"completed"} else 1
