"""Suites out of files: placeholders, fragments, and every fault with its line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from cordboard.documents import read_document
from cordboard.errors import InvalidDocument
from cordboard.ivr.model import Flow, Node
from cordboard.ivr.reading import load_flow
from cordboard.ivr.suite import load_suite
from cordboard.ivr.suite.shape import json_schema
from cordboard.ivr.trace import HANGUP, NO_INPUT, digits, keys, speech

EXAMPLES = Path(__file__).parents[4] / "examples"


def test_keys_in_a_row_and_a_list_of_inputs_are_two_things(loaded) -> None:
    suite = loaded('cases:\n- {name: a, dtmf: "12"}\n- {name: b, dtmf: ["12", {speech: sales}, no_input, hangup]}')
    assert [case.inputs for case in suite.cases] == [
        (digits("12"),),
        (keys("12"), speech("sales"), NO_INPUT, HANGUP),
    ]


def test_speech_alone_is_an_input(loaded) -> None:
    assert loaded("cases: [{name: a, speech: sales}]").cases[0].inputs == (speech("sales"),)


def test_the_flow_is_read_from_the_file_beside_the_suite(loaded) -> None:
    suite = loaded("cases: [{name: a}]")
    assert suite.flow is not None
    assert (suite.flow_id, suite.flow.id) == ("ivr_small", "ivr_small")


def test_a_flow_can_be_an_id_of_the_vendor(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text("kind: ivr-suite\nflow: a1b2c3d4-e5f6\ncases: [{name: a, expect: {exit: node_any}}]")
    assert (load_suite(path).flow_id, load_suite(path).flow) == ("a1b2c3d4-e5f6", None)


def test_a_fragment_is_laid_under_the_case(loaded) -> None:
    suite = loaded(
        "fragments:\n"
        "  vip: {variables: {tier: gold, age: 7}, then: hangup}\n"
        "  quick: {expect: {inputs: 1, never: [node_sorry]}}\n"
        "cases: [{name: a, use: [vip, quick], variables: {age: 8}, expect: {inputs: 2}}]"
    )
    case = suite.cases[0]
    assert (dict(case.variables), case.then) == ({"tier": "gold", "age": 8}, "hangup")
    assert (case.expect.inputs, case.expect.never) == (2, ("node_sorry",))


def test_a_table_makes_one_case_a_row_called_after_its_first_column(loaded) -> None:
    suite = loaded(
        "cases:\n"
        "- name: digit\n"
        '  each: [{digit: "1", node: node_sales}, {digit: "2", node: node_support}]\n'
        '  dtmf: "{{ each.digit }}"\n'
        '  expect: {visited: ["{{each.node}}"]}'
    )
    assert [(case.name, case.inputs, case.expect.visited) for case in suite.cases] == [
        ("digit [1]", (digits("1"),), ("node_sales",)),
        ("digit [2]", (digits("2"),), ("node_support",)),
    ]
    assert [case.place.path for case in suite.cases] == ["cases[0].each[0]", "cases[0].each[1]"]


def test_a_whole_placeholder_keeps_the_type_and_one_in_a_text_becomes_text(loaded) -> None:
    suite = loaded(
        "cases:\n"
        "- name: '{{ each.count }} tries'\n"
        "  each: [{count: 2, path: [node_start, node_menu]}]\n"
        "  variables: {tries: '{{ each.count }}'}\n"
        "  expect: {inputs: '{{ each.count }}', path: '{{ each.path }}'}"
    )
    case = suite.cases[0]
    assert (case.name, case.variables["tries"], case.expect.inputs) == ("2 tries", 2, 2)
    assert case.expect.path == ("node_start", "node_menu")


def test_what_stands_in_a_row_is_never_filled_in_again(loaded) -> None:
    suite = loaded("cases: [{name: a, each: [{x: '{{ each.x }}'}], variables: {v: '{{ each.x }}'}}]")
    assert suite.cases[0].variables == {"v": "{{ each.x }}"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "cases: [{name: a, dtmf: 12}]",
            "suite.yaml:3: error [suite/shape] cases[0].dtmf: must be text\n    Quote it.",
        ),
        (
            "cases: [{name: a, dtmf: 1x}]",
            "suite.yaml:3: error [suite/shape] cases[0].dtmf: no telephone has the key `x`\n    Keys in quotes, "
            "such as '12', or a list of inputs: ['1', {speech: billing}, no_input, no_match, hangup].",
        ),
        (
            "cases: [{name: a, expcet: {}}]",
            "suite.yaml:3: error [suite/unknown-key] cases[0].expcet: is not a known key\n    Did you mean expect?",
        ),
        (
            "cases: [{name: a, expect: {exist: node_end}}]",
            "suite.yaml:3: error [suite/unknown-key] cases[0].expect.exist: is not a known key\n    Did you mean",
        ),
        (
            "cases: [{name: a, expect: {exit: node_edn}}]",
            "suite.yaml:3: error [suite/unknown-node] cases[0].expect.exit: there is no node `node_edn`\n"
            "    Did you mean node_end",
        ),
        (
            "cases: [{name: a, mocks: {node_sale: [{}]}}]",
            "suite.yaml:3: error [suite/unknown-node] cases[0].mocks.node_sale: there is no node `node_sale`\n",
        ),
        (
            "cases: [{name: a}, {name: a}]",
            "suite.yaml:3: error [suite/duplicate-case] cases[1]: a case `a` stands on line 3 already",
        ),
        (
            "cases: [{name: a, use: [vpi]}]\nfragments: {vip: {}}",
            "suite.yaml:3: error [suite/unknown-fragment] cases[0].use[0]: there is no fragment `vpi`\n"
            "    Did you mean vip?",
        ),
        (
            "cases: [{name: a, dtmf: '{{ each.digit }}'}]",
            "suite.yaml:3: error [suite/placeholder] cases[0].dtmf: `{{ each.digit }}` stands for a column, "
            "and the case has no table\n    Add `each`, a list of rows.",
        ),
        (
            "cases: [{name: a, each: [{digit: '1'}], dtmf: '{{ each.digti }}'}]",
            "suite.yaml:3: error [suite/unknown-column] cases[0].dtmf: there is no column `digti`\n"
            "    Did you mean digit?",
        ),
        (
            "cases: [{name: a, each: [{x: '1'}], dtmf: '{{ x | upper }}'}]",
            "suite.yaml:3: error [suite/placeholder] cases[0].dtmf: `{{ x | upper }}` is not filled in\n"
            "    Only `{{ each.COLUMN }}` is filled in, from the rows of `each`.",
        ),
        (
            "cases: [{name: a, each: []}]",
            "suite.yaml:3: error [suite/shape] cases[0].each: must be a list of rows, with at least one\n",
        ),
        (
            "cases: [{name: a, dtmf: '1', speech: sales}]",
            "suite.yaml:3: error [suite/said-twice] cases[0].speech: `dtmf` and `speech` do not say in which order\n",
        ),
        (
            "cases: [{name: a, then: wait}]",
            "suite.yaml:3: error [suite/shape] cases[0].then: must be 'silence', 'hangup' or 'stop'",
        ),
        ("cases: []", "suite.yaml:3: error [suite/shape] cases: must have at least one entry"),
        ("cases: [sales]", "suite.yaml:3: error [suite/shape] cases[0]: must be an object"),
        (
            "cases: [{name: a}]\nfragments: {f: {naem: x}}",
            "suite.yaml:4: error [suite/unknown-key] fragments.f.naem: is not a known key of a fragment\n",
        ),
        (
            "fragments:\n  f: {expect: {inputs: many}}\ncases: [{name: a, use: [f]}]",
            "suite.yaml:4: error [suite/shape] fragments.f.expect.inputs: must be a whole number",
        ),
        (
            "fragments:\n  f: {then: hangup}\ncases:\n- {name: a, use: [f], then: wait}",
            "suite.yaml:6: error [suite/shape] cases[0].then: must be",
        ),
        (
            "cases:\n- name: a\n  dtmf: '{{ each.k }}'\n  each:\n  - {k: '1'}\n  - {k: 2}",
            "suite.yaml:8: error [suite/shape] cases[0].each[1]: must be text\n    Quote it.",
        ),
    ],
    ids=lambda value: "" if value.startswith("suite.yaml") else value[:40],
)
def test_every_fault_has_its_place_and_how_to_mend_it(faults, text: str, said: str) -> None:
    found = [str(finding).rpartition("/suite.yaml")[2] for finding in faults(text)]
    assert any(f"suite.yaml{finding}".startswith(said) for finding in found), found


def test_all_faults_are_listed_at_once(faults) -> None:
    text = "cases:\n- {name: a, dtmf: 1}\n- {name: b, expect: {exit: nowhere}}\n- {nmae: c}\nfragments: {f: {}}"
    assert [(finding.rule, finding.line) for finding in faults(text)] == [
        ("suite/shape", 4),
        ("suite/unknown-node", 5),
        ("suite/missing", 6),
        ("suite/unknown-key", 6),
        ("suite/unused-fragment", 7),
    ]


def test_a_fault_that_many_rows_share_is_said_once(faults) -> None:
    rows = ", ".join(f"{{k: '{number}'}}" for number in range(9))
    text = f"cases:\n- name: a\n  each: [{rows}]\n  dtmf: '{{{{ each.k }}}}'\n  expect: {{exit: nowhere}}"
    assert [finding.rule for finding in faults(text)] == ["suite/unknown-node"]


def test_faults_of_the_flow_s_file_are_told_with_that_file(written) -> None:
    path = written("cases: [{name: a}]")
    (path.parent / "small.yaml").write_text("kind: ivr-flow\nid: x\nstart: a\nconnections: 5\n")
    with pytest.raises(InvalidDocument) as refused:
        load_suite(path)
    assert [Path(finding.file).name for finding in refused.value.findings] == ["suite.yaml", "small.yaml"]


def test_a_flow_s_file_that_is_not_there_is_a_fault(written) -> None:
    path = written("cases: [{name: a}]")
    (path.parent / "small.yaml").unlink()
    with pytest.raises(InvalidDocument, match=r"small\.yaml"):
        load_suite(path)


@pytest.mark.parametrize("name", ["main_menu_suite.yaml", "hospital_suite.yaml"])
def test_the_examples_have_the_published_shape(name: str) -> None:
    jsonschema.validate(read_document(EXAMPLES / name).value, json_schema(), jsonschema.Draft202012Validator)


def test_the_published_shape_refuses_what_we_refuse() -> None:
    document = {"kind": "ivr-suite", "flow": "x", "cases": [{"name": "a", "expcet": {}}]}
    assert list(jsonschema.Draft202012Validator(json_schema()).iter_errors(document)) != []


def test_a_large_table_is_read(loaded) -> None:
    rows = "\n".join(f"  - {{digits: '{number:05}'}}" for number in range(10_000))
    suite = loaded(f"cases:\n- name: a\n  dtmf: '{{{{ each.digits }}}}'\n  each:\n{rows}")
    assert (len(suite.cases), suite.cases[-1].name) == (10_000, "a [09999]")


def test_a_fragment_s_object_stays_where_the_case_fills_one_in(loaded) -> None:
    suite = loaded(
        "fragments:\n"
        "  ends: {expect: {exit: node_end, never: [node_sorry], inputs: 9}}\n"
        "cases: [{name: a, use: [ends], each: [{e: {inputs: 1}}], expect: '{{ each.e }}'}]"
    )
    expect = suite.cases[0].expect
    assert (expect.exit, expect.never, expect.inputs) == ("node_end", ("node_sorry",), 1)


def test_a_fragment_s_placeholder_that_the_case_replaces_needs_no_table(loaded) -> None:
    suite = loaded("fragments: {f: {dtmf: '{{ each.digit }}'}}\ncases: [{name: a, use: [f], dtmf: '2'}]")
    assert suite.cases[0].inputs == (digits("2"),)


def test_a_fault_of_a_fragment_is_not_said_of_the_row_above_it(faults) -> None:
    (found,) = faults(
        "fragments: {f: {expect: {exit: node_x}}}\n"
        "cases: [{name: a, use: [f], each: [{e: {inputs: 1}}], expect: '{{ each.e }}'}]"
    )
    assert (found.rule, found.path) == ("suite/unknown-node", "fragments.f.expect.exit")


@pytest.mark.parametrize(
    ("case", "rule", "path"),
    [
        ("each: [{v: x}], variables: {'{{ each.v }}': true}", "placeholder", "variables.{{ each.v }}"),
        ("variables: {dtmf: '1'}", "own-name", "variables.dtmf"),
        ("variables: {speech: x}", "own-name", "variables.speech"),
        ("variables: {no_input: true}", "own-name", "variables.no_input"),
        ("variables: {no_match: true}", "own-name", "variables.no_match"),
        ("expect: {variables: {visits: null}}", "own-name", "expect.variables.visits"),
        ("mocks: {node_sales: [{visits: 1}]}", "own-name", "mocks.node_sales[0].visits"),
        ("mocks: {node_sales: []}", "shape", "mocks.node_sales"),
        ("expect: {prompts: ['']}", "shape", "expect.prompts[0]"),
    ],
)
def test_what_would_say_nothing_is_a_fault(faults, case: str, rule: str, path: str) -> None:
    assert [(finding.rule, finding.path) for finding in faults(f"cases: [{{name: a, {case}}}]")] == [
        (f"suite/{rule}", f"cases[0].{path}")
    ]


def test_a_suite_without_a_name_is_called_after_its_file(loaded) -> None:
    assert loaded("cases: [{name: a}]").name == "suite"
    assert loaded("name: nights\ncases: [{name: a}]").name == "nights"


@pytest.fixture
def edited():
    """The small flow with a node that its file does not have."""

    def flow_of(folder: Path, **changed: str) -> Flow:
        flow = load_flow(folder / "small.yaml")
        return replace(flow, nodes=(*flow.nodes, Node("node_new", "prompt")), **changed)

    return flow_of


def test_a_suite_can_be_read_against_an_edited_flow(written, edited) -> None:
    path = written("cases: [{name: a, expect: {never: [node_new]}}]")
    with pytest.raises(InvalidDocument, match="no node `node_new`"):
        load_suite(path)
    flow = edited(path.parent)
    assert load_suite(path, flow).flow is flow


def test_against_an_edited_flow_the_suite_s_own_file_need_not_be_there(written, edited) -> None:
    path = written("cases: [{name: a}, {name: b, expect: {exit: node_old}}]")
    flow = edited(path.parent)
    (path.parent / "small.yaml").unlink()
    with pytest.raises(InvalidDocument) as refused:
        load_suite(path, flow)
    assert [finding.rule for finding in refused.value.findings] == ["suite/unknown-node"]


def test_a_suite_of_another_flow_is_not_read_against_this_one(written, edited) -> None:
    path = written("cases: [{name: a}]")
    with pytest.raises(InvalidDocument, match=r"the suite is of the flow `ivr_small`"):
        load_suite(path, edited(path.parent, id="ivr_other"))
    path.write_text("kind: ivr-suite\nflow: 5f0c-77\ncases: [{name: a}]")
    assert load_suite(path, edited(path.parent, id="5f0c-77")).flow_id == "5f0c-77"
    with pytest.raises(InvalidDocument, match=r"the suite is of the flow `5f0c-77`"):
        load_suite(path, edited(path.parent))


@pytest.mark.parametrize("name", [" a", "a ", "a\t", "\u00a0a", " "])
def test_names_that_look_alike_are_not_two_names(faults, name: str) -> None:
    (found,) = faults(f"cases: [{{name: a}}, {{name: {json.dumps(name)}}}]")
    assert (found.rule, found.path) == ("suite/shape", "cases[1].name")
    assert found.message == "must not begin or end with a blank"
