"""What a run does to the process it runs in, and undoes again."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from threading import Lock
from typing import Any

log = logging.getLogger("cordboard.process")


async def all_of(coroutines: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Runs all of them at the same time. The first failure cancels the others and is raised as it is, in no group."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in coroutines:
                group.create_task(each)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None


@asynccontextmanager
async def cancelled_by_sigterm() -> AsyncIterator[None]:
    """Lets SIGTERM cancel this flow, as Ctrl-C does: calls that are open are put on record before the process ends.

    Prefect's handler raises out of the event loop, which then cancels all its tasks at once, the ledger's writer too.
    """
    loop, flow_task, before = asyncio.get_running_loop(), asyncio.current_task(), signal.getsignal(signal.SIGTERM)
    assert flow_task is not None
    try:
        loop.add_signal_handler(signal.SIGTERM, flow_task.cancel)
    except (RuntimeError, ValueError):  # not in the main thread, or not on Unix
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
        signal.signal(signal.SIGTERM, before)


@asynccontextmanager
async def beside_the_point(what: str) -> AsyncIterator[None]:
    """For what a run does for people only: where it fails, the log says so, and the verdict stays what it is."""
    try:
        yield
    except Exception:
        log.exception("%s could not be made; the run goes on", what)


@contextmanager
def settled_heap() -> Iterator[None]:
    """Keeps what was there before out of the garbage collector while calls are made, and lets it look seldom.

    Prefect's modules are some 200,000 objects; walking them again and again took a fifth of a large fan-out's time.
    What calls make is let go as they end: walking that at Python's own pace took another tenth, and found next to
    nothing.
    """
    _heap.enter()
    try:
        yield
    finally:
        _heap.leave()


class _Heap:
    """The garbage collector of this process, which runs that overlap share: the last one leaves it as it was."""

    def __init__(self) -> None:
        self._lock, self._inside, self._pace = Lock(), 0, gc.get_threshold()

    def enter(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._pace = gc.get_threshold()
                gc.freeze()
                gc.set_threshold(20_000, 20, 20)
            self._inside += 1

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                gc.set_threshold(*self._pace)
                gc.unfreeze()


_heap = _Heap()
