"""What a run does to the process it runs in is undone, however runs overlap and end."""

from __future__ import annotations

import gc
from contextlib import ExitStack

import pytest

from tasks.process import settled_heap


def test_the_collector_is_as_it_was_once_the_last_of_the_runs_that_overlap_has_left() -> None:
    before = gc.get_threshold()
    first, second = ExitStack(), ExitStack()
    first.enter_context(settled_heap())
    second.enter_context(settled_heap())
    first.close()
    assert gc.get_threshold() != before
    second.close()
    assert gc.get_threshold() == before


def test_the_collector_is_as_it_was_after_a_run_that_failed() -> None:
    before = gc.get_threshold()
    with pytest.raises(RuntimeError), settled_heap():
        assert gc.get_freeze_count()
        raise RuntimeError
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
