"""Call flows out of documents: our own files, and the JSON of both vendors as it was exported.

a document with …                           is read as
`kind`                                      our own file
`nodes` as an object, and no `connections`  Genesys JSON
`connections`, and `nodes` as a list        CXone JSON
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from cordboard.documents import Document, read_document
from cordboard.errors import InvalidDocument
from cordboard.findings import Finding, errors_in
from cordboard.ivr.dialects import cxone, genesys
from cordboard.ivr.dialects.fields import leads_by_default
from cordboard.ivr.dialects.file_faults import read_shape
from cordboard.ivr.model import START_TYPE, Flow, Limits, Node, Place, Suppression, Transition
from cordboard.ivr.shape import ConnectionShape, FlowShape, NodeShape

__all__ = ["load_flow", "read_flow"]


def load_flow(path: Path) -> Flow:
    """Reads a call flow from a file; its topology is not checked here.

    Raises:
        InvalidDocument: the file cannot be read, or does not have the shape of a call flow; every fault is listed.
    """
    flow, findings = read_flow(read_document(path, "ivr-flow"))
    if flow is None or errors_in(findings):
        raise InvalidDocument(findings)
    return flow


def read_flow(document: Document) -> tuple[Flow | None, tuple[Finding, ...]]:
    """A document as a call flow, whichever form it is written in.

    Returns:
        The flow and what its form gives reason to say, in the order of lines. The flow is None where faults could
        change its nodes or connections: what is said about a guess would lead astray.
    """
    flow, findings = _read(document)
    placed = [replace(finding, file=document.file, line=document.line(finding.path)) for finding in findings]
    return flow, tuple(sorted(placed, key=lambda finding: finding.line or 0))


def _read(document: Document) -> tuple[Flow | None, tuple[Finding, ...]]:
    value = document.value
    if not isinstance(value, dict):
        hint = "Start with `kind: ivr-flow`, or take a vendor's export as it is."
        return None, (Finding("ivr/shape", "a call flow is an object", hint=hint),)
    if "kind" not in value and isinstance(value.get("nodes"), dict) and "connections" not in value:
        return _from_vendor(genesys, document)
    if "kind" not in value and "connections" in value and isinstance(value.get("nodes", []), list):
        return _from_vendor(cxone, document)
    shape, findings = read_shape(value)
    return None if shape is None else _flow(shape, document), findings


def _from_vendor(dialect: Any, document: Document) -> tuple[Flow | None, tuple[Finding, ...]]:
    findings: tuple[Finding, ...] = dialect.examine(document.value)
    if errors_in(findings):
        return None, findings
    build = dialect.from_cxone if dialect is cxone else dialect.from_genesys
    flow: Flow = build(document.value, lambda path: _place(document, path))
    return replace(flow, file=document.file), findings


def _place(document: Document, path: str) -> Place:
    return Place(path, document.line(path))


def _flow(shape: FlowShape, document: Document) -> Flow:
    connections = [
        _transition(connection, _place(document, f"connections[{index}]"))
        for index, connection in enumerate(shape.connections)
    ]
    listed = {name: _place(document, f"nodes.{name}") for name in shape.nodes}
    places = {**listed, **dict(_unlisted(shape, connections, document))}
    return Flow(
        id=shape.id,
        start=shape.start,
        nodes=tuple(_node(name, shape, place) for name, place in places.items()),
        transitions=tuple(connections),
        name=shape.name,
        platform=shape.platform,
        terminals=tuple(shape.terminals),
        limits=Limits(**shape.limits.model_dump()),
        existing=shape.existing,
        suppressions=tuple(_suppressions(shape, document)),
        file=document.file,
    )


def _transition(shape: ConnectionShape, place: Place) -> Transition:
    condition = shape.when or shape.condition or "true"
    by_default = shape.type == "conditional" and leads_by_default(condition)
    return Transition(
        source=shape.source or shape.source_node_id,
        target=shape.target or shape.target_node_id,
        condition=condition,
        type="default" if by_default else shape.type,
        id=shape.id,
        place=place,
    )


def _unlisted(shape: FlowShape, transitions: list[Transition], document: Document) -> Iterator[tuple[str, Place]]:
    """Nodes that only connections name, where each first stands.

    A target that is not listed, is no terminal and is never left is more likely misspelt than meant: it stays unknown.
    """
    known = {shape.start, *shape.terminals, *(transition.source for transition in transitions)} - shape.nodes.keys()
    for index, transition in enumerate(transitions):
        keys = shape.connections[index].model_fields_set
        ends = (("from", "source", transition.source), ("to", "target", transition.target))
        for short, field, name in ends:
            if name in known:
                known.discard(name)
                word = short if field in keys else f"{field}_node_id"
                yield name, _place(document, f"connections[{index}].{word}")


def _node(name: str, shape: FlowShape, place: Place) -> Node:
    stated = shape.nodes.get(name) or NodeShape()
    by_part = START_TYPE if name == shape.start else "terminal" if name in shape.terminals else "decision"
    return Node(
        name,
        stated.type or by_part,
        stated.name,
        stated.prompt,
        stated.max_visits,
        set=stated.set,
        stated=name in shape.nodes,
        place=place,
    )


def _suppressions(shape: FlowShape, document: Document) -> Iterator[Suppression]:
    for index, item in enumerate(shape.suppress):
        until, place = date.fromisoformat(item.until), _place(document, f"suppress[{index}]")
        yield Suppression(item.rule, item.reason, until, item.node, place)
