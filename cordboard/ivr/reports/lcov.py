"""Coverage as an LCOV tracefile: lines of the flow's file are its transitions, functions its nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cordboard.ivr.diff.wording import visible
from cordboard.ivr.reports.lines import Line, branches_of, file_of, lines_of
from cordboard.ivr.reports.report import Report
from cordboard.ivr.suite import Covered

_NOT_IN_NAMES = re.compile(r"[\s,]+")


def to_lcov(report: Report) -> str:
    """The report as one text; empty where the flow was read from no file."""
    return "".join(f"{line}\n" for line in _records(report))


def lcov_parts(report: Report) -> Iterator[str]:
    """The report, line by line."""
    return (f"{line}\n" for line in _records(report))


def _records(report: Report) -> Iterator[str]:
    if not report.flow.file:
        return
    lines = lines_of(report.coverage)
    yield "TN:"
    yield f"SF:{visible(file_of(report.flow))}"
    yield from _functions(report.coverage.nodes)
    yield from _branches(tuple(branches_of(lines)))
    for line in lines:
        yield f"DA:{line.number},{sum(line.times)}"
    yield f"LF:{len(lines)}"
    yield f"LH:{sum(1 for line in lines if line.taken)}"
    yield "end_of_record"


def _functions(nodes: Sequence[Covered]) -> Iterator[str]:
    placed = [node for node in nodes if node.line is not None]
    names = [_NOT_IN_NAMES.sub("_", visible(node.id)) for node in placed]
    yield from (f"FN:{node.line},{name}" for node, name in zip(placed, names, strict=True))
    yield from (f"FNDA:{node.times},{name}" for node, name in zip(placed, names, strict=True))
    yield f"FNF:{len(placed)}"
    yield f"FNH:{sum(1 for node in placed if node.times)}"


def _branches(lines: Sequence[Line]) -> Iterator[str]:
    for line in lines:
        for number, count in enumerate(line.times):
            yield f"BRDA:{line.number},0,{number},{count if line.taken else '-'}"
    yield f"BRF:{sum(len(line.times) for line in lines)}"
    yield f"BRH:{sum(line.taken for line in lines)}"
