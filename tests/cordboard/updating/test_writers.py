"""Many writers edit one live flow at the same time; more of them in `python -m bench.writers`."""

from __future__ import annotations

import pytest

from bench.writers import Setting, storm
from cordboard.updating.loop import wait_after
from cordboard.updating.model import Limits


def test_writers_who_share_a_ledger_take_turns_and_need_one_save_each() -> None:
    found = storm(Setting(writers=8, edits=4))
    assert (found.statuses, found.missing, found.saves) == ({"saved": 32}, (), 32)
    assert max(found.attempts) == 1


def test_processes_that_share_a_ledger_take_turns_too() -> None:
    found = storm(Setting(writers=6, edits=3, ledgers=3))
    assert (found.statuses, found.missing, found.saves) == ({"saved": 18}, (), 18)
    assert max(found.attempts) == 1


def test_every_edit_is_kept_once_and_nobody_starves_where_somebody_else_often_saves_first() -> None:
    limits = Limits(attempts=200, longest_wait_seconds=0.05)
    found = storm(Setting(writers=6, edits=4, foreign=0.25, limits=limits))
    assert (found.statuses, found.missing, found.saves) == ({"saved": 24}, (), 24)
    assert max(found.attempts) > 1, "somebody else got in their way"
    assert found.is_fair


def test_without_turns_every_edit_is_kept_once_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn is a courtesy: where nobody waits for it, `If-Match` keeps the edits apart."""
    monkeypatch.setattr("cordboard.updating.turn.PATIENCE_SECONDS", 0.0)
    found = storm(Setting(writers=5, edits=3, limits=Limits(attempts=200, longest_wait_seconds=0.05)))
    assert (found.statuses, found.missing, found.saves) == ({"saved": 15}, (), 15)
    assert max(found.attempts) > 1, "they got into each other's way"


def test_who_was_refused_more_often_waits_less() -> None:
    waits = [wait_after(attempts, Limits(longest_wait_seconds=1.0), 1.0) for attempts in (1, 2, 10)]
    assert waits == [1.0, 0.5, 0.1]
