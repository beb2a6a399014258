"""Files of properties."""

from __future__ import annotations

from pathlib import Path

import pytest

from cordboard.documents import parse_document
from cordboard.errors import InvalidDocument
from cordboard.ivr.paths import json_schema, load_claims, properties_of, prove, read_claims
from cordboard.ivr.trace import compile_flow

EXAMPLES = Path(__file__).parents[4] / "examples"


def test_the_properties_of_the_example_hold() -> None:
    claims = load_claims(EXAMPLES / "hospital_properties.yaml")
    verdicts = prove(compile_flow(claims.flow), claims.properties)
    assert {verdict.status for verdict in verdicts} == {"holds"}
    assert claims.places[0].line == 6


@pytest.mark.parametrize(
    ("line", "path", "message"),
    [
        ("{kind: neverr, node: x}", "properties[0]", "is of no kind that is known: `neverr`"),
        ("{node: x}", "properties[0]", "does not say its `kind`"),
        ("{kind: never}", "properties[0].node", "is required"),
        ("{kind: never, node: x, nodes: y}", "properties[0].nodes", "is not a known key"),
        ("{kind: never, node: []}", "properties[0].node", "must have at least one entry"),
        ("{kind: reaches-within, inputs: -1}", "properties[0].inputs", "must be 0 or more"),
        ("{kind: digit-reaches, digit: 0, target: x}", "properties[0].digit", "must be text"),
        ("{kind: digit-reaches, digit: q, target: x}", "properties[0]", "no telephone has such a key"),
        ("{kind: digit-reaches, digit: '0'}", "properties[0]", "say where it leads: `target` or `types`"),
    ],
)
def test_a_fault_of_a_property_is_told_with_its_line(line, path, message) -> None:
    (finding,) = _findings(f"kind: ivr-properties\nflow: main_menu.yaml\nproperties:\n  - {line}\n")
    assert (finding.path, finding.message, finding.line) == (path, message, 4)


def test_all_faults_are_told_at_once() -> None:
    found = _findings(
        "kind: ivr-properties\nflow: nowhere.yaml\nproperties: [{kind: never}, {kind: x}]\nvariable: {}\n"
    )
    assert {finding.path for finding in found} >= {"flow", "properties[0].node", "properties[1]", "variable"}


def test_properties_inside_another_file_are_read_without_it() -> None:
    (claim,) = properties_of([{"kind": "never", "node": "x"}])
    assert claim.kind == "never"
    with pytest.raises(InvalidDocument) as caught:
        properties_of([{"kind": "never"}], "checks")
    assert caught.value.findings[0].path == "checks[0].node"


def test_the_schema_names_every_kind() -> None:
    assert set(json_schema()["properties"]["properties"]["items"]["discriminator"]["mapping"]) == {
        "every-call-ends",
        "reaches-within",
        "never-before",
        "digit-reaches",
        "never",
    }


def _findings(text: str):
    document = parse_document(text, str(EXAMPLES / "properties.yaml"))
    claims, findings = read_claims(document)
    assert claims is None
    return findings
