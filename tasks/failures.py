"""Finds runs that ended badly and of which nobody has been told, and puts a message about each into the outbox."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.utilities.urls import url_for

from cordboard.records.audit import told
from cordboard.records.effects import Message
from cordboard.records.ledger import Ledger
from cordboard.records.run import RunHandle

TOLD = "failure.told"
MAX_MESSAGE = 1_000  # of what a run says; more of it stands on its page
_PAGE = 100
_SECRET = re.compile("SECRET|PASSWORD|AUTH_STRING|API_KEY|ENCRYPTION_KEY|CHECKPOINT_KEY|TOKEN$|HEADERS")
_BAD = [StateType.FAILED, StateType.CRASHED]


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that ended badly.

    Attributes:
        run: the flow run.
        deployment: whose run it is.
    """

    run: FlowRun
    deployment: DeploymentResponse

    @property
    def subject(self) -> str:
        """What was told of on record: a run that is retried and fails again is told of again."""
        return f"{self.run.id}/{self.run.run_count}"

    def body(self) -> dict[str, Any]:
        """What is sent."""
        run, state = self.run, self.run.state
        assert state is not None
        return {
            "event": f"run.{state.type.value.lower()}",
            "payload": {
                "deployment": self.deployment.name,
                "run": run.name,
                "run_id": str(run.id),
                "state": state.name,
                "message": (state.message or "")[:MAX_MESSAGE],
                "ended_at": state.timestamp.isoformat(),
                "run_count": run.run_count,
                "tags": sorted(run.tags),
                "url": url_for(run) or "",
            },
        }


async def failures(
    client: PrefectClient, ours: UUID | None, within: timedelta, crashed: timedelta, now: datetime
) -> list[Failure]:
    """Runs of this project's deployments that ended badly, the oldest first.

    Args:
        client: of the Prefect API.
        ours: the deployment that asks. Its own runs are left out, as are those of deployments of another work pool or
            whose code is elsewhere. None takes the runs of every deployment.
        within: how long ago a run may have ended.
        crashed: how long ago a run must have crashed: until then somebody may resume it.
        now: the time.
    """
    known = await _deployments(client, ours)
    runs = [run for run in await _ended_badly(client, list(known), now - within) if _stands(run, crashed, now)]
    found = [Failure(run, known[run.deployment_id]) for run in runs if run.deployment_id in known]
    return sorted(found, key=lambda failure: failure.run.expected_start_time or now)


async def tell(ledger: Ledger, handle: RunHandle, endpoint: str, found: Sequence[Failure]) -> int:
    """Puts a message into the outbox for each failure that was not told before.

    Args:
        ledger: where it stands what was told.
        handle: this run in the ledger.
        endpoint: reference of the receiver.
        found: the failures.

    Returns:
        How many are new.

    Raises:
        LedgerUnavailable: the ledger cannot be read or written.
    """
    before = await told(ledger, handle.tenant, handle.run_key, TOLD)
    new = [failure for failure in found if failure.subject not in before]
    for failure in new:
        body = failure.body()
        message = Message(endpoint, body["event"], body)
        await handle.record(TOLD, failure.subject, {"run": failure.run.name}, messages=[message])
    return len(new)


def secrets_of(environ: Mapping[str, str]) -> Iterator[str]:
    """Values of the environment that no message may hold: a run's own words may repeat one, or a part of it."""
    for name, value in environ.items():
        if _SECRET.search(name):
            yield from (value, *value.split())  # two, while one is being replaced
            yield value.partition(":")[2]  # the password after the name
        elif "_URL" in name:
            yield from _in_a_url(value)


def _in_a_url(url: str) -> Iterator[str]:
    """Its password and its query, as of a database or a receiver."""
    with suppress(ValueError):
        parts = urlsplit(url)
        yield from (unquote(parts.password or ""), parts.password or "", parts.query)


async def _deployments(client: PrefectClient, ours: UUID | None) -> dict[UUID, DeploymentResponse]:
    """This project's deployments, by their ids: same work pool and same code as the one that asks."""
    found: list[DeploymentResponse] = []
    while len(page := await client.read_deployments(limit=_PAGE, offset=len(found))) == _PAGE:
        found += page
    found += page
    mine = {each.id: each for each in found}
    if ours is None:
        return mine
    own = mine.pop(ours)
    return {id_: each for id_, each in mine.items() if _place(each) == _place(own)}


def _place(deployment: DeploymentResponse) -> tuple[Any, ...]:
    return deployment.work_pool_name, deployment.path, deployment.pull_steps


async def _ended_badly(client: PrefectClient, deployments: list[UUID], since: datetime) -> list[FlowRun]:
    wanted = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_BAD)),
        deployment_id=FlowRunFilterDeploymentId(any_=deployments),
        end_time=FlowRunFilterEndTime(after_=since),  # a batch may run for days, and an approval wait for them
    )
    found: list[FlowRun] = []
    while len(page := await client.read_flow_runs(flow_run_filter=wanted, limit=_PAGE, offset=len(found))) == _PAGE:
        found += page
    return found + page


def _stands(run: FlowRun, crashed: timedelta, now: datetime) -> bool:
    """Whether the end will stay: a crash is reported twice, and `recover-runs` may resume what crashed."""
    assert run.state is not None
    return run.state.type is StateType.FAILED or run.state.timestamp <= now - crashed
