"""A vendor that stores something else than it shows: each kind of change, and when it is seen."""

from __future__ import annotations

import copy
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.sandbox.alteration import Alteration, altered

KINDS = get_args(Alteration)
NODES = [{"id": f"node_{number}", "type": "decision", "name": f"N{number}"} for number in range(4)]


def by_id(parts):
    return sorted(parts, key=lambda part: (part["id"], repr(part)))


def connection(number, source, target):
    ends = {"source_node_id": f"node_{source}", "target_node_id": f"node_{target}"}
    return {"id": f"conn_{number}", **ends, "condition": "true", "type": "conditional"}


@st.composite
def flows(draw):
    ends = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=8))
    return {"id": "f", "nodes": NODES, "connections": [connection(n, *end) for n, end in enumerate(ends)]}


@given(flows(), st.sampled_from(KINDS), st.integers())
def test_every_alteration_changes_what_it_says_and_nothing_else(flow, how, seed):
    """Only `reorder` keeps the meaning; the flow that was accepted stays as it was."""
    before = copy.deepcopy(flow)
    after = altered(flow, how, Random(seed))
    assert flow == before
    assert after != before
    same = [by_id(after[part]) == by_id(before[part]) for part in ("connections", "nodes")]
    assert all(same) is (how == "reorder")
    grown = {"drop_connection": -1, "add_connection": 1, "duplicate_connection": 1}.get(how, 0)
    assert len(after["connections"]) - len(before["connections"]) == grown


@pytest.mark.parametrize("seed", range(20))
def test_a_reorder_is_another_order_even_of_two(seed):
    """A shuffle of two things leaves them as they were every other time."""
    flow = {"id": "f", "nodes": NODES[:2], "connections": [connection(1, 0, 1), connection(2, 1, 0)]}
    after = altered(flow, "reorder", Random(seed))
    assert [part["id"] for part in after["connections"] + after["nodes"]] == ["conn_2", "conn_1", "node_1", "node_0"]


@given(flows(), st.sampled_from(KINDS), st.integers())
def test_the_same_draw_gives_the_same_change(flow, how, seed):
    assert altered(flow, how, Random(seed)) == altered(flow, how, Random(seed))


@pytest.mark.parametrize("how", KINDS)
def test_a_flow_with_nothing_to_change_is_stored_as_it_is(how):
    """An empty flow, such as nobody registers, breaks nothing."""
    empty = {"id": "f", "nodes": [], "connections": []}
    assert altered(empty, how, Random(1)) == empty


def way(target):
    return {"condition": f"dtmf == '{target}'", "destinationNodeId": f"n{target}"}


@st.composite
def genesys_flows(draw):
    ways = draw(st.lists(st.lists(st.integers(0, 3).map(way), max_size=4), min_size=4, max_size=4).filter(any))
    nodes = {
        f"n{n}": {"id": f"n{n}", "type": "menu", "transitionConditions": list(each)} for n, each in enumerate(ways)
    }
    return {"id": "f", "version": 2, "nodes": nodes}


def ways_of(flow):
    return [(name, repr(each)) for name, node in flow["nodes"].items() for each in node.get("transitionConditions", ())]


@given(genesys_flows(), st.sampled_from(KINDS), st.integers())
def test_a_flow_of_genesys_cloud_is_altered_in_the_same_ways(flow, how, seed):
    """Its ways out have no ids that could be another; of its nodes the order means nothing, of its ways out it may."""
    before = copy.deepcopy(flow)
    after = altered(flow, how, Random(seed))
    assert flow == before
    assert (after == before) is (how in ("rename_connection", "reorder"))
    assert ([*after["nodes"]] != [*before["nodes"]]) is (how == "reorder")
    assert set(after["nodes"]) == set(before["nodes"])
    grown = {"drop_connection": -1, "add_connection": 1, "duplicate_connection": 1}.get(how, 0)
    if how != "drop_field":
        assert len(ways_of(after)) - len(ways_of(before)) == grown
    assert altered(flow, how, Random(seed)) == after


@pytest.mark.parametrize("how", KINDS)
def test_a_flow_of_genesys_cloud_with_nothing_to_change_is_stored_as_it_is(how):
    empty = {"id": "f", "nodes": {}}
    assert altered(empty, how, Random(1)) == empty


def rule(how, **match):
    return {"match": {"path": "/api/v2/flows", "method": "POST", **match}, "fault": {"stores": how}}


@pytest.mark.parametrize("how", KINDS)
def test_the_reply_shows_what_was_sent_and_a_look_shows_what_is_stored(start, menu, how):
    """An echo proves nothing: only reading back finds it."""
    api = start(rule(how))
    echo, stored = api.register(menu).json(), api.read("main_menu").json()
    assert {name: echo[name] for name in menu} == menu
    assert {**stored, "connections": [], "nodes": []} == {**echo, "connections": [], "nodes": []}
    assert (stored["connections"], stored["nodes"]) != (echo["connections"], echo["nodes"])
    (effect,) = api.box.truth.effects
    assert effect.inputs == menu
    assert api.box.truth.posts("/api/v2/flows")[0].fault == "stores"


def test_a_repeat_under_the_same_key_alters_nothing_more(start, menu):
    """The first answer again, from memory."""
    api = start(rule("drop_connection"))
    first = api.register(menu).json()
    stored = api.read("main_menu").json()
    assert api.register(menu).json() == first
    assert api.read("main_menu").json() == stored


def test_what_is_altered_follows_from_the_seed(start, menu):
    """A failing run can be run again; another seed, or another version, draws anew."""

    def stored(seed):
        api = start(rule("rename_connection"), seed=seed)
        found = []
        for key in "ab":
            api.register(menu, key)
            found.append(api.read("main_menu").json()["connections"])
        return found

    first = stored(1)
    assert first == stored(1) != stored(2)
    assert first[0] != first[1]
