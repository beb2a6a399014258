"""Searches in a graph of numbers, none of them recursive, all in linear time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

Successors = Callable[[int], Sequence[int]]


def groups(nodes: Iterable[int], successors: Successors, size: int) -> Iterator[list[int]]:
    """The strongly connected groups of all that can be reached from some nodes; each before those that lead to it.

    Args:
        nodes: where to begin.
        successors: the nodes to which a node leads.
        size: more than the largest number of a node.
    """
    # Tarjan's algorithm, with a stack of its own in place of calls.
    seen = [0] * size  # when a node was seen first, from 1; `done` once its group is complete
    low = [0] * size
    done, count = size + 1, 0
    trail: list[int] = []
    for root in nodes:
        if seen[root]:
            continue
        count += 1
        seen[root] = low[root] = count
        trail.append(root)
        work = [(root, iter(successors(root)))]
        while work:
            node, rest = work[-1]
            for other in rest:
                if not seen[other]:
                    count += 1
                    seen[other] = low[other] = count
                    trail.append(other)
                    work.append((other, iter(successors(other))))
                    break
                if seen[other] < low[node]:  # noqa: PLR1730 (here `min` takes as long as all the rest)
                    low[node] = seen[other]
            else:
                work.pop()
                if work and low[node] < low[work[-1][0]]:
                    low[work[-1][0]] = low[node]
                if low[node] != seen[node]:
                    continue
                if trail[-1] == node:  # most groups are one node
                    seen[trail.pop()] = done
                    yield [node]
                else:
                    yield _cut(trail, node, seen, done)


def _cut(trail: list[int], node: int, seen: list[int], done: int) -> list[int]:
    """Takes a complete group from the end of the trail."""
    group = []
    while True:
        member = trail.pop()
        seen[member] = done
        group.append(member)
        if member == node:
            return group


def tangles(nodes: Iterable[int], successors: Successors, size: int) -> Iterator[list[int]]:
    """Those groups in which one can go round: of several nodes, or of one that leads to itself."""
    for group in groups(nodes, successors, size):
        if len(group) > 1 or group[0] in successors(group[0]):
            yield group


def shortest_loop(first: int, members: Iterable[int], successors: Successors) -> tuple[int, ...]:
    """A shortest way from a node back to itself, with the node at both ends.

    Args:
        first: the node.
        members: the nodes of its group; the way exists inside it.
        successors: the nodes to which a node leads.
    """
    inside = set(members)
    came_from: dict[int, int] = {}
    todo = deque([first])
    while first not in came_from:
        node = todo.popleft()
        for other in successors(node):
            if other in inside and other not in came_from:
                came_from[other] = node
                todo.append(other)
    way = [first, came_from[first]]
    while way[-1] != first:
        way.append(came_from[way[-1]])
    return tuple(reversed(way))
