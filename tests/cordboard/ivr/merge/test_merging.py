"""Two teams edit one flow: both edits survive, or the disagreement is shown. One rule a test."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from cordboard.errors import BadCall
from cordboard.ivr.dialects.cxone import from_cxone, to_cxone
from cordboard.ivr.dialects.genesys import from_genesys, to_genesys
from cordboard.ivr.merge import Conflict, merge
from cordboard.ivr.merge.sequence import woven
from cordboard.ivr.model import Flow, Node, Transition
from cordboard.ivr.topology import check_flow

ONE, TWO, ZERO = "dtmf == '1'", "dtmf == '2'", "dtmf == '0'"


def way(condition: str, target: str, **more: Any) -> dict[str, Any]:
    return {"condition": condition, "destinationNodeId": target, **more}


MENU: dict[str, Any] = {
    "id": "clinic",
    "name": "Clinic",
    "version": 12,
    "startNodeId": "menu",
    "dateModified": "2026-01-01",
    "nodes": {
        "menu": {
            "id": "menu",
            "type": "menu",
            "prompt": "One for billing.",
            "properties": {"audioResource": {"id": "a", "type": "resource"}, "barge_in": True},
            "variables": [{"name": "lang"}],
            "transitionConditions": [way(ONE, "billing"), way(TWO, "desk"), way("vip", "desk"), way("default", "desk")],
        },
        "billing": {"id": "billing", "type": "queue", "transitionConditions": [way("default", "end")]},
        "desk": {"id": "desk", "type": "queue", "transitionConditions": [way("default", "end")]},
        "end": {"id": "end", "type": "disconnect", "transitionConditions": []},
    },
}


class Edit:
    """A copy of the clinic's menu to be edited; indexes lead to nodes."""

    def __init__(self) -> None:
        self.body = deepcopy(MENU)

    def __getitem__(self, node: str) -> dict[str, Any]:
        found: dict[str, Any] = self.body["nodes"][node]
        return found

    @property
    def ways(self) -> list[dict[str, Any]]:
        """The ways out of the menu."""
        found: list[dict[str, Any]] = self["menu"]["transitionConditions"]
        return found

    @property
    def flow(self) -> Flow:
        return from_genesys(self.body)


@pytest.fixture
def ours() -> Edit:
    return Edit()


@pytest.fixture
def theirs() -> Edit:
    return Edit()


def joined(ours: Edit, theirs: Edit) -> Edit:
    """What comes of both edits; there must be no conflict."""
    merged = merge(Edit().flow, ours.flow, theirs.flow)
    assert merged.conflicts == ()
    assert merged.flow is not None
    found = Edit()
    found.body = to_genesys(merged.flow)
    return found


def disagreement(ours: Edit, theirs: Edit) -> Conflict:
    """The only conflict between two edits."""
    merged = merge(Edit().flow, ours.flow, theirs.flow)
    assert merged.flow is None
    (conflict,) = merged.conflicts
    return conflict


# --- both edits survive ---------------------------------------------------------------------------------------------


def test_a_merge_of_whole_nodes_loses_the_edit_that_ours_keeps(ours: Edit, theirs: Edit) -> None:
    """What many scripts do, `live | edited`, takes our whole menu and with it the old target of the other team."""
    ours["menu"]["prompt"] = "One for bills."
    theirs.ways[0]["destinationNodeId"] = "desk"
    shallow = theirs.body["nodes"] | {"menu": ours["menu"]}
    assert shallow["menu"]["transitionConditions"][0]["destinationNodeId"] == "billing"  # the other edit is gone
    found = joined(ours, theirs)
    assert found["menu"]["prompt"] == "One for bills."
    assert found.ways[0]["destinationNodeId"] == "desk"


def test_fields_inside_objects_of_the_vendor_are_merged_one_by_one(ours: Edit, theirs: Edit) -> None:
    ours["menu"]["properties"]["audioResource"]["id"] = "holiday"
    del theirs["menu"]["properties"]["barge_in"]
    assert joined(ours, theirs)["menu"]["properties"] == {"audioResource": {"id": "holiday", "type": "resource"}}


def test_two_new_ways_that_no_call_could_both_take_are_both_kept(ours: Edit, theirs: Edit) -> None:
    ours.ways.insert(0, way("dtmf == '4'", "end"))
    theirs.ways.insert(0, way("dtmf == '5'", "desk"))
    conditions = [each["condition"] for each in joined(ours, theirs).ways]
    assert set(conditions[:2]) == {"dtmf == '4'", "dtmf == '5'"}
    assert conditions[2:] == [ONE, TWO, "vip", "default"]


