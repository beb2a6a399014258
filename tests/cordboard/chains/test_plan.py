"""The order of a chain, its loops, and its picture."""

from itertools import pairwise, permutations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.chains import graph
from cordboard.chains.draw import to_dot, to_mermaid
from cordboard.chains.model import Action, Chain, OnFailure
from cordboard.chains.plan import plan_chain
from tests.thorough import count

Waits = dict[str, tuple[str, ...]]


@st.composite
def waits(draw: st.DrawFn) -> Waits:
    names = "abcdefgh"[: draw(st.integers(1, 8))]
    return {name: tuple(draw(st.lists(st.sampled_from(names), unique=True, max_size=4))) for name in names}


def chain_of(upstream: Waits) -> Chain:
    return Chain("test", {name: Action(name, f"def-{name}", depends_on=on) for name, on in upstream.items()})


def reachable(upstream: Waits, start: str) -> set[str]:
    """Brute force: everything that `start` waits for, however far away."""
    found: set[str] = set()
    todo = list(upstream[start])
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo.extend(upstream[node])
    return found


@settings(max_examples=count(150, 400), deadline=None)
@given(waits())
def test_loops_are_exactly_those_of_the_graph(upstream: Waits) -> None:
    """One loop for each knot, each a real loop through the knot's first action, none longer than it must be."""
    loops = graph.loops(graph.graph_of(upstream))
    knots = {frozenset(b for b in upstream if a in reachable(upstream, b) and b in reachable(upstream, a)) | {a}
             for a in upstream if a in reachable(upstream, a)}  # fmt: skip
    knots = {knot for knot in knots if len(knot) > 1}
    assert [set(loop) <= next(knot for knot in knots if loop[0] in knot) for loop in loops] == [True] * len(knots)
    for loop in loops:
        assert loop[0] == loop[-1] == min(next(knot for knot in knots if loop[0] in knot))
        assert all(after in upstream[before] for before, after in pairwise(loop))
        assert len(set(loop)) == len(loop) - 1
        assert len(loop) == 1 + shortest_loop(upstream, loop[0])


def shortest_loop(upstream: Waits, first: str) -> int:
    graph_ = nx.DiGraph([(a, b) for a, on in upstream.items() for b in on if a != b])
    return min(1 + nx.shortest_path_length(graph_, b, first) for b in graph_[first] if nx.has_path(graph_, b, first))


@settings(max_examples=count(150, 300), deadline=None)
@given(waits())
def test_the_plan_agrees_with_brute_force(upstream: Waits) -> None:
    """Order after dependencies, file order among equals; layers by the longest way; downstream mirrors."""
    names = list(upstream)
    acyclic = {
        name: tuple(on for on in waits if names.index(on) > names.index(name)) for name, waits in upstream.items()
    }
    plan = plan_chain(chain_of(acyclic))
    assert plan.order == first_order(acyclic)
    assert [set(layer) for layer in plan.layers] == longest_ways(acyclic)
    assert all(plan.downstream[name] == tuple(b for b in names if name in acyclic[b]) for name in names)
    assert plan.upstream == acyclic


def first_order(upstream: Waits) -> tuple[str, ...]:
    """Brute force: always the first action of the file that waits for nothing more."""
    order: list[str] = []
    while len(order) < len(upstream):
        order.append(next(name for name in upstream if name not in order and set(upstream[name]) <= set(order)))
    return tuple(order)


def longest_ways(upstream: Waits) -> list[set[str]]:
    depth: dict[str, int] = {}
    for name in first_order(upstream):
        depth[name] = max((depth[on] + 1 for on in upstream[name]), default=0)
    return [{name for name in depth if depth[name] == level} for level in range(max(depth.values()) + 1)]


def test_file_order_decides_among_equals() -> None:
    """Four independent actions keep the order of the file, whatever that order is."""
    for names in permutations("abcd"):
        assert plan_chain(chain_of(dict.fromkeys(names, ()))).order == names


def test_a_chain_of_five_hundred_in_a_row_needs_no_recursion() -> None:
    upstream: Waits = {f"a{n}": (f"a{n - 1}",) if n else () for n in range(500)}
    assert len(plan_chain(chain_of(upstream)).layers) == 500


@pytest.fixture
def drawn() -> Chain:
    hostile = 'x"] --> y["<script>'
    return Chain(
        'na"me\\',
        {
            "end": Action("end", "def-end"),
            "b": Action(
                "b",
                hostile,
                depends_on=("end",),
                for_each="{{ end.list }}",
                when="{{ end.list | length > 0 }}",
                on_failure=OnFailure("continue"),
            ),
        },
    )


def test_mermaid_shows_arrows_conditions_and_fan_outs_and_escapes_the_rest(drawn: Chain) -> None:
    """An action named `end` would end a subgraph, so boxes have numbers; what the file says cannot add arrows."""
    text = to_mermaid(drawn)
    assert text.splitlines()[0] == "flowchart LR"
    assert "a1 --> a2" in text
    assert text.count("-->") == 1
    assert "<script>" not in text
    assert 'a2[["b<br/>' in text
    assert "for each of" in text and "when" in text and "on failure: continue" in text
    assert text == to_mermaid(drawn)


def test_dot_quotes_what_the_file_says(drawn: Chain) -> None:
    text = to_dot(drawn)
    assert text.startswith('digraph "na\\"me\\\\" {')
    assert '\\"] --> y[\\"' in text
    assert "a1 -> a2;" in text
    assert "peripheries=2" in text
    assert text.rstrip().endswith("}")
