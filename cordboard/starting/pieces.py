"""Starts the instances of one piece of a batch, many at a time."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from sqlalchemy import select

from cordboard.errors import CordboardError, LedgerUnavailable, RunBusy, SameIdOtherBody, VendorFailed
from cordboard.records.capacity import let_go
from cordboard.records.changes import HELD, WITHOUT_EFFECT
from cordboard.records.effects import Effect, EffectState, Entry
from cordboard.records.ledger import Ledger
from cordboard.records.owner import Owner
from cordboard.records.run import RunHandle
from cordboard.records.schema import runs
from cordboard.sending import Sent, Unsettled, send_once
from cordboard.starting.model import FOR_ALL, NOT_YET, PATIENCE_SECONDS, Batch, Progress
from cordboard.starting.orders import OPERATION, effect_of, order_of
from cordboard.starting.places import Places
from cordboard.starting.spool import Piece
from cordboard.telemetry import current, step
from cordboard.telemetry.metrics import STARTS
from cordboard.triggers.model import Start
from cordboard.vendors.session import VendorSession

GRACE_SECONDS = 10.0  # how long a run that is stopped waits for the answers to what it has sent
LONGEST_WAIT = 5.0
IN_VAIN = 20  # starts in a row that all failed for a reason that is not their own: then the rest would too
KIND = "workflow-starts"


@dataclass(eq=False, slots=True)
class StartRun:
    """A batch that is being started in this process.

    Attributes:
        batch: what is started.
        session: the vendor's client.
        ledger: the truth.
        trace_id: 32 hex digits.
        progress: how it goes.
        places: under the workflow's limit; None where there is none.
        patience_seconds: how long the vendor may take nothing before the run gives up.
        sleep: waits that many seconds.
        clock: monotonic seconds.
        chance: a number from 0 up to 1.
        unsettled: what the ledger could not be told yet.
        stopped: why no further start is sent; None while there is no reason.
    """

    batch: Batch
    session: VendorSession
    ledger: Ledger
    trace_id: str
    progress: Progress
    places: Places | None = None
    patience_seconds: float = PATIENCE_SECONDS
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    unsettled: Unsettled = field(default_factory=dict)
    stopped: CordboardError | None = None


async def start_piece(run: StartRun, piece: Piece) -> int | None:
    """Starts what is left of a piece.

    Args:
        run: the batch.
        piece: some of its starts.

    Returns:
        How many of them failed or cannot be known; None where another worker has the piece in hand.

    Raises:
        VendorFailed: the vendor takes nothing, or will take none of them.
        LedgerUnavailable, StaleOwner: nothing more is sent.
    """
    try:
        handle = await run.ledger.claim_run(run.batch.tenant, f"{run.batch.ledger_key}/{piece.name}", kind=KIND)
    except RunBusy:
        return None
    async with handle:
        await _let_go(run, handle)
        starts = list(piece.read())
        effects = [effect_of(run.batch, start) for start in starts]
        known = await handle.entries((effect.logical_id for effect in effects), OPERATION)
        jobs = []
        for start, effect in zip(starts, effects, strict=True):
            entry = known.get(effect.logical_id)
            if entry and entry.state is EffectState.DONE and entry.body_hash == effect.body_hash:
                _note(run.progress, Sent(EffectState.DONE, reused=True))
            else:
                jobs.append(_Job(run, handle, start, effect, entry))
        with step("slice", piece=piece.name):
            await _all(run, jobs)
    return sum(job.state is not EffectState.DONE for job in jobs)


async def _let_go(run: StartRun, handle: RunHandle) -> None:
    """What a worker that died left open may come about for as long as one lease."""
    ledger, workflow_id = run.ledger, run.batch.trigger.workflow_id
    await ledger.write(
        lambda connection, now: let_go(
            connection, handle.tenant, workflow_id, handle.run_key, now + ledger.lease_seconds
        )
    )


async def is_in_other_hands(run: StartRun, piece: Piece) -> bool:
    """Whether a live worker holds the piece; one that died there holds it no more, or not for long."""
    query = select(runs.c.owner, runs.c.lease_until).where(
        runs.c.tenant == run.batch.tenant,
        runs.c.run_key == f"{run.batch.ledger_key}/{piece.name}",
        runs.c.state == HELD,
    )
    row = await run.ledger.read(lambda connection: connection.execute(query).one_or_none())
    if row is None:
        return False
    owner = Owner.parse(row.owner)
    return owner.is_alive() if owner.is_here() else bool(row.lease_until > run.ledger.clock())


@dataclass(eq=False, slots=True)
class _Job:
    """One start on its way.

    Attributes:
        flying: whether its call may be open.
        state: how it ended.
    """

    run: StartRun
    handle: RunHandle
    start: Start
    effect: Effect
    known: Entry | None
    flying: bool = False
    state: EffectState | None = None

    async def bring_about(self) -> None:
        with step("start", effect=self.effect.key, line=self.start.line) as span:
            sent = await self._sent()
            self.state = sent.state
            _note(self.run.progress, sent)
            span.ended(sent.state, sent.error)

    async def _sent(self) -> Sent:
        run, effect = self.run, self.effect
        order = order_of(run.batch, self.start, effect, run.trace_id, self.known, self._leaving)
        tries = 0
        while True:
            places = run.places if self._may_be_sent(order.known) else None
            if places:
                await places.enter(effect.key, self.handle.run_key, int(self.start.body["priority"]))
            try:
                sent = await send_once(self.handle, run.session, order, run.unsettled)
            except SameIdOtherBody:
                sent = _OTHER_BODY
            finally:
                self.flying = False
            if places and _moved_no_place(sent):
                await places.give_back(effect.key, self.handle.run_key)
            if not await self._goes_on(sent, tries):
                return sent
            tries += 1
            order = replace(order, known=None)

    def _may_be_sent(self, known: Entry | None) -> bool:
        """Whether it needs a place: one that nothing can be found out about, or with other content, is never sent."""
        if known is None or known.state in WITHOUT_EFFECT:
            return True
        return known.body_hash == self.effect.body_hash and self.effect.safety != "neither"

    def _leaving(self) -> None:
        if self.run.stopped:
            raise self.run.stopped
        self.flying = True

    async def _goes_on(self, sent: Sent, tries: int) -> bool:
        """Whether to try again, once some time has passed.

        Raises:
            VendorFailed: there is no point in going on with any start.
        """
        run, error = self.run, sent.error or {}
        kind = str(error.get("kind", ""))
        if sent.state is not EffectState.FAILED:
            return False
        if kind in FOR_ALL:
            run.progress.in_vain += 1
            if not run.progress.started or run.progress.in_vain >= IN_VAIN:
                _note(run.progress, sent)
                raise self._stop(VendorFailed(f"no instance of {run.batch.trigger.workflow_id} can be started", error))
        if kind not in NOT_YET:
            return False
        silent = run.clock() - run.progress.last_accepted
        if silent > run.patience_seconds:
            raise self._stop(VendorFailed(f"the vendor has started nothing for {silent:.0f} s", error))
        run.progress.refusal = f"the vendor: {error.get('message', kind)}"
        await run.sleep(min(2.0**tries, LONGEST_WAIT) * (0.5 + run.chance() / 2))
        return True

    def _stop(self, reason: VendorFailed) -> VendorFailed:
        """Keeps those that are about to leave from leaving."""
        self.run.stopped = self.run.stopped or reason
        return reason


_OTHER_BODY = Sent(
    EffectState.FAILED,
    error={
        "kind": "other_content",
        "message": "its key was used before with other content; a start cannot be changed: give it a key of its own",
    },
)


def _moved_no_place(sent: Sent) -> bool:
    """Whether nothing was sent, and nothing that the ledger was told of moved the place."""
    kind = (sent.error or {}).get("kind")
    return sent is _OTHER_BODY or kind == "in_other_hands" or (sent.state is EffectState.DONE and sent.reused)


def _note(progress: Progress, sent: Sent) -> None:
    known_before = sent.state is EffectState.DONE and sent.reused
    current().measure(STARTS, 1, {"cordboard.result": "already_started" if known_before else str(sent.state)})
    match sent.state:
        case EffectState.DONE if sent.reused:
            progress.already += 1
        case EffectState.DONE:
            progress.started += 1
            progress.last_accepted, progress.in_vain, progress.refusal = progress.clock(), 0, ""
        case EffectState.FAILED:
            progress.failed += 1
        case _:
            progress.unknown += 1
    if sent.error:
        progress.kinds[str(sent.error.get("kind", ""))] += 1
    if sent.attempts:
        progress.latencies.add(sent.latency_ms)


async def _all(run: StartRun, jobs: list[_Job]) -> None:
    """Runs the jobs at the same time; where one fails or all are cancelled, those that wait go and those that fly land.

    A call that is cut off is an unknown; a call whose answer is waited for is not.
    """
    tasks = {asyncio.create_task(job.bring_about()): job for job in jobs}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION) if tasks else (set(), set())
        failed = [error for task in done if (error := task.exception())]
    except asyncio.CancelledError:
        await asyncio.shield(_land(tasks))
        raise
    if failed:
        await _land(tasks)
        raise next((error for error in failed if not isinstance(error, LedgerUnavailable)), failed[0])


async def _land(tasks: dict[asyncio.Task[None], _Job]) -> None:
    for task, job in tasks.items():
        if not job.flying:
            task.cancel()
    await asyncio.wait(tasks, timeout=GRACE_SECONDS)
    for task in tasks:
        task.cancel()
    with contextlib.suppress(CordboardError):
        await asyncio.gather(*tasks, return_exceptions=True)
