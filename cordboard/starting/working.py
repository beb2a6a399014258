"""Takes the pieces of a batch, beside other workers that do the same."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial

from cordboard.starting.pieces import StartRun, is_in_other_hands, start_piece
from cordboard.starting.spool import Piece

WIDTH = 3  # pieces at a time: where one runs out, the next fills the connections
LOOK_SECONDS = 0.5  # before each look at a piece that another worker holds
StartPiece = Callable[[Piece], Awaitable[int | None]]


async def start_all(run: StartRun, start: StartPiece | None = None) -> None:
    """Takes every piece, the most urgent first; those that other workers hold are taken up when they let go.

    Args:
        run: the batch.
        start: starts a piece, as `start_piece` does, which is the default.

    Raises:
        CordboardError: nothing more is sent.
    """
    pieces, start = deque(run.batch.spool.pieces), start or partial(start_piece, run)
    elsewhere: set[str] = set()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(WIDTH):
                group.create_task(_work(run, pieces, elsewhere, start))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


async def _work(run: StartRun, pieces: deque[Piece], elsewhere: set[str], start: StartPiece) -> None:
    while pieces:
        piece = pieces.popleft()
        if piece.name in elsewhere:
            await run.sleep(LOOK_SECONDS)
            if await is_in_other_hands(run, piece):
                pieces.append(piece)
                continue
        if await start(piece) is None:
            elsewhere.add(piece.name)
            pieces.append(piece)
        else:
            elsewhere.discard(piece.name)
