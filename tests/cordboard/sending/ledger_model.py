"""The ledger as the sending code has it: the real rules of every change, on dictionaries, and a disk that can fail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cordboard.errors import CordboardError, LedgerUnavailable
from cordboard.records.changes import Step
from cordboard.records.effects import Entry
from cordboard.records.link import GENESIS
from cordboard.records.page import Page, Row
from cordboard.records.run import RunHandle, _entry
from cordboard.redaction import Redactor


class Killed(BaseException):
    """The process is gone, in the middle of whatever it did."""


@dataclass
class Store:
    """The ledger's disk: rows by key, and the audit chain."""

    log: list[tuple[Any, ...]]
    runs: dict[Any, Row] = field(default_factory=dict)
    effects: dict[str, Row] = field(default_factory=dict)
    instances: dict[Any, Row] = field(default_factory=dict)
    seq: int = 0
    head: str = GENESIS

    def write(self, change: Any, now: float) -> Any:
        """Applies one change, as a transaction of its own."""
        page = Page(now, self.seq, self.head, runs=self.runs, effects=self.effects, instances=self.instances)
        try:
            return change.apply(page)
        except CordboardError as refusal:
            return refusal
        finally:
            self.seq, self.head = page.seq, page.head
            self.log.extend(("audit", row) for row in page.records)


_AT_A_COMMIT = ("killed before", "killed after", "ledger fails before", "ledger fails after", "ledger stays away")


class Desk:
    """The ledger as one process has it: what it queues is committed in order."""

    lease_seconds, redactor = 30.0, Redactor()

    def __init__(self, world: Any) -> None:
        self._world, self._line, self._down = world, asyncio.Lock(), 0
        self._writing: set[asyncio.Task[None]] = set()

    def submit(self, change: Any) -> asyncio.Future[Any]:
        """Commits a change: at once, or in its turn where commits take their time."""
        future = self._world.loop.create_future()
        if self._world.rules.latency:
            task = self._world.loop.create_task(self._in_turn(change, future))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        else:
            _answer(future, self._commit(change))
        return future

    async def _in_turn(self, change: Any, future: asyncio.Future[Any]) -> None:
        async with self._line:
            await self._world.take_time("before a commit")
            outcome = self._commit(change)
        await self._world.take_time("after a commit")
        if not future.done():
            _answer(future, outcome)

    def _commit(self, change: Any) -> Any:
        mishap = self._mishap(change) if isinstance(change, Step) else ""
        outcome = None
        if not mishap.endswith(("before", "away")):
            outcome = self._world.store.write(change, self._world.loop.wall())
        if mishap:
            return Killed(change.kind) if mishap.startswith("killed") else LedgerUnavailable("the disk is full")
        return outcome

    def _mishap(self, change: Step) -> str:
        if self._down:
            self._down -= 1
            return "ledger is still away"
        mishap = self._world.mishap(change.kind, _AT_A_COMMIT)
        if mishap == "ledger stays away":
            self._down = 5
        return mishap


def _answer(future: asyncio.Future[Any], outcome: Any) -> None:
    if isinstance(outcome, BaseException):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


class Handle(RunHandle):
    """The real handle, but for the one query that needs SQL."""

    def __init__(self, world: Any, desk: Any, fence: Any) -> None:
        super().__init__(desk, fence, lambda _: None)
        self._store = world.store

    async def entries(self, logical_ids: Iterable[str], operation: str = "") -> dict[str, Entry]:
        wanted = set(logical_ids)
        called = [row for row in self._store.effects.values() if row["logical_id"] in wanted]
        rows = [row for row in called if operation in {"", row["operation"]}]
        return {row["logical_id"]: _entry(row) for row in rows}  # type: ignore[arg-type]
