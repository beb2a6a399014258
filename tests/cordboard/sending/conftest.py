"""A loop of virtual time, and what is played on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.cordboard.sending.checker import faults
from tests.cordboard.sending.choices import Choices
from tests.cordboard.sending.simulator import History, Rules, Script, play
from tests.cordboard.sending.virtual_time import VirtualLoop

SHOWN = 3  # histories that a failure prints


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    """A loop that says nothing of what a killed process leaves behind."""
    loop = VirtualLoop()
    loop.set_exception_handler(lambda *_: None)
    yield loop
    loop.close()


@pytest.fixture
def drawn(loop: VirtualLoop) -> Callable[..., Iterator[History]]:
    """Plays histories drawn from seeds."""

    def draw(rules: Rules, seeds: Iterable[int], script: Script | None = None) -> Iterator[History]:
        return (play(loop, rules, Choices(seed=seed), script) for seed in seeds)

    return draw


def violations(histories: Iterable[History]) -> Iterator[str]:
    """What is wrong, each with the history by which it can be played again."""
    for history in histories:
        if wrong := faults(history.safety, history.log, history.final):
            yield f"{'; '.join(wrong)}\n    {history}"


def assert_sound(histories: Iterable[History]) -> int:
    """Says how many there were.

    Raises:
        AssertionError: with the first that are not sound.
    """
    played = 0

    def counted() -> Iterator[History]:
        nonlocal played
        for history in histories:
            played += 1
            yield history

    found = [wrong for wrong, _ in zip(violations(counted()), range(SHOWN), strict=False)]
    assert not found, "\n".join(found)
    return played
