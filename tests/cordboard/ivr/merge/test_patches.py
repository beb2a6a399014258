"""Patches: what an author writes, what it makes of a flow, and what is said where it does not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cordboard.documents import parse_document
from cordboard.errors import BadCall, InvalidDocument
from cordboard.findings import Finding, Severity, errors_in
from cordboard.ivr.dialects.genesys import from_genesys, to_genesys
from cordboard.ivr.merge import NodeChange, Patch, WayChange, apply_patch, load_patch, make_patch, read_patch, written
from cordboard.ivr.merge.shape import json_schema
from cordboard.ivr.model import Flow
from cordboard.ivr.reading import load_flow

EXAMPLES = Path(__file__).parents[4] / "examples"
HEAD = "kind: ivr-patch\nflow_id: clinic-menu\nbase_version: 12\n"
ONE, TWO, ZERO = "dtmf == '1'", "dtmf == '2'", "dtmf == '0'"


@pytest.fixture
def clinic() -> Flow:
    return load_flow(EXAMPLES / "clinic_menu.json")


def patch_of(text: str) -> Patch:
    patch, findings = read_patch(parse_document(HEAD + text, "p.yaml"))
    assert patch is not None, findings
    return patch


def faults_of(text: str) -> list[Finding]:
    patch, findings = read_patch(parse_document(text, "p.yaml"))
    assert (patch is None) == bool(errors_in(findings))
    return list(findings)


def patched(clinic: Flow, text: str) -> dict[str, Any]:
    """The nodes that a patch makes."""
    nodes: dict[str, Any] = to_genesys(apply_patch(patch_of(text), clinic))["nodes"]
    return nodes


def refused(clinic: Flow, text: str) -> list[tuple[str, int | None, str]]:
    """Rule, line and hint of every fault of a patch that does not fit."""
    with pytest.raises(InvalidDocument) as caught:
        apply_patch(patch_of(text), clinic)
    return [(finding.rule, finding.line, finding.hint) for finding in caught.value.findings]


# --- what an author writes --------------------------------------------------------------------------------------------


def test_fields_of_the_vendor_are_changed_in_part(clinic: Flow) -> None:
    """A JSON merge patch: null takes away, objects are merged, lists are replaced."""
    text = "nodes: {welcome: {properties: {timeout: 5, audioResource: {type: null}}, variables: [1], prompt: Hello}}"
    made = patched(clinic, text)["welcome"]
    assert made["properties"] == {"audioResource": {"id": "clinic-welcome"}, "timeout": 5}
    assert (made["variables"], made["prompt"]) == ([1], "Hello")
    assert len(made["transitionConditions"]) == 4


def test_audio_is_short_for_the_resource(clinic: Flow) -> None:
    made = patched(clinic, 'nodes: {welcome: {audio: "00123", properties: {timeout: 5}}}')["welcome"]
    assert made["properties"] == {"audioResource": {"id": "00123", "type": "resource"}, "timeout": 5}
    assert patched(clinic, "nodes: {welcome: {audio: null}}")["welcome"]["properties"] == {}


def test_single_ways_are_added_changed_moved_and_removed_by_condition(clinic: Flow) -> None:
    text = f"""
nodes:
  welcome:
    transitions:
      "dtmf == '9'": {{to: agent, first: true}}
      "dtmf == '8'": {{destinationNodeId: agent, after: "{ONE}"}}
      'dtmf=="1"': billing
      "{TWO}": null
      default: {{before: "{ZERO}"}}
      no_input: goodbye
"""
    ways = patched(clinic, text)["welcome"]["transitionConditions"]
    assert [(each["condition"], each["destinationNodeId"]) for each in ways] == [
        ("dtmf == '9'", "agent"),
        (ONE, "billing"),  # found although it is spelled otherwise, and its spelling stays
        ("dtmf == '8'", "agent"),
        ("default", "agent"),
        (ZERO, "agent"),
        ("no_input", "goodbye"),
    ]


def test_the_whole_list_of_ways_can_be_given(clinic: Flow) -> None:
    text = "nodes: {welcome: {transitionConditions: [{condition: default, destinationNodeId: agent, label: all}]}}"
    ways = patched(clinic, text)["welcome"]["transitionConditions"]
    assert ways == [{"condition": "default", "destinationNodeId": "agent", "label": "all"}]


def test_nodes_are_made_removed_and_replaced(clinic: Flow) -> None:
    text = """
