"""The page on traces, metrics and logs names every field and metric that there is, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path

from cordboard.telemetry.labels import LABELS, REQUEST
from cordboard.telemetry.logs import ALWAYS
from cordboard.telemetry.metrics import METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "observe.md").read_text()


def rows(heading: str) -> dict[str, tuple[str, ...]]:
    """The rows of the table below a heading, by their first cell."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in section.splitlines() if "|" in line]
    return {cells[0].strip("`"): cells[1:] for cells in found[2:]}


def test_the_table_of_metrics_is_that_of_the_code() -> None:
    for name, (kind, unit, by) in (found := rows("Metrics")).items():
        metric = METRICS[name]
        assert (kind, unit.strip("`")) == (metric.kind, metric.unit)
        assert re.findall(r"`([^`]+)`", by) == list(metric.by)
    assert found.keys() == METRICS.keys()


def test_the_table_of_fields_is_that_of_the_code() -> None:
    found = {name: attribute.strip("`") for name, (attribute, _) in rows("Names of the fields").items()}
    assert {name: attribute for name, attribute in found.items() if attribute} == {**LABELS, **REQUEST}
    assert {name for name, attribute in found.items() if not attribute} == {"trace_id", "latency_ms"}


def test_the_line_that_is_shown_has_fields_that_exist() -> None:
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert json.loads(shown).keys() <= {*ALWAYS, *LABELS, *REQUEST, "trace_id", "latency_ms"}


def test_the_names_of_spans_are_those_that_the_code_gives() -> None:
    code = "".join(
        path.read_text()
        for folder in ("cordboard", "tasks")
        for path in (Path(__file__).parents[2] / folder).rglob("*.py")
    )
    for name in ('span(f"run {kind}"', 'step(f"action {', 'step(f"slice {', 'step("slice"', 'step("start"'):
        assert name in code
