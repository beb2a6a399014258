"""A vendor that answers well and stores something else: one change to a flow between its reply and its storage."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Literal

from cordboard.sandbox.genesys_alteration import GENESYS_ALTERATIONS

Alteration = Literal[
    "drop_connection",
    "add_connection",
    "duplicate_connection",
    "rename_connection",
    "reroute",
    "reorder",
    "drop_field",
]
Flow = dict[str, Any]


def altered(flow: Flow, how: Alteration, random: Random) -> Flow:
    """A copy of a flow with one thing changed; the same where there is nothing to change in that way.

    Args:
        flow: a flow that has been accepted.
        how: what happens to it. `reorder` changes an order without meaning and nothing else, the others change the
            meaning. Connections of Genesys Cloud have no id, so `rename_connection` leaves its flows as they are.
        random: draws the connection, node or field.
    """
    changed = copy.deepcopy(flow)
    table = GENESYS_ALTERATIONS if isinstance(flow["nodes"], dict) else _ALTERATIONS
    table[how](changed, random)
    return changed


def _drop_connection(flow: Flow, random: Random) -> None:
    if flow["connections"]:
        flow["connections"].pop(random.randrange(len(flow["connections"])))


def _add_connection(flow: Flow, random: Random) -> None:
    if flow["nodes"]:
        source, target = (random.choice(flow["nodes"])["id"] for _ in range(2))
        ends = {"source_node_id": source, "target_node_id": target}
        flow["connections"].append({"id": _new_id(random), **ends, "condition": "dtmf == '9'", "type": "conditional"})


def _duplicate_connection(flow: Flow, random: Random) -> None:
    if flow["connections"]:
        flow["connections"].append(copy.deepcopy(random.choice(flow["connections"])))


def _rename_connection(flow: Flow, random: Random) -> None:
    if flow["connections"]:
        random.choice(flow["connections"])["id"] = _new_id(random)


def _reroute(flow: Flow, random: Random) -> None:
    if flow["connections"]:
        connection = random.choice(flow["connections"])
        others = [node["id"] for node in flow["nodes"] if node["id"] != connection["target_node_id"]]
        connection["target_node_id"] = random.choice(others) if others else connection["target_node_id"]


def _reorder(flow: Flow, random: Random) -> None:
    for name in ("connections", "nodes"):
        before = list(flow[name])
        random.shuffle(flow[name])
        if before and flow[name] == before:
            flow[name].append(flow[name].pop(0))


def _drop_field(flow: Flow, random: Random) -> None:
    fields = [(part, name) for part in flow["connections"] + flow["nodes"] for name in part if name != "id"]
    if fields:
        part, name = random.choice(fields)
        del part[name]


def _new_id(random: Random) -> str:
    return f"conn_{random.getrandbits(48):012x}"


_ALTERATIONS: Mapping[Alteration, Callable[[Flow, Random], None]] = {
    "drop_connection": _drop_connection,
    "add_connection": _add_connection,
    "duplicate_connection": _duplicate_connection,
    "rename_connection": _rename_connection,
    "reroute": _reroute,
    "reorder": _reorder,
    "drop_field": _drop_field,
}
