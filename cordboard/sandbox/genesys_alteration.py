"""The same changes to a flow of Genesys Cloud, whose connections are the ways out that each of its nodes lists."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from random import Random
from typing import Any

Flow = dict[str, Any]


def _ways_of(flow: Flow) -> list[tuple[list[dict[str, Any]], dict[str, Any]]]:
    """Every way out, each with the list that it stands in."""
    lists = [node.get("transitionConditions", []) for node in flow["nodes"].values()]
    return [(ways, way) for ways in lists for way in ways]


def _drop_connection(flow: Flow, random: Random) -> None:
    if found := _ways_of(flow):
        ways, way = random.choice(found)
        ways.remove(way)


def _add_connection(flow: Flow, random: Random) -> None:
    if flow["nodes"]:
        source, target = random.choice([*flow["nodes"].values()]), random.choice([*flow["nodes"]])
        way = {"condition": "dtmf == '9'", "destinationNodeId": target}
        source.setdefault("transitionConditions", []).append(way)


def _duplicate_connection(flow: Flow, random: Random) -> None:
    if found := _ways_of(flow):
        ways, way = random.choice(found)
        ways.append(copy.deepcopy(way))


def _keep_names(_flow: Flow, _random: Random) -> None:
    pass


def _reroute(flow: Flow, random: Random) -> None:
    if found := _ways_of(flow):
        _, way = random.choice(found)
        others = [name for name in flow["nodes"] if name != way["destinationNodeId"]]
        way["destinationNodeId"] = random.choice(others) if others else way["destinationNodeId"]


def _reorder(flow: Flow, random: Random) -> None:
    """Of the nodes alone: ways out are tried in their order, so another order may mean something else."""
    names = [*flow["nodes"]]
    random.shuffle(names)
    if names == [*flow["nodes"]]:
        names = names[1:] + names[:1]
    flow["nodes"] = {name: flow["nodes"][name] for name in names}


def _drop_field(flow: Flow, random: Random) -> None:
    parts = [*flow["nodes"].values(), *(way for _, way in _ways_of(flow))]
    fields = [(part, name) for part in parts for name in part if name != "id"]
    if fields:
        part, name = random.choice(fields)
        del part[name]


GENESYS_ALTERATIONS: Mapping[str, Callable[[Flow, Random], None]] = {
    "drop_connection": _drop_connection,
    "add_connection": _add_connection,
    "duplicate_connection": _duplicate_connection,
    "rename_connection": _keep_names,
    "reroute": _reroute,
    "reorder": _reorder,
    "drop_field": _drop_field,
}
