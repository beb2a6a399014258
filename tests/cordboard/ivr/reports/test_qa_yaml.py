"""The YAML that quality assurance keeps: five sections a case, and whatever goes in comes out of any reader again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.ivr.reports import Report, to_yaml
from cordboard.ivr.reports.yaml_text import flow as flow_style
from cordboard.ivr.suite import CaseResult
from cordboard.ivr.trace import from_vendor
from tests.thorough import count

SECTIONS = ["report_metadata", "execution_summary", "state_machine_analysis", "variable_states", "raw_trace"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["no", "Null", "1e3", "0x1F", "12:30", "=", "<<", "- a", "a: b", "#", "~", "2024-01-02", "k" * 2000, ".5", "_1"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def read(report: Report) -> Any:
    return yaml.safe_load(to_yaml(report))


def test_each_case_has_the_five_sections_also_one_that_could_not_be_run(run: Callable[..., Report]) -> None:
    cases = read(run())["cases"]
    assert [list(case) for case in cases] == [["name", "status", *SECTIONS]] * 3
    assert [case["status"] for case in cases] == ["passed", "failed", "error"]


def test_a_call_that_passed(run: Callable[..., Report]) -> None:
    case = read(run())["cases"][0]
    assert case["report_metadata"] == {
        "generated_at": "2025-11-21T06:40:00+00:00",
        "flow_id": "menu",
        "api_version": "v2",
        "engine": "local",
        "simulation_duration_ms": 145,
    }
    summary = case["execution_summary"]
    assert summary["path"] == ["node_start", "node_menu", "node_sales", "node_end"]
    assert (summary["exit_node"], summary["total_nodes"], summary["routing_valid"]) == ("node_end", 4, True)
    assert case["variable_states"] == {
        "final_state": {"who": "Ann", "tries": 1, "queue": "<b>sales</b>"},
        "node_history": [
            {"step": 3, "nodeId": "node_sales", "variables": {"who": "Ann", "tries": 1, "queue": "<b>sales</b>"}}
        ],
    }


def test_the_raw_trace_is_what_the_vendor_would_have_written(run: Callable[..., Report]) -> None:
    report = run()
    trace = report.cases[0].trace
    assert trace is not None
    assert read(report)["cases"][0]["raw_trace"] == trace.as_json()["trace"]


def test_a_loop_is_told_with_its_steps(run: Callable[..., Report]) -> None:
    trace = from_vendor({"path": ["a", *["b", "c"] * 6], "trace": []})
    case = read(run(extra=[CaseResult("round", "failed", trace, ("end: loop",))]))["cases"][3]
    assert case["state_machine_analysis"] == {
        "has_loops": True,
        "loop_details": [{"nodes": ["b", "c"], "occurrences": 6, "start_index": 1, "end_index": 13}],
        "total_nodes_executed": 13,
        "unique_nodes": 3,
    }


def test_mismatches_stand_as_sentences(run: Callable[..., Report]) -> None:
    report = run()
    assert read(report)["cases"][1]["execution_summary"]["routing_mismatches"] == list(report.cases[1].mismatches)


def test_a_suite_without_cases_is_a_document_too(run: Callable[..., Report]) -> None:
    assert read(run(()))["cases"] == []


def test_hostile_names_come_back_as_they_were(hostile: Report) -> None:
    found = [case["name"] for case in read(hostile)["cases"]]
    assert found == [case.name for case in hostile.cases]


@pytest.mark.parametrize("code", [0x1B, 0x7F, 0x9B, 0x202E, 0x2028, 0xFEFF], ids=hex)
def test_no_control_character_stands_in_the_text(hostile: Report, code: int) -> None:
    assert chr(code) not in to_yaml(hostile)


@pytest.mark.parametrize("number", [1e16, 1e-7, 1.5, -0.0, float("inf"), float("-inf"), 10**30])
def test_a_number_comes_back_as_a_number(number: float) -> None:
    """Readers of YAML 1.1 take `1e+16` for a text."""
    assert repr(yaml.safe_load(flow_style(number))) == repr(number)


@settings(max_examples=count(200, 600), deadline=None)
@given(VALUES)
def test_any_value_comes_back_as_it_was(value: Any) -> None:
    read_back = yaml.safe_load(f"value: {flow_style(value)}\n")["value"]
    assert repr(read_back) == repr(value)
