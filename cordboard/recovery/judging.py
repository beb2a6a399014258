"""Whether a flow run that broke off is to go on by itself, as one decision over what was found out about it.

Nothing is judged by one sign alone: a run is resumed where nobody has it in hand any more, its state has stood still
long enough that no late report can overwrite what we set, nobody ended it on purpose, and going on means the same job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

ENDED_BY_A_PERSON = frozenset({"CANCELLING", "CANCELLED"})


class Act(StrEnum):
    """What is done with a run."""

    RESUME = "resume"  # the same run is scheduled again
    CLOSE = "close"  # it is said to have crashed, since nothing runs any more
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a run counts as broken off.

    Attributes:
        stable_seconds: for how long a state must have stood: of two reports of a crash, the second comes later.
        silent_seconds: for how long a run that says it is running must have given no sign of life.
        most_resumes: how often one run is resumed at the most.
    """

    stable_seconds: float = 10.0
    silent_seconds: float = 600.0
    most_resumes: int = 3


@dataclass(frozen=True, slots=True)
class Found:
    """What was found out about a run.

    Attributes:
        is_running: whether Prefect says that it is running, or about to; else that it has crashed.
        stable_seconds: since its state was set.
        silent_seconds: since its last sign of life, where it is said to be running.
        states: the types of its states so far, oldest first.
        resumed: how often it was resumed.
        again: name of a later run with the same parameters; empty where there is none.
        is_taken_up: whether somebody has claimed its run in the ledger since it broke off, such as a person by hand.
        is_process_alive: whether its process runs on this host.
        is_held: whether a live process holds its run in the ledger.
        hindrance: why going on would not be the same job; empty where it is.
    """

    is_running: bool
    stable_seconds: float
    silent_seconds: float
    states: Sequence[str]
    resumed: int = 0
    again: str = ""
    is_taken_up: bool = False
    is_process_alive: bool = False
    is_held: bool = False
    hindrance: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is done, and why, in one sentence."""

    act: Act
    why: str


def judge(found: Found, bounds: Bounds) -> Judgement:
    """Decides; what stands against touching the run at all comes first.

    Args:
        found: about the run.
        bounds: when it counts as broken off.
    """
    if hands_off := _hands_off(found, bounds):
        return Judgement(Act.LEAVE, hands_off)
    if against := _not_again(found, bounds):
        return Judgement(Act.CLOSE if found.is_running else Act.LEAVE, against)
    what = f"it gave no sign of life for {found.silent_seconds:.0f} s" if found.is_running else "it crashed"
    return Judgement(Act.RESUME, f"{what}, and nobody has it in hand")


def _hands_off(found: Found, bounds: Bounds) -> str:
    """Why it is not even certain that it has ended, or not ours to say so."""
    if ENDED_BY_A_PERSON.intersection(found.states):
        return "somebody cancelled it"
    if found.is_process_alive:
        return "its process is alive"
    if found.is_held:
        return "a live process holds its run in the ledger"
    if found.stable_seconds < bounds.stable_seconds:
        return f"its state is {found.stable_seconds:.0f} s old, so another report may come; it is looked at again"
    if found.is_running and found.silent_seconds < bounds.silent_seconds:
        return f"it gave a sign of life {found.silent_seconds:.0f} s ago"
    return ""


def _not_again(found: Found, bounds: Bounds) -> str:
    """Why a run that has ended is not resumed."""
    if found.hindrance:
        return found.hindrance
    if found.again:
        return f"it was run again with the same parameters, as {found.again}"
    if found.is_taken_up:
        return "somebody has gone on with its run in the ledger since"
    if found.resumed >= bounds.most_resumes:
        return f"it was resumed {found.resumed} times and broke off each time: find out why, then run it again"
    return ""
