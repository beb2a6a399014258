"""Workers take pieces beside each other: every piece is dealt with, and who waits for others is idle."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cordboard.errors import LedgerUnavailable, VendorFailed
from cordboard.starting import working
from cordboard.starting.model import Batch
from cordboard.starting.pieces import StartRun
from cordboard.starting.spool import Piece
from cordboard.starting.working import LOOK_SECONDS, WIDTH, start_all
from tests.cordboard.starting.conftest import Place


class Elsewhere:
    """Pieces that another worker holds until some time; time passes as somebody sleeps."""

    def __init__(self, until: float) -> None:
        self.until, self.now, self.looks, self.tries = until, 0.0, 0, Counter[str]()

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds / WIDTH
        await asyncio.sleep(0)

    async def is_held(self, _: StartRun, piece: Piece) -> bool:
        self.looks += 1
        return self.now < self.until

    async def start(self, piece: Piece) -> int | None:
        self.tries[piece.name] += 1
        return None if self.now < self.until else 0


@pytest.fixture
def batch(place: Place, monkeypatch: pytest.MonkeyPatch) -> Batch:
    monkeypatch.setattr("cordboard.starting.spool.PIECE", 1)
    return place.batch(12)


def test_who_waits_for_pieces_of_others_is_idle(place: Place, batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    others = Elsewhere(until=60.0)
    monkeypatch.setattr(working, "is_in_other_hands", others.is_held)

    async def main() -> None:
        async with place.opened(batch) as run:
            run.sleep = others.sleep
            await start_all(run, others.start)

    asyncio.run(main())
    assert set(others.tries) == {piece.name for piece in batch.spool.pieces}
    assert max(others.tries.values()) <= 2  # each try is a task of its own
    assert others.looks <= 60.0 / LOOK_SECONDS * WIDTH + len(batch.spool.pieces)


def test_every_piece_is_tried_once_where_nobody_else_works(place: Place, batch: Batch) -> None:
    tried: list[str] = []

    async def start(piece: Piece) -> int:
        tried.append(piece.name)
        return 3  # some failed: that is no reason to take it again

    async def main() -> None:
        async with place.opened(batch) as run:
            await start_all(run, start)

    asyncio.run(main())
    assert tried == [piece.name for piece in batch.spool.pieces]


@pytest.mark.parametrize("error", [VendorFailed("gone", {}), LedgerUnavailable("gone")])
def test_what_ends_one_piece_ends_the_run_as_it_is(place: Place, batch: Batch, error: Exception) -> None:
    ended: list[str] = []

    async def start(piece: Piece) -> int:
        try:
            if piece == batch.spool.pieces[1]:
                raise error
            await asyncio.sleep(3600)
        finally:
            ended.append(piece.name)
        return 0

    async def main() -> None:
        async with place.opened(batch) as run:
            with pytest.raises(type(error), match="gone"):
                await start_all(run, start)

    asyncio.run(main())
    assert sorted(ended) == [piece.name for piece in batch.spool.pieces[:WIDTH]]


def test_the_piece_of_a_worker_that_died_is_taken_up(place: Place, batch: Batch) -> None:
    from cordboard.records.owner import Owner

    async def main() -> Any:
        async with place.opened(batch) as run:
            dead = Owner(socket.gethostname(), 2**22 + 7, "1")
            held = await run.ledger.claim_run("acme", f"starts/sunday/{batch.spool.pieces[0].name}", owner=dead)
            run.ledger._runs.discard(held)
            held._renewal.cancel()
            await asyncio.wait_for(start_all(run), 30)
            return run.progress

    assert asyncio.run(main()).started == 12
    assert Path(place.folder).exists()