start: night
nodes: {billing: null, night: {type: prompt, prompt: Good night, transitions: {default: goodbye}}}
replace: {agent: {type: transfer, vendor_field: {a: null}}}
"""
    made = to_genesys(apply_patch(patch_of(text), clinic))
    assert made["startNodeId"] == "night"
    assert set(made["nodes"]) == {"welcome", "appointments", "agent", "goodbye", "night"}
    assert made["nodes"]["agent"] == {
        "id": "agent",
        "type": "transfer",
        "vendor_field": {"a": None},
        "transitionConditions": [],
    }


def test_other_fields_of_the_vendor_stand_under_fields(clinic: Flow) -> None:
    """So that a misspelt word is never taken for one of them."""
    assert patched(clinic, "nodes: {agent: {fields: {priority: 3}}}")["agent"]["priority"] == 3
    (finding,) = faults_of(HEAD + "nodes: {agent: {promt: Hello}}\n")
    assert (finding.rule, finding.line, finding.hint) == ("patch/unknown-key", 4, "Did you mean prompt?")


def test_limits_and_suppressions_of_a_file_stay(clinic: Flow) -> None:
    flow = replace(clinic, terminals=("agent",))
    assert apply_patch(patch_of("nodes: {billing: {prompt: Bills}}"), flow).terminals == ("agent",)


# --- what is said against a file --------------------------------------------------------------------------------------


def test_every_fault_of_form_is_told_at_once() -> None:
    text = """\
kind: ivr-patch
flow_id: 5
base_version: "12"
start: a
startNodeId: a
nodes:
  menu:
    audio: x
    properties: {audioResource: {}}
    transitions: {default: {}, else: {to: a, first: true, after: b}, "1": 7}
    transitionConditions: []
    fields: {id: other}
  gone: nul
replace: {menu: {transitionConditions: 5}}
"""
    assert {(finding.rule, finding.line) for finding in faults_of(text)} == {
        ("patch/shape", 2),
        ("patch/shape", 3),
        ("patch/said-twice", 5),
        ("patch/said-twice", 8),
        ("patch/missing", 10),
        ("patch/said-twice", 10),
        ("patch/shape", 10),
        ("patch/shape", 12),
        ("patch/shape", 13),
        ("patch/said-twice", 14),
        ("patch/shape", 14),
    }


@pytest.mark.parametrize("text", ["[]", "kind: ivr-patch", HEAD + "nodes: []", HEAD + "base_version: 13"])
def test_what_is_no_patch_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(InvalidDocument):
        load_patch(path)


@pytest.mark.parametrize(("text", "line"), [("", 1), ("nodes: {}", 1), ("nodes:\n  welcome: {}", 5)])
def test_a_patch_that_changes_nothing_says_so(text: str, line: int) -> None:
    (finding,) = faults_of(HEAD + text)
    assert (finding.rule, finding.severity, finding.line) == ("patch/changes-nothing", Severity.WARNING, line)


def test_what_a_way_may_be_is_told() -> None:
    (fault,) = faults_of(HEAD + "nodes: {welcome: {transitions: {default: 7}}}")
    assert "null removes it" in fault.hint


@pytest.mark.parametrize(
    ("text", "is_patch"),
    [
        (
            HEAD + "nodes: {a: null, b: {audio: x, transitions: {default: c, d: {to: e, before: default}, f: null}}}",
            True,
        ),
        (HEAD + "nodes: {a: {transitionConditions: [{condition: default, destinationNodeId: b, x: 1}]}}", True),
        (HEAD + "node: {}", False),
        (HEAD + "nodes: {a: {transitions: {default: {t: c}}}}", False),
        (HEAD + "nodes: {a: {transitions: {default: 7}}}", False),
        ("kind: ivr-patch\nflow_id: x", False),
    ],
)
def test_the_published_schema_says_the_same_as_the_reader(text: str, is_patch: bool) -> None:
    document = parse_document(text, "p.yaml")
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(document.value) == is_patch
    assert (read_patch(document)[0] is not None) == is_patch


def test_what_the_flow_does_not_have_cannot_be_changed_or_removed(clinic: Flow) -> None:
    text = """\
start: welcom
nodes:
  billling: null
  agnet: {prompt: Hello}
  agent: {prompt: null}
  welcome:
    transitions:
      "dtmf == '3'": null
      "dtmf == '4'": {first: true}
      "dtmf == '5'": {to: agent, after: "dtmf == '7'"}
