"""What the command does with call flows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cordboard.documents import Document
from cordboard.errors import InvalidDocument
from cordboard.findings import Finding, errors_in
from cordboard.ivr.model import Flow
from cordboard.ivr.reading import load_flow, read_flow
from cordboard.ivr.topology import RULES, check_flow


def examine(_kind: str, document: Document) -> tuple[tuple[Finding, ...], str]:
    """The findings about a call flow, of its form and then of its topology, and its size in words."""
    flow, findings = read_flow(document)
    if flow is None:
        return findings, ""
    found = sorted((*findings, *_checked(flow)), key=lambda finding: finding.line or 0)
    nodes, ways = len(flow.nodes), len(flow.transitions)
    size = f"{nodes} node{'' if nodes == 1 else 's'} and {ways} connection{'' if ways == 1 else 's'}"
    return tuple(found), f"call flow {flow.id}, {size}"


def graph(document: Document, form: str) -> str:
    """The call flow as a picture, its findings marked; one with faults of topology is drawn too.

    Raises:
        InvalidDocument: the document is no call flow.
    """
    from cordboard.ivr.draw import to_dot, to_html, to_mermaid, to_svg  # noqa: PLC0415  not on the way of a check

    flow, findings = read_flow(document)
    if flow is None or errors_in(findings):
        raise InvalidDocument(findings)
    forms = {"mermaid": to_mermaid, "dot": to_dot, "svg": to_svg, "html": to_html}
    return forms[form](flow, _checked(flow))


def schema(_kind: str) -> dict[str, Any]:
    """The JSON Schema of a call flow."""
    from cordboard.ivr.shape import json_schema  # noqa: PLC0415

    return json_schema()


def titles() -> Mapping[str, str]:
    """What each rule is about, by its id."""
    return {name: rule.title for name, rule in RULES.items()}


def diff(before: Path, after: Path, as_document: bool) -> int:
    """Prints what changed between two flows: 0 nothing, 1 something.

    Raises:
        InvalidDocument: a file is no call flow.
    """
    from cordboard.ivr.diff import as_json, differences, in_words  # noqa: PLC0415

    found = differences(load_flow(before), load_flow(after))
    if as_document:
        print(json.dumps({"same": not found, "changes": as_json(found)}, ensure_ascii=False, indent=2))
    else:
        print(in_words(found), end="")
    return 1 if found else 0


def _checked(flow: Flow) -> tuple[Finding, ...]:
    return check_flow(flow, today=datetime.now(UTC).date())
