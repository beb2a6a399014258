"""`cordboard patch` and `cordboard merge`: what an edit changes, and two edits joined."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cordboard.documents import MAX_JSON_BYTES, Document, parse_document, read_document, require_kind
from cordboard.errors import BadCall, InvalidDocument
from cordboard.findings import Finding, errors_in
from cordboard.ivr.dialects.cxone import to_cxone
from cordboard.ivr.dialects.genesys import to_genesys
from cordboard.ivr.merge.applying import apply_patch
from cordboard.ivr.merge.conflict import Merged
from cordboard.ivr.merge.making import make_patch
from cordboard.ivr.merge.merging import merge
from cordboard.ivr.merge.reading import read_patch
from cordboard.ivr.merge.shape import json_schema
from cordboard.ivr.merge.writing import written
from cordboard.ivr.model import Flow
from cordboard.ivr.reading import load_flow, read_flow
from cordboard.ivr.topology import check_flow


def examine(_kind: str, document: Document) -> tuple[tuple[Finding, ...], str]:
    """The findings about the form of a patch, and its size in words."""
    patch, findings = read_patch(document)
    if patch is None:
        return findings, ""
    count = len(patch.nodes) + len(patch.replace)
    size = f"{count} node{'' if count == 1 else 's'}"
    return findings, f"patch of {size} in {patch.flow_id}, from version {patch.base_version}"


def schema(_kind: str) -> dict[str, Any]:
    """The JSON Schema of a patch."""
    return json_schema()


def graph(document: Document, _form: str) -> str:
    """Nothing that could be drawn.

    Raises:
        BadCall: always.
    """
    raise BadCall(f"{document.file} is a patch: draw the call flow that it changes")


def run_patch(old: Path, new: Path, base_version: int | None, reason: str, out: Path | None) -> int:
    """Writes the patch that makes one flow of another; returns 0.

    Raises:
        InvalidDocument: a file is no call flow.
        BadCall: nothing says which version the old flow is, or the difference is none that a patch can say.
    """
    before, after = load_flow(old), load_flow(new)
    version = before.version if base_version is None else base_version
    if version is None:
        raise BadCall(f"{old} does not state its `version`: say with --base-version N from which one you edited")
    patch = make_patch(before, after, base_version=version, reason=reason)
    _write(written(patch), out)
    if not (patch.start or patch.nodes or patch.replace):
        print(f"{new} changes nothing of {old}", file=sys.stderr)
    return 0


def run_merge(base: Path, ours: Path, theirs: Path, out: Path | None, as_document: bool) -> int:
    """Joins two edits of one flow and prints the flow, or what they disagree on: 0 where it is sound, else 1.

    Args:
        base: the flow from which both started.
        ours: our edit of it, a flow or a patch.
        theirs: the other edit, a flow or a patch.
        out: the file for the merged flow; standard output where it is None.
        as_document: whether one JSON document is printed: `flow`, `conflicts` and `findings`.

    Raises:
        InvalidDocument: a file is neither flow nor patch, or a patch does not fit its flow.
        BadCall: the flows cannot be merged, or the merged one cannot be written.
    """
    start = _flow(_read(base))
    merged = merge(start, _edited(ours, start), _edited(theirs, start))
    body = None if merged.flow is None else _vendor_form(merged.flow)
    text = "" if body is None else f"{json.dumps(body, ensure_ascii=False, indent=2)}\n"
    findings = _examined(merged, text, out)
    if text and (out or not as_document):
        _write(text, out)
    if as_document:
        _show({"flow": body, "conflicts": merged.conflicts, "findings": findings})
    for line in (*(f"conflict: {each.sentence}" for each in merged.conflicts), *findings):
        print(line, file=sys.stderr)
    return 1 if body is None or errors_in(findings) else 0


def _show(parts: dict[str, Any]) -> None:
    print(json.dumps(parts, ensure_ascii=False, indent=2, default=lambda part: part.as_json()))


def _edited(path: Path, base: Flow) -> Flow:
    document = _read(path)
    require_kind(document, "ivr-flow", "ivr-patch")
    if not (isinstance(document.value, dict) and document.value.get("kind") == "ivr-patch"):
        return _flow(document)
    patch, findings = read_patch(document)
    if patch is None:
        raise InvalidDocument(findings)
    return apply_patch(patch, base)


def _read(path: Path) -> Document:
    """A document of which git may have taken the ending: JSON is known by its first character too."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_JSON_BYTES + 1)
    except OSError:
        return read_document(path)  # which says what is wrong
    if data.lstrip()[:1] == b"{":
        return parse_document(data, str(path), json=True)
    return read_document(path)


def _flow(document: Document) -> Flow:
    flow, findings = read_flow(document)
    if flow is None or errors_in(findings):
        raise InvalidDocument(findings)
    return flow


def _vendor_form(flow: Flow) -> dict[str, Any]:
    try:
        return to_cxone(flow) if flow.platform == "cxone" else to_genesys(flow)
    except ValueError as error:
        raise BadCall(str(error)) from None


def _examined(merged: Merged, text: str, out: Path | None) -> tuple[Finding, ...]:
    """What the merged flow breaks, with the lines that it has in the text."""
    if merged.flow is None:
        return ()
    flow = _flow(parse_document(text, str(out or "merged"), json=True))
    own = {name: getattr(merged.flow, name) for name in ("start", "terminals", "limits", "suppressions")}
    return check_flow(replace(flow, **own), today=datetime.now(UTC).date())


def _write(text: str, out: Path | None) -> None:
    if out is None:
        print(text, end="")
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadCall(f"{out} cannot be written: {error.strerror}") from None