def test_a_condition_in_another_spelling_is_the_same_way(ours: Edit, theirs: Edit) -> None:
    ours.ways[0]["condition"] = 'dtmf=="1"'
    theirs.ways[0]["destinationNodeId"] = "desk"
    assert joined(ours, theirs).ways[0] == way('dtmf=="1"', "desk")


def test_another_spelling_is_no_edit_that_keeps_a_node_from_being_removed(ours: Edit, theirs: Edit) -> None:
    ours["billing"]["transitionConditions"][0]["condition"] = "else"
    del theirs.body["nodes"]["billing"]
    theirs.ways.pop(0)
    assert "billing" not in joined(ours, theirs).body["nodes"]
    assert "billing" not in joined(theirs, ours).body["nodes"]


def test_an_edit_that_both_made_is_that_edit(ours: Edit, theirs: Edit) -> None:
    for edit in (ours, theirs):
        edit["menu"]["prompt"] = "Hello."
        edit.ways.pop(0)
        edit.body["nodes"]["night"] = {"id": "night", "type": "queue", "transitionConditions": []}
    assert joined(ours, theirs).body == ours.body


def test_who_removes_a_value_and_who_sets_it_to_null_want_the_same(ours: Edit, theirs: Edit) -> None:
    del ours["menu"]["prompt"]
    theirs["menu"]["prompt"] = None
    assert joined(ours, theirs)["menu"]["prompt"] is joined(theirs, ours)["menu"]["prompt"] is None


def test_what_one_side_removes_stays_removed(ours: Edit, theirs: Edit) -> None:
    del ours.body["nodes"]["billing"]
    ours.ways.pop(0)
    del ours["menu"]["variables"]
    theirs["menu"]["prompt"] = "Hello."
    found = joined(ours, theirs)
    assert "billing" not in found.body["nodes"]
    assert found.ways[0]["condition"] == TWO
    assert "variables" not in found["menu"]


def test_the_flow_itself_is_merged_too(ours: Edit, theirs: Edit) -> None:
    ours.body["name"] = "Clinic, new"
    theirs.body |= {"startNodeId": "desk", "division": {"id": "d1"}}
    found = joined(ours, theirs)
    assert (found.body["name"], found.body["startNodeId"]) == ("Clinic, new", "desk")
    assert found.body["division"] == {"id": "d1"}


def test_version_and_stamps_are_those_of_the_live_flow(ours: Edit, theirs: Edit) -> None:
    """They are no edits of anybody: both sides may have other ones, and what is live knows them best."""
    ours.body |= {"version": 12, "dateModified": "2026-02-01"}
    theirs.body |= {"version": 13, "dateModified": "2026-03-01"}
    theirs["menu"]["updatedBy"] = "somebody"
    theirs.ways[0]["updatedAt"] = "2026-03-01"
    ours["menu"]["prompt"] = "Hello."
    found = joined(ours, theirs)
    assert (found.body["version"], found.body["dateModified"]) == (13, "2026-03-01")
    assert (found["menu"]["updatedBy"], found.ways[0]["updatedAt"]) == ("somebody", "2026-03-01")
    assert found["menu"]["prompt"] == "Hello."


def test_a_node_that_lost_its_target_is_found_by_the_check_of_the_merged_flow(ours: Edit, theirs: Edit) -> None:
    """Each edit was sound on its own, and they touch nothing in common."""
    del ours.body["nodes"]["billing"]
    ours.ways.pop(0)
    theirs["desk"]["transitionConditions"].insert(0, way("vip", "billing"))
    rules = {finding.rule for finding in check_flow(joined(ours, theirs).flow, today=date(2026, 1, 1))}
    assert "ivr/unknown-target" in rules


# --- or the conflict is shown ---------------------------------------------------------------------------------------


def test_a_field_that_both_changed_is_shown_three_times(ours: Edit, theirs: Edit) -> None:
    ours["menu"]["properties"]["audioResource"]["id"] = "b"
    theirs["menu"]["properties"]["audioResource"]["id"] = "c"
    conflict = disagreement(ours, theirs)
    assert conflict.as_json() == {
        "node": "menu",
        "field": "properties.audioResource.id",
        "base": "a",
        "ours": "b",
        "theirs": "c",
    }
    assert conflict.sentence == 'menu: `properties.audioResource.id` was "a"; ours makes it "b", theirs makes it "c"'


def test_one_is_not_true(ours: Edit, theirs: Edit) -> None:
    ours["menu"]["properties"]["barge_in"] = 1
    theirs["menu"]["properties"]["barge_in"] = False
    assert disagreement(ours, theirs).ours == 1


def test_a_list_is_one_value(ours: Edit, theirs: Edit) -> None:
    ours["menu"]["variables"].append({"name": "tier"})
    theirs["menu"]["variables"].append({"name": "age"})
    assert disagreement(ours, theirs).field == "variables"