"""
    conditions = f"Did you mean {ONE} or {TWO} or {ZERO}?"
    found = refused(clinic, text)
    assert [(rule, line) for rule, line, _ in found] == [
        ("patch/unknown-node", 4),
        ("patch/unknown-node", 6),
        ("patch/unknown-node", 7),
        ("patch/unknown-field", 8),
        ("patch/unknown-transition", 11),
        ("patch/unknown-transition", 12),
        ("patch/unknown-transition", 13),
    ]
    assert [hint for _, _, hint in found[:3]] == [
        "Did you mean welcome?",
        "Did you mean billing?",
        "Did you mean agent?",
    ]
    assert set(found[4][2].removeprefix("Did you mean ").rstrip("?").split(" or ")) == set(
        conditions.removeprefix("Did you mean ").rstrip("?").split(" or ")
    )


def test_a_field_under_fields_is_wrong_at_its_own_line(clinic: Flow) -> None:
    text = "nodes:\n  welcome:\n    fields:\n      a: 1\n      priority: null\n"
    assert refused(clinic, text) == [("patch/unknown-field", 8, "")]


def test_a_way_that_the_patch_has_removed_is_no_place_for_another(clinic: Flow) -> None:
    text = f'nodes: {{welcome: {{transitions: {{"{TWO}": null, no_input: {{to: agent, before: "{TWO}"}}}}}}}}'
    ((rule, _, hint),) = refused(clinic, text)
    assert rule == "patch/unknown-transition"
    assert TWO not in hint


def test_of_many_faults_only_the_first_get_names_that_are_spelled_alike(clinic: Flow) -> None:
    """Looking for them takes milliseconds."""
    nodes = ", ".join(f"welcome{number}: {{prompt: Hello}}" for number in range(300))
    hints = [hint for _, _, hint in refused(clinic, f"nodes: {{{nodes}}}")]
    assert [bool(hint) for hint in hints] == [True] * 200 + [False] * 100


def test_another_flow_or_version_is_refused(clinic: Flow) -> None:
    """An edit of version 12 that is applied to 13 as if nothing had happened undoes what 13 brought."""
    assert refused(replace(clinic, version=13), "nodes: {}") == [("patch/other-version", 3, "")]
    assert refused(replace(clinic, id="other"), "nodes: {}") == [("patch/other-flow", 2, "")]


def test_a_condition_that_stands_twice_needs_the_whole_list(clinic: Flow) -> None:
    twice = replace(clinic, transitions=(*clinic.transitions, clinic.transitions[0]))
    assert [rule for rule, _, _ in refused(twice, f'nodes: {{welcome: {{transitions: {{"{ONE}": agent}}}}}}')] == [
        "patch/ambiguous"
    ]


def test_flows_of_another_vendor_have_no_patches(clinic: Flow) -> None:
    with pytest.raises(BadCall, match="patches change flows of Genesys"):
        apply_patch(patch_of("nodes: {}"), replace(clinic, platform="cxone"))


# --- made from two flows, and written ---------------------------------------------------------------------------------


def edited(clinic: Flow, node: str, **fields: Any) -> Flow:
    body = to_genesys(clinic)
    body["nodes"][node] |= fields
    return from_genesys(body)


def test_the_example_is_made_again_from_what_it_makes(clinic: Flow) -> None:
    new = apply_patch(load_patch(EXAMPLES / "clinic_holiday.yaml"), clinic)
    patch = make_patch(clinic, new, base_version=12)
    assert patch.nodes["billing"] is None
    welcome = patch.nodes["welcome"]
    assert welcome is not None
    assert welcome.fields == {"properties": {"audioResource": {"id": "clinic-holiday"}}}
    assert welcome.ways == (
        WayChange(TWO, removed=True),
        WayChange("dtmf == '9'", "emergency", where="after", other=ONE),
    )
    assert apply_patch(patch, clinic) == new


def test_only_what_changed_stands_in_a_patch(clinic: Flow) -> None:
    patch = make_patch(clinic, edited(clinic, "agent", prompt="Hello"), base_version=12)
    assert patch == Patch("clinic-menu", 12, nodes={"agent": NodeChange({"prompt": "Hello"})})
    assert make_patch(clinic, clinic, base_version=12).nodes == {}


def test_a_null_that_a_merge_patch_cannot_say_replaces_the_node(clinic: Flow) -> None:
    new = edited(clinic, "agent", properties={"a": None})
    patch = make_patch(clinic, new, base_version=12)
    assert (list(patch.replace), patch.nodes) == (["agent"], {})
    assert apply_patch(patch, clinic) == new


def test_what_the_vendor_notes_with_a_save_is_no_edit(clinic: Flow) -> None:
    saved = replace(edited(clinic, "agent", updatedAt="2026-01-01"), version=13, extra={"dateModified": "2026-01-01"})
    assert make_patch(clinic, saved, base_version=12) == Patch("clinic-menu", 12)


def test_a_difference_that_no_patch_can_say_is_refused(clinic: Flow) -> None:
    with pytest.raises(BadCall, match="differ in: name"):
        make_patch(clinic, replace(clinic, name="Other"), base_version=12)


@pytest.mark.parametrize(
    "text", ["no", "00123", "1e3", "~", "null", "2026-01-01", "1:30", "", " a\n b ", "&a", "\u2028"]
)
def test_texts_that_look_like_something_else_stay_texts(text: str, clinic: Flow) -> None:
    patch = make_patch(
        clinic, edited(clinic, "agent", properties={"x": text, "y": [text, 1.5e-9, 1e22, True]}), base_version=12
    )
    again, _ = read_patch(parse_document(written(patch), "p.yaml"))
    assert again == patch


def test_what_no_file_may_hold_is_refused_and_not_changed(clinic: Flow) -> None:
    patch = make_patch(clinic, edited(clinic, "agent", prompt="\x07"), base_version=12)
    with pytest.raises(BadCall, match="control character"):
        written(patch)
