"""What `cordboard doctor` does: examine, print, and end with 1 where something is wrong."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from cordboard.doctor.examination import examine
from cordboard.doctor.model import Check, Standing, Surroundings
from cordboard.errors import BadCall
from cordboard.settings import Settings
from cordboard.vendors.transport import quiet_http_logs

_MOUNTS = Path("/proc/self/mountinfo")


def run(options: argparse.Namespace) -> int:
    """Examines this machine and prints what was found.

    Returns:
        0 where nothing is an error, 1 where something is.

    Raises:
        BadCall: the time is not positive, or a setting cannot be read.
    """
    if not 0 < options.timeout < float("inf"):
        raise BadCall(f"--timeout is {options.timeout:g}: it must be more than 0 seconds")
    quiet_http_logs()
    checks = asyncio.run(examine(_here(options.send_test, options.timeout)))
    print(as_json(checks) if options.json else as_text(checks))
    return 1 if any(check.standing is Standing.ERROR for check in checks) else 0


def _here(send_test: bool, seconds: float) -> Surroundings:
    return Surroundings(
        environ=os.environ,
        settings=Settings.from_env(os.environ),
        now=time.time,
        mounts=_MOUNTS.read_text(encoding="utf-8", errors="replace") if _MOUNTS.exists() else "",
        addresses=_addresses(),
        send_test=send_test,
        timeout_seconds=seconds,
    )


def _addresses() -> tuple[str, ...]:
    """Addresses that a server on 127.0.0.1 alone does not answer at; nothing is sent to find them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # for documentation: no host has it
            outside = probe.getsockname()[0]
        except OSError:
            outside = ""
    return tuple(address for address in ("127.0.0.2", outside) if address and address != "127.0.0.1")


def as_text(checks: Sequence[Check]) -> str:
    """A line for each check, with how to mend it below, and their numbers."""
    width = max(len(check.name) for check in checks)
    lines = [f"{check.standing:8} {check.name:{width}}  {_line(check.message)}" for check in checks]
    mends = [f"\n{' ' * (width + 11)}{_line(check.mend)}" if check.mend else "" for check in checks]
    counts = Counter(check.standing for check in checks)
    said = ", ".join(f"{counts[standing]} {standing}" for standing in Standing if counts[standing])
    return "\n".join([*map("".join, zip(lines, mends, strict=True)), said])


def _line(text: str) -> str:
    return " ".join(text.split())


def as_json(checks: Sequence[Check]) -> str:
    """One JSON document."""
    good = all(check.standing is not Standing.ERROR for check in checks)
    return json.dumps({"ok": good, "checks": [asdict(check) for check in checks]}, indent=2)
