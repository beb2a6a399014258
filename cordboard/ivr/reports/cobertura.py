"""Coverage as Cobertura's XML: a line of the flow's file is covered when a transition on it was taken.

Where several transitions share a line each of them counts as a branch of it. A flow that was read from no file has no
lines, and the report then none either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from cordboard import __version__
from cordboard.ivr.reports.lines import Line, branches_of, file_of, lines_of
from cordboard.ivr.reports.report import Report
from cordboard.ivr.reports.xml_text import PROLOGUE, attributes

_DOCTYPE = '<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">\n'


def to_cobertura(report: Report) -> str:
    """The report as one text."""
    return "".join(cobertura_parts(report))


def cobertura_parts(report: Report) -> Iterator[str]:
    """The report, piece by piece."""
    lines = lines_of(report.coverage)
    rates = _rates(lines)
    flow = {"name": report.flow.name or report.flow.id, "filename": file_of(report.flow)}
    yield f"{PROLOGUE}{_DOCTYPE}<coverage{attributes({**rates, **_counts(lines), **_about(report)})}>\n"
    yield "  <sources><source>.</source></sources>\n  <packages>\n"
    yield f"    <package{attributes({'name': report.flow.id, **rates, 'complexity': 0})}>\n      <classes>\n"
    yield f"        <class{attributes({**flow, **rates, 'complexity': 0})}>\n          <methods/>\n          <lines>\n"
    for line in lines:
        yield f"            <line{attributes(_line(line))}/>\n"
    yield "          </lines>\n        </class>\n      </classes>\n    </package>\n  </packages>\n</coverage>\n"


def _rates(lines: Sequence[Line]) -> dict[str, object]:
    """Of lines without branches all is covered, as other tools write it; of no lines at all, nothing."""
    taken, branches = _branches(lines)
    return {
        "line-rate": _rate(sum(1 for line in lines if line.taken), len(lines), "0"),
        "branch-rate": _rate(taken, branches, "1" if lines else "0"),
    }


def _counts(lines: Sequence[Line]) -> dict[str, object]:
    taken, branches = _branches(lines)
    return {
        "lines-covered": sum(1 for line in lines if line.taken),
        "lines-valid": len(lines),
        "branches-covered": taken,
        "branches-valid": branches,
    }


def _branches(lines: Sequence[Line]) -> tuple[int, int]:
    shared = tuple(branches_of(lines))
    return sum(line.taken for line in shared), sum(len(line.times) for line in shared)


def _about(report: Report) -> Mapping[str, object]:
    return {"complexity": 0, "version": __version__, "timestamp": _milliseconds(report.started_at)}


def _line(line: Line) -> dict[str, object]:
    known: dict[str, object] = {"number": line.number, "hits": sum(line.times)}
    if len(line.times) == 1:
        return {**known, "branch": "false"}
    share = f"{100 * line.taken // len(line.times)}% ({line.taken}/{len(line.times)})"
    return {**known, "branch": "true", "condition-coverage": share}


def _rate(covered: int, valid: int, of_none: str) -> str:
    return f"{covered / valid:.4g}" if valid else of_none


def _milliseconds(moment: str) -> int:
    try:
        return round(datetime.fromisoformat(moment).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0
