"""A clock that jumps, and vendors made of bare sockets."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


class _Jump(selectors.SelectSelector):
    """Waits for nothing: where the loop would wait, its time jumps to the next thing that is due."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits and nothing is due: a deadlock")
        if timeout > 0:
            self._jump(timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` is virtual: an hour of `asyncio.sleep` and `asyncio.timeout` passes at once."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Jump(self._advance))

    def time(self) -> float:
        return self._now

    def _advance(self, seconds: float) -> None:
        self._now += seconds


def _run_virtually(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


@pytest.fixture(scope="session")
def virtual() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on virtual time."""
    return _run_virtually


Talk = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RawVendor:
    """What a socket server saw."""

    url: str
    requests: list[bytes] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def _raw_vendor(talk: Talk) -> AsyncIterator[RawVendor]:
    vendor = RawVendor("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read_request(reader):
                vendor.requests.append(request)
                vendor.asked.set()
                talking = asyncio.ensure_future(talk(request, writer))
                gone = asyncio.ensure_future(reader.read(1))  # a client sends nothing before it has its reply
                await asyncio.wait({talking, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not talking.done():
                    talking.cancel()
                    break
                if writer.is_closing():
                    break
                gone.cancel()
                await asyncio.wait({gone})
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            vendor.closed.set()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    vendor.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield vendor
    finally:
        server.close()


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + (await reader.readexactly(int(lengths[0].split(b":")[1])) if lengths else b"")


@pytest.fixture(scope="session")
def raw_vendor() -> Callable[[Talk], Any]:
    """`async with raw_vendor(talk) as vendor`: a TCP server; `talk(request, writer)` answers each request."""
    return _raw_vendor
