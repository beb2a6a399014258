"""Receives completions: `python -m deployments.receiver`. Verified, durable, answered; then Prefect hears an id.

It binds loopback and speaks plain HTTP: put it behind the proxy that ends TLS for you.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from dotenv import load_dotenv
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from cordboard.completion.model import MAX_BYTES
from cordboard.completion.receiving import Answer, Reception, refusal
from cordboard.completion.verification import Keys
from cordboard.errors import BadCall, CordboardError, LedgerUnavailable
from cordboard.records.ledger import Ledger
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.vendors.login import CXoneLogin
from cordboard.vendors.transport import quiet_http_logs
from deployments.completion_events import Announcer, PrefectEvents, remind
from deployments.receiver_api import openapi

PORT = 4290
READ_SECONDS = 5.0  # for the head of a request, and again for its body
HEAD_BYTES = 16 * 1024
CONNECTIONS = 800  # below the 1,024 files that a process may usually open


class Receiver:
    """The endpoints, over one tenant's reception.

    Args:
        reception: takes completions in.
        tell: is told of each new one, after the sender was answered.
        read_seconds: how long a body may take to arrive.
    """

    def __init__(self, reception: Reception, tell: Callable[[str], None], read_seconds: float = READ_SECONDS) -> None:
        self._reception, self._tell, self._read_seconds = reception, tell, read_seconds

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/completions", self.take, methods=["POST"]),
            Route("/healthz", self.health, methods=["GET"]),
            Route("/openapi.json", self.describe, methods=["GET"]),
        ]
        return Starlette(routes=routes, exception_handlers={HTTPException: _in_json})

    async def take(self, request: Request) -> JSONResponse:
        """POST /completions."""
        try:
            async with asyncio.timeout(self._read_seconds):
                body = await _body_of(request)
        except TimeoutError:
            return _closing(refusal(408, f"the body did not arrive within {self._read_seconds:g} s"))
        except ClientDisconnect:
            return _closing(refusal(400, "the sender hung up"))
        if len(body) > MAX_BYTES:
            return _closing(refusal(413, f"the body is larger than {MAX_BYTES} bytes"))
        answer = await self._reception.take(request.scope["headers"], body)
        if answer.inbox_id:
            self._tell(answer.inbox_id)
        return JSONResponse(answer.body, answer.status)

    async def health(self, _: Request) -> JSONResponse:
        """GET /healthz: whether the ledger answers."""
        try:
            await self._reception.ledger.read(lambda connection: connection.execute(text("SELECT 1")).one())
        except LedgerUnavailable:
            return JSONResponse({"error": "the ledger cannot be read"}, 503)
        return JSONResponse({"status": "ok"})

    async def describe(self, _: Request) -> JSONResponse:
        """GET /openapi.json."""
        return JSONResponse(openapi())


async def _body_of(request: Request) -> bytes:
    """The body, or as much of it as shows that it is too large."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            break
    return b"".join(parts)


def _closing(answer: Answer) -> JSONResponse:
    """For a request whose body was not read to its end: nothing else can follow on its connection."""
    return JSONResponse(answer.body, answer.status, {"connection": "close"})


async def _in_json(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, {**(error.headers or {}), "connection": "close"})


class _Connection(H11Protocol):
    """Hangs up where the head of a request does not arrive in time, which uvicorn waits for without end."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
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


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn ends the process with them before the ledger is closed."""

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


async def serve(settings: Settings, tenant: str, listener: socket.socket) -> None:
    """Serves until SIGINT or SIGTERM.

    Raises:
        BadCall: there is no secret to know senders by.
        LedgerUnavailable: the ledger cannot be opened.
    """
    keys = Keys.from_settings(settings)
    redactor = Redactor([*settings.completion_secrets.split(), *settings.completion_shared_secrets.split()])
    async with (
        await Ledger.open(settings.ledger, redactor=redactor) as ledger,
        PrefectEvents(os.environ.get("PREFECT_API_URL", "")) as prefect,
    ):
        announcer = Announcer(prefect.post)
        receiver = Receiver(Reception(ledger, tenant, keys), announcer.tell)
        server = _Server(_config(receiver.app()))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, _stop, server)
        async with _beside(announcer.run(), remind(ledger, tenant, announcer.tell)):
            await server.serve([listener])


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Connection,
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


def _stop(server: uvicorn.Server) -> None:
    server.should_exit = True


@contextlib.asynccontextmanager
async def _beside(*coroutines: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        yield
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.wait(tasks)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the receiver; 2 where a setting is wrong, 3 where the ledger cannot be opened."""
    parser = argparse.ArgumentParser(prog="python -m deployments.receiver", description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: this machine only)")
    parser.add_argument("--port", type=int, default=PORT, help=f"port to bind; 0 takes a free one (default: {PORT})")
    args = parser.parse_args(argv)
    load_dotenv(Path(".env"))
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    quiet_http_logs()
    try:
        settings = Settings.from_env(os.environ)
        tenant = settings.tenant or CXoneLogin.from_env(os.environ).tenant("workflows")
        Keys.from_settings(settings)
        with _listener(args.host, args.port) as listener:
            print(f"Completions are received at {_url_of(listener)}/completions", flush=True)
            asyncio.run(serve(settings, tenant, listener))
    except CordboardError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _listener(host: str, port: int) -> socket.socket:
    # Its protocol is named, else asyncio does not switch Nagle's algorithm off, and each answer comes 40 ms late.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise BadCall(f"cannot listen at {host} port {port} ({error.strerror}); choose another with --port") from None
    return listener


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


if __name__ == "__main__":
    sys.exit(main())
