"""The vendors' JSON, there and back."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.ivr.dialects.cxone import from_cxone, to_cxone
from cordboard.ivr.dialects.genesys import from_genesys, to_genesys
from cordboard.ivr.model import Flow, Node, Transition
from cordboard.ivr.reading import load_flow
from tests.thorough import count

EXAMPLES = Path(__file__).parents[3] / "examples"

words = st.text("abcdef_ ", max_size=6)
names = st.sampled_from(["node_a", "node_b", "node_c"])
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
unknown = st.dictionaries(st.sampled_from(["x", "status", "properties", "label", "createdAt"]), json_values, max_size=2)
conditions = st.sampled_from(["true", "default", "else", " default ", "dtmf == '1'", "dtmf = '1'", ""]) | words
#: Fields that we know, with values that a vendor may well send and that we cannot always read.
loose = st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "prompt", "max_visits"), json_values))


def joined(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(*parts).map(lambda found: {key: value for part in found for key, value in part.items()})


cxone_connections = joined(
    unknown,
    st.fixed_dictionaries(
        {
            "id": st.text("abc", max_size=2),
            "source_node_id": names,
            "target_node_id": names,
            "condition": conditions | st.booleans() | st.none(),
            "type": st.sampled_from(["conditional", "default", "fallback", "event", "", None, 5]),
        }
    ),
)
cxone_nodes = joined(
    unknown, loose, st.fixed_dictionaries({"id": names, "type": st.sampled_from(["start", "menu", "", None, 3])})
)
cxone_flows = joined(
    unknown,
    st.fixed_dictionaries(
        {
            "id": names,
            "name": json_values,
            "type": st.sampled_from(["IVR", "CHAT", None]),
            "connections": st.lists(cxone_connections, max_size=4),
            "nodes": st.lists(cxone_nodes, max_size=3),
        },
        optional={"version": json_values},
    ),
)
genesys_transitions = joined(
    unknown,
    st.fixed_dictionaries(
        {"condition": conditions.filter(bool), "destinationNodeId": names}, optional={"type": json_values}
    ),
)
genesys_nodes = joined(
    unknown,
    loose,
    st.fixed_dictionaries(
        {"id": names, "transitionConditions": st.lists(genesys_transitions, max_size=4)},
        optional={"type": st.sampled_from(["menu", "", None]), "variables": st.lists(json_values, max_size=2)},
    ),
)
genesys_flows = joined(
    unknown,
    st.fixed_dictionaries(
        {"id": names, "nodes": st.dictionaries(names, genesys_nodes, max_size=3)},
        optional={"version": json_values, "name": json_values, "startNodeId": names | st.sampled_from(["", None])},
    ),
)


@settings(max_examples=count(100, 300), deadline=None)
@given(cxone_flows)
def test_cxone_json_comes_back_as_it_was(value: dict[str, Any]) -> None:
    assert to_cxone(from_cxone(value)) == value


@settings(max_examples=count(100, 300), deadline=None)
@given(genesys_flows)
def test_genesys_json_comes_back_as_it_was(value: dict[str, Any]) -> None:
    back = to_genesys(from_genesys(value))
    assert back == value
    assert list(back["nodes"]) == list(value["nodes"])


def test_the_body_of_a_file_is_what_the_contract_says() -> None:
    body = to_cxone(load_flow(EXAMPLES / "main_menu.yaml"))
    ids = [connection.pop("id") for connection in body["connections"]]
    nodes = {node["id"]: node for node in body.pop("nodes")}
    assert len(set(ids)) == 5
    assert all(len(name) == 17 and name.startswith("conn_") for name in ids)
    assert body == {
        "id": "ivr_main_menu_v2",
        "name": "Main menu",
        "type": "IVR",
        "connections": [
            _connection("node_start_01", "node_dtmf_02", "true", "default"),
            _connection("node_dtmf_02", "node_queue_03", "dtmf == '1'", "conditional"),
            _connection("node_dtmf_02", "node_transfer_04", "dtmf == '2'", "conditional"),
            _connection("node_queue_03", "node_end_05", "true", "default"),
            _connection("node_transfer_04", "node_end_05", "true", "default"),
        ],
    }
    assert nodes == {
        "node_start_01": {"id": "node_start_01", "type": "start"},
        "node_dtmf_02": {
            "id": "node_dtmf_02",
            "type": "decision",
            "prompt": "For sales press one. For support press two.",
        },
        "node_queue_03": {"id": "node_queue_03", "type": "decision"},
        "node_transfer_04": {"id": "node_transfer_04", "type": "decision"},
        "node_end_05": {"id": "node_end_05", "type": "terminal"},
    }


def _connection(source: str, target: str, condition: str, kind: str) -> dict[str, str]:
    return {"source_node_id": source, "target_node_id": target, "condition": condition, "type": kind}


def flow(*transitions: Transition, **fields: Any) -> Flow:
    return Flow("f", "a", (Node("a"), Node("b"), Node("c")), transitions, **fields)


def made_ids(*transitions: Transition) -> list[str]:
    return [connection["id"] for connection in to_cxone(flow(*transitions))["connections"]]


def test_a_made_id_is_the_same_wherever_the_connection_stands() -> None:
    one, other = Transition("a", "b", "dtmf=='1'"), Transition("a", "c", "dtmf == '2'")
    assert made_ids(one, other) == made_ids(other, one)[::-1]


def test_a_made_id_does_not_depend_on_the_spelling_of_a_condition() -> None:
    assert made_ids(Transition("a", "b", "dtmf=='1'")) == made_ids(Transition("a", "b", "(dtmf  ==  '1')"))


@pytest.mark.parametrize(
    "other",
    [
        Transition("a", "c", "dtmf == '1'"),
        Transition("b", "b", "dtmf == '1'"),
        Transition("a", "b", "dtmf == '2'"),
        Transition("a", "b", "dtmf == '1'", "fallback"),
    ],
    ids=["target", "source", "condition", "type"],
)
def test_a_made_id_changes_with_the_content(other: Transition) -> None:
    assert made_ids(Transition("a", "b", "dtmf == '1'")) != made_ids(other)


def test_equal_connections_get_different_ids() -> None:
    assert len(set(made_ids(*[Transition("a", "b")] * 3))) == 3


def test_a_made_id_is_never_one_that_the_file_states() -> None:
    """A connection that was copied from the live flow and led elsewhere keeps the id of its old content."""
    made = made_ids(Transition("a", "b"))[0]
    assert made_ids(Transition("a", "c", id=made), Transition("a", "b"))[1] != made


def test_default_in_a_condition_is_said_to_cxone_with_the_type() -> None:
    body = to_cxone(flow(Transition("a", "b", "default", "default")))
    assert (body["connections"][0]["condition"], body["connections"][0]["type"]) == ("true", "default")


def test_what_cxone_leaves_out_is_filled_in_with_what_it_takes_by_default() -> None:
    body = to_cxone(
        from_cxone({"id": "f", "connections": [{"source_node_id": "a", "target_node_id": "b"}], "nodes": [{"id": "a"}]})
    )
    assert (body["name"], body["type"], body["nodes"]) == ("IVR Flow f", "IVR", [{"id": "a", "type": "decision"}])
    assert (body["connections"][0]["condition"], body["connections"][0]["type"]) == ("true", "conditional")


def test_what_was_kept_of_a_connection_does_not_undo_an_edit() -> None:
    live = from_cxone({"id": "f", "connections": [{**_connection("a", "b", "default", "conditional"), "label": "x"}]})
    edited = replace(live.transitions[0], condition="dtmf == '1'", type="conditional")
    sent = to_cxone(replace(live, transitions=(edited,)))["connections"][0]
    assert (sent["condition"], sent["type"], sent["label"]) == ("dtmf == '1'", "conditional", "x")


def test_what_was_kept_of_a_node_does_not_undo_an_edit() -> None:
    live = from_cxone({"id": "f", "name": None, "connections": [], "nodes": [{"id": "a", "prompt": ""}]})
    edited = replace(live, name="Menu", nodes=(replace(live.nodes[0], prompt="Hello"),))
    assert (to_cxone(edited)["name"], to_cxone(edited)["nodes"][0]["prompt"]) == ("Menu", "Hello")


@pytest.mark.parametrize(("stated", "read"), [(3, 3), (True, None), (0, None), ("3", None), (2.5, None)])
def test_a_number_of_visits_that_is_none_is_kept_and_not_obeyed(stated: Any, read: int | None) -> None:
    live = from_cxone({"id": "f", "connections": [], "nodes": [{"id": "a", "max_visits": stated}]})
    assert live.nodes[0].max_visits == read
    assert to_cxone(live)["nodes"][0]["max_visits"] is stated


def test_default_is_said_to_genesys_as_a_condition() -> None:
    body = to_genesys(flow(Transition("a", "b", "true", "default"), platform="genesys"))
    assert body["nodes"]["a"]["transitionConditions"] == [{"condition": "default", "destinationNodeId": "b"}]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "id: is required; connections: is required"),
        ({"id": "f", "connections": None}, "connections: must be a list"),
        ({"id": "f", "connections": [{"source_node_id": 5}]}, "source_node_id: must be text"),
        ({"id": "f", "connections": [{"source_node_id": "a", "target_node_id": "b", "condition": 5}]}, "must be text"),
    ],
    ids=["nothing", "no_list", "no_text", "condition"],
)
def test_what_is_no_cxone_flow_is_refused(value: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_cxone(value)


@pytest.mark.parametrize("build", [from_cxone, from_genesys])
def test_what_is_no_object_is_refused(build: Any) -> None:
    with pytest.raises(TypeError, match="is an object"):
        build([])


@pytest.mark.parametrize(
    "value", [{"id": "f"}, {"id": "f", "nodes": {"a": {"transitionConditions": [{"condition": "x"}]}}}]
)
def test_what_is_no_genesys_flow_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="this is no Genesys call flow: nodes"):
        from_genesys(value)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (flow(Transition("a", "b", type="fallback"), platform="genesys"), "no fallback"),
        (flow(Transition("z", "b"), platform="genesys"), "missing"),
        (Flow("f", "a", (Node("a"), Node("a")), (), platform="genesys"), "twice"),
        (flow(), "written for cxone"),
    ],
    ids=["fallback", "missing", "twice", "platform"],
)
def test_what_genesys_has_no_words_for_is_refused(wrong: Flow, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        to_genesys(wrong)


def test_a_genesys_flow_is_not_sent_to_cxone() -> None:
    with pytest.raises(ValueError, match="written for genesys"):
        to_cxone(flow(platform="genesys"))
