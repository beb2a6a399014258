"""NICE CXone's JSON of a call flow: `connections` beside a list of `nodes`.

There and back nothing is lost: `to_cxone(from_cxone(x))` is `x`, where `x` states what a request must state. What it
leaves out of that (ids of connections, conditions, types, the name) is filled in with what the vendor takes by default.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from cordboard.findings import Finding
from cordboard.ivr.canonical import title, way
from cordboard.ivr.dialects.fields import (
    NODE_FIELDS,
    TYPES,
    Fits,
    Placer,
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
from cordboard.ivr.model import NOWHERE, START_TYPE, Flow, Node, Place, Transition
from cordboard.jsontext import digest

__all__ = ["examine", "from_cxone", "to_cxone"]

_FLOW: Fits = {
    "id": is_text,
    "name": is_text,
    "type": lambda value: value == "IVR",
    "version": is_version,
    "connections": lambda value: isinstance(value, list),
    "nodes": lambda value: isinstance(value, list),
}
_NODE: Fits = {"id": is_text, **NODE_FIELDS}
_CONNECTION: Fits = {
    "id": is_text,
    "source_node_id": is_text,
    "target_node_id": is_text,
    # `default` and `else` are the other vendor's words: a request says it with the type.
    "condition": lambda value: is_text(value) and not leads_by_default(value),
    "type": lambda value: isinstance(value, str) and value in TYPES,
}


def examine(value: Any) -> tuple[Finding, ...]:
    """Why a value is no CXone flow (errors), and what in it we do not understand (warnings)."""
    if not isinstance(value, dict):
        return (fault("a call flow is an object", ""),)
    found = [*need_text(value, ("id",), "")]
    for name, required in (("connections", True), ("nodes", False)):
        if name not in value and required:
            found.append(fault("is required", name))
        elif not isinstance(value.get(name, []), list):
            found.append(fault("must be a list", name))
        else:
            found.extend(_examine_entries(name, value.get(name, [])))
    return tuple(found)


def _examine_entries(name: str, entries: list[Any]) -> Iterator[Finding]:
    for index, entry in enumerate(entries):
        path = f"{name}[{index}]"
        if not isinstance(entry, dict):
            yield fault("must be an object", path)
        elif name == "nodes":
            yield from need_text(entry, ("id",), path)
        else:
            yield from need_text(entry, ("source_node_id", "target_node_id"), path)
            yield from _examine_condition(entry, path)


def _examine_condition(entry: Mapping[str, Any], path: str) -> Iterator[Finding]:
    condition, kind = entry.get("condition"), entry.get("type")
    if not isinstance(condition, str | bool | None):
        yield fault("must be text", f"{path}.condition")
    if kind is not None and kind not in TYPES:
        message = "is none of `conditional`, `default` and `fallback`; the connection is read as a conditional one"
        yield oddity(message, f"{path}.type")


def from_cxone(value: Any, place: Placer = Place) -> Flow:
    """Makes a flow of what the vendor returns; what we do not know is kept in `extra`.

    Args:
        value: a JSON object.
        place: the place of a path such as `connections[3]`.

    Raises:
        TypeError: the value is no object.
        ValueError: the value is no call flow.
    """
    if not isinstance(value, dict):
        raise TypeError("a CXone call flow is an object")
    refuse(examine(value), "CXone call flow")
    fields, extra = split(value, _FLOW)
    nodes = tuple(_node(entry, place(f"nodes[{index}]")) for index, entry in enumerate(fields.get("nodes", ())))
    return Flow(
        id=fields["id"],
        start=next((node.id for node in nodes if node.type == START_TYPE), ""),
        nodes=nodes,
        transitions=tuple(
            _transition(entry, place(f"connections[{index}]")) for index, entry in enumerate(fields["connections"])
        ),
        name=fields.get("name", ""),
        platform="cxone",
        version=fields.get("version"),
        extra=extra,
    )


def _node(entry: Mapping[str, Any], place: Place) -> Node:
    fields, extra = split(entry, _NODE)
    return Node(**fields, extra=extra, place=place)


def _transition(entry: Mapping[str, Any], place: Place) -> Transition:
    fields, extra = split(entry, _CONNECTION)
    condition = _condition(entry.get("condition"))
    kind = fields.get("type", "conditional")
    if kind == "conditional" and leads_by_default(condition):
        kind = "default"
        if "type" in fields:
            extra["type"] = fields["type"]
    return Transition(
        source=fields["source_node_id"],
        target=fields["target_node_id"],
        condition=condition,
        type=kind,
        id=fields.get("id", ""),
        extra=extra,
        place=place,
    )


def _condition(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "true" if value is None else str(value)


def to_cxone(flow: Flow) -> dict[str, Any]:
    """The body with which the vendor is asked to register a flow.

    Returns:
        A JSON object, the same for the same flow; what stands in `extra` goes back as it came.

    Raises:
        ValueError: the flow speaks another vendor's words.
    """
    if flow.platform != "cxone":
        raise ValueError(f"the flow {flow.id} is written for {flow.platform}, and not for cxone")
    body: dict[str, Any] = {
        "id": flow.id,
        "name": title(flow),
        "type": "IVR",
        "connections": list(_connections(flow)),
        "nodes": [_node_body(flow, node) for node in flow.nodes],
    }
    body |= stated(flow, ("version",))
    return with_rest(body, flow.extra, _FLOW, lambda name: not getattr(flow, name, None))


def _node_body(flow: Flow, node: Node) -> dict[str, Any]:
    by_part = START_TYPE if node.id == flow.start else "terminal" if node.id in flow.terminals else "decision"
    body = {"id": node.id, "type": node.type or by_part, **stated(node, ("name", "prompt", "max_visits", "set"))}
    return with_rest(body, node.extra, _NODE, lambda name: not getattr(node, name))


def _connections(flow: Flow) -> Iterator[dict[str, Any]]:
    taken = {transition.id for transition in flow.transitions}
    for transition in flow.transitions:
        yield _connection_body(transition, transition.id or _made_id(flow.id, transition, taken))


def _connection_body(transition: Transition, name: str) -> dict[str, Any]:
    by_type = transition.type != "conditional" and leads_by_default(transition.condition)
    body = {
        "id": name,
        "source_node_id": transition.source,
        "target_node_id": transition.target,
        "condition": "true" if by_type else transition.condition,
        "type": transition.type,
    }
    rest = transition.extra
    if rest.keys().isdisjoint(_CONNECTION):
        return {**body, **rest}
    again = _transition({**body, **rest}, NOWHERE)
    same = (again.id, again.condition, again.type) == (transition.id, transition.condition, transition.type)
    return with_rest(body, rest, _CONNECTION, lambda _: same)


def _made_id(flow_id: str, transition: Transition, taken: set[str]) -> str:
    """An id made from the content, so that the same file gives the same body; the number tells equal ones apart."""
    content = [flow_id, transition.source, transition.target, *way(transition)]
    made = (f"conn_{digest([*content, number])[:12]}" for number in count())
    free = next(name for name in made if name not in taken)
    taken.add(free)
    return free
