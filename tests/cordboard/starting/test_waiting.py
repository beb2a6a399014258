"""Waiting for the ends of instances: each is asked for, some at a time, and no longer than was asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from cordboard.starting import waiting
from cordboard.starting.pieces import start_piece
from cordboard.starting.waiting import ends, wait_for_ends
from tests.cordboard.starting.conftest import Place, vendor


def waited(place: Place, count: int, seconds: float, clock: Any = None) -> tuple[dict[str, int], str]:
    """The ends of a batch, and what it said that it waits for at last."""

    async def main() -> tuple[dict[str, int], str]:
        batch = place.batch(count)
        async with place.opened(batch) as run, await run.ledger.claim_run("acme", "starts/sunday/worker-1") as handle:
            await start_piece(run, batch.spool.pieces[0])
            said: list[str] = []

            async def sleep(pause: float) -> None:
                said.append(run.progress.waiting)
                await asyncio.sleep(min(pause, 0.05))

            run.sleep, run.clock = sleep, clock or run.clock
            found = await wait_for_ends(run, handle, None, seconds)
            assert found == await ends(run)
            return found, said[-1] if said else ""

    return asyncio.run(main())


def test_all_ends_are_found_out_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "BATCH", 4)
    with vendor(duration_seconds=0.1) as box:
        found, _ = waited(Place(box, tmp_path), 10, 60)
    assert found == {"completed": 10}


def test_those_that_run_on_are_said_to_run(tmp_path: Path) -> None:
    with vendor(duration_seconds=3600) as box:
        found, said = waited(Place(box, tmp_path), 3, 0.7)
    assert found == {"running": 3}
    assert said in {"", "the end of 3 instances"}


def test_a_round_that_takes_too_long_is_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "BATCH", 1)
    times = iter(range(0, 10_000, 10))
    with vendor(duration_seconds=3600) as box:
        found, _ = waited(Place(box, tmp_path), 9, 25.0, clock=lambda: float(next(times)))
        asked = [entry for entry in box.truth.requests if entry.method == "GET"]
    assert found == {"running": 9}
    assert len(asked) <= 4
