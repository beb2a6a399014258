"""Cases as JUnit's XML, in the form that both Maven Surefire's schema and that of Jenkins' xUnit plugin take.

of a case                 becomes
failed                    `failure`, with its mismatches
error                     `error`
the length of the call    `time`; it is the time that a caller would have spent, not what the simulation took
"""

from __future__ import annotations

from collections.abc import Iterator

from cordboard.ivr.reports.report import Report
from cordboard.ivr.reports.xml_text import PROLOGUE, attributes, content
from cordboard.ivr.suite import CaseResult
from cordboard.ivr.trace.loops import spelt

_ELEMENTS = {"failed": ("failure", "mismatch"), "error": ("error", "error")}


def to_junit(report: Report) -> str:
    """The report as one text."""
    return "".join(junit_parts(report))


def junit_parts(report: Report) -> Iterator[str]:
    """The report, piece by piece."""
    totals = report.totals
    duration = sum(0 if case.trace is None else case.trace.duration_ms for case in report.cases)
    counts = {"tests": totals.all, "errors": totals.errors, "skipped": 0, "failures": totals.failed}
    yield f"{PROLOGUE}<testsuite{attributes({'name': report.suite, 'time': _seconds(duration), **counts})}>\n"
    yield "  <properties>\n"
    for name, value in _properties(report):
        yield f"    <property{attributes({'name': name, 'value': value})}/>\n"
    yield "  </properties>\n"
    for case in report.cases:
        yield from _case(report, case)
    yield "</testsuite>\n"


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    yield "flow.id", report.flow.id
    yield "flow.file", report.flow.file
    yield "engine", report.engine
    yield "started_at", report.started_at


def _case(report: Report, case: CaseResult) -> Iterator[str]:
    duration = 0 if case.trace is None else case.trace.duration_ms
    head = attributes({"name": case.name, "classname": report.suite, "time": _seconds(duration)})
    if case.status not in _ELEMENTS:
        yield f"  <testcase{head}/>\n"
        return
    element, kind = _ELEMENTS[case.status]
    sentences = case.mismatches or ("the case could not be run",)
    way = f"\nway: {spelt(case.trace.path)}" if case.trace is not None and case.trace.path else ""
    told = content("\n".join(sentences) + way)
    said = attributes({"message": sentences[0], "type": kind})
    yield f"  <testcase{head}>\n    <{element}{said}>{told}</{element}>\n  </testcase>\n"


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
