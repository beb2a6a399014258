"""How updates of one flow have gone, as the audit record tells it."""

from __future__ import annotations

import json
from typing import Any

from cordboard.records.audit import about
from cordboard.records.ledger import Ledger
from cordboard.records.metrics import latency_summary


async def flow_metrics(ledger: Ledger, tenant: str, flow_id: str) -> dict[str, Any]:
    """The latest 1,000 updates of a flow, of whichever edit.

    Returns:
        `updates`: how many; `validation_error_rate`: the share that was `invalid` or in `conflict`, from 0 to 1;
        `latency`: of the saves, see `latency_summary`.
    """
    told = [json.loads(row["detail"]) for row in await about(ledger, tenant, flow_id, "flow.update.")]
    refused = sum(not entry["validation_success"] for entry in told)
    return {
        "updates": len(told),
        "validation_error_rate": round(refused / len(told), 4) if told else 0.0,
        "latency": latency_summary(entry["latency_ms"] for entry in told if entry["latency_ms"]),
    }
