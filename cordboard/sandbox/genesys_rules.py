"""What the sandbox takes as a call flow of Genesys Cloud: every fault of a body at once."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, TypeGuard

from cordboard.ivr.model import TERMINAL_TYPES

CATCH_ALL = ("default", "else")


def is_genesys(flow: Any) -> TypeGuard[dict[str, Any]]:
    """Whether a flow is in the form of Genesys Cloud: its nodes stand under their ids."""
    return isinstance(flow, dict) and isinstance(flow.get("nodes"), dict)


def genesys_faults(flow: dict[str, Any]) -> tuple[str, ...]:
    """Every rule that a flow breaks, each as one sentence; none where it can be saved."""
    return tuple(_faults(flow))


def _faults(flow: dict[str, Any]) -> Iterator[str]:
    if not isinstance(flow.get("name", ""), str):
        yield "name must be a text"
    nodes = flow.get("nodes")
    if not isinstance(nodes, dict):
        yield "nodes must be an object, with the nodes under their ids"
        return
    if "startNodeId" in flow and not _is_one_of(flow["startNodeId"], nodes):
        yield f"startNodeId {_shown(flow['startNodeId'])} is none of the nodes"
    for name, node in nodes.items():
        yield from _faults_of_node(f"nodes.{name[:64]}", name, node, nodes)


def _faults_of_node(place: str, name: str, node: Any, nodes: Container[str]) -> Iterator[str]:
    if not isinstance(node, dict):
        yield f"{place} must be an object"
        return
    if node.get("id", name) != name:
        yield f"{place}.id is not the name under which the node stands"
    if not isinstance(node.get("type", ""), str):
        yield f"{place}.type must be a text"
    ways = node.get("transitionConditions", [])
    if not isinstance(ways, list):
        yield f"{place}.transitionConditions must be a list"
        return
    for index, way in enumerate(ways):
        yield from _faults_of_way(f"{place}.transitionConditions[{index}]", way, nodes)
    if node.get("type") not in TERMINAL_TYPES and not any(_is_catch_all(way) for way in ways):
        yield f"{place} does not end the call and has no way out with the condition default or else"


def _faults_of_way(place: str, way: Any, nodes: Container[str]) -> Iterator[str]:
    if not isinstance(way, dict):
        yield f"{place} must be an object"
        return
    if not isinstance(way.get("condition"), str) or not way["condition"].strip():
        yield f"{place}.condition must be a text that is not empty"
    if not _is_one_of(way.get("destinationNodeId"), nodes):
        yield f"{place}.destinationNodeId {_shown(way.get('destinationNodeId'))} is none of the nodes"


def _is_catch_all(way: Any) -> bool:
    return isinstance(way, dict) and str(way.get("condition")).strip() in CATCH_ALL


def _is_one_of(name: Any, nodes: Container[str]) -> bool:
    return isinstance(name, str) and name in nodes


def _shown(name: Any) -> str:
    return repr(name[:64] if isinstance(name, str) else name)[:80]
