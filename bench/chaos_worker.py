"""`python -m bench.chaos_worker FOLDER`: one of several processes that start the same batch; it may be killed.

The folder holds `trigger.yaml` and `rows.csv`; the vendor, the ledger and the limits come from the environment, as they
do for a flow. Prints how it went as JSON. Exits with 3 where it gave up; what is left can be started again.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import sys
import time
import uuid
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.vendor import WORKFLOW
from cordboard.errors import CordboardError
from cordboard.records.ledger import Ledger
from cordboard.redaction import Redactor
from cordboard.settings import Settings
from cordboard.starting.model import Batch, Progress
from cordboard.starting.pieces import StartRun
from cordboard.starting.places import Places
from cordboard.starting.spool import spool_batch
from cordboard.starting.working import start_all
from cordboard.triggers.reading import load_trigger
from cordboard.vendors.login import CXoneLogin
from cordboard.vendors.transport import quiet_http_logs

TENANT = "acme"


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker starts.

    Attributes:
        folder: holds the trigger and the rows.
        run_key: of the batch.
        rows: name of the file of rows.
        lease_seconds: how long its runs stay taken when it falls silent.
    """

    folder: Path
    run_key: str = "chaos"
    rows: str = "rows.csv"
    lease_seconds: float = 30.0


async def work(job: Job, settings: Settings) -> Progress:
    """Starts what is left of the batch, beside other processes that do the same.

    Raises:
        CordboardError: nothing more is sent.
    """
    trigger = load_trigger(job.folder / "trigger.yaml")
    spool = spool_batch(trigger, job.folder / job.rows, settings.home)
    batch = Batch(trigger, spool, TENANT, job.run_key, trigger.max_running)
    progress, redactor = Progress(spool.total, time.monotonic), Redactor()
    login, holder = CXoneLogin.from_env(os.environ), f"{os.getpid()}-{os.urandom(3).hex()}"
    async with AsyncExitStack() as stack:
        opening = Ledger.open(settings.ledger, redactor=redactor, lease_seconds=job.lease_seconds)
        ledger = await stack.enter_async_context(await opening)
        session = await stack.enter_async_context(login.session(settings, redactor, "workflows"))
        places = None
        if batch.limit is not None:
            places = await stack.enter_async_context(Places(batch, ledger, session, holder, lambda _: None))
        await start_all(StartRun(batch, session, ledger, uuid.uuid4().hex, progress, places))
    return progress


def write_trigger(folder: Path, **more: Any) -> None:
    """The trigger, with some keys of its own."""
    context = {"customer": {"value": "{{ row.customer }}", "data_type": "string"}}
    template = {"workflow_id": WORKFLOW, "priority": "{{ row.priority }}", "key": "{{ row.id }}", "context": context}
    (folder / "trigger.yaml").write_text(json.dumps({"kind": "trigger", **template, **more}))


def write_rows(file: Path, rows: Iterable[tuple[str, int]]) -> None:
    """A row for each id and priority; the customer is named after it."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["id", "customer", "priority"])
        writer.writerows((name, f"customer {name}", priority) for name, priority in rows)


def limits(folder: Path, in_flight: int, ledger_url: str = "") -> dict[str, str]:
    """The environment of a worker."""
    return {
        "CORDBOARD_HOME": str(folder / "home"),
        "CORDBOARD_LEDGER_URL": ledger_url or f"sqlite:///{folder / 'ledger.db'}",
        "CORDBOARD_IN_FLIGHT": str(in_flight),
    }


def main() -> int:
    """Works until nothing is left that it could take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run-key", default="chaos")
    parser.add_argument("--rows", default="rows.csv", help="name of the file in the folder")
    parser.add_argument("--lease-seconds", type=float, default=30.0)
    quiet_http_logs()
    try:
        ended = asyncio.run(work(Job(**vars(parser.parse_args())), Settings.from_env(os.environ)))
    except CordboardError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 3
    print(json.dumps({name: getattr(ended, name) for name in ("started", "already", "failed", "unknown")}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
