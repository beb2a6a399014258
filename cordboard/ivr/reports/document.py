"""The report for other programs, as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from cordboard.ivr.reports.report import Report


def to_json(report: Report, reports: Sequence[str] = ()) -> str:
    """The document as text; pure ASCII, so that no terminal can be told anything by it."""
    return "".join(json_parts(report, reports))


def json_parts(report: Report, reports: Sequence[str] = ()) -> Iterator[str]:
    """The document, a line for each case."""
    head = json.dumps(_head(report, reports))
    yield f'{head[:-1]}, "cases": ['
    for number, case in enumerate(report.cases):
        yield f"{',' if number else ''}\n{json.dumps(case.as_json())}"
    yield "\n]}\n"


def as_document(report: Report, reports: Sequence[str] = ()) -> dict[str, Any]:
    """The document as a value.

    Args:
        report: the run.
        reports: paths of the files in which more stands.
    """
    return {**_head(report, reports), "cases": [case.as_json() for case in report.cases]}


def _head(report: Report, reports: Sequence[str]) -> dict[str, Any]:
    totals = report.totals
    return {
        "status": totals.status,
        "suite": report.suite,
        "flow_id": report.flow.id,
        "engine": report.engine,
        "started_at": report.started_at,
        "totals": totals.as_json(),
        "coverage": report.coverage.as_json(),
        "reports": list(reports),
    }
