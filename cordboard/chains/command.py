"""What the command does with files of `kind: chain`."""

from __future__ import annotations

from typing import Any

from cordboard.chains.draw import to_dot, to_mermaid
from cordboard.chains.model import check_document, parse_chain
from cordboard.chains.plan import plan_chain
from cordboard.chains.shape import json_schema
from cordboard.documents import Document
from cordboard.errors import BadCall
from cordboard.findings import Finding, errors_in

_FORMATS = {"mermaid": to_mermaid, "dot": to_dot}


def examine(_kind: str, document: Document) -> tuple[tuple[Finding, ...], str]:
    """The findings about a chain, and its size in words where it has one."""
    findings = check_document(document)
    if errors_in(findings):
        return findings, ""
    chain = parse_chain(document)
    actions, layers = len(chain.actions), len(plan_chain(chain).layers)
    size = f"{actions} action{'' if actions == 1 else 's'} in {layers} layer{'' if layers == 1 else 's'}"
    return findings, f"chain {chain.name}, {size}"


def graph(document: Document, form: str) -> str:
    """The chain as a picture in text.

    Raises:
        InvalidDocument: the chain has faults.
        BadCall: chains are not drawn in that format.
    """
    chain = parse_chain(document)
    if form not in _FORMATS:
        raise BadCall(f"a chain is drawn as {' or '.join(_FORMATS)}, not as {form}")
    return _FORMATS[form](chain)


def schema(_kind: str) -> dict[str, Any]:
    """The JSON Schema of a chain."""
    return json_schema()
