"""The graph of what waits for what, by networkx: order, layers and loops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import networkx as nx


def graph_of(upstream: Mapping[str, Iterable[str]]) -> nx.DiGraph[str]:
    """The graph with an edge from each action to each that waits for it."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(upstream)
    graph.add_edges_from((before, after) for after, befores in upstream.items() for before in befores)
    return graph


def order(graph: nx.DiGraph[str]) -> tuple[str, ...]:
    """A topological order; among equals, the order in which the nodes came.

    Raises:
        networkx.NetworkXUnfeasible: the graph has a loop.
    """
    rank = {node: index for index, node in enumerate(graph)}
    return tuple(nx.lexicographical_topological_sort(graph, key=rank.__getitem__))


def layers(graph: nx.DiGraph[str]) -> tuple[tuple[str, ...], ...]:
    """The nodes in generations: each waits only for earlier generations.

    Raises:
        networkx.NetworkXUnfeasible: the graph has a loop.
    """
    rank = {node: index for index, node in enumerate(graph)}
    return tuple(tuple(sorted(layer, key=rank.__getitem__)) for layer in nx.topological_generations(graph))


def loops(graph: nx.DiGraph[str]) -> tuple[tuple[str, ...], ...]:
    """One loop for each group of nodes that wait for each other, self-loops apart.

    Returns:
        For each group a shortest loop through its first node, as a path in which each node waits for the next; the
        first node is repeated at the end.
    """
    rank = {node: index for index, node in enumerate(graph)}
    knots = [sorted(knot, key=rank.__getitem__) for knot in nx.strongly_connected_components(graph) if len(knot) > 1]
    knots.sort(key=lambda knot: rank[knot[0]])
    return tuple(_loop(graph, knot) for knot in knots)


def _loop(graph: nx.DiGraph[str], knot: list[str]) -> tuple[str, ...]:
    first, members = knot[0], set(knot)
    waits = {node: [before for before in graph.pred[node] if before in members and before != node] for node in knot}
    paths = nx.single_source_shortest_path(graph_of(waits).reverse(), first)
    nearest = min((node for node in knot if first in waits[node]), key=lambda node: len(paths[node]))
    return (*paths[nearest], first)
