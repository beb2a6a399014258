"""The real sending code in a small world of our own: clock, ledger's disk, vendor and mishaps are handed in.

    real: send_once, its journal and asking; the orders of starts; VendorSession and HttpClient; RunHandle and the rules
    of every Change
    made here: time, a store in dictionaries in place of SQL, a vendor that keeps the truth, the processes' deaths

Whatever could go either way asks `Choices`. What happened is written to one log, in order, for a checker that knows
nothing of the code: audit records, requests, the vendor's commits, how each process ended.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from cordboard.errors import LedgerUnavailable, Theirs
from cordboard.records.changes import Claim, Fenced
from cordboard.records.effects import EffectState, Entry
from cordboard.records.owner import Owner
from cordboard.sending import Order, Sent, Unsettled, send_once
from cordboard.starting.model import NOT_YET, Batch
from cordboard.starting.orders import effect_of, order_of
from cordboard.triggers.model import Start, Trigger
from cordboard.vendors.cxone_workflows import start_instance
from cordboard.vendors.session import SessionLimits, VendorSession
from cordboard.vendors.wire import Safety
from tests.cordboard.sending.choices import Choices
from tests.cordboard.sending.ledger_model import Desk, Handle, Killed, Store
from tests.cordboard.sending.vendor_model import INDEX_LAG, LAG, TIMEOUT, VendorModel
from tests.cordboard.sending.virtual_time import VirtualLoop

SETTLE = LAG + INDEX_LAG + 0.01
MONDAY = "starts/monday/0"
LIVES = 12  # processes after which a start that is still open counts as lost
DEAD = Owner(socket.gethostname(), 2**30, "0")  # a process of this host that is gone: its run can be claimed at once
LIMITS = SessionLimits(retry_attempts=2, backoff_seconds=0.1)
START = Start(2, "patient-7", {"workflowId": "w", "priority": 5, "context": {}, "metadata": {}})


@dataclass(frozen=True)
class Rules:
    """What a history may hold.

    Attributes:
        safety: the vendor's class.
        mishaps: deaths, cancellations and failures of the ledger, together, at the most.
        kinds: which of those.
        faults: requests whose outcome is chosen; the vendor takes all later ones.
        asked: look-ups whose outcome is chosen.
        pauses: seconds from a process's end to the next one's begin.
        settle: what the trigger file says.
        latency: how long commits and ways take, so that several processes get in each other's way.
        any_run: whether a next process may be of the same run and of another batch; else they take turns.
    """

    safety: str
    mishaps: int = 2
    kinds: tuple[str, ...] = ("killed",)
    faults: int = 3
    asked: int = 1
    pauses: tuple[float, ...] = (1.0,)
    settle: float = SETTLE
    latency: tuple[float, ...] = ()
    any_run: bool = True


@dataclass
class World:
    """What all processes of a history share."""

    loop: VirtualLoop
    rules: Rules
    choices: Choices
    log: list[tuple[Any, ...]] = field(default_factory=list)
    left: int = 0

    def __post_init__(self) -> None:
        self.store, self.left = Store(self.log), self.rules.mishaps
        self.vendor = VendorModel(self.loop, self.rules, self.choices, self.log)

    def mishap(self, where: str, kinds: Iterable[str]) -> str:
        """What goes wrong here; empty where nothing does."""
        possible = [kind for kind in kinds if kind.partition(" ")[0] in self.rules.kinds]
        if not self.left or not possible:
            return ""
        found = self.choices.pick(where, ["", *possible], rarely=0.12)
        self.left -= bool(found)
        return found

    async def pass_by(self, where: str) -> None:
        """A point at which a process may die, or be cancelled."""
        match self.mishap(where, ("killed", "cancelled")):
            case "killed":
                raise Killed(where)
            case "cancelled":
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
                await asyncio.sleep(0)

    async def take_time(self, what: str) -> None:
        """Lets others go first, perhaps."""
        if self.rules.latency:
            await asyncio.sleep(self.choices.pick(what, self.rules.latency))


class Process:
    """One process that takes the start up and brings it about, with what the ledger knows."""

    def __init__(self, world: World, run_key: str) -> None:
        self._world, self._run_key, self._desk = world, run_key, Desk(world)
        self._unsettled: Unsettled = {}
        self._name = run_key

    async def live(self) -> Sent | None:
        """Goes through its life; None where that was cut short."""
        handle, sent, end = None, None, "killed"
        try:
            handle = await self._claim()
            sent = await self._bring_about(handle)
            end = sent.state.value
        except asyncio.CancelledError:
            end = "cancelled"
        except Theirs as error:
            end = type(error).__name__
        except Killed:
            pass
        finally:
            if handle:
                handle._renewal.cancel()
        instance = sent.output["instance_id"] if sent and sent.state is EffectState.DONE else None
        self._world.log.append(("end", self._name, end, instance))
        return sent

    async def _claim(self) -> Handle:
        run_id = ("acme", self._run_key)
        epoch = await self._desk.submit(Claim(run_id, "workflow-starts", DEAD))
        self._name = f"{self._run_key}#{epoch}"
        return Handle(self._world, self._desk, Fenced(run_id, epoch))

    async def _bring_about(self, handle: Handle) -> Sent:
        loop, batch = self._world.loop, batch_of(self._world.rules)
        effect = effect_of(batch, START)
        async with VendorSession(
            "https://vendor.test", None, LIMITS, transport=self._world.vendor.line(self._name, self._world),
            clock=loop.time, wall=loop.wall, random=lambda: 0.5,
        ) as session:  # fmt: skip
            order = self._order(batch, (await handle.entries([effect.logical_id])).get(effect.logical_id))
            for _ in range(5 * LIVES):
                try:
                    sent = await send_once(handle, session, order, self._unsettled)
                except LedgerUnavailable:
                    await asyncio.sleep(1)
                    known = (await handle.entries([effect.logical_id])).get(effect.logical_id)
                    order = self._order(batch, known)
                    continue
                if sent.state is not EffectState.FAILED or (sent.error or {}).get("kind") not in NOT_YET:
                    return sent
                order = replace(order, known=None)
                await asyncio.sleep(1)
            return sent

    def _order(self, batch: Batch, known: Entry | None) -> Order:
        effect = effect_of(batch, START)
        order = order_of(batch, START, effect, "a" * 32, known, lambda: None)
        if self._world.rules.safety == "natural":
            request = start_instance(order.request.body, safety=Safety.NATURAL)
            return replace(order, request=request, look_up=None)
        if order.look_up is None:
            return order
        return replace(order, look_up=replace(order.look_up, clock=self._world.loop.wall, sleep=self._settle))

    async def _settle(self, seconds: float) -> None:
        await self._world.pass_by("waits until it has settled")
        await asyncio.sleep(seconds)


def batch_of(rules: Rules) -> Batch:
    """A batch whose starts have keys of their own, so that other batches mean the same starts."""
    trigger = Trigger(
        "w", key="{{ row.id }}", safety=rules.safety, settle_seconds=rules.settle, timeout_seconds=TIMEOUT
    )
    return Batch(trigger, None, "acme", "monday")  # type: ignore[arg-type]  # no order needs the spool


@dataclass(frozen=True)
class History:
    """What happened.

    Attributes:
        safety: the vendor's class.
        log: audit records, requests, commits and ends, in order.
        final: the ledger's state of the start in the end; empty where it knows of none.
        choices: by which it can be played again.
    """

    safety: str
    log: list[tuple[Any, ...]]
    final: str
    choices: Choices

    def __str__(self) -> str:
        return f"{self.safety}, {self.choices}"


Script = Callable[[World], Any]


def play(loop: VirtualLoop, rules: Rules, choices: Choices, script: Script | None = None) -> History:
    """One history from its begin to where nothing more can happen."""
    world = World(loop, rules, choices)

    async def whole() -> None:
        await (script or one_after_another)(world)
        await asyncio.sleep(2 * (TIMEOUT + LAG))  # whatever is late has come

    state = random.getstate()
    random.seed(0)  # the waits for a ledger that fails are drawn here, and nobody can hand them in
    try:
        loop.play(whole())
    finally:
        random.setstate(state)
    row = next(iter(world.store.effects.values()), None)
    return History(rules.safety, world.log, row["state"] if row else "", choices)


async def one_after_another(world: World) -> None:
    """Processes until the start is settled: each the next of the same run, or of another batch."""
    run_key = MONDAY
    for life in range(LIVES):
        sent = await world.loop.create_task(Process(world, run_key).live())
        if sent is not None and _is_settled(sent, world.rules.safety):
            return
        await asyncio.sleep(world.choices.pick("pause", world.rules.pauses))
        others = (MONDAY, f"starts/tuesday/{life}")[life % 2 :]
        run_key = world.choices.pick("goes on as", others if world.rules.any_run else others[:1])


async def side_by_side(world: World) -> None:
    """Two processes at the same time, of two batches or of the same run; whoever is left open goes on alone."""
    first = world.loop.create_task(Process(world, MONDAY).live())
    await asyncio.sleep(world.choices.pick("the second begins after", (0.0, 0.01, 0.3, 1.5, 12.0, 20.0)))
    second = world.loop.create_task(Process(world, world.choices.pick("it is", ("starts/tuesday/0", MONDAY))).live())
    both = await asyncio.gather(first, second)
    ends = [sent is not None and _is_settled(sent, world.rules.safety) for sent in both]
    if not all(ends) and not any(sent is not None and sent.state is EffectState.DONE for sent in both):
        await asyncio.sleep(world.choices.pick("pause", world.rules.pauses))
        await one_after_another(world)


def _is_settled(sent: Sent, safety: str) -> bool:
    if sent.state is EffectState.UNKNOWN:
        return safety == "neither"
    return sent.state is EffectState.DONE or (sent.error or {}).get("kind") == "rejected"
