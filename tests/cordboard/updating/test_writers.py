"""Many writers edit one live flow at the same time; more of them in `python -m bench.writers`."""

from __future__ import annotations

from bench.writers import storm
from cordboard.updating.loop import wait_after
from cordboard.updating.model import Limits


def test_every_edit_of_every_writer_is_kept_once_and_nobody_starves() -> None:
    found = storm(writers=6, edits=4, limits=Limits(attempts=200, longest_wait_seconds=0.05))
    assert found.statuses == {"saved": 24}
    assert (found.missing, found.saves) == ((), 24)
    assert max(found.attempts) > 1, "they got into each other's way"
    assert found.is_fair


def test_who_was_refused_more_often_waits_less() -> None:
    waits = [wait_after(attempts, Limits(longest_wait_seconds=1.0), 1.0) for attempts in (1, 2, 10)]
    assert waits == [1.0, 0.5, 0.1]
