"""The report as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from cordboard.ivr.reports import Report, Share, as_document, to_json
from cordboard.ivr.suite import CaseResult


def test_the_document_has_verdict_cases_coverage_and_the_other_reports(run: Callable[..., Report]) -> None:
    document = json.loads(to_json(run(), ["a.html"]))
    assert document["status"] == "failed"
    assert document["totals"] == {"cases": 3, "passed": 1, "failed": 1, "errors": 1}
    assert document["reports"] == ["a.html"]
    assert document["coverage"]["transitions"] == {"taken": 5, "total": 5, "missing": []}
    assert document["cases"][0] == {
        "name": "sales",
        "status": "passed",
        "path": ["node_start", "node_menu", "node_sales", "node_end"],
        "exit": "node_end",
        "mismatches": [],
        "loops": [],
    }


def test_a_suite_is_passed_when_every_case_is(run: Callable[..., Report]) -> None:
    assert as_document(run(()))["status"] == "passed"
    assert as_document(run((), extra=[CaseResult("x", "error")]))["status"] == "failed"


@pytest.mark.parametrize(("taken", "total", "percent"), [(999, 1000, 99), (1, 1, 100), (0, 5, 0), (0, 0, 100)])
def test_only_all_of_it_is_a_hundred_percent(taken: int, total: int, percent: int) -> None:
    assert Share(taken, total).percent == percent


def test_text_and_value_say_the_same(hostile: Report) -> None:
    assert json.loads(to_json(hostile, ["x"])) == as_document(hostile, ["x"])


def test_no_terminal_can_be_told_anything_by_it(hostile: Report) -> None:
    text = to_json(hostile)
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