def test_a_value_that_cannot_be_read_belongs_to_its_field(ours: Edit, theirs: Edit) -> None:
    """`null` is no prompt, and still what our side made of it."""
    ours["menu"]["prompt"] = None
    theirs["menu"]["prompt"] = "Two for billing."
    conflict = disagreement(ours, theirs)
    assert (conflict.field, conflict.ours, conflict.theirs) == ("prompt", None, "Two for billing.")
    ours["billing"]["max_visits"], theirs["billing"]["max_visits"] = "three", 3
    both = merge(Edit().flow, ours.flow, theirs.flow).conflicts
    assert [(each.node, each.base, each.ours, each.theirs) for each in both if each.field == "max_visits"] == [
        ("billing", None, "three", 3)
    ]


def test_a_field_may_have_any_name(ours: Edit, theirs: Edit) -> None:
    """Also the one under which others keep what they do not know."""
    for edit, value in ((ours, 1), (theirs, 2)):
        edit["menu"]["properties"]["extra"] = {"timeout": value}
    assert disagreement(ours, theirs).field == "properties.extra.timeout"


def test_a_field_that_was_not_there_is_said_to_be_new(ours: Edit, theirs: Edit) -> None:
    ours["desk"]["prompt"], theirs["desk"]["prompt"] = "One moment.", "Hold on."
    sentence = 'desk: `prompt` was not there; ours makes it "One moment.", theirs makes it "Hold on."'
    assert disagreement(ours, theirs).sentence == sentence


def test_a_node_edited_here_and_removed_there(ours: Edit, theirs: Edit) -> None:
    """Also where only a way out of it was edited; the conflict shows the node as a whole."""
    ours["billing"]["transitionConditions"][0]["destinationNodeId"] = "desk"
    del theirs.body["nodes"]["billing"]
    theirs.ways.pop(0)
    conflict = disagreement(ours, theirs)
    assert (conflict.node, conflict.field, conflict.theirs) == ("billing", "", None)
    assert conflict.ours == {"type": "queue", "transitions": [{"when": "default", "to": "desk"}]}
    assert conflict.sentence.endswith("theirs removes it")


def test_a_node_that_both_add_must_be_the_same(ours: Edit, theirs: Edit) -> None:
    for edit, prompt in ((ours, "Good night"), (theirs, "We are closed")):
        edit.body["nodes"]["night"] = {"id": "night", "type": "prompt", "prompt": prompt, "transitionConditions": []}
    conflict = disagreement(ours, theirs)
    assert (conflict.node, conflict.field, conflict.base) == ("night", "", None)


def test_a_way_that_leads_to_two_places(ours: Edit, theirs: Edit) -> None:
    ours.ways[0]["destinationNodeId"] = "desk"
    theirs.ways[0]["destinationNodeId"] = "end"
    conflict = disagreement(ours, theirs)
    assert (conflict.field, conflict.ours, conflict.theirs) == (f"transitions[{ONE}].to", "desk", "end")


def test_a_way_that_is_removed_here_and_led_elsewhere_there(ours: Edit, theirs: Edit) -> None:
    ours.ways.pop(0)
    theirs.ways[0]["destinationNodeId"] = "end"
    conflict = disagreement(ours, theirs)
    assert (conflict.field, conflict.ours, conflict.theirs) == (
        f"transitions[{ONE}]",
        None,
        {"when": ONE, "to": "end"},
    )


def test_a_condition_that_stands_twice_is_one_value(ours: Edit, theirs: Edit) -> None:
    """Nobody can say which of the two an edit meant."""
    ours.ways.pop(0)
    theirs.ways.append(way(ONE, "end"))
    assert disagreement(ours, theirs).theirs == [{"when": ONE, "to": "billing"}, {"when": ONE, "to": "end"}]


def test_the_start_that_both_moved_belongs_to_no_node(ours: Edit, theirs: Edit) -> None:
    ours.body["startNodeId"], theirs.body["startNodeId"] = "billing", "desk"
    conflict = disagreement(ours, theirs)
    assert (conflict.node, conflict.field) == ("", "start")
    assert conflict.sentence.startswith("the flow: `start` was")


def test_all_conflicts_are_shown_at_once(ours: Edit, theirs: Edit) -> None:
    for edit, word in ((ours, "x"), (theirs, "y")):
        edit.body["name"] = edit["menu"]["prompt"] = edit["desk"]["name"] = word
        edit.ways[0]["destinationNodeId"] = word
    places = [(each.node, each.field) for each in merge(Edit().flow, ours.flow, theirs.flow).conflicts]
    assert places == [("", "name"), ("desk", "name"), ("menu", "prompt"), ("menu", f"transitions[{ONE}].to")]


# --- the order of ways ----------------------------------------------------------------------------------------------


def conditions(edit: Edit) -> list[str]:
    return [each["condition"] for each in edit.ways]


