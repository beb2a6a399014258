"""Vendors for benchmarks: one that costs next to nothing, and the sandbox as a process of its own.

The first is raw asyncio, one reply after a fixed delay.

`python -m bench.vendor PORT`; the delay is in the path: `/50/api/v2/dataactions/executions` answers after 50 ms, and
`/50/api/v2/workflows/instances` starts an instance with an id of its own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

TOKEN = b'{"access_token":"bench","token_type":"Bearer","expires_in":3600}'
DONE = b'{"id":"exec_1","status":"completed","output":{"ok":true,"n":1}}'
STARTED = b'{"id":"inst_%d","workflowId":"wf_bench","status":"running"}'
WORKFLOW = "wf_bench"
LOOK_SECONDS = 0.02
SANDBOX_SECONDS = 30.0
_numbers = count(1)


def reply(body: bytes) -> bytes:
    """A whole HTTP reply."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests come one after another, as HTTP/1.1 clients send them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            place = head.find(b"content-length:")
            length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            self.answer(head.split(b" ", 2)[1])

    def answer(self, path: bytes) -> None:
        if path.endswith(b"/oauth/token"):
            self.transport.write(reply(TOKEN))  # type: ignore[attr-defined]
            return
        delay = int(path.split(b"/")[1]) / 1000
        done = reply(STARTED % next(_numbers) if path.endswith(b"/instances") else DONE)
        if delay:
            asyncio.get_running_loop().call_later(delay, self.transport.write, done)  # type: ignore[attr-defined]
        else:
            self.transport.write(done)  # type: ignore[attr-defined]


async def serve(port: int) -> None:
    """Serves until killed."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


@contextmanager
def sandbox(
    folder: Path,
    workflow: Mapping[str, Any],
    rules: Sequence[Mapping[str, Any]] = (),
    seed: int = 1,
    actions: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, str]]:
    """The vendor as a process of its own, with one workflow and, where they are given, data actions.

    Yields:
        The environment of its clients.
    """
    scopes = ["workflow:write", "workflow:read", *(["dataactions:execute", "dataactions:read"] if actions else ())]
    client = {"id": "bench", "secret": "bench-secret", "scopes": scopes}
    shape = {"context": {"customer": {"type": "string"}}, **workflow}
    served = {"data_actions": dict(actions or {}), "workflows": {WORKFLOW: shape}}
    definition = {"kind": "sandbox", "clients": [client], **served}
    (folder / "sandbox.yaml").write_text(json.dumps(definition))
    (folder / "faults.yaml").write_text(json.dumps({"kind": "faults", "rules": list(rules)}))
    named = {"definition": "sandbox.yaml", "faults": "faults.yaml", "truth": "truth.jsonl", "env-file": "vendor.env"}
    options = [part for name, file in named.items() for part in (f"--{name}", str(folder / file))]
    command = [sys.executable, "-m", "cordboard", "sandbox", *options, "--seed", str(seed)]
    with (folder / "sandbox.log").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: (folder / "vendor.env").exists() or child.poll() is not None, SANDBOX_SECONDS)
        lines = (folder / "vendor.env").read_text().splitlines()
        yield dict(line.split("=", 1) for line in lines)
    finally:
        child.terminate()
        child.wait()


def wait_until(predicate: Callable[[], bool], seconds: float) -> None:
    """Looks again and again.

    Raises:
        TimeoutError: it did not come true in time.
    """
    end = time.monotonic() + seconds
    while not predicate():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
