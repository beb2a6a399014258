"""The document of a chain run: what `--json` prints, what the summary is made from, what is kept on disk."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from cordboard.chains.gantt import critical_path
from cordboard.chains.results import chain_status, failures_of
from cordboard.jsontext import digest
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


def keep_document(home: Path, document: dict[str, Any]) -> Path:
    """Writes the document to `home/runs/<chain>/<run key>.json`, whole or not at all, readable by its owner only.

    The run key's grammar (letters, digits, `_.-`, not starting with a dot) keeps the name inside the folder.
    """
    folder = home / "runs" / folder_of(document["chain"])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{document['run_key']}.json"
    partial = path.with_suffix(f".{os.getpid()}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "w") as file:
        json.dump(document, file, ensure_ascii=False, allow_nan=False, indent=1)
    partial.replace(path)
    return path


def folder_of(chain: str) -> str:
    """The name of a chain's folder. Names are free text: what is not plain becomes a dash, and a digest tells apart."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", chain).strip("-")[:60]
    return plain if plain == chain else f"{plain}-{digest(chain)[:8]}".lstrip("-")
