"""What a run about a call flow leaves in the Prefect UI: what changes for callers, what was found, a picture."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any

from prefect.artifacts import acreate_image_artifact, acreate_markdown_artifact

from cordboard.errors import BadCall
from cordboard.findings import Finding
from cordboard.ivr.canonical import title
from cordboard.ivr.draw import to_svg
from cordboard.ivr.model import Flow
from cordboard.registration.drift import Drift
from tasks.artifacts import plain

_SHOWN = 100
_SAID = {
    "invalid": "It has faults. Nothing was sent.",
    "planned": "This is a plan. Nothing was sent.",
    "unchanged": "The live flow means the same already. Nothing was sent.",
    "registered": "It is registered, was read back, and is what was sent.",
    "conflict": "Nothing was changed: the live flow is not what was expected.",
    "unverified": "It was registered, and what the vendor has is not what was sent.",
    "unknown": "The vendor's answer was lost, and the live flow does not show it. Run it again: the same key is used.",
    "failed": "The vendor refused it.",
}


async def publish_registration(flow: Flow, document: dict[str, Any], findings: tuple[Finding, ...]) -> None:
    """Creates a page that says what happened, and the picture of the flow with its findings marked."""
    key = artifact_key(flow.id)
    await acreate_markdown_artifact(
        registration_markdown(flow, document), key=f"{key}-plan", description="What changes"
    )
    await publish_picture(flow, findings, key)


async def publish_picture(flow: Flow, findings: tuple[Finding, ...], key: str) -> None:
    """Creates the picture of a flow; one that is too large for a picture has none."""
    try:
        picture = to_svg(flow, findings)
    except BadCall:
        return
    await acreate_image_artifact(
        f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}",
        key=f"{key}-picture",
        description="The flow as it is planned; findings are marked",
    )


def artifact_key(flow_id: str) -> str:
    """The stem of a flow's artifact keys, which Prefect wants in lower case and with dashes."""
    return re.sub(r"[^a-z0-9]+", "-", flow_id.lower()).strip("-") or "flow"


def registration_markdown(flow: Flow, document: dict[str, Any]) -> str:
    """A page for a reviewer, in plain words."""
    status, error = document["status"], document.get("error") or {}
    lines = [f"# {plain(title(flow) or flow.id)}: {status}", "", _SAID[status]]
    if error:
        lines += ["", plain(str(error.get("message", "")))]
    lines += section("What changes for callers", (document["plan"] or {}).get("changes", []))
    lines += section("What is not as it should be", document.get("differences", []))
    lines += section("Mind", document.get("doubts", []))
    lines += section("Findings", [finding_line(item) for item in document["findings"]])
    if document.get("restore"):
        lines += ["", "To take it back:", "", f"    {document['restore']}"]
    return "\n".join(lines)


def drift_markdown(found: Sequence[Drift]) -> str:
    """A page on live flows that are not what their files say."""
    lines = ["# Live call flows and their files", "", "| flow | file | is |", "|---|---|---|"]
    lines += [f"| {plain(each.flow_id)} | {plain(each.file)} | {each.status} |" for each in found]
    for each in found:
        if each.status != "same":
            said = each.changes or (each.in_short(),)
            lines += section(f"{plain(each.flow_id)}: live, and not in the file", list(said))
    return "\n".join(lines)


def section(heading: str, sentences: list[str]) -> list[str]:
    """A heading with a list under it; nothing where the list is empty."""
    if not sentences:
        return []
    shown = [f"- {plain(sentence)}" for sentence in sentences[:_SHOWN]]
    rest = len(sentences) - len(shown)
    return ["", f"## {heading}", "", *shown, *([f"- … and {rest} more"] if rest else [])]


def finding_line(item: dict[str, Any]) -> str:
    """A finding in one line."""
    line = f"line {item['line']}: " if item["line"] else ""
    way = f" (way: {' → '.join(item['proof'])})" if item["proof"] else ""
    return f"{item['severity']} [{item['rule']}] {line}{item['message']}{way}"
