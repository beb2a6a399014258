"""From a file to a chain."""

import json
import pickle
from pathlib import Path

import jsonschema
import pytest

from cordboard.chains.model import Action, OnFailure, Param, load_chain, parse_chain
from cordboard.chains.plan import plan_chain
from cordboard.chains.shape import json_schema
from cordboard.documents import parse_document, read_document
from cordboard.errors import InvalidDocument

EXAMPLES = Path(__file__).parents[3] / "examples"

TEXT = """
kind: chain
name: full
description: everything
defaults: {timeout_seconds: 5, retries: 1, on_failure: continue}
params: {p: {type: object, required: true, description: words}}
actions:
  z: {definition_id: def.z-1, inputs: {x: "{{ params.p }}"}}
  a:
    definition_id: def-a
    description: second
    inputs: {x: ["{{ b.list[0] }}", {y: "{{ z | default(null) }}"}], plain: 007}
    depends_on: [z]
    timeout_seconds: 2.5
    retries: 0
    idempotent: true
    when: "{{ c is defined }}"
    on_failure: stop
    output_schema: {type: object, properties: {id: {type: string}}}
  b: {definition_id: d, on_failure: {fallback: {list: [1]}}}
  c: {definition_id: d, for_each: "{{ b.list }}", inputs: {i: "{{ item }}{{ item_index }}"}}
"""


def test_the_example_reads_as_it_is_written() -> None:
    chain = load_chain(EXAMPLES / "customer_sync.yaml")
    assert list(chain.actions) == ["fetch_customer", "enrich", "update_crm", "notify_each"]
    assert chain.actions["update_crm"].depends_on == ("fetch_customer", "enrich")
    assert plan_chain(chain).layers == (("fetch_customer",), ("enrich",), ("update_crm", "notify_each"))
    assert chain.actions["notify_each"].on_failure == OnFailure("continue")


def test_every_field_arrives_and_defaults_fill_the_rest() -> None:
    chain = parse_chain(parse_document(TEXT, "full.yaml"))
    assert (chain.name, chain.description, chain.file) == ("full", "everything", "full.yaml")
    assert chain.params == {"p": Param("object", required=True, description="words")}
    assert chain.actions["a"] == Action(
        id="a",
        definition_id="def-a",
        inputs={"x": ["{{ b.list[0] }}", {"y": "{{ z | default(null) }}"}], "plain": "007"},
        depends_on=("z", "b", "c"),
        timeout_seconds=2.5,
        retries=0,
        idempotent=True,
        when="{{ c is defined }}",
        on_failure=OnFailure("stop"),
        output_schema={"type": "object", "properties": {"id": {"type": "string"}}},
        description="second",
    )
    assert chain.actions["z"] == Action(
        "z", "def.z-1", {"x": "{{ params.p }}"}, timeout_seconds=5, retries=1, on_failure=OnFailure("continue")
    )
    assert chain.actions["b"].on_failure == OnFailure("fallback", {"list": [1]})
    assert chain.actions["c"].depends_on == ("b",)


def test_a_chain_can_be_copied_to_another_process() -> None:
    chain = parse_chain(parse_document(TEXT, "full.yaml"))
    assert pickle.loads(pickle.dumps(chain)) == chain


def test_json_and_yaml_give_the_same_chain() -> None:
    value = parse_document(TEXT, "full").value
    assert parse_chain(parse_document(json.dumps(value, indent=1), "full", json=True)) == parse_chain(
        parse_document(TEXT, "full")
    )


@pytest.mark.parametrize("text", ["[]", "chain", "5", "null", "{}", "kind: chain", "kind: chain\nname: x\nactions: []",
                                  "kind: chain\nname: x\nactions: {}", "kind: chain\nname: x\nactions: {a: 1, b: null}",
                                  "kind: x\nname: [x]\nparams: 5\ndefaults: []\nactions: {a: {}}"])  # fmt: skip
def test_what_is_no_chain_at_all_is_refused_with_findings(text: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        parse_chain(parse_document(text, "f"))
    assert all(finding.message and finding.line for finding in caught.value.findings)


def test_the_published_schema_takes_what_we_take_and_refuses_what_it_can() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(read_document(EXAMPLES / "customer_sync.yaml").value)
    assert validator.is_valid(parse_document(TEXT, "f").value)
    assert not validator.is_valid(read_document(EXAMPLES / "broken" / "many_faults.yaml").value)
    assert not validator.is_valid({"kind": "chain", "name": "x", "actions": {"bad-id": {"definition_id": "d"}}})
