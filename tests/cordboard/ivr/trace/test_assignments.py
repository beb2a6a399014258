"""`set`: variables that a node assigns, from every form in which a flow is written and back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.documents import parse_document
from cordboard.ivr.canonical import content_hash
from cordboard.ivr.dialects.cxone import from_cxone, to_cxone
from cordboard.ivr.dialects.genesys import from_genesys, to_genesys
from cordboard.ivr.diff import differences
from cordboard.ivr.model import Flow, Node, Transition
from cordboard.ivr.reading import read_flow

FILE = """
kind: ivr-flow
id: ivr_small
start: node_start
terminals: [node_end]
nodes: {node_start: {set: %s}}
connections: [{from: node_start, to: node_end}]
"""
FLOW = Flow(
    "x",
    "a",
    (Node("a", "start", set={"tier": "gold", "age": 7}), Node("b", "end")),
    (Transition("a", "b", type="default"),),
)

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("abc", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["", "x", "dtmf"]), inner, max_size=2),
    max_leaves=4,
)


def test_a_file_says_what_a_node_sets() -> None:
    flow, findings = read_flow(parse_document(FILE % "{tier: gold, age: 7, vip: true, note: null}", "small.yaml"))
    assert findings == ()
    assert flow is not None
    assert flow.nodes[0].set == {"tier": "gold", "age": 7, "vip": True, "note": None}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{dtmf: '1'}", "`dtmf` stands for what the caller does, and nothing can be assigned to it"),
        ("{tier: [gold]}", "`tier` must be text, a number, a truth value or null"),
        ("{visits: 1, '': 2}", "nothing can be assigned to it; a variable has a name"),
        ("gold", "must be an object"),
    ],
    ids=["what the caller does", "a list", "two faults", "a text"],
)
def test_what_cannot_be_assigned_is_a_fault_with_its_line(value: str, said: str) -> None:
    _, findings = read_flow(parse_document(FILE % value, "small.yaml"))
    assert [finding.line for finding in findings] == [6]
    assert said in findings[0].message


@pytest.mark.parametrize("there_and_back", [lambda flow: from_cxone(to_cxone(flow))], ids=["cxone"])
def test_a_vendor_keeps_what_a_node_sets(there_and_back: Any) -> None:
    assert there_and_back(FLOW).nodes == FLOW.nodes


def test_the_other_vendor_keeps_it_too() -> None:
    flow = replace(FLOW, platform="genesys")
    assert from_genesys(to_genesys(flow)).nodes == flow.nodes


@given(json_values)
@settings(max_examples=200, deadline=None)
def test_whatever_a_vendor_sends_goes_back_as_it_came(value: Any) -> None:
    node = {"id": "a", "type": "start", "set": value}
    cxone = {"id": "x", "name": "x", "type": "IVR", "connections": [], "nodes": [node]}
    genesys = {"id": "x", "nodes": {"a": {**node, "transitionConditions": []}}}
    assert to_cxone(from_cxone(cxone)) == cxone
    assert to_genesys(from_genesys(genesys)) == genesys


def test_a_flow_that_sets_something_else_means_something_else() -> None:
    other = replace(FLOW, nodes=(replace(FLOW.nodes[0], set={"tier": "gold", "age": True}), FLOW.nodes[1]))
    nothing = replace(FLOW, nodes=(replace(FLOW.nodes[0], set={}), FLOW.nodes[1]))
    assert len({content_hash(flow) for flow in (FLOW, other, nothing)}) == 3


def test_a_difference_says_what_is_set_now() -> None:
    after = replace(FLOW, nodes=(replace(FLOW.nodes[0], set={"tier": "silver", "lang": "en"}), FLOW.nodes[1]))
    said = [difference.sentence for difference in differences(FLOW, after)]
    assert said == [
        "a no longer sets `age`, it set it to 7",
        'a now sets `lang` to "en", it did not set it',
        'a now sets `tier` to "silver", it set it to "gold"',
    ]
