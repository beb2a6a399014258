"""What happens in a history, one choice at a time: so a history can be drawn, replayed, and every one be enumerated."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class Choices:
    """Takes the choices given, then draws them where there is a seed, else takes the first of each.

    Attributes:
        given: indices of the first choices.
        seed: of the draws after them; None for none.
        taken: index and number of options of each choice so far.
        told: what was chosen wherever that was not the first.
    """

    given: Sequence[int] = ()
    seed: int | None = None
    taken: list[tuple[int, int]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = None if self.seed is None else random.Random(self.seed)

    def pick(self, what: str, options: Sequence[T], rarely: float = 0.0) -> T:
        """One of the options. With `rarely`, a draw takes another than the first with this probability only."""
        index = self._index(len(options), rarely)
        self.taken.append((index, len(options)))
        if index:
            self.told.append(f"{what}: {options[index]}")
        return options[index]

    def _index(self, size: int, rarely: float) -> int:
        if len(self.taken) < len(self.given):
            return self.given[len(self.taken)]
        if self._random is None or (rarely and self._random.random() > rarely):
            return 0
        return self._random.randrange(1 if rarely else 0, size)

    def __str__(self) -> str:
        return f"seed {self.seed}, choices {[index for index, _ in self.taken]}: {'; '.join(self.told) or 'no mishap'}"


def every(play: Callable[[Choices], Any]) -> Iterator[tuple[Choices, Any]]:
    """Plays every history there is, each once: the next differs in the last choice that has an option left."""
    given: list[int] | None = []
    while given is not None:
        choices = Choices(given)
        yield choices, play(choices)
        given = _next(choices.taken)


def _next(taken: list[tuple[int, int]]) -> list[int] | None:
    left = [place for place, (index, size) in enumerate(taken) if index + 1 < size]
    return [index for index, _ in taken[: left[-1]]] + [taken[left[-1]][0] + 1] if left else None
