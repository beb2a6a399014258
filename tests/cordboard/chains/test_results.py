"""How ends of actions become the end of a chain, and its exit code."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.chains.results import ActionResult, ActionStatus, blocking, chain_status, exit_code, failures_of

DONE = ActionResult(ActionStatus.COMPLETED, available=True)
SKIPPED = ActionResult(ActionStatus.SKIPPED)
FAILED = ActionResult(ActionStatus.FAILED, error={"kind": "rejected", "message": "no"}, blocks=True)
UNKNOWN = ActionResult(ActionStatus.UNKNOWN, error={"kind": "timeout", "message": "lost"}, blocks=True)


@pytest.mark.parametrize(
    ("ends", "status"),
    [
        ([DONE, DONE], "completed"),
        ([DONE, SKIPPED], "completed"),
        ([], "completed"),
        ([DONE, FAILED], "partial"),
        ([DONE, UNKNOWN, SKIPPED], "partial"),
        ([FAILED, SKIPPED], "failed"),
        ([UNKNOWN], "failed"),
    ],
)
def test_a_chain_is_partial_where_some_actions_completed_and_some_did_not(
    ends: list[ActionResult], status: str
) -> None:
    assert chain_status(ends) == status


def test_only_results_that_block_make_a_dependant_skip() -> None:
    assert blocking({"a": DONE, "b": FAILED, "c": SKIPPED, "d": UNKNOWN}) == ["b", "d"]


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ({"a": ("completed", False, None)}, 0),
        ({"a": ("failed", False, "rejected")}, 1),
        ({"a": ("failed", False, "not_sent")}, 3),
        ({"a": ("failed", False, "unavailable"), "b": ("failed", False, "rate_limited")}, 3),
        ({"a": ("failed", False, "unavailable"), "b": ("failed", False, "rejected")}, 1),
        ({"a": ("completed", False, None), "b": ("failed", False, "unavailable")}, 1),
        ({"a": ("completed", True, None), "b": ("failed", False, "unavailable")}, 3),
        ({"a": ("unknown", False, "timeout")}, 1),
        ({"a": ("failed", False, "credentials")}, 2),
    ],
)
def test_three_means_that_the_vendor_could_not_be_reached(
    ends: dict[str, tuple[str, bool, str | None]], code: int
) -> None:
    assert exit_code(_document(ends)) == code


def test_failures_stand_in_file_order_with_their_evidence() -> None:
    found = failures_of({"a": DONE, "b": UNKNOWN, "c": FAILED})
    assert [(failure["action"], failure["status"], failure["kind"]) for failure in found] == [
        ("b", "unknown", "timeout"),
        ("c", "failed", "rejected"),
    ]


def _document(ends: dict[str, tuple[str, bool, str | None]]) -> dict[str, Any]:
    return {
        "status": "completed" if all(end[0] == "completed" for end in ends.values()) else "partial",
        "actions": {
            name: {"status": status, "cached": cached, "attempts": 1} for name, (status, cached, _) in ends.items()
        },
        "failures": [{"kind": kind} for _, _, kind in ends.values() if kind],
    }
