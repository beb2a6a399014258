"""What the sandbox takes as a call flow: the section `flows` of its file, and every fault of a payload at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from cordboard.sandbox.genesys_rules import genesys_faults, is_genesys
from cordboard.sandbox.reading import Part

FLOW_ID = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"
NODE_PREFIX = "node_"
TYPES = ("default", "conditional", "fallback")
DEFAULTS = {"condition": "true", "type": "conditional"}

FlowId = Annotated[str, StringConstraints(pattern=FLOW_ID)]
Limit = Annotated[int, Field(ge=1, le=1_000_000)]


class FlowRules(Part):
    """How the vendor treats call flows.

    Attributes:
        on_existing: what a registration does to a flow of the same id: `replace` it, or be answered 409 (`conflict`).
        max_connections: connections that a flow may have.
        max_connections_per_node: connections that may leave one node.
        delay_ms: how long a registration takes before it has its effect; its key is in flight until then. So long a
            save of Genesys Cloud waits before it is judged.
        stale_save: what a save is answered whose `If-Match` is not the current version: 409 (`conflict`), or 400 with
            words about versions (`bad_request`).
        definitions: flows that exist from the start, by id, each as its vendor's JSON, of CXone or Genesys Cloud;
            `version` says which it is.
    """

    on_existing: Literal["replace", "conflict"] = "replace"
    max_connections: Limit = 50
    max_connections_per_node: Limit = 10
    delay_ms: Annotated[float, Field(ge=0, le=600_000)] = 0
    stale_save: Literal["conflict", "bad_request"] = "conflict"
    definitions: dict[FlowId, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _definitions_are_flows(self) -> Self:
        faults = [f"{name}: {fault}" for name, flow in self.definitions.items() for fault in self._of(name, flow)]
        if faults:
            raise ValueError("definitions that are no flows: " + "; ".join(faults))
        return self

    def faults_in(self, flow: dict[str, Any]) -> tuple[str, ...]:
        """Every rule that a flow breaks, each as one sentence; none where it can be registered."""
        return tuple(self._faults(flow))

    def _of(self, name: str, flow: dict[str, Any]) -> Iterator[str]:
        if flow.get("id", name) != name:
            yield "id is not the name under which it stands; leave it out"
        version = flow.get("version", 1)
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            yield "version must be a whole number from 1"
        if is_genesys(flow):
            yield from genesys_faults(flow)
        else:
            yield from self._faults({**flow, "id": name})

    def _faults(self, flow: dict[str, Any]) -> Iterator[str]:
        if not isinstance(flow.get("id"), str) or not re.fullmatch(FLOW_ID, flow["id"]):
            yield "id must have 1 to 128 letters, digits, '_', '.' and '-', the first a letter or digit"
        yield from (f"{name} must be a text" for name in ("name", "type") if not isinstance(flow.get(name, ""), str))
        nodes, connections = _objects(flow.get("nodes")), _objects(flow.get("connections"))
        if nodes is None:
            yield "nodes must be a list of objects"
        else:
            yield from _faults_of_nodes(nodes)
        if connections is None:
            yield "connections must be a list of objects"
        else:
            yield from _faults_of_connections(connections, {str(node.get("id")) for node in nodes or ()})
            yield from self._too_many(connections)

    def _too_many(self, connections: list[dict[str, Any]]) -> Iterator[str]:
        if len(connections) > self.max_connections:
            yield f"{len(connections)} connections are more than {self.max_connections}"
        sources = (connection.get("source_node_id") for connection in connections)
        leaving = Counter(source for source in sources if isinstance(source, str))
        for source, count in leaving.items():
            if count > self.max_connections_per_node:
                yield f"{count} connections leave {source[:64]!r}, more than {self.max_connections_per_node}"


def with_defaults(flow: dict[str, Any]) -> dict[str, Any]:
    """The flow with `condition` and `type` of each connection filled in where they were left out."""
    return {**flow, "connections": [{**DEFAULTS, **connection} for connection in flow["connections"]]}


def _faults_of_nodes(nodes: list[dict[str, Any]]) -> Iterator[str]:
    for index, node in enumerate(nodes):
        if not _is_text(node.get("id")):
            yield f"nodes[{index}].id must be a text that is not empty"
        elif not node["id"].startswith(NODE_PREFIX):
            yield f"nodes[{index}].id {node['id'][:64]!r} does not start with {NODE_PREFIX}"
        if not _is_text(node.get("type")):
            yield f"nodes[{index}].type must be a text that is not empty"
    yield from _twice("nodes", nodes)


def _faults_of_connections(connections: list[dict[str, Any]], known: set[str]) -> Iterator[str]:
    for index, connection in enumerate(connections):
        place = f"connections[{index}]"
        if not _is_text(connection.get("id")):
            yield f"{place}.id must be a text that is not empty"
        for end in ("source_node_id", "target_node_id"):
            yield from _faults_of_end(f"{place}.{end}", connection.get(end), known)
        if not _is_text(connection.get("condition", DEFAULTS["condition"])):
            yield f"{place}.condition must be a text that is not empty"
        if connection.get("type", DEFAULTS["type"]) not in TYPES:
            yield f"{place}.type must be one of {', '.join(TYPES)}"
    yield from _twice("connections", connections)


def _faults_of_end(place: str, node_id: Any, known: set[str]) -> Iterator[str]:
    if not _is_text(node_id):
        yield f"{place} must be a text that is not empty"
    elif not node_id.startswith(NODE_PREFIX):
        yield f"{place} {node_id[:64]!r} does not start with {NODE_PREFIX}"
    elif node_id not in known:
        yield f"{place} {node_id[:64]!r} is none of the nodes"


def _twice(name: str, parts: list[dict[str, Any]]) -> Iterator[str]:
    counts = Counter(part["id"] for part in parts if _is_text(part.get("id")))
    for part_id, count in counts.items():
        if count > 1:
            yield f"{name}: the id {part_id[:64]!r} stands {count} times"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _objects(value: Any) -> list[dict[str, Any]] | None:
    return value if isinstance(value, list) and all(isinstance(part, dict) for part in value) else None