def test_the_side_that_moved_a_way_decides(ours: Edit, theirs: Edit) -> None:
    ours.ways.insert(0, ours.ways.pop(2))
    theirs["menu"]["prompt"] = "Hello."
    theirs.ways[0]["destinationNodeId"] = "desk"
    assert conditions(joined(ours, theirs)) == ["vip", ONE, TWO, "default"]


def test_where_both_sides_only_remove_the_old_order_stays() -> None:
    """Also where one of them lacks what is kept: a number that was removed here may be taken by something new."""
    for sides in (["abc", "ab", "ac"], ["abc", "ac", "ab"]):
        assert woven(sides, "abc") == ["a", "b", "c"]


def test_a_new_way_keeps_its_place_before_one_that_may_hold_as_well(ours: Edit, theirs: Edit) -> None:
    """The other side adds one too, with which it cannot hold."""
    ours.ways.insert(2, way("dtmf == '3'", "desk"))
    theirs.ways.insert(3, way("dtmf == '4'", "desk"))
    found = conditions(joined(ours, theirs))
    assert found.index("dtmf == '3'") < found.index("vip") < found.index("dtmf == '4'")


def test_two_new_ways_that_may_both_hold_need_a_person(ours: Edit, theirs: Edit) -> None:
    ours.ways.insert(0, way("tier == 'gold'", "desk"))
    theirs.ways.insert(0, way("balance > 100", "billing"))
    conflict = disagreement(ours, theirs)
    assert (conflict.node, conflict.field) == ("menu", "order")
    assert conflict.base == [ONE, TWO, "vip", "default"]
    assert (conflict.ours[0], conflict.theirs[0]) == ("tier == 'gold'", "balance > 100")


def test_moves_that_make_a_circle_need_a_person() -> None:
    """Each pair is decided by one side, and all three together cannot be had."""

    def flow(*order: str) -> Flow:
        ways = tuple(Transition("a", name, name) for name in order)
        return Flow("f", "a", (Node("a"), Node("x"), Node("y"), Node("z")), ways, platform="genesys")

    merged = merge(flow("x", "y", "z"), flow("y", "x", "z"), flow("x", "z", "y"))
    assert [each.field for each in merged.conflicts] == ["order"]


def test_beyond_sixty_four_ways_only_one_side_may_change_the_order() -> None:
    def flow(*numbers: int) -> Flow:
        ways = tuple(Transition("a", "b", f"dtmf == '{number}'") for number in numbers)
        return Flow("f", "a", (Node("a"), Node("b")), ways, platform="genesys")

    base = range(100, 170)
    assert merge(flow(*base), flow(*base, 1), flow(*base, 2)).conflicts[0].field == "order"
    assert merge(flow(*base), flow(*base, 1), flow(*base[1:])).flow == flow(*base[1:], 1)


# --- what is merged -------------------------------------------------------------------------------------------------


def test_flows_of_cxone_are_merged_with_their_ids_and_fallbacks() -> None:
    def connection(number: int, target: str, condition: str = "true", kind: str = "conditional") -> dict[str, Any]:
        ends = {"source_node_id": "node_a", "target_node_id": target}
        return {"id": f"c{number}", **ends, "condition": condition, "type": kind}

    nodes = [{"id": "node_a", "type": "start"}, {"id": "node_b", "type": "terminal"}]
    base = {"id": "f", "name": "F", "type": "IVR", "nodes": nodes}
    common = [connection(1, "node_b", ONE), connection(2, "node_b", "true", "fallback")]
    ours = {**base, "connections": [*common, connection(3, "node_b", TWO)]}
    theirs = {**base, "connections": [connection(1, "node_a", ONE), common[1], connection(3, "node_b", ZERO)]}
    merged = merge(*(from_cxone(each) for each in ({**base, "connections": common}, ours, theirs)))
    assert merged.flow is not None
    found = to_cxone(merged.flow)["connections"]
    assert {(each["condition"], each["type"], each["target_node_id"]) for each in found} == {
        (ONE, "conditional", "node_a"),
        (TWO, "conditional", "node_b"),
        (ZERO, "conditional", "node_b"),
        ("true", "fallback", "node_b"),
    }
    assert len({each["id"] for each in found}) == 4  # both new ones were called c3


def test_a_node_that_stands_twice_cannot_be_merged(ours: Edit) -> None:
    flow = ours.flow
    with pytest.raises(BadCall, match="'menu' stands twice"):
        merge(flow, flow, replace(flow, nodes=(*flow.nodes, flow.nodes[0])))


def test_flows_of_different_vendors_cannot_be_merged(ours: Edit) -> None:
    with pytest.raises(BadCall, match="different vendors"):
        merge(ours.flow, ours.flow, replace(ours.flow, platform="cxone"))
