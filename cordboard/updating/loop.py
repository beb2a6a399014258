"""Brings an update about: from what is live to a save that holds, however often somebody saves in between."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

from cordboard.updating.earlier import conclude_as_held, recall, settle_open
from cordboard.updating.model import Limits
from cordboard.updating.proposing import propose, rehearsed
from cordboard.updating.reading import check_version, find_base, read_live
from cordboard.updating.run import UpdateRun
from cordboard.updating.saving import is_overtaken, read_back, save, say_why_refused
from cordboard.updating.turn import turn

Step = Callable[[UpdateRun], Awaitable[None]]
_Ended = Literal["done", "again"]


@dataclass(frozen=True, slots=True)
class Steps:
    """What an update is made of; a flow wraps each in a task.

    Attributes:
        join: reads what is live and makes the proposal.
        rehearse: makes the calls of the suites on it.
        agree: asks whoever has to agree; whether the proposal may be saved.
        save: saves it.
        verify: reads it back.
    """

    join: Step
    rehearse: Step
    agree: Callable[[UpdateRun], Awaitable[bool]]
    save: Step
    verify: Step


async def join(run: UpdateRun) -> None:
    """Reads what is live, settles what an earlier run left open, and makes the proposal.

    Raises:
        BadCall: there is no such flow, or the version that was edited cannot be found.
        InvalidDocument: the edit does not fit the version that it was made from.
        VendorFailed: the live flow cannot be read.
    """
    run.sent = run.noticed = None  # how an earlier round ended is on record, and not how this one ends
    live = await read_live(run)
    await settle_open(run, live)
    if run.status == "saved":
        return
    check_version(run, live)
    if run.base is None:
        run.base = await find_base(run, live)
    run.proposal = propose(run.base, run.ours(), live, today=run.today)
    if run.status != "planned":  # a dry run that found an earlier save; that is its version
        return
    run.version = run.proposal.version
    if run.proposal.verdict == "unchanged" and not run.dry_run:
        await _end_unchanged(run)


async def _end_unchanged(run: UpdateRun) -> None:
    if await conclude_as_held(run):
        run.status = "saved"
    elif run.refused:  # such as a proxy that sent it twice, and gave us the second answer
        late = f"a save of this run, over version {run.refused[-1]}, was refused as too late"
        run.notes += (f"{late}; version {run.version}, which is live, holds the edit, and may be this very save",)


async def rehearse(run: UpdateRun) -> None:
    """Makes the calls of the suites on the merged flow."""
    run.proposal = rehearsed(run.proposed, run.suites)


async def nobody_to_ask(_: UpdateRun) -> bool:
    """For updates that need nobody's consent."""
    return True


PLAIN = Steps(join, rehearse, nobody_to_ask, save, read_back)


async def bring_about(
    run: UpdateRun,
    steps: Steps = PLAIN,
    *,
    dry_run: bool = False,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    chance: Callable[[], float] = random.random,
) -> None:
    """Takes an update to its end, which stands in `run.status`.

    Args:
        run: the update.
        steps: what it is made of.
        dry_run: whether to stop before anybody is asked and anything is sent.
        sleep: waits for seconds.
        chance: a number from 0 up to 1, so that writers who met do not meet again.

    Raises:
        CordboardError: as the steps do; nothing more was sent.
    """
    run.dry_run = dry_run
    await recall(run)
    while run.status == "planned" and await _in_turn(run, steps, sleep) == "again":
        if run.attempts >= run.limits.attempts or time.monotonic() >= run.deadline:
            run.status = "overtaken"
            break
        await sleep(wait_after(run.attempts, run.limits, chance()))
    if run.status == "overtaken":
        say_why_refused(run)
    if run.status == "saved" and run.verified is None:
        await steps.verify(run)


def wait_after(attempts: int, limits: Limits, chance: float) -> float:
    """Seconds to wait after so many refused saves; who has lost more often waits less, so that nobody starves.

    >>> [wait_after(attempts, Limits(longest_wait_seconds=1.0), 0.5) for attempts in (1, 2, 5)]
    [0.5, 0.25, 0.1]
    """
    return limits.longest_wait_seconds * chance / attempts


async def _in_turn(run: UpdateRun, steps: Steps, sleep: Callable[[float], Awaitable[None]]) -> _Ended:
    """One round, in this run's turn among the writers that share the ledger."""
    if run.dry_run:
        return await _round(run, steps)
    async with turn(run, sleep) as held:
        if held is None:
            return await _round(run, steps)
        return await _round(run, replace(steps, agree=lambda run: held.unheld(steps.agree(run))))


async def _round(run: UpdateRun, steps: Steps) -> _Ended:
    await steps.join(run)
    if run.status != "planned":
        return "done"
    if run.suites and run.proposed.verdict is None:
        await steps.rehearse(run)
    run.status = run.proposed.verdict or "planned"
    if run.status != "planned" or run.dry_run:
        return "done"
    if not await steps.agree(run):
        run.status = "declined"
        return "done"
    await steps.save(run)
    return "again" if run.sent is not None and is_overtaken(run.sent) else "done"
