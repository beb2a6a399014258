"""What an update leaves in the Prefect UI: what changes, for people who decide about it or look at it later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prefect.artifacts import acreate_markdown_artifact

from cordboard.jsontext import dump_json
from cordboard.updating.run import UpdateRun
from tasks.artifacts import plain
from tasks.flow_artifacts import artifact_key, finding_line, publish_picture, section

_SAID = {
    "planned": "This is a plan. Nothing was sent.",
    "unchanged": "There is nothing to do: the live flow holds this edit, or this very edit was saved before.",
    "saved": "It is saved, over the version that it was made for.",
    "conflict": "Others changed the same. Nothing was sent: decide between the values below, and edit what is live.",
    "invalid": "The merged flow is not fit to be saved. Nothing was sent.",
    "declined": "Nobody agreed to it. Nothing was sent.",
    "unverified": "It was saved, and it was not read back as it was sent.",
    "overtaken": "Each save was refused as too late, as where others save in between. Nothing of this edit was saved.",
    "unknown": "The vendor's answer was lost, and the live flow does not show it yet. Run it again: it is done once.",
    "failed": "It was not saved.",
}
_LONGEST_VALUE = 300
_MOST_CONFLICTS = 100


async def publish_update(run: UpdateRun, document: Mapping[str, Any]) -> None:
    """Creates the page of an update, and the picture of the merged flow with its findings marked."""
    key = f"{artifact_key(run.flow_id)}-update"
    await acreate_markdown_artifact(update_markdown(document), key=key, description="What this update changes")
    if run.proposal is not None and run.proposal.merged is not None:
        await publish_picture(run.proposal.merged, run.proposal.findings, key)


def update_markdown(document: Mapping[str, Any]) -> str:
    """A page on an update as it ended."""
    error = document.get("error") or {}
    said = _SAID[document["status"]]
    said = said.replace("Nothing was sent", "Nothing was saved") if document["attempts"] else said  # sent, and refused
    lines = [f"# {plain(document['flow_id'])}: {document['status']}", "", said]
    lines += ["", plain(str(error["message"]))] if error.get("message") else []
    lines += body_markdown(document)
    lines += section("What is not as it should be", list(document["differences"]))
    lines += section("Mind", list(document["notes"]))
    lines += _decision(document["decision"])
    lines += ["", "To take it back:", "", f"    {document['undo']}"] if document["undo"] else []
    return "\n".join(lines)


def question_markdown(document: Mapping[str, Any]) -> str:
    """What is in front of a person who decides."""
    head = [f"**Save this to the live call flow {plain(document['flow_id'])} (now version {document['version']})?**"]
    reason = document["reason"]
    return "\n".join([*head, *(["", plain(reason)] if reason else []), *body_markdown(document)])


def body_markdown(document: Mapping[str, Any]) -> list[str]:
    """What changes, what callers notice, and what the rehearsal said."""
    lines = section("What callers notice", [change["sentence"] for change in document["noticed"]])
    lines += section("What changes in the live flow", document["changes"])
    lines += _conflicts(document["conflicts"])
    lines += section("Findings", [finding_line(item) for item in document["findings"]])
    lines += section("Rehearsal", [sentence for each in document["rehearsals"] for sentence in _rehearsal(each)])
    if document["rehearsals"] and document["unrehearsed"]:
        lines += section("Changed, and in no call of the rehearsal", document["unrehearsed"])
    return lines


def _rehearsal(found: Mapping[str, Any]) -> list[str]:
    said = [f"{found['suite']}: {found['passed']} of {found['total']} calls are as they must be"]
    broken = (f"{found['suite']}, {each['name']}: {'; '.join(each['mismatches'][:3])}" for each in found["broken"])
    return [*said, *broken]


def _conflicts(conflicts: list[dict[str, Any]]) -> list[str]:
    if not conflicts:
        return []
    rows = ["| where | was | this edit | live |", "|---|---|---|---|"]
    for each in conflicts[:_MOST_CONFLICTS]:
        where = f"{each['node'] or 'the flow'}: {each['field']}"
        values = " | ".join(_value(each[side]) for side in ("base", "ours", "theirs"))
        rows.append(f"| {plain(where)} | {values} |")
    more = [f"| … and {len(conflicts) - _MOST_CONFLICTS} more | | | |"] if len(conflicts) > _MOST_CONFLICTS else []
    return ["", "## Conflicts", "", *rows, *more]


def _value(value: Any) -> str:
    text = "nothing" if value is None else dump_json(value)
    shown = text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
    return plain(shown)


def _decision(said: Mapping[str, Any] | None) -> list[str]:
    if said is None:
        return []
    who = f" by {said['by']}" if said["by"] else ""
    what = f"{'agreed to' if said['saved'] else 'not agreed to'}{who}"
    return ["", f"It was {plain(what)}{': ' + plain(said['comment']) if said['comment'] else ''}."]
