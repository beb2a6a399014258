"""However the vendor answers and wherever the process dies: one effect where that can be, and never a doubt forgotten.

Drawn histories hold all mishaps; those enumerated hold every way in which the first requests can go, with a death at
every point that is reached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.cordboard.sending.checker import faults
from tests.cordboard.sending.choices import Choices, every
from tests.cordboard.sending.conftest import assert_sound
from tests.cordboard.sending.simulator import Rules, play
from tests.cordboard.sending.vendor_model import OUTCOMES
from tests.cordboard.sending.virtual_time import VirtualLoop
from tests.thorough import count, points

DAY_AND_MORE = 25 * 3600.0  # by then the vendor has forgotten a key
ALL_KINDS = ("killed", "cancelled", "ledger")
PAUSES = {"keyed": (1.0, DAY_AND_MORE)}
POINTS = {
    "effect.intended: killed before", "effect.intended: killed after", "before it leaves: killed",
    "the vendor is slow: killed", "its reply is on the way: killed", "effect.refused: killed before",
    "effect.refused: killed after", "effect.concluded: killed before", "effect.concluded: killed after",
    "waits until it has settled: killed", "the look-up is open: killed",
}  # fmt: skip


@pytest.mark.parametrize(
    ("safety", "usual", "thorough"),
    [("keyed", 350, 8_000), ("lookup", 450, 8_000), ("neither", 250, 4_000), ("natural", 150, 4_000)],
)
@pytest.mark.parametrize("kinds", [("killed",), ALL_KINDS], ids=["deaths", "all mishaps"])
@pytest.mark.timeout(600)
def test_drawn_histories_are_sound(
    drawn: Callable[..., Any], safety: str, usual: int, thorough: int, kinds: tuple[str, ...]
) -> None:
    rules = Rules(safety, kinds=kinds, pauses=PAUSES.get(safety, (1.0,)))
    some = count(usual, thorough) // len(kinds)
    assert assert_sound(drawn(rules, range(some))) == some


@pytest.mark.parametrize(
    ("rules", "at_least"),
    points(
        [(Rules("neither", any_run=False), 900), (Rules("lookup", mishaps=0), 300)],
        [
            *(
                (Rules(safety, mishaps=1, any_run=False), least)
                for safety, least in (("keyed", 15_000), ("lookup", 3_000))
            ),
            *((Rules(safety, mishaps=2, faults=2, any_run=False), 3_000) for safety in ("keyed", "lookup")),
            (Rules("neither"), 1_000),
            (Rules("natural", mishaps=1, any_run=False), 5_000),
        ],
    ),
    ids=lambda given: f"{given.safety}-{given.mishaps}-{given.faults}" if isinstance(given, Rules) else "",
)
@pytest.mark.timeout(900)
def test_every_history_is_sound(loop: VirtualLoop, rules: Rules, at_least: int) -> None:
    """All outcomes of the first requests, with a death at none, one or two of all points."""
    assert assert_sound(history for _, history in every(lambda choices: play(loop, rules, choices))) >= at_least


def test_every_outcome_and_every_point_is_met(drawn: Callable[..., Any]) -> None:
    """Else a simulation that met nothing would pass."""
    met = Counter(told for history in drawn(Rules("lookup"), range(500)) for told in history.choices.told)
    assert all(met[f"request 1: {outcome}"] >= 20 for outcome in OUTCOMES[1:])
    assert {point for point in POINTS if not met[point]} == set()


def test_a_history_can_be_played_again(loop: VirtualLoop) -> None:
    rules = Rules("keyed", kinds=ALL_KINDS[:2])
    for seed in range(30):
        first = play(loop, rules, Choices(seed=seed))
        again = play(loop, rules, Choices([index for index, _ in first.choices.taken]))
        assert [event[:1] + event[2:] for event in first.log if event[0] != "audit"] == [
            event[:1] + event[2:] for event in again.log if event[0] != "audit"
        ]
        assert (first.final, first.choices.told) == (again.final, again.choices.told)
        assert not faults(again.safety, again.log, again.final)
