"""A batch, a ledger and a vendor on this machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from cordboard.records.ledger import Ledger
from cordboard.redaction import Redactor
from cordboard.sandbox import Faults, RunningSandbox, default_definition, running_sandbox
from cordboard.settings import Settings
from cordboard.starting.model import Batch, Progress
from cordboard.starting.pieces import StartRun, start_piece
from cordboard.starting.places import Places
from cordboard.starting.spool import spool_batch
from cordboard.triggers.model import Trigger, Variable
from cordboard.vendors.login import CXoneLogin
from cordboard.vendors.transport import quiet_http_logs
from tests.cordboard.records.conftest import ledger_url

__all__ = ["ledger_url"]

WORKFLOW = "wf_reminder"
TRIGGER = Trigger(
    WORKFLOW,
    "{{ row.priority }}",
    {"customer": Variable("{{ row.customer }}", "string")},
    {"source": "tests"},
    "{{ row.id }}",
    safety="keyed",
    settle_seconds=0.3,
    timeout_seconds=1.0,
)


@contextmanager
def vendor(*rules: dict[str, Any], **workflow: Any) -> Iterator[RunningSandbox]:
    """A sandbox with one workflow."""
    quiet_http_logs()
    shape = {"context": {"customer": {"type": "string"}}, "duration_seconds": 0.2, "idempotency": True, **workflow}
    definition = default_definition().changed(workflows={WORKFLOW: shape})
    with running_sandbox(definition, faults=Faults.of(*rules)) as box:
        yield box


@dataclass
class Place:
    """Where a batch is started."""

    box: RunningSandbox
    folder: Path
    url: str = ""

    @property
    def ledger(self) -> str:
        """The ledger's URL; a file in the folder unless one was given."""
        return self.url or f"sqlite:///{self.folder / 'ledger.db'}"

    def batch(self, count: int, run_key: str = "sunday", limit: int | None = None, **changes: Any) -> Batch:
        """A batch of so many rows."""
        rows = self.folder / "rows.csv"
        lines = [f"A{number},C{number},5" for number in range(count)]
        rows.write_text("\n".join(["id,customer,priority", *lines]) + "\n")
        return self.of(rows, run_key, limit, **changes)

    def of(self, rows: Path, run_key: str = "sunday", limit: int | None = None, **changes: Any) -> Batch:
        """A batch of the rows of a file."""
        trigger = replace(TRIGGER, **changes)
        return Batch(trigger, spool_batch(trigger, rows, self.folder), "acme", run_key, limit)

    @asynccontextmanager
    async def opened(self, batch: Batch, lease_seconds: float = 30.0, **settings: Any) -> AsyncIterator[StartRun]:
        """A run of the batch."""
        login = CXoneLogin.from_env(self.box.env())
        async with (
            await Ledger.open(self.ledger, redactor=Redactor(), lease_seconds=lease_seconds) as ledger,
            login.session(Settings(**settings), Redactor(), "workflows") as session,
        ):
            progress = Progress(batch.spool.total, time.monotonic)
            run = StartRun(batch, session, ledger, "1" * 32, progress)
            if batch.limit is None:
                yield run
                return
            async with Places(batch, ledger, session, "here", lambda _: None) as places:
                run.places = places
                yield run

    def start(self, batch: Batch, **settings: Any) -> Progress:
        """Starts all of a batch."""

        async def main() -> Progress:
            async with self.opened(batch, **settings) as run:
                for piece in batch.spool.pieces:
                    assert await start_piece(run, piece) is not None
                return run.progress

        return asyncio.run(main())

    @property
    def references(self) -> list[str]:
        """Our references at the vendor, one for each instance."""
        return [entry.reference or "" for entry in self.box.truth.instances]


RunIt = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A vendor where nothing goes wrong."""
    with vendor() as box:
        yield Place(box, tmp_path)
