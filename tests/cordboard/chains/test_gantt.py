"""The picture of a run's time."""

from __future__ import annotations

from xml.etree import ElementTree

from cordboard.chains.gantt import critical_path, gantt_svg
from cordboard.chains.results import ActionResult, ActionStatus


def result(start: float, end: float, status: ActionStatus = ActionStatus.COMPLETED) -> ActionResult:
    return ActionResult(status, started_ms=start, ended_ms=end)


DIAMOND = {"a": (), "slow": ("a",), "fast": ("a",), "end": ("slow", "fast")}
RESULTS = {"a": result(0, 10), "fast": result(10, 20), "slow": result(10, 90), "end": result(90, 95)}


def test_the_critical_path_goes_through_what_was_waited_for_longest() -> None:
    assert critical_path(RESULTS, DIAMOND) == ("a", "slow", "end")


def test_a_run_without_actions_has_no_critical_path() -> None:
    assert critical_path({}, {}) == ()


def test_the_picture_is_one_xml_document_and_names_are_text_in_it() -> None:
    """Names from a file never become markup."""
    hostile = {"<script>alert(1)</script>": result(0, 5, ActionStatus.FAILED)}
    picture = gantt_svg("<b>&", hostile, {})
    root = ElementTree.fromstring(picture)
    assert [node.tag for node in root.iter() if node.tag.endswith("script")] == []
    assert "<script>alert(1)</scrip" in "".join(root.itertext())


def test_bars_stand_in_order_of_start_and_the_critical_ones_are_outlined() -> None:
    root = ElementTree.fromstring(gantt_svg("chain", RESULTS, DIAMOND))
    bars = [node for node in root.iter() if node.tag.endswith("rect") and node.get("rx")]
    assert [bar.get("stroke") is not None for bar in bars] == [True, False, True, True]
    assert [float(bar.get("x", 0)) for bar in bars] == sorted(float(bar.get("x", 0)) for bar in bars)
