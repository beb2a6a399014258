"""What build servers read: JUnit and Cobertura XML, LCOV. Each file keeps to the rules that its readers share.

The rules stand here as a table, because no validating parser comes with Python. For JUnit it is what the schemas of
Maven Surefire and of Jenkins' xUnit plugin both allow, for Cobertura what `coverage-04.dtd` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from xml.etree import ElementTree

import pytest

from cordboard.ivr.model import Place
from cordboard.ivr.reports import Report, to_cobertura, to_junit, to_lcov
from cordboard.ivr.suite import CaseResult, Coverage, Covered

SECONDS, COUNT, RATE = r"\d+\.\d{3}", r"\d+", r"0(\.\d+)?|1"
ANY = r"(?s).*"


@dataclass(frozen=True)
class Rule:
    """What an element holds: children as a pattern over `name;name;`, attributes with the pattern of their values."""

    children: str = ""
    required: Mapping[str, str] | None = None
    optional: Mapping[str, str] | None = None
    text: bool = False


_COUNTS = dict.fromkeys(("tests", "errors", "skipped", "failures"), COUNT)
_REASON = Rule(required={"type": ANY, "message": ANY}, text=True)
JUNIT = {
    "testsuite": Rule("(properties;)?(testcase;)*", {"name": ANY, "time": SECONDS, **_COUNTS}),
    "properties": Rule("(property;)*"),
    "property": Rule(required={"name": ANY, "value": ANY}),
    "testcase": Rule("(failure;)*(error;)?", {"name": ANY, "time": SECONDS}, {"classname": ANY}),
    "failure": _REASON,
    "error": _REASON,
}
_RATES = {"line-rate": RATE, "branch-rate": RATE, "complexity": COUNT}
_LINES = {f"{what}-{part}": COUNT for what in ("lines", "branches") for part in ("covered", "valid")}
COBERTURA = {
    "coverage": Rule("(sources;)?packages;", {**_RATES, **_LINES, "version": ANY, "timestamp": COUNT}),
    "sources": Rule("(source;)*"),
    "source": Rule(text=True),
    "packages": Rule("(package;)*"),
    "package": Rule("classes;", {"name": ANY, **_RATES}),
    "classes": Rule("(class;)*"),
    "class": Rule("methods;lines;", {"name": ANY, "filename": ANY, **_RATES}),
    "methods": Rule(),
    "lines": Rule("(line;)*"),
    "line": Rule(
        required={"number": r"[1-9]\d*", "hits": COUNT},
        optional={"branch": "true|false", "condition-coverage": r"\d+% \(\d+/\d+\)"},
    ),
}


def faults(text: str, root: str, rules: Mapping[str, Rule]) -> list[str]:
    top = ElementTree.fromstring(text)
    found = [] if top.tag == root else [f"the root is {top.tag}"]
    for element in top.iter():
        rule = rules.get(element.tag)
        if rule is None:
            found.append(f"{element.tag} is not known")
            continue
        children = "".join(f"{child.tag};" for child in element)
        if not re.fullmatch(rule.children, children):
            found.append(f"{element.tag} holds {children}")
        if not rule.text and (element.text or "").strip():
            found.append(f"{element.tag} holds text")
        known = {**(rule.required or {}), **(rule.optional or {})}
        found += [f"{element.tag} lacks {name}" for name in rule.required or {} if name not in element.attrib]
        found += [
            f"{element.tag} {name}={value!r}"
            for name, value in element.attrib.items()
            if not re.fullmatch(known.get(name, "(?!)"), value)
        ]
    return found


def test_the_table_finds_faults() -> None:
    text = '<testsuite name="s" time="1.5" tests="1"><testcase name="a" time="0.100">!<skip/></testcase></testsuite>'
    assert faults(text, "testsuite", JUNIT) == [
        "testsuite lacks errors",
        "testsuite lacks skipped",
        "testsuite lacks failures",
        "testsuite time='1.5'",
        "testcase holds skip;",
        "testcase holds text",
        "skip is not known",
    ]


def test_junit_keeps_to_the_schemas(run: Callable[..., Report], hostile: Report) -> None:
    assert faults(to_junit(run()), "testsuite", JUNIT) == []
    assert faults(to_junit(hostile), "testsuite", JUNIT) == []


def test_junit_counts_and_names_every_case(run: Callable[..., Report]) -> None:
    suite = ElementTree.fromstring(to_junit(run()))
    counts = {name: suite.attrib[name] for name in ("tests", "failures", "errors", "time")}
    assert counts == {"tests": "3", "failures": "1", "errors": "1", "time": "0.325"}
    assert [case.attrib["name"] for case in suite.iter("testcase")] == ["sales", "nine", "broken"]


def test_junit_says_why_a_case_failed_and_which_way_the_call_went(run: Callable[..., Report]) -> None:
    report = run()
    failure = ElementTree.fromstring(to_junit(report)).find(".//failure")
    assert failure is not None
    assert failure.attrib["message"] == report.cases[1].mismatches[0]
    assert "way: `node_start` → `node_menu` → `node_menu`" in (failure.text or "")


def test_junit_gives_an_error_without_a_reason_a_sentence(run: Callable[..., Report]) -> None:
    error = ElementTree.fromstring(to_junit(run((), extra=[CaseResult("odd", "error")]))).find(".//error")
    assert error is not None
    assert error.text == "the case could not be run"


def test_control_characters_show_as_escapes_in_xml(hostile: Report) -> None:
    names = [case.attrib["name"] for case in ElementTree.fromstring(to_junit(hostile)).iter("testcase")]
    assert "\\x00\\x1b[31mred\\x9b\\u202eright" in names[1]
    assert all(name.isprintable() for name in names)


def test_cobertura_keeps_to_its_dtd(run: Callable[..., Report], hostile: Report) -> None:
    assert faults(to_cobertura(run()), "coverage", COBERTURA) == []
    assert faults(to_cobertura(hostile), "coverage", COBERTURA) == []


def test_a_line_of_cobertura_is_covered_when_its_transition_was_taken(run: Callable[..., Report]) -> None:
    top = ElementTree.fromstring(to_cobertura(run()))
    assert [(line.attrib["number"], line.attrib["hits"]) for line in top.iter("line")] == [
        ("10", "2"),
        ("11", "1"),
        ("12", "2"),
        ("13", "1"),
        ("14", "1"),
    ]
    assert (top.attrib["lines-covered"], top.attrib["line-rate"]) == ("5", "1")
    assert [each.attrib["filename"] for each in top.iter("class")] == ["flows/menu.yaml"]
    assert top.attrib["timestamp"] == "1763707200000"


def test_a_line_with_several_transitions_is_covered_in_part(run: Callable[..., Report]) -> None:
    """A flow that was exported as JSON on one line has all of them there."""
    report = on_one_line(run())
    top = ElementTree.fromstring(to_cobertura(report))
    assert [dict(line.attrib) for line in top.iter("line")] == [
        {"number": "1", "hits": "5", "branch": "true", "condition-coverage": "66% (2/3)"}
    ]
    assert (top.attrib["branches-covered"], top.attrib["branches-valid"], top.attrib["line-rate"]) == ("2", "3", "1")
    assert "BRDA:1,0,0,4\nBRDA:1,0,1,0\nBRDA:1,0,2,1\nBRF:3\nBRH:2\nDA:1,5\nLF:1\nLH:1\n" in to_lcov(report)


def on_one_line(report: Report) -> Report:
    ways = tuple(replace(way, place=Place("x", 1)) for way in report.flow.transitions[:3])
    covered = tuple(Covered(str(times), 1, times) for times in (4, 0, 1))
    return replace(report, flow=replace(report.flow, transitions=ways), coverage=Coverage((), covered))


@pytest.mark.parametrize("moment", ["", "yesterday", "0001-01-01"])
def test_a_moment_that_is_none_is_no_reason_to_fail(run: Callable[..., Report], moment: str) -> None:
    assert faults(to_cobertura(run(started_at=moment)), "coverage", COBERTURA) == []


def test_a_flow_without_a_file_has_no_lines(run: Callable[..., Report], flow: object) -> None:
    report = run()
    bare = Coverage((), tuple(replace(way, line=None) for way in report.coverage.transitions))
    report = replace(report, flow=replace(report.flow, file=""), coverage=bare)
    assert faults(to_cobertura(report), "coverage", COBERTURA) == []
    top = ElementTree.fromstring(to_cobertura(report))
    said = {name: top.attrib[name] for name in ("lines-valid", "line-rate", "branch-rate")}
    assert (list(top.iter("line")), said) == ([], {"lines-valid": "0", "line-rate": "0", "branch-rate": "0"})
    assert to_lcov(report) == ""


def test_lcov(run: Callable[..., Report]) -> None:
    assert to_lcov(run()).splitlines() == [
        "TN:",
        "SF:flows/menu.yaml",
        "FN:7,node_menu",
        "FN:8,node_sales",
        "FN:10,node_start",
        "FN:13,node_end",
        "FNDA:4,node_menu",
        "FNDA:1,node_sales",
        "FNDA:2,node_start",
        "FNDA:2,node_end",
        "FNF:4",
        "FNH:4",
        "BRF:0",
        "BRH:0",
        "DA:10,2",
        "DA:11,1",
        "DA:12,2",
        "DA:13,1",
        "DA:14,1",
        "LF:5",
        "LH:5",
        "end_of_record",
    ]


@pytest.mark.parametrize(
    ("file", "told"), [("suites/../flows/./menu.yaml", "flows/menu.yaml"), ("../menu.yaml", "../menu.yaml")]
)
def test_coverage_names_the_file_by_its_shortest_path(run: Callable[..., Report], file: str, told: str) -> None:
    report = run()
    report = replace(report, flow=replace(report.flow, file=file))
    assert f"\nSF:{told}\n" in to_lcov(report)
    assert f' filename="{told}"' in to_cobertura(report)


def test_a_name_makes_no_record_of_its_own_in_lcov(run: Callable[..., Report]) -> None:
    report = run()
    nodes = (Covered("a,b c\nDA:1,99", 3, 1),)
    report = replace(report, coverage=Coverage(nodes, ()), flow=replace(report.flow, file="x\nDA:1,99", transitions=()))
    assert to_lcov(report).splitlines()[1:4] == ["SF:x\\nDA:1,99", "FN:3,a_b_c\\nDA:1_99", "FNDA:1,a_b_c\\nDA:1_99"]
