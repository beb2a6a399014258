"""Two processes that bring the same start about at the same time, of two batches or of one run that was taken over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from cordboard.vendors.session import VendorSession
from tests.cordboard.sending.conftest import assert_sound
from tests.cordboard.sending.simulator import MONDAY, SETTLE, Rules, side_by_side
from tests.cordboard.sending.vendor_model import TIMEOUT
from tests.thorough import count

TIMES = (0.0, 0.01, 0.3, 1.0)  # of commits and of ways, seconds
# An intent is as old as its commit and its way are slow when the call begins, and the vendor's lag counts from its end.
SLACK = 2 * max(TIMES)


@pytest.mark.parametrize(
    ("safety", "usual", "thorough"),
    [("keyed", 200, 3_000), ("lookup", 200, 3_000), ("neither", 150, 2_000), ("natural", 100, 2_000)],
)
@pytest.mark.parametrize("mishaps", [0, 2])
@pytest.mark.timeout(1800)
def test_interleaved_processes_are_sound(
    drawn: Callable[..., Any], safety: str, usual: int, thorough: int, mishaps: int
) -> None:
    some, met = count(usual, thorough), Counter[str]()
    pauses = (1.0, 25 * 3600.0) if safety == "keyed" else (1.0,)
    rules = Rules(
        safety, mishaps, ("killed", "cancelled", "ledger"), pauses=pauses, settle=SETTLE + SLACK, latency=TIMES
    )

    def noted() -> Any:
        for history in drawn(rules, range(some), side_by_side):
            met["both sent"] += len({event[2] for event in history.log if event[0] == "request"}) > 1
            met["taken over"] += any(event[0] == "end" and event[2] == "StaleOwner" for event in history.log)
            yield history

    assert assert_sound(noted()) == some
    assert met["taken over"] and (met["both sent"] or safety == "neither")


class Queue:
    """Connections that are all in use: the first who waits gets one when an earlier call has run into its timeout."""

    def __init__(self) -> None:
        self._waits = [TIMEOUT]

    async def __aenter__(self) -> None:
        await asyncio.sleep(self._waits.pop() if self._waits else 0.0)

    async def __aexit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("safety", ["keyed", "lookup", "neither"])
def test_an_intent_that_waits_for_a_connection_is_no_older_than_it_looks(
    drawn: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, safety: str
) -> None:
    """The call may begin as late as its timeout after its intent: a look-up that forgets it asks too early."""
    opening = VendorSession.__aenter__

    async def opened(self: VendorSession) -> VendorSession:
        if self._transport._process == f"{MONDAY}#1":  # type: ignore[union-attr]
            self._open = Queue()  # type: ignore[assignment]
        return await opening(self)

    monkeypatch.setattr(VendorSession, "__aenter__", opened)
    assert assert_sound(drawn(Rules(safety), range(200))) == 200
