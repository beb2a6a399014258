"""The checker finds what it is there for: histories that were sound are doctored, and every one is flagged."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cordboard.sending.checker import faults
from tests.cordboard.sending.choices import Choices
from tests.cordboard.sending.conftest import violations
from tests.cordboard.sending.simulator import History, Rules

Doctor = Callable[[list[tuple[Any, ...]]], str]


def place_of(log: list[tuple[Any, ...]], kind: str) -> int:
    return next(
        place
        for place, event in enumerate(log)
        if event[0] == kind or (event[0] == "audit" and event[1]["kind"] == kind)
    )


def a_second_effect(log: list[tuple[Any, ...]]) -> str:
    log.insert(place_of(log, "commit") + 1, ("commit", 1, "i2"))
    return "2 effects"


def an_effect_that_was_lost(log: list[tuple[Any, ...]]) -> str:
    del log[place_of(log, "commit")]
    return "nothing was started"


def an_intent_that_is_missing(log: list[tuple[Any, ...]]) -> str:
    del log[place_of(log, "effect.intended")]
    return "has no intent on record before it"


def an_intent_that_came_late(log: list[tuple[Any, ...]]) -> str:
    intent = log.pop(place_of(log, "effect.intended"))
    log.insert(place_of(log, "request") + 1, intent)
    return "has no intent on record before it"


def a_record_that_was_edited(log: list[tuple[Any, ...]]) -> str:
    row = log[place_of(log, "effect.concluded")][1]
    row["subject"] = "somebody else"
    return "does not follow the one before it"


def an_outcome_of_an_earlier_owner(log: list[tuple[Any, ...]]) -> str:
    row = log[place_of(log, "effect.concluded")][1]
    row["detail"] = json.dumps({**json.loads(row["detail"]), "epoch": 0})
    return "was written in epoch 0"


def a_doubt_that_was_forgotten(log: list[tuple[Any, ...]]) -> str:
    row = log[place_of(log, "effect.concluded")][1]
    row["detail"] = json.dumps({**json.loads(row["detail"]), "to": "failed"})
    return "says failed, though request 1 has an effect"


def an_answer_that_names_another(log: list[tuple[Any, ...]]) -> str:
    name, process, state, _ = log[place_of(log, "end")]
    log[place_of(log, "end")] = (name, process, state, "i9")
    return "which does not exist"


def nobody_who_came_back(log: list[tuple[Any, ...]]) -> str:
    log[place_of(log, "end")] = ("end", "starts/monday/0#1", "killed", None)
    return "the last process ended killed"


DOCTORS = [
    a_second_effect, an_effect_that_was_lost, an_intent_that_is_missing, an_intent_that_came_late,
    a_record_that_was_edited, an_outcome_of_an_earlier_owner, a_doubt_that_was_forgotten,
    an_answer_that_names_another, nobody_who_came_back,
]  # fmt: skip


@pytest.fixture
def sound(drawn: Callable[..., Any]) -> list[History]:
    """Histories that began with an accepted request and no mishap, of each class."""
    return [next(drawn(Rules(safety, mishaps=0, faults=0), [0])) for safety in ("keyed", "lookup", "neither")]


@pytest.mark.parametrize("doctor", DOCTORS, ids=lambda doctor: doctor.__name__)
def test_a_doctored_history_is_flagged(sound: list[History], doctor: Doctor) -> None:
    for history in sound:
        assert faults(history.safety, history.log, history.final) == []
        log = copy.deepcopy(history.log)
        wanted = doctor(log)
        assert any(wanted in fault for fault in faults(history.safety, log, history.final))


@pytest.mark.parametrize("final", ["", "ready", "sent", "failed", "unknown"])
@pytest.mark.parametrize("safety", ["keyed", "lookup", "natural"])
def test_an_effect_that_the_ledger_does_not_know_of_is_flagged(drawn: Any, safety: str, final: str) -> None:
    history = next(drawn(Rules(safety, mishaps=0, faults=0), [0]))
    assert any(fault.startswith("lost") for fault in faults(safety, history.log, final))


def test_only_where_nobody_can_be_asked_may_it_end_unknown() -> None:
    log = [("end", "r#1", "unknown", None)]
    assert [bool(faults(safety, log, "unknown")) for safety in ("neither", "lookup", "keyed")] == [False, True, True]


def test_a_send_out_of_doubt_is_flagged_by_class(drawn: Any) -> None:
    """A second intent in doubt is right where a repeat is the same, and wrong elsewhere."""
    for safety in ("keyed", "natural"):
        assert not list(violations(drawn(Rules(safety), range(40))))
    histories = drawn(Rules("keyed"), range(40))
    assert any(any("goes from" in fault for fault in faults("lookup", each.log, each.final)) for each in histories)


def test_a_violation_is_told_with_what_it_takes_to_see_it_again() -> None:
    history = History("lookup", [("commit", 1, "i1"), ("commit", 2, "i2")], "done", Choices(seed=7, told=["a: b"]))
    (told,) = violations([history])
    assert "2 effects" in told and "lookup, seed 7" in told and "a: b" in told
