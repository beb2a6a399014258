"""What a run says of itself while it runs: how far, how fast, how long still, and what it waits for."""

from __future__ import annotations

from cordboard.records.effects import EffectState
from cordboard.sending import Sent
from cordboard.starting.model import Progress
from cordboard.starting.pieces import _note
from tasks.batch_pages import progress_line


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def ended(progress: Progress, state: EffectState, count: int = 1, *, reused: bool = False) -> None:
    for _ in range(count):
        _note(progress, Sent(state, error={"kind": "x"} if state is not EffectState.DONE else None, reused=reused))


def test_the_pace_is_that_of_this_run_and_the_time_left_follows_from_it() -> None:
    clock = Clock()
    progress = Progress(100, clock)
    assert progress.seconds_left is None
    ended(progress, EffectState.DONE, 40, reused=True)
    assert progress.seconds_left is None  # nothing was done yet by which one could tell
    clock.now += 10
    ended(progress, EffectState.DONE, 20)
    assert (progress.per_second, progress.seconds_left) == (2.0, 20.0)
    assert progress_line(progress) == ("60 of 100: 20 started, 40 started before; 2.0 a second; about 20 s left")


def test_what_comes_after_the_last_start_is_no_part_of_the_pace() -> None:
    clock = Clock()
    progress = Progress(20, clock)
    clock.now += 10
    ended(progress, EffectState.DONE, 20)
    progress.finish()
    clock.now += 3600
    progress.waiting = "the end of 20 instances"
    progress.finish()
    assert (progress.per_second, progress.seconds) == (2.0, 10.0)
    assert progress_line(progress) == "20 of 20: 20 started; 2.0 a second; waits for the end of 20 instances"


def test_a_refusal_is_forgotten_once_the_vendor_takes_a_start() -> None:
    progress = Progress(3, Clock())
    progress.refusal = "the vendor: HTTP 503"
    assert progress_line(progress).endswith("; waits for the vendor: HTTP 503")
    ended(progress, EffectState.FAILED)
    assert progress.waits_for == "the vendor: HTTP 503"
    ended(progress, EffectState.DONE)
    assert progress.waits_for == ""


def test_a_place_that_is_waited_for_comes_before_an_older_refusal() -> None:
    progress = Progress(3, Clock())
    progress.refusal, progress.waiting = "the vendor: HTTP 429", "a place: up to 5 of 5 instances run"
    assert progress.waits_for == "a place: up to 5 of 5 instances run"


def test_every_end_is_counted_once() -> None:
    progress = Progress(6, Clock())
    for state in (EffectState.DONE, EffectState.FAILED, EffectState.UNKNOWN):
        ended(progress, state)
        ended(progress, state, reused=state is EffectState.DONE)
    assert (progress.started, progress.already, progress.failed, progress.unknown) == (1, 1, 2, 2)
    assert (progress.ended, progress.kinds["x"]) == (6, 4)
