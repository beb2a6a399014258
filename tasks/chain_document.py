"""The document of a chain run: what `--json` prints, what the summary is made from, what is kept on disk."""

from __future__ import annotations

from typing import Any

from cordboard.chains.gantt import critical_path
from cordboard.chains.results import chain_status, failures_of
from cordboard.records.metrics import failure_distribution, latency_summary
from tasks.chain_run import ChainRun


def chain_document(run: ChainRun) -> dict[str, Any]:
    """The result of a run as one JSON object; actions stand in the order of the file."""
    results = {name: run.results[name] for name in run.chain.actions}
    failures = failures_of(results)
    return {
        "chain": run.chain.name,
        "file": run.chain.file,
        "run_key": run.run_key,
        "trace_id": run.trace_id,
        "status": str(chain_status(results.values())),
        "duration_ms": round(run.elapsed_ms(), 3),
        "actions": {name: result.as_json() for name, result in results.items()},
        "failures": failures,
        "failure_kinds": failure_distribution([failure.get("kind", "unknown") for failure in failures]),
        "latency": latency_summary([each for result in results.values() for each in result.latencies_ms]),
        "critical_path": list(critical_path(results, run.plan.upstream)),
    }
