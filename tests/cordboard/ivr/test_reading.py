"""Call flows out of files: what is read, and what is said about a file that has not the shape of one."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cordboard.documents import parse_document
from cordboard.errors import InvalidDocument
from cordboard.findings import Finding, Severity
from cordboard.ivr.model import Flow, Limits, Place, Suppression
from cordboard.ivr.reading import load_flow, read_flow
from cordboard.ivr.shape import json_schema

EXAMPLES = Path(__file__).parents[3] / "examples"
HEAD = "kind: ivr-flow\nid: menu\nstart: node_start\nterminals: [node_end]\n"


def read(text: str, *, json: bool = False) -> tuple[Flow | None, tuple[Finding, ...]]:
    return read_flow(parse_document(text, "menu.json" if json else "menu.yaml", json=json))


def flow_of(text: str) -> Flow:
    flow, findings = read(text)
    assert findings == ()
    assert flow is not None
    return flow


def faults(text: str) -> list[tuple[int | None, str, str, str, str]]:
    return [(f.line, f.rule, f.path, f.message, f.hint) for f in read(text)[1]]


def types(flow: Flow) -> dict[str, str]:
    return {node.id: node.type for node in flow.nodes}


def connections(*lines: str) -> str:
    return HEAD + "connections:\n" + "".join(f"  - {{{line}}}\n" for line in lines)


def test_nodes_that_only_connections_name_are_known_by_their_part_in_the_flow() -> None:
    flow = load_flow(EXAMPLES / "main_menu.yaml")
    assert types(flow) == {
        "node_dtmf_02": "decision",
        "node_start_01": "start",
        "node_queue_03": "decision",
        "node_transfer_04": "decision",
        "node_end_05": "terminal",
    }


def test_a_target_that_nothing_else_names_stays_unknown_since_it_is_probably_misspelt() -> None:
    flow = flow_of(connections("from: node_start, to: node_ned"))
    assert types(flow) == {"node_start": "start"}


def test_the_vendors_words_and_the_short_ones_mean_the_same() -> None:
    short = flow_of(connections("from: node_start, to: node_end, when: \"dtmf == '1'\""))
    long = flow_of(
        connections(
            "source_node_id: node_start, target_node_id: node_end, condition: \"dtmf == '1'\", type: conditional"
        )
    )
    assert short == long


@pytest.mark.parametrize(
    ("stated", "condition", "kind"),
    [
        ("", "true", "conditional"),
        ("type: default", "true", "default"),
        ("when: default", "default", "default"),
        ("when: ' else '", " else ", "default"),
        ("when: default, type: conditional", "default", "default"),
        ("when: true", "true", "conditional"),
        ("when: false", "false", "conditional"),
        ("condition: true, type: fallback", "true", "fallback"),
        ("when: default_queue", "default_queue", "conditional"),
    ],
)
def test_the_type_of_a_connection_follows_from_what_is_stated(stated: str, condition: str, kind: str) -> None:
    flow = flow_of(connections(f"from: node_start, to: node_end, {stated}"))
    assert [(t.condition, t.type) for t in flow.transitions] == [(condition, kind)]


def test_every_part_knows_its_place() -> None:
    text = connections("from: node_start, to: node_menu", "from: node_menu, target_node_id: node_end")
    flow = flow_of(text + "nodes:\n  node_menu: {type: menu}\n")
    assert [transition.place for transition in flow.transitions] == [
        Place("connections[0]", 6),
        Place("connections[1]", 7),
    ]
    assert {node.id: node.place for node in flow.nodes} == {
        "node_menu": Place("nodes.node_menu", 9),
        "node_start": Place("connections[0].from", 6),
        "node_end": Place("connections[1].target_node_id", 7),
    }
    assert flow.file == "menu.yaml"


def test_everything_a_file_can_say_is_read() -> None:
    flow = flow_of(
        HEAD + "name: Menu\nplatform: genesys\nexisting: keep\n"
        "limits: {max_connections_per_node: 5, max_connections: 7}\n"
        "suppress: [{rule: ivr/unreachable, node: node_old, reason: kept for the summer, until: 2030-01-31}]\n"
        "nodes: {node_menu: {type: menu, name: Menu, prompt: Press one, max_visits: 3}}\n"
        "connections: [{id: c1, from: node_start, to: node_menu}]\n"
    )
    node = flow.nodes[0]
    assert (flow.name, flow.platform, flow.existing, flow.limits) == ("Menu", "genesys", "keep", Limits(5, 7))
    assert flow.suppressions == (Suppression("ivr/unreachable", "kept for the summer", date(2030, 1, 31), "node_old"),)
    assert (node.type, node.name, node.prompt, node.max_visits) == ("menu", "Menu", "Press one", 3)
    assert flow.transitions[0].id == "c1"


ID_HINT = "Letters, digits, `_`, `.` and `-`, a letter or digit first, 128 characters at the most."
ONE = "from: node_start, to: node_end"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (connections("from: a"), (6, "ivr/missing", "connections[0].to", "is required", "The id of a node.")),
        (
            connections(f"{ONE}, source_node_id: node_start"),
            (
                6,
                "ivr/said-twice",
                "connections[0].source_node_id",
                "`from` and `source_node_id` are two words for the same thing",
                "Keep one of the two.",
            ),
        ),
        (
            connections(f"{ONE}, condition: 'true', when: 'true'"),
            (
                6,
                "ivr/said-twice",
                "connections[0].condition",
                "`when` and `condition` are two words for the same thing",
                "Keep one of the two.",
            ),
        ),
        (
            connections(f"{ONE}, condtion: x"),
            (6, "ivr/unknown-key", "connections[0].condtion", "is not a known key", "Did you mean condition?"),
        ),
        (
            connections("from: node start, to: node_end"),
            (6, "ivr/shape", "connections[0].from", "is not an id that a vendor takes", ID_HINT),
        ),
        (connections(f"{ONE}, when: 1"), (6, "ivr/shape", "connections[0].when", "must be text", "Quote it.")),
        (connections(f"{ONE}, when: ''"), (6, "ivr/shape", "connections[0].when", "must not be empty", "")),
        (connections(f"{ONE}, when: [1]"), (6, "ivr/shape", "connections[0].when", "must be text", "")),
        (
            connections(f"{ONE}, type: defualt"),
            (6, "ivr/shape", "connections[0].type", "must be 'conditional', 'default' or 'fallback'", ""),
        ),
        (
            connections(f"{ONE}, type: default, when: no_input"),
            (
                6,
                "ivr/unused-condition",
                "connections[0].when",
                "a default connection is taken where no other fits, so its condition is never asked",
                "Leave out `when`, or leave out `type: default`.",
            ),
        ),
        (
            HEAD + "platform: genesys\nconnections: [{from: node_start, to: node_end, type: fallback}]",
            (
                6,
                "ivr/platform",
                "connections[0].type",
                "Genesys knows no fallback connections",
                "Write `when: default`, and count the visits in a condition: `visits > 3`.",
            ),
        ),
        (
            HEAD + "connections: []\nnodes: {node_start: {type: menu}}",
            (
                6,
                "ivr/start-type",
                "nodes.node_start.type",
                "the flow starts here, and CXone knows its start only by the type `start`",
                "Leave `type` out, or put a node of type `start` before it.",
            ),
        ),
        (
            HEAD + "connections: []\nnodes: [node_menu]",
            (
                6,
                "ivr/shape",
                "nodes",
                "must be an object",
                "Nodes stand under their ids: `node_menu: {type: menu}`.",
            ),
        ),
        (
            HEAD + "connections: []\nnodes:\n  node_menu:",
            (
                7,
                "ivr/shape",
                "nodes.node_menu",
                "must be an object",
                "Write `{}` for a node of which there is nothing to say.",
            ),
        ),
        (
            HEAD + "connections: []\nnodes: {node menu: {}}",
            (6, "ivr/shape", "nodes.node menu", "is not an id that a vendor takes", ID_HINT),
        ),
        (
            HEAD + "connections: []\nnodes: {m: {max_visit: 3}}",
            (6, "ivr/unknown-key", "nodes.m.max_visit", "is not a known key", "Did you mean max_visits?"),
        ),
        (
            HEAD + "connections: []\nnodes: {m: {max_visits: 0}}",
            (6, "ivr/shape", "nodes.m.max_visits", "must be 1 or more", ""),
        ),
        (
            HEAD + "connections: []\nnodes: {m: {max_visits: 1001}}",
            (6, "ivr/shape", "nodes.m.max_visits", "must be 1000 or less", ""),
        ),
        (
            HEAD + "connections: []\nnodes: {m: {max_visits: true}}",
            (6, "ivr/shape", "nodes.m.max_visits", "must be a whole number", ""),
        ),
        (
            HEAD + "connections: []\nterminal: [node_end]",
            (6, "ivr/unknown-key", "terminal", "is not a known key", "Did you mean terminals?"),
        ),
        (
            HEAD + "connections: []\nsuppress: [{rule: ivr/cycle, reason: ' because   ', until: 2030-01-31}]",
            (
                6,
                "ivr/shape",
                "suppress[0].reason",
                "must have at least 10 characters",
                "Say why the finding is accepted, for those who read it later.",
            ),
        ),
        (
            HEAD + "connections: []\nsuppress: [{rule: ivr/cycle, reason: because it is, until: 31.1.2030}]",
            (
                6,
                "ivr/shape",
                "suppress[0].until",
                "must be a day, written as year-month-day",
                "Such as `2030-01-31`.",
            ),
        ),
        (
            HEAD + "connections: []\nsuppress: [{rule: ivr/cycle, reason: because it is, until: 2030-02-30}]",
            (6, "ivr/shape", "suppress[0].until", "is no day of the calendar", ""),
        ),
        (
            HEAD,
            (
                1,
                "ivr/missing",
                "connections",
                "is required",
                "A list: `- {from: node_a, to: node_b, when: \"dtmf == '1'\"}`.",
            ),
        ),
        (
            "kind: ivr\nid: menu\nstart: a\nconnections: []",
            (1, "ivr/shape", "kind", "must be 'ivr-flow'", ""),
        ),
    ],
    ids=lambda value: value[1] + "-" + value[2].replace(" ", "_") if isinstance(value, tuple) else "",
)
def test_a_fault_is_told_with_its_place_and_a_way_to_mend_it(
    text: str, fault: tuple[int | None, str, str, str, str]
) -> None:
    assert faults(text) == [fault]


def test_all_faults_are_told_at_once_in_the_order_of_lines() -> None:
    text = (
        "kind: ivr-flow\nid: a menu\nname: [x]\nstart: node_start\nterminal: []\n"
        "nodes:\n  node_start: {type: menu}\n  m: {prmpt: Hello}\n"
        "connections:\n  - {from: a, to: b, source_node_id: a, when: 2}\n  - {to: b, typ: default}\n  - a\n"
    )
    assert [(fault[0], fault[2]) for fault in faults(text)] == [
        (2, "id"),
        (3, "name"),
        (5, "terminal"),
        (7, "nodes.node_start.type"),
        (8, "nodes.m.prmpt"),
        (10, "connections[0].when"),
        (10, "connections[0].source_node_id"),
        (11, "connections[1].typ"),
        (11, "connections[1].from"),
        (12, "connections[2]"),
    ]


@pytest.mark.parametrize("line", ["id: a b", "name: 5", "existing: all", "suppress: {}"])
def test_a_fault_that_no_caller_meets_does_not_hide_the_topology(line: str) -> None:
    text = connections(ONE) + line
    text = text.replace("id: menu\n", "") if line.startswith("id") else text
    flow, findings = read(text)
    assert len(findings) == 1
    assert flow is not None
    assert [transition.target for transition in flow.transitions] == ["node_end"]


@pytest.mark.parametrize("line", ["terminals: node_end", "nodes: {a: {typ: menu}}", "limits: {max: 1}"])
def test_a_fault_that_could_change_the_topology_leaves_no_flow(line: str) -> None:
    text = connections(ONE).replace("terminals: [node_end]\n", "") + line
    assert read(text)[0] is None


@pytest.mark.parametrize("line", ["from: a", f"{ONE}, source_node_id: node_start", f"{ONE}, when: x, condition: y"])
def test_a_connection_that_is_not_stated_once_leaves_no_flow(line: str) -> None:
    assert read(connections(line))[0] is None


def test_the_start_of_a_genesys_flow_may_be_of_any_type() -> None:
    flow = flow_of(HEAD + "platform: genesys\nconnections: []\nnodes: {node_start: {type: menu}}")
    assert types(flow) == {"node_start": "menu"}


def test_a_flow_with_faults_cannot_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "menu.yaml"
    path.write_text(connections(f"{ONE}, type: default, when: no_input"))
    with pytest.raises(InvalidDocument, match=r"menu.yaml:6: error \[ivr/unused-condition\]"):
        load_flow(path)


CXONE = {
    "id": "menu",
    "connections": [{"id": "c1", "source_node_id": "node_a", "target_node_id": "node_b", "type": "default"}],
    "nodes": [{"id": "node_a", "type": "start", "x": 4}, {"id": "node_b", "type": "terminal"}],
}
GENESYS = {
    "id": "menu",
    "version": 3,
    "startNodeId": "a",
    "nodes": {
        "a": {"id": "a", "type": "menu", "transitionConditions": [{"condition": "else", "destinationNodeId": "b"}]},
        "b": {"id": "b", "type": "disconnect", "transitionConditions": []},
    },
}


def test_the_json_of_cxone_is_read_as_it_was_exported() -> None:
    flow, findings = read(json.dumps(CXONE, indent=1), json=True)
    assert findings == ()
    assert flow is not None
    assert (flow.start, flow.platform, flow.file) == ("node_a", "cxone", "menu.json")
    assert [node.id for node in flow.nodes if flow.ends_call(node)] == ["node_b"]
    assert (flow.nodes[0].place, flow.transitions[0].place) == (Place("nodes[0]", 12), Place("connections[0]", 4))


def test_the_json_of_genesys_is_read_as_it_was_exported() -> None:
    flow, findings = read(json.dumps(GENESYS, indent=1), json=True)
    assert findings == ()
    assert flow is not None
    assert (flow.start, flow.platform, flow.version) == ("a", "genesys", 3)
    assert [(t.source, t.target, t.type) for t in flow.transitions] == [("a", "b", "default")]
    assert flow.transitions[0].place == Place("nodes.a.transitionConditions[0]", 10)


DEEP = "b.transitionConditions[0]"


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ([], [""]),
        ({}, ["kind", "id", "start", "connections"]),
        (
            {"connections": [{"source_node_id": "a"}, 5], "nodes": [{}]},
            ["id", "connections[0].target_node_id", "connections[1]", "nodes[0].id"],
        ),
        (
            {"id": "m", "nodes": {"a": 1, "b": {"transitionConditions": [{}]}}},
            [f"nodes.{place}" for place in ("a", f"{DEEP}.condition", f"{DEEP}.destinationNodeId")],
        ),
        ({"id": "m", "start": "a", "nodes": {}, "connections": []}, ["kind"]),
    ],
    ids=["a_list", "nothing", "cxone", "genesys", "kind_forgotten"],
)
def test_what_is_no_flow_is_refused_with_every_place(value: Any, paths: list[str]) -> None:
    flow, findings = read(json.dumps(value), json=True)
    assert flow is None
    assert sorted(finding.path for finding in findings) == sorted(paths)


def test_what_a_vendor_says_and_we_do_not_understand_is_a_warning() -> None:
    value = {**CXONE, "connections": [{**CXONE["connections"][0], "type": "event"}]}  # type: ignore[dict-item]
    flow, findings = read(json.dumps(value), json=True)
    assert flow is not None
    assert [(f.rule, f.path, f.severity) for f in findings] == [
        ("ivr/vendor-field", "connections[0].type", Severity.WARNING)
    ]


@pytest.mark.parametrize("name", ["main_menu.yaml", "hospital_menu.yaml", "broken/broken_menu.yaml"])
def test_the_examples_have_the_shape_of_a_flow(name: str) -> None:
    value = yaml.safe_load((EXAMPLES / name).read_text())
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(value)) == []
    assert load_flow(EXAMPLES / name).transitions


@pytest.mark.parametrize(
    "change",
    [
        {"connections": [{"from": "a", "source_node_id": "a", "to": "b"}]},
        {"connections": [{"from": "a"}]},
        {"connections": [{"from": "a", "to": "b", "when": "true", "condition": "true"}]},
        {"nodes": {"a b": {}}},
        {"nodes": {"a": {"x": 1}}},
        {"start": None},
    ],
    ids=["said_twice", "no_target", "two_conditions", "id", "unknown_key", "start"],
)
def test_the_json_schema_sees_the_faults_that_we_see(change: dict[str, Any]) -> None:
    whole = {"kind": "ivr-flow", "id": "m", "start": "a", "connections": [{"from": "a", "to": "b"}]}
    validator = jsonschema.Draft202012Validator(json_schema())
    assert validator.is_valid(whole)
    assert not validator.is_valid({**whole, **change})


def test_a_thousand_faulty_connections_are_not_all_told() -> None:
    findings = read(HEAD + "connections:\n" + "  - {from: a}\n" * 1000)[1]
    assert len(findings) == 200
