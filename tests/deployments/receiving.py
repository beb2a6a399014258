"""The receiver as a process of its own, and a vendor that reports to it."""

from __future__ import annotations

import base64
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

CHECKOUT = Path(__file__).parents[2]
SECRET = "whsec_dGhlIHJlY2VpdmVyIGhvbGRzIHRoZSBzYW1lIQ=="
SHARED = "the-secret-that-both-sides-hold"
# Kills itself at one point: a message is stored, and its sender has not heard so.
DIES = """
import os, signal
from cordboard.completion import receiving
real, taken = receiving.receive, []
async def receive(*args):
    kept = await real(*args)
    taken.append(kept)
    if len(taken) == {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    return kept
receiving.receive = receive
from deployments.receiver import main
main(["--port", "0"])
"""


@contextmanager
def receiver(ledger: str, dies_after: int = 0, **variables: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and its URL; it is killed at the end. With `dies_after` it kills itself at that many messages."""
    how = ["-c", DIES.format(after=dies_after)] if dies_after else ["-m", "deployments.receiver", "--port", "0"]
    environment = {
        **os.environ,
        "CORDBOARD_LEDGER_URL": ledger,
        "CORDBOARD_TENANT": "acme",
        "CORDBOARD_COMPLETION_SECRETS": SECRET,
        "CORDBOARD_COMPLETION_SHARED_SECRETS": SHARED,
        **variables,
    }
    command = [sys.executable, *how]
    with subprocess.Popen(command, env=environment, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            line = process.stdout.readline()
            assert line, f"the receiver ended with {process.wait()}"
            yield process, line.split()[-1].strip().removesuffix("/completions")
        finally:
            process.kill()


def completion(number: int, status: str = "completed", **more: Any) -> bytes:
    """The body of a callback."""
    context = {"customerId": f"CUST-{number}", "routingDecision": "sales"}
    body = {"instanceId": f"inst-{number}", "workflowId": "wf_1", "status": status, "context": context}
    return json.dumps(body | more).encode()


def signed(body: bytes, message_id: str, at: float | None = None, secret: str = SECRET) -> dict[str, str]:
    """The headers of a signed callback, made without the code that verifies them."""
    timestamp = str(int(time.time() if at is None else at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, "sha256")).decode()
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }


def plain() -> dict[str, str]:
    """The headers of a callback from a vendor that cannot sign."""
    return {"content-type": "application/json", "x-cordboard-secret": SHARED}


def post(client: httpx.Client, url: str, body: bytes, headers: dict[str, str]) -> int | None:
    """The status, or None where nobody answers any more."""
    try:
        return client.post(f"{url}/completions", content=body, headers=headers).status_code
    except httpx.HTTPError:
        return None


def place(url: str) -> tuple[str, int]:
    """Host and port."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0
