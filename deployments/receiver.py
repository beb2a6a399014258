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
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from dotenv import load_dotenv
from sqlalchemy import text
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cordboard.completion.erp import erp_ref
from cordboard.completion.model import MAX_BYTES
from cordboard.completion.receiving import Answer, Reception, refusal, too_large
from cordboard.completion.verification import Keys
from cordboard.errors import CordboardError, LedgerUnavailable
from cordboard.records.ledger import Ledger
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.telemetry import masking
from cordboard.telemetry.logs import set_up_service_logs
from cordboard.vendors.login import CXoneLogin
from cordboard.vendors.trace_context import trace_id_of
from cordboard.vendors.transport import quiet_http_logs
from deployments.completion_events import Announcer, PrefectEvents, remind
from deployments.receiver_api import openapi
from deployments.receiver_metrics import CONTENT_TYPE, Metrics
from deployments.receiver_server import READ_SECONDS, Server, listener_at, url_of

PORT = 4290
log = logging.getLogger("cordboard.receiver")


class Receiver:
    """The endpoints, over one tenant's reception.

    Args:
        reception: takes completions in.
        tell: is told of each new one, once it is stored.
        metrics: counts what is answered.
        read_seconds: how long a body may take to arrive, and the ledger to show that it is well.
    """

    def __init__(
        self,
        reception: Reception,
        tell: Callable[[str], None],
        metrics: Metrics | None = None,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self._reception, self._tell, self._read_seconds = reception, tell, read_seconds
        self._metrics = metrics or Metrics(reception.ledger, reception.tenant)

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            Route("/completions", self.take, methods=["POST"]),
            Route("/healthz", self.health, methods=["GET"]),
            Route("/metrics", self.measure, methods=["GET"]),
            Route("/openapi.json", self.describe, methods=["GET"]),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: self._elsewhere})
        # Else `/completions/` is led on to this server's own plain HTTP, past the TLS, at whatever host was asked for.
        app.router.redirect_slashes = False
        return app

    async def take(self, request: Request) -> JSONResponse:
        """POST /completions."""
        began = time.perf_counter()
        body = await self._read(request)
        if isinstance(body, Answer):  # it was not read to its end: nothing else can follow on its connection
            answer, headers = body, {"connection": "close"}
        else:
            answer, headers = await self._reception.take(request.scope["headers"], body), {}
        if answer.inbox_id:
            self._tell(answer.inbox_id)
        self._metrics.answered(answer, time.perf_counter() - began)
        _log_answer(answer, request.headers.get("traceparent", ""))
        return JSONResponse(answer.body, answer.status, headers)

    async def health(self, _: Request) -> JSONResponse:
        """GET /healthz: whether the ledger answers."""
        try:
            async with asyncio.timeout(self._read_seconds):
                await self._reception.ledger.read(lambda connection: connection.execute(text("SELECT 1")).one())
        except (LedgerUnavailable, TimeoutError):
            return JSONResponse({"error": "the ledger cannot be read"}, 503)
        return JSONResponse({"status": "ok"})

    async def measure(self, _: Request) -> Response:
        """GET /metrics, for Prometheus."""
        return Response(await self._metrics.scrape(), headers={"content-type": CONTENT_TYPE})

    async def describe(self, _: Request) -> JSONResponse:
        """GET /openapi.json."""
        return JSONResponse(openapi())

    async def _read(self, request: Request) -> bytes | Answer:
        """The body, or why it is not read to its end."""
        try:
            async with asyncio.timeout(self._read_seconds):
                body = await _body_of(request)
        except TimeoutError:
            return refusal(408, "too_slow", f"the body did not arrive within {self._read_seconds:g} s")
        except ClientDisconnect:
            return refusal(400, "hung_up", "the sender hung up")
        return body if len(body) <= MAX_BYTES else too_large()

    async def _elsewhere(self, _: Request, error: Exception) -> JSONResponse:
        """Answers in JSON what no route takes."""
        assert isinstance(error, HTTPException)
        self._metrics.lost_its_way()
        return JSONResponse(
            {"error": error.detail}, error.status_code, {**(error.headers or {}), "connection": "close"}
        )


def _log_answer(answer: Answer, traceparent: str) -> None:
    """A log line for each request; the trace is the sender's, who says so without proof."""
    told = {"status": answer.status, "outcome": answer.outcome, "inbox_id": answer.inbox_id or ""}
    trace_id = trace_id_of(traceparent)
    known = told | ({"trace_id": trace_id} if trace_id else {})
    log.info("a completion was answered %d %s", answer.status, answer.outcome, extra={"cordboard": known})


async def _body_of(request: Request) -> bytes:
    """The body, or as much of it as shows that it is too large."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES:
            break
    return b"".join(parts)


async def serve(settings: Settings, tenant: str, listener: socket.socket) -> None:
    """Serves until SIGINT or SIGTERM, and prints where as soon as it does.

    Raises:
        BadCall: there is no secret to know senders by.
        LedgerUnavailable: the ledger cannot be opened.
    """
    keys = Keys.from_settings(settings)
    redactor = masking(Redactor([*settings.completion_secrets.split(), *settings.completion_shared_secrets.split()]))
    async with (
        await Ledger.open(settings.ledger, redactor=redactor) as ledger,
        PrefectEvents(os.environ.get("PREFECT_API_URL", "")) as prefect,
    ):
        metrics = Metrics(ledger, tenant)
        announcer = Announcer(prefect.post, note=metrics.told)
        server = Server(Receiver(Reception(ledger, tenant, keys), announcer.tell, metrics).app())
        metrics.watch(server.connections)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, server.stop)
        erp = erp_ref(tenant) if settings.erp_url else None
        async with _beside(announcer.run(), remind(ledger, tenant, announcer.tell, erp=erp)):
            # Not before: the ledger is open, and Prefect, which takes seconds, is imported.
            print(f"Completions are received at {url_of(listener)}/completions", flush=True)
            await server.serve([listener])


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
    quiet_http_logs()
    try:
        settings = Settings.from_env(os.environ)
        set_up_service_logs(settings.log_format)
        tenant = settings.tenant or CXoneLogin.from_env(os.environ).tenant("workflows")
        Keys.from_settings(settings)
        with listener_at(args.host, args.port) as listener:
            asyncio.run(serve(settings, tenant, listener))
    except CordboardError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
