"""`python -m bench.observe`: what it costs a call to be told of: not at all, as JSON log lines, as spans and metrics.

Read the ratios of processor time, all threads of the process counted; each measurement runs in a process of its own,
the best of five in turn, against the vendor of `bench.vendor` and a collector that takes everything.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from bench.cases import PORT, call, session
from bench.vendor import wait_until
from cordboard.settings import LogFormat
from cordboard.telemetry import telling
from cordboard.telemetry.logs import set_up_logs
from cordboard.telemetry.opening import telemetry_from_env

CALLS, AT_ONCE, ROUNDS = 4_000, 500, 5


async def told(calls: int) -> float:
    """Milliseconds of processor time that a call takes, with what the environment asks for."""
    telemetry = telemetry_from_env(os.environ)
    with telling(telemetry), telemetry.span("run bench"):
        async with session(0) as client:
            await call(client, -1)
            gc.collect()
            gc.freeze()
            began = time.process_time()
            for start in range(0, calls, AT_ONCE):
                await asyncio.gather(*(call(client, n) for n in range(start, start + AT_ONCE)))
            spent = time.process_time() - began
    await telemetry.close()
    return spent / calls * 1000


class _Taking(BaseHTTPRequestHandler):
    """Takes everything and keeps nothing."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def collector() -> Iterator[str]:
    """A collector; yields its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Taking)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def measured(mode: str, **variables: str) -> float:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "bench.observe", mode]
    return float(subprocess.check_output(command, env={**os.environ, **variables}))


def main() -> None:
    """Prints milliseconds and ratios."""
    vendor = subprocess.Popen([sys.executable, "-m", "bench.vendor", PORT])
    try:
        wait_until(lambda: _answers(int(PORT)), 30)
        with collector() as url:
            rounds = [
                (measured("text"), measured("json"), measured("text", OTEL_EXPORTER_OTLP_ENDPOINT=url))
                for _ in range(ROUNDS)
            ]
    finally:
        vendor.terminate()
        vendor.wait()
    off, lines, told_of = map(min, zip(*rounds, strict=True))
    print(f"processor time of a call: untold {off:.2f} ms")
    for name, spent in (("JSON log lines", lines), ("spans and metrics", told_of)):
        print(f"  {name:<18} {spent:.2f} ms, {spent / off:.2f} times as much")


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    if len(sys.argv) > 1:
        with Path(os.devnull).open("w") as nowhere:
            set_up_logs(LogFormat(sys.argv[1]), stream=nowhere)
            print(asyncio.run(told(CALLS)))
    else:
        main()
