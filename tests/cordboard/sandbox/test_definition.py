"""The two sandbox files: what they may say, and how mistakes in them are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from cordboard.errors import InvalidDocument
from cordboard.sandbox import Faults, default_definition, load_definition, load_faults

ROOT = Path(__file__).parents[3]


def faults_in(load, path, text):
    path.write_text(text)
    with pytest.raises(InvalidDocument) as refused:
        load(path)
    return {(finding.path, finding.line): str(finding) for finding in refused.value.findings}


def test_the_example_is_the_packaged_default():
    """A newcomer edits the example, the command serves the packaged file: they must say the same."""
    assert load_definition(ROOT / "examples/sandbox.yaml") == default_definition()


def test_the_example_of_faults_is_valid():
    """The documentation's own file works."""
    assert len(load_faults(ROOT / "examples/faults.yaml").rules) == 7


def test_all_mistakes_in_a_definition_are_reported_at_once_with_their_lines(tmp_path):
    """One look at the output, one edit of the file."""
    text = """\
kind: sandbox
clients: []
token_second: 5
data_actions:
  def-a:
    delay_ms: -1
    echo: true
  def-b:
    description: says nothing
"""
    found = faults_in(load_definition, tmp_path / "box.yaml", text)
    assert set(found) == {
        ("clients", 2),
        ("token_second", 3),
        ("data_actions.def-a.delay_ms", 6),
        ("data_actions.def-b", 8),
    }
    assert "did you mean token_seconds?" in found["token_second", 3]
    assert "say what it answers" in found["data_actions.def-b", 8]


def test_a_client_that_stands_twice_is_refused():
    """Which secret would be right?"""
    with pytest.raises(InvalidDocument, match="stand twice: a"):
        default_definition().changed(clients=[{"id": "a", "secret": "1"}, {"id": "a", "secret": "2"}])


def test_a_lookup_excludes_other_answers():
    """One action, one behaviour."""
    action = {"echo": True, "lookup": {"by": "x", "table": {}}}
    with pytest.raises(InvalidDocument, match="cannot be combined"):
        default_definition().changed(data_actions={"def-x": action})


def test_all_mistakes_in_faults_are_reported_at_once_with_their_lines(tmp_path):
    """Also those of a rule that names two kinds, or none."""
    text = """\
kind: faults
rules:
  - match: {nth: [0]}
    fault: {status: 503}
  - match: {probability: 2}
    fault: {lost_reply: sometimes}
  - fault: {status: 503, redirect: "http://x/"}
  - fault: {}
  - fault: {rate_limited: {retry_after: "1"}, body: x}
  - {match: {nth: 3}, fault: {echo_secrets: true}}
"""
    found = faults_in(load_faults, tmp_path / "faults.yaml", text)
    lines = {line for _, line in found}
    assert lines == {3, 5, 6, 7, 8, 9, 10}
    assert {"rules[0].match.nth[0]", "rules[1].fault.lost_reply", "rules[5].match.nth"} <= {path for path, _ in found}
    assert any("exactly one kind of fault, not 2: status, redirect" in text for text in found.values())
    assert any("exactly one kind of fault, not 0: none" in text for text in found.values())


@pytest.mark.parametrize(
    ("name", "text"), [("x", "a\r\nb"), ("x", "a\nb"), ("x", "\0"), ("x", " a"), ("a b", "x"), ("Content-Length", "5")]
)
def test_a_header_cannot_break_the_reply(name, text):
    """A fault file cannot make the server write a malformed header: that is refused before anything is served."""
    with pytest.raises(InvalidDocument):
        Faults.of({"fault": {"status": 500, "headers": {name: text}}})


def test_every_fault_of_a_flow_that_exists_from_the_start_is_reported():
    """A vendor would never have taken it, so it cannot be there."""
    wrong = {
        "menu": {"id": "other", "version": 0, "nodes": [{"id": "start", "type": "start"}], "connections": {}},
        "empty": {},
        "clinic": {"id": "other", "version": 1.5, "nodes": {"ask": {"type": "menu"}}},
    }
    with pytest.raises(InvalidDocument) as refused:
        default_definition().changed(flows={"definitions": wrong})
    (finding,) = refused.value.findings
    assert finding.path == "flows"
    for fault in (
        "menu: id is not the name under which it stands",
        "menu: version must be a whole number from 1",
        "menu: nodes[0].id 'start' does not start with node_",
        "menu: connections must be a list of objects",
        "empty: nodes must be a list of objects",
        "clinic: id is not the name under which it stands",
        "clinic: version must be a whole number from 1",
        "clinic: nodes.ask does not end the call",
    ):
        assert fault in finding.message


def test_a_changed_definition_keeps_the_rest():
    """Tests change one thing of the default."""
    changed = default_definition().changed(token_seconds=5, data_actions={"def-x": {"echo": True}})
    assert changed.token_seconds == 5
    assert set(changed.data_actions) == {*default_definition().data_actions, "def-x"}
    assert changed.clients == default_definition().clients
