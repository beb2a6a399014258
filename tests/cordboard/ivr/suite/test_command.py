"""The command, asked about suites."""

from __future__ import annotations

from cordboard.documents import read_document
from cordboard.ivr.command import examine


def test_a_suite_of_whose_flow_no_call_can_be_made_is_found_by_a_check(written) -> None:
    path = written("cases: [{name: a}]")
    flow = path.parent / "small.yaml"
    flow.write_text(flow.read_text().replace("dtmf == '2'", "dtmf = '2'"))
    findings, size = examine("ivr-suite", read_document(path))
    assert [(finding.severity, finding.file, finding.line) for finding in findings] == [("error", str(flow), 13)]
    assert size == "suite suite, 1 call"


def test_a_suite_whose_calls_can_be_made_has_no_findings(written) -> None:
    assert examine("ivr-suite", read_document(written("cases: [{name: a}]")))[0] == ()
