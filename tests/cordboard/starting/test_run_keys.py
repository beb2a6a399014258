"""Run keys of batches and single starts that were given none."""

from __future__ import annotations

from cordboard.starting.model import batch_run_key, single_run_key


def test_single_starts_of_one_moment_are_two() -> None:
    """Ids that are made in the same millisecond begin alike; one start must not pass for the other."""
    one, two = "01a1fe1c-1fcb-745b-a0c6-d0f8ed315829", "01a1fe1c-1fcb-745b-a0c6-d0f8ed315830"
    assert single_run_key(one) != single_run_key(two)


def test_the_same_content_is_the_same_batch() -> None:
    assert batch_run_key("ab" * 32) == batch_run_key("ab" * 32) != batch_run_key("ba" * 32)
