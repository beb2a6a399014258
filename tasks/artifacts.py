"""What a chain run leaves in the Prefect UI: a summary for a manager, a table of actions, a picture of the time."""

from __future__ import annotations

import base64
import re
from typing import Any

from prefect.artifacts import acreate_image_artifact, acreate_markdown_artifact, acreate_table_artifact

from cordboard.chains.gantt import gantt_svg
from tasks.chain_run import ChainRun

_SHOWN_FAILURES = 20
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|!])")


async def publish(run: ChainRun, document: dict[str, Any]) -> None:
    """Creates the three artifacts of a chain run."""
    slug = re.sub(r"[^a-z0-9]+", "-", run.chain.name.lower()).strip("-") or "chain"
    await acreate_markdown_artifact(summary_markdown(document), key=f"{slug}-summary", description="What happened")
    await acreate_table_artifact(
        action_rows(document), key=f"{slug}-actions", description="Each action and how it ended"
    )
    picture = gantt_svg(run.chain.name, run.results, run.plan.upstream)
    await acreate_image_artifact(
        f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}",
        key=f"{slug}-timeline",
        description="When each action ran; the critical path is outlined",
    )


def summary_markdown(document: dict[str, Any]) -> str:
    """A page that says what happened, what failed and what to do, in plain words."""
    actions = document["actions"]
    ends = {
        status: [name for name, action in actions.items() if action["status"] == status]
        for status in ("completed", "failed", "unknown", "skipped")
    }
    reused = sum(action["cached"] for action in actions.values())
    lines = [
        f"# {plain(document['chain'])}: {document['status']}",
        "",
        f"**{len(ends['completed'])} of {len(actions)} actions completed** in {document['duration_ms'] / 1000:.1f} s"
        + (f", {reused} of them reused from an earlier run" if reused else "")
        + ".",
        "",
    ]
    lines += [f"- {_sentence(failure)}" for failure in document["failures"][:_SHOWN_FAILURES]]
    if ends["skipped"]:
        lines.append(f"- Skipped: {', '.join(map(plain, ends['skipped']))}")
    lines += ["", plain(what_next(document)), "", _latency(document), "", f"Trace `{document['trace_id']}`"]
    return "\n".join(lines)


def action_rows(document: dict[str, Any]) -> list[dict[str, Any]]:
    """One row an action; the note says why it was reused, run again, skipped or failed."""
    return [
        {
            "action": name,
            "status": "reused" if action["cached"] else action["status"],
            "requests": action["attempts"],
            "latency ms": round(action["latency_ms"]),
            "took ms": round(action["ended_ms"] - action["started_ms"]),
            "items": sum(action.get("items", {}).values()) or "",
            "note": _note((action["error"] or {}).get("message", ""), action["reason"].removeprefix("reused: ")),
        }
        for name, action in document["actions"].items()
    ]


def _note(message: str, reason: str) -> str:
    return reason if message in reason else " · ".join(filter(None, (message, reason)))


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def _sentence(failure: dict[str, Any]) -> str:
    request = f" (vendor request {plain(str(failure['request_id']))})" if failure.get("request_id") else ""
    return f"**{plain(failure['action'])}** {failure['status']}: {plain(failure.get('message', ''))}{request}"


def what_next(document: dict[str, Any]) -> str:
    """What a person does about a run, in one or two sentences."""
    unknown = [name for name, action in document["actions"].items() if action["status"] == "unknown"]
    again = f"Run it again with the run key {document['run_key']}: what completed is not sent again."
    failed = any(failure["status"] == "failed" for failure in document["failures"])
    parts = []
    if unknown:
        parts = [
            f"{', '.join(unknown)} may or may not have taken effect, and will not be repeated without you.",
            "Look at the vendor; if a repeat does no harm, set `idempotent: true`.",
        ]
    if failed:
        parts.append("Mend what failed.")
    return " ".join([*parts, again]) if document["failures"] else "Nothing is left to do."


def _latency(document: dict[str, Any]) -> str:
    latency = document["latency"]
    if not latency["count"]:
        return "No call was made."
    middle, high = latency["p50"], latency["p95"]
    return f"{latency['count']} calls; latency {middle:.0f} ms at the median, {high:.0f} ms at the 95th percentile."
