"""The HTTP server under the receiver: bounded in time, size and number, on a socket of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from cordboard.errors import BadCall

READ_SECONDS = 5.0  # for the head of a request, and again for its body
HEAD_BYTES = 16 * 1024
CONNECTIONS = 800  # below the 1,024 files that a process may usually open


class Connection(H11Protocol):
    """Hangs up where the head of a request does not arrive in time, which uvicorn waits for without end."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begins to wait for the first head."""
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        """Begins to wait for the next head."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop_waiting()
        self._patience = self.loop.call_later(READ_SECONDS, self._hang_up)

    def _stop_waiting(self) -> None:
        if self._patience:
            self._patience.cancel()

    def _hang_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class Server(uvicorn.Server):
    """Leaves signals to us: uvicorn ends the process with them before the ledger is closed."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(_config(app))

    def capture_signals(self) -> Any:
        """Catches none."""
        return contextlib.nullcontext()

    def stop(self) -> None:
        """Ends once the requests at hand are answered."""
        self.should_exit = True

    def connections(self) -> int:
        """How many are open now."""
        return len(self.server_state.connections)


def listener_at(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        host: an address; a name is looked up for IPv4.
        port: 0 takes a free one.

    Raises:
        BadCall: the address is taken, or none of this machine.
    """
    # Its protocol is named, else asyncio does not switch Nagle's algorithm off, and each answer comes 40 ms late.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:  # the latter for a port beyond 65,535
        listener.close()
        why = getattr(error, "strerror", None) or str(error)
        raise BadCall(f"cannot listen at {host} port {port} ({why}); choose another with --port") from None
    return listener


def url_of(listener: socket.socket) -> str:
    """Where it listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        h11_max_incomplete_event_size=HEAD_BYTES,
        limit_concurrency=CONNECTIONS,
        backlog=1024,
        timeout_graceful_shutdown=int(READ_SECONDS),
    )
