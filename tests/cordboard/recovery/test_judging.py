"""The decision over a run that broke off, for everything that can be found out about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.recovery.judging import ENDED_BY_A_PERSON, Act, Bounds, Found, judge

BOUNDS = Bounds()
CRASHED = Found(False, 60, 60, ("SCHEDULED", "PENDING", "RUNNING", "CRASHED"))
SILENT = Found(True, 900, 900, ("SCHEDULED", "PENDING", "RUNNING"))
FOUND = st.builds(
    Found,
    is_running=st.booleans(),
    stable_seconds=st.floats(0, 2000),
    silent_seconds=st.floats(0, 2000),
    states=st.lists(
        st.sampled_from(["SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "CANCELLED", "CRASHED"])
    ),
    resumed=st.integers(0, 5),
    again=st.sampled_from(["", "another"]),
    is_taken_up=st.booleans(),
    is_process_alive=st.booleans(),
    is_held=st.booleans(),
    hindrance=st.sampled_from(["", "changed"]),
)


@pytest.mark.parametrize("found", [CRASHED, SILENT], ids=["crashed", "silent"])
def test_what_broke_off_and_nobody_has_in_hand_is_resumed(found: Found) -> None:
    assert judge(found, BOUNDS).act is Act.RESUME


@pytest.mark.parametrize(
    ("differs", "why"),
    [
        ({"states": ("RUNNING", "CANCELLING", "CRASHED")}, "cancelled"),
        ({"is_process_alive": True}, "process is alive"),
        ({"is_held": True}, "live process holds"),
        ({"stable_seconds": 9.9}, "another report may come"),
        ({"silent_seconds": 599, "is_running": True}, "sign of life"),
    ],
)
def test_it_is_not_touched_where(differs: dict[str, Any], why: str) -> None:
    for found in (CRASHED, SILENT):
        judged = judge(replace(found, **differs), BOUNDS)
        assert judged.act is Act.LEAVE and why in judged.why


@pytest.mark.parametrize(
    "differs", [{"hindrance": "changed"}, {"again": "another"}, {"is_taken_up": True}, {"resumed": 3}]
)
def test_it_is_not_resumed_but_a_zombie_is_closed_where(differs: dict[str, Any]) -> None:
    assert judge(replace(CRASHED, **differs), BOUNDS).act is Act.LEAVE
    assert judge(replace(SILENT, **differs), BOUNDS).act is Act.CLOSE


@given(FOUND)
def test_nothing_is_touched_that_lives_is_young_or_was_ended_by_a_person(found: Found) -> None:
    """And what has crashed already is never closed: that would set its state anew."""
    judged = judge(found, BOUNDS)
    assert judged.why
    if judged.act is Act.LEAVE:
        return
    assert not (found.is_held or found.is_process_alive or ENDED_BY_A_PERSON & set(found.states))
    assert found.stable_seconds >= BOUNDS.stable_seconds
    assert not found.is_running or found.silent_seconds >= BOUNDS.silent_seconds
    assert judged.act is Act.RESUME or found.is_running
    if judged.act is Act.RESUME:
        assert found.resumed < BOUNDS.most_resumes and not (found.again or found.is_taken_up or found.hindrance)
