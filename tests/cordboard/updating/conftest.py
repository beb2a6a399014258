"""A small clinic's menu at a local vendor, and updates of it without an orchestrator."""

from __future__ import annotations

import asyncio
import copy
import textwrap
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cordboard.ivr.merge import Patch, load_patch
from cordboard.records.ledger import Ledger
from cordboard.redaction import Redactor
from cordboard.sandbox.definition import default_definition
from cordboard.sandbox.faults import Faults
from cordboard.sandbox.server import RunningSandbox, running_sandbox
from cordboard.settings import Settings
from cordboard.updating.loop import PLAIN, Steps, bring_about
from cordboard.updating.model import Limits
from cordboard.updating.run import UpdateRun, update_key
from cordboard.updating.telling import tell
from cordboard.vendors.login import GenesysLogin
from cordboard.vendors.transport import quiet_http_logs

FLOW_ID = "clinic"
PUT = {"method": "PUT", "path": f"/api/v2/flows/{FLOW_ID}"}
CLINIC: dict[str, Any] = {
    "id": FLOW_ID,
    "name": "Clinic",
    "version": 12,
    "startNodeId": "menu",
    "nodes": {
        "menu": {
            "id": "menu",
            "type": "menu",
            "prompt": "One for appointments, two for billing.",
            "max_visits": 3,
            "transitionConditions": [
                {"condition": "dtmf == '1'", "destinationNodeId": "appointments"},
                {"condition": "dtmf == '2'", "destinationNodeId": "billing"},
                {"condition": "default", "destinationNodeId": "desk"},
            ],
            "properties": {"audioResource": {"id": "greeting-1", "type": "resource"}},
        },
        "appointments": {
            "id": "appointments",
            "type": "queue",
            "prompt": "Appointments.",
            "transitionConditions": [{"condition": "default", "destinationNodeId": "end"}],
        },
        "billing": {
            "id": "billing",
            "type": "queue",
            "prompt": "Billing.",
            "transitionConditions": [{"condition": "default", "destinationNodeId": "end"}],
        },
        "desk": {
            "id": "desk",
            "type": "queue",
            "prompt": "The front desk.",
            "transitionConditions": [{"condition": "default", "destinationNodeId": "end"}],
        },
        "end": {"id": "end", "type": "disconnect", "transitionConditions": []},
    },
}


@pytest.fixture
def clinic() -> Iterator[Callable[..., RunningSandbox]]:
    """`clinic(fault, …)`: a vendor whose flow `clinic` is at version 12."""
    open_ones = []

    def start(*faults: dict[str, Any], **rules: Any) -> RunningSandbox:
        definition = default_definition()
        flows = definition.flows.model_copy(update={"definitions": {FLOW_ID: copy.deepcopy(CLINIC)}, **rules})
        box = running_sandbox(definition.model_copy(update={"flows": flows}), Faults.of(*faults))
        open_ones.append(box)
        return box.__enter__()

    yield start
    for box in open_ones:
        box.__exit__(None, None, None)


@pytest.fixture
def edit(tmp_path: Path) -> Callable[..., Patch]:
    """`edit("nodes: {…}")`: a patch of version 12, or of another."""

    def write(text: str, base_version: int = 12) -> Patch:
        path = tmp_path / "patch.yaml"
        head = f"kind: ivr-patch\nflow_id: {FLOW_ID}\nbase_version: {base_version}\n"
        path.write_text(head + textwrap.dedent(text))
        return load_patch(path)

    return write


class Office:
    """One person's place of work: a ledger and the vendor's client."""

    def __init__(self, ledger: Ledger, box: RunningSandbox) -> None:
        self.ledger, self.box = ledger, box

    async def update(
        self, patch: Patch, *, steps: Steps = PLAIN, dry_run: bool = False, sleep: Any = None, **given: Any
    ) -> UpdateRun:
        """Takes an update to its end. Waits are over at once."""
        quiet_http_logs()
        login = GenesysLogin.from_env(self.box.env())
        settings = replace(Settings(), retry_attempts=given.pop("retry_attempts", 3))
        async with (
            await self.ledger.claim_run(login.tenant("flows"), update_key(patch), kind="ivr-update") as handle,
            login.session(settings, Redactor(), "flows") as session,
        ):
            limits = given.pop("limits", Limits(attempts=5))
            run = UpdateRun(patch, session, self.ledger, handle, "1" * 32, date(2026, 1, 1), limits, **given)
            await bring_about(run, steps, dry_run=dry_run, sleep=sleep or _at_once, chance=lambda: 0.5)
            await tell(run, "pipeline")
            return run


async def _at_once(_seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def office(tmp_path: Path) -> Callable[..., Any]:
    """`office(box, work)`: runs `await work(office)` with a ledger of its own, the same each time."""

    @asynccontextmanager
    async def opened(box: RunningSandbox) -> AsyncIterator[Office]:
        async with await Ledger.open(f"sqlite:///{tmp_path}/ledger.db", redactor=Redactor()) as ledger:
            yield Office(ledger, box)

    def run(box: RunningSandbox, work: Callable[[Office], Coroutine[Any, Any, Any]]) -> Any:
        async def inside() -> Any:
            async with opened(box) as place:
                return await work(place)

        return asyncio.run(inside())

    return run


@pytest.fixture
def update(office: Any) -> Callable[..., UpdateRun]:
    """`update(box, patch, …)`: one update, to its end."""
    return lambda box, patch, **given: office(box, lambda place: place.update(patch, **given))
