"""Genesys Cloud's JSON of a call flow: `nodes` by id, each with its `transitionConditions` in the order of trial.

There and back nothing is lost: `to_genesys(from_genesys(x))` is `x`, where every node states its id and its
transitions; what it leaves out of these is filled in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cordboard.findings import Finding
from cordboard.ivr.dialects.fields import (
    NODE_FIELDS,
    Fits,
    Placer,
    by_source,
    fault,
    is_text,
    is_version,
    leads_by_default,
    need_text,
    oddity,
    refuse,
    split,
    stated,
    with_rest,
)
from cordboard.ivr.model import Flow, Node, Place, Transition
from cordboard.outline import join_path

__all__ = ["examine", "from_genesys", "to_genesys"]

_FLOW: Fits = {
    "id": is_text,
    "name": is_text,
    "version": is_version,
    "startNodeId": is_text,
    "nodes": lambda value: isinstance(value, dict),
}
_TRANSITION: Fits = {"condition": is_text, "destinationNodeId": is_text}


def examine(value: Any) -> tuple[Finding, ...]:
    """Why a value is no Genesys flow (errors), and what in it we do not understand (warnings)."""
    if not isinstance(value, dict):
        return (fault("a call flow is an object", ""),)
    found = [*need_text(value, ("id",), "")]
    nodes = value.get("nodes")
    if not isinstance(nodes, dict):
        return (*found, fault("must be an object, with the nodes under their ids", "nodes"))
    for name, node in nodes.items():
        found.extend(_examine_node(name, node, join_path("nodes", name)))
    return tuple(found)


def _examine_node(name: str, node: Any, path: str) -> Iterator[Finding]:
    if not isinstance(node, dict):
        yield fault("must be an object", path)
        return
    if node.get("id", name) != name:
        yield oddity(f"is not `{name}`, under which the node stands; transitions mean `{name}`", f"{path}.id")
    transitions = node.get("transitionConditions", [])
    if not isinstance(transitions, list):
        yield fault("must be a list", f"{path}.transitionConditions")
        return
    for index, entry in enumerate(transitions):
        here = f"{path}.transitionConditions[{index}]"
        if isinstance(entry, dict):
            yield from need_text(entry, _TRANSITION, here)
        else:
            yield fault("must be an object", here)


def from_genesys(value: Any, place: Placer = Place) -> Flow:
    """Makes a flow of what the vendor returns; what we do not know is kept in `extra`.

    Args:
        value: a JSON object.
        place: the place of a path such as `nodes.menu.transitionConditions[0]`.

    Raises:
        TypeError: the value is no object.
        ValueError: the value is no call flow.
    """
    if not isinstance(value, dict):
        raise TypeError("a Genesys call flow is an object")
    refuse(examine(value), "Genesys call flow")
    fields, extra = split(value, _FLOW)
    return Flow(
        id=fields["id"],
        start=fields.get("startNodeId", ""),
        nodes=tuple(_node(name, entry, place) for name, entry in fields["nodes"].items()),
        transitions=tuple(_transitions(fields["nodes"], place)),
        name=fields.get("name", ""),
        platform="genesys",
        version=fields.get("version"),
        extra=extra,
    )


def _node(name: str, entry: Mapping[str, Any], place: Placer) -> Node:
    known: Fits = {**NODE_FIELDS, "id": lambda value: value == name, "transitionConditions": lambda _: True}
    fields, extra = split(entry, known)
    texts = {key: fields[key] for key in NODE_FIELDS if key in fields}
    return Node(name, **texts, extra=extra, place=place(join_path("nodes", name)))


def _transitions(nodes: Mapping[str, Any], place: Placer) -> Iterator[Transition]:
    for name, node in nodes.items():
        path = join_path("nodes", name)
        for index, entry in enumerate(node.get("transitionConditions", ())):
            fields, extra = split(entry, _TRANSITION)
            condition = fields["condition"]
            yield Transition(
                source=name,
                target=fields["destinationNodeId"],
                condition=condition,
                type="default" if leads_by_default(condition) else "conditional",
                extra=extra,
                place=place(f"{path}.transitionConditions[{index}]"),
            )


def to_genesys(flow: Flow) -> dict[str, Any]:
    """The body with which the vendor is asked to save a flow.

    Raises:
        ValueError: the flow speaks another vendor's words, or holds what Genesys has no words for.
    """
    if flow.platform != "genesys":
        raise ValueError(f"the flow {flow.id} is written for {flow.platform}, and not for genesys")
    ways = by_source(flow.transitions)
    nodes = {node.id: _node_body(node, ways.pop(node.id, [])) for node in flow.nodes}
    if len(nodes) != len(flow.nodes) or ways:
        raise ValueError(f"nodes of {flow.id} stand twice or are missing, and Genesys keeps transitions inside nodes")
    body: dict[str, Any] = {"id": flow.id, **stated(flow, ("name", "version"))}
    body |= {"startNodeId": flow.start} if flow.start else {}
    body["nodes"] = nodes
    return with_rest(body, flow.extra, _FLOW, lambda name: name not in body)


def _node_body(node: Node, ways: list[Transition]) -> dict[str, Any]:
    body = {
        "id": node.id,
        **stated(node, NODE_FIELDS),
        "transitionConditions": [_transition_body(transition) for transition in ways],
    }
    return with_rest(body, node.extra, NODE_FIELDS, lambda name: name not in body)


def _transition_body(transition: Transition) -> dict[str, Any]:
    if transition.type == "fallback":
        raise ValueError(f"Genesys knows no fallback connections: {transition.source} to {transition.target}")
    by_default = transition.type == "default" and not leads_by_default(transition.condition)
    condition = "default" if by_default else transition.condition
    return {"condition": condition, "destinationNodeId": transition.target, **transition.extra}
