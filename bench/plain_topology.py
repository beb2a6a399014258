"""The same checks of a call flow as anybody would write them first: a networkx graph, every node looked at by itself.

It serves `bench.topology` as the ground to compare with, and the tests as a second opinion on whole flows. The rules
about a single node are shared; what differs is everything that is done with the graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import networkx as nx

from cordboard.ivr.model import Flow, Transition
from cordboard.ivr.topology.answers import faults_at
from cordboard.ivr.topology.passing import Junction, Passing, passing_of
from cordboard.ivr.topology.wiring import read_way

Graph = Any
Verdict = tuple[str, frozenset[str]]


def plain_check(flow: Flow) -> list[Verdict]:
    """What is wrong with a flow: the rule, and the nodes it is about."""
    graph = graph_of(flow)
    junctions = {node: _junction(flow, graph, node) for node in graph}
    found = [*_references(flow, graph), *_local(junctions)]
    if flow.start in graph:
        passings = {node: passing_of(junction) for node, junction in junctions.items()}
        found.extend(_graph_rules(flow, graph, passings))
    return found


def graph_of(flow: Flow) -> Graph:
    """The flow as a networkx graph; connections whose ends are not both there are left out."""
    graph: Graph = nx.MultiDiGraph()
    for node in flow.nodes:
        graph.add_node(node.id, node=node, ends=flow.ends_call(node), ways=[])
    for transition in flow.transitions:
        if transition.source in graph:
            graph.nodes[transition.source]["ways"].append(transition)
        if transition.source in graph and transition.target in graph:
            graph.add_edge(transition.source, transition.target)
    return graph


def _junction(flow: Flow, graph: Graph, node: str) -> Junction:
    data = graph.nodes[node]
    ways: list[Transition] = data["ways"]
    return Junction(data["node"], data["ends"], ways, [read_way(way.type, way.condition) for way in ways], flow)


def _references(flow: Flow, graph: Graph) -> Iterator[Verdict]:
    for name, count in Counter(node.id for node in flow.nodes).items():
        if count > 1:
            yield "duplicate-node", frozenset({name})
        if flow.platform == "cxone" and not name.startswith("node_"):
            yield "node-prefix", frozenset({name})
    if flow.start not in graph:
        yield "unknown-start", frozenset()
    for transition in flow.transitions:
        if transition.target not in graph:
            yield "unknown-target", frozenset({transition.source})
        if transition.source not in graph:
            yield "unknown-source", frozenset({transition.target})
    if len(flow.transitions) > flow.limits.max_connections:
        yield "batch-limit", frozenset()


def _local(junctions: dict[str, Junction]) -> Iterator[Verdict]:
    for junction in junctions.values():
        for fault in faults_at(junction):
            yield fault.rule, frozenset(fault.about)


def _graph_rules(flow: Flow, graph: Graph, passings: dict[str, Passing]) -> Iterator[Verdict]:
    reached = {flow.start} | nx.descendants(graph, flow.start)
    ends = {node for node in graph if graph.nodes[node]["ends"]}
    if not ends:
        yield "no-terminal", frozenset()
    yield from _unreachable(graph, reached)
    inside = graph.subgraph(reached)
    for node, degree in inside.out_degree():
        if not degree and node not in ends:
            yield "dead-end", frozenset({node})
    for group in nx.attracting_components(inside):
        if not group & ends and inside.subgraph(group).size():
            yield "no-exit", frozenset(group)
    yield from _loops(graph, passings, reached)


def _unreachable(graph: Graph, reached: set[str]) -> Iterator[Verdict]:
    outside = graph.subgraph(set(graph) - reached)
    condensed = nx.condensation(nx.DiGraph(outside))
    for group, degree in condensed.in_degree():
        if not degree:
            yield "unreachable", frozenset(condensed.nodes[group]["members"])


def _loops(graph: Graph, passings: dict[str, Passing], reached: set[str]) -> Iterator[Verdict]:
    silent: Graph = nx.DiGraph()
    driven: Graph = nx.DiGraph()
    for node in reached:
        ways = graph.nodes[node]["ways"]
        silent.add_edges_from((node, ways[way].target) for way in passings[node].silent)
        driven.add_edges_from((node, ways[way].target) for way in passings[node].driven)
    for group in _tangles(silent):
        yield "silent-loop", frozenset(group)
    for group in _tangles(driven):
        menus = {node for node in group if passings[node].asks and graph.nodes[node]["node"].max_visits is None}
        if menus:
            yield "unbounded-retry", frozenset(menus)


def _tangles(graph: Graph) -> Iterator[set[str]]:
    for group in nx.strongly_connected_components(graph):
        if len(group) > 1 or any(graph.has_edge(node, node) for node in group):
            yield group
