"""An event loop whose clock jumps: a wait of an hour takes no time, and what happens next is always the same."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
EPOCH = 1_800_000_000.0  # the wall clock's time when the loop's is 0


class StuckError(RuntimeError):
    """Everybody waits, and for nothing that could come."""


class _Jumping(selectors.SelectSelector):
    """Reports no input, and moves the clock by as long as it should have waited for some."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StuckError("nothing is left that could happen")
        if timeout > 0:  # and by the least bit more: a sum that rounds down would wait for ever for its last bit
            self.now = math.nextafter(self.now + timeout, math.inf)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop of virtual time, without input and output."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def wall(self) -> float:
        """Seconds since the epoch."""
        return EPOCH + self._jumping.now

    def play(self, what: Coroutine[Any, Any, T]) -> T:
        """Runs it to its end."""
        return self.run_until_complete(what)
