"""The sandbox on a real socket: inside an event loop, or in a thread of its own for tests and subprocesses."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from cordboard.sandbox.app import TOKEN_PATHS, Sandbox
from cordboard.sandbox.channel import CUT, Receive, Send
from cordboard.sandbox.debug import DebugEngine
from cordboard.sandbox.definition import Definition
from cordboard.sandbox.erp import Erp
from cordboard.sandbox.faults import Faults
from cordboard.sandbox.stored_flows import StoredFlows
from cordboard.sandbox.truth import Truth

KEEP_ALIVE_SECONDS = 75


@contextlib.asynccontextmanager
async def serving(sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serves the sandbox while the block runs, and cuts every connection at its end.

    Args:
        sandbox: what to serve; it is closed at the end.
        host: address to bind; loopback unless somebody else shall reach it.
        port: port to bind; 0 takes a free one.

    Yields:
        The base URL, such as `http://127.0.0.1:40123`.

    Raises:
        OSError: the address cannot be bound.
    """
    state = ServerState()
    config = Config(
        sandbox,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(partial(_Connection, config, state, {}), host, port, backlog=1024)
    try:
        yield f"http://{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await _stop(state)
        await sandbox.aclose()


class _Connection(H11Protocol):
    """A connection that hands the app a function to drop it with, which ASGI itself does not offer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.app = partial(_with_cut, self.app, transport)


async def _with_cut(app: Any, transport: asyncio.Transport, scope: Any, receive: Receive, send: Send) -> None:
    def cut(flush: bool) -> None:
        transport.close() if flush else transport.abort()

    with contextlib.suppress(asyncio.CancelledError):  # only the end of serving cancels a request
        await app({**scope, "extensions": {CUT: cut}}, receive, send)


async def _stop(state: ServerState) -> None:
    for connection in list(state.connections):
        connection.transport.abort()
    open_requests = list(state.tasks)
    for task in open_requests:
        task.cancel()
    await asyncio.gather(*open_requests, return_exceptions=True)


def environment(definition: Definition, base_url: str) -> dict[str, str]:
    """The variables with which a client reaches the sandbox as the definition's first client."""
    client = definition.clients[0]
    cxone = {
        "CXONE_BASE_URL": base_url,
        "CXONE_TOKEN_URL": base_url + TOKEN_PATHS[0],
        "CXONE_CLIENT_ID": client.id,
        "CXONE_CLIENT_SECRET": client.secret.get_secret_value(),
    }
    return cxone | {name.replace("CXONE", "GENESYS"): value for name, value in cxone.items()}


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that is being served.

    Attributes:
        sandbox: the app, for changing faults or revoking tokens while it runs.
        base_url: where it is.
    """

    sandbox: Sandbox
    base_url: str

    @property
    def truth(self) -> Truth:
        """What really happened."""
        return self.sandbox.truth

    @property
    def flows(self) -> StoredFlows:
        """The call flows as they are stored; setting one is a save in the vendor's console."""
        return self.sandbox.flows

    @property
    def erp(self) -> Erp:
        """The ERP with its records."""
        return self.sandbox.erp

    def env(self) -> dict[str, str]:
        """Environment variables for a subprocess that shall talk to it."""
        return environment(self.sandbox.definition, self.base_url)


@contextlib.contextmanager
def running_sandbox(  # noqa: PLR0913  clock and engine are handed in
    definition: Definition | None = None,
    faults: Faults | None = None,
    seed: int = 0,
    truth_file: Path | None = None,
    *,
    clock: Callable[[], float] = time.time,
    engine: DebugEngine | None = None,
    callback_url: str | None = None,
) -> Iterator[RunningSandbox]:
    """Serves a sandbox on a free loopback port, in a thread with an event loop of its own, while the block runs."""
    sandbox = Sandbox(
        definition, faults, seed, truth_file=truth_file, clock=clock, engine=engine, callback_url=callback_url
    )
    started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=lambda: asyncio.run(_serve_until_told(sandbox, started)), daemon=True)
    thread.start()
    base_url, loop, stop = started.result()
    try:
        yield RunningSandbox(sandbox, base_url)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _serve_until_told(
    sandbox: Sandbox, started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]]
) -> None:
    stop = asyncio.Event()
    try:
        async with serving(sandbox) as base_url:
            started.set_result((base_url, asyncio.get_running_loop(), stop))
            await stop.wait()
    except Exception as error:
        if started.done():
            raise
        started.set_exception(error)
