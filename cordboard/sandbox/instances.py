"""Instances of workflows: how many run is known without looking at each, and their ends come by the clock."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, Literal

from cordboard.sandbox.callback_rules import Fate

Status = Literal["running", "completed", "failed"]
STATUSES: tuple[Status, ...] = ("running", "completed", "failed")


@dataclass(frozen=True, slots=True)
class Instance:
    """One run of a workflow. All of it is settled when it starts; it runs from `started_at` up to `ends_at`.

    Attributes:
        id: the vendor's id.
        workflow_id: what runs.
        request_id: of the request that started it.
        priority: 1 (highest) to 10.
        metadata: as the start brought it.
        result: the context of its end.
        started_at: when its start took effect, in seconds since the epoch.
        ends_at: from then on it does not run any more.
        ends_as: `completed` or `failed`.
        fate: what befalls its callback.
        message_ids: the callback's id, and the second one, for a callback that is issued again.
    """

    id: str
    workflow_id: str
    request_id: str
    priority: int
    metadata: Mapping[str, str]
    result: Mapping[str, Any]
    started_at: float
    ends_at: float
    ends_as: Status
    fate: Fate
    message_ids: tuple[str, str]

    def status(self, now: float) -> Status:
        """Its status at a time."""
        return "running" if now < self.ends_at else self.ends_as

    def shown(self, now: float) -> dict[str, Any]:
        """The instance as a read shows it."""
        ended = {} if now < self.ends_at else {"endedAt": _written(self.ends_at), "context": dict(self.result)}
        return {**self.as_started(), "status": self.status(now), **ended}

    def as_started(self) -> dict[str, Any]:
        """The instance as its start is answered."""
        return {
            "id": self.id,
            "workflowId": self.workflow_id,
            "status": "running",
            "priority": self.priority,
            "metadata": dict(self.metadata),
            "createdAt": _written(self.started_at),
        }

    def completion(self) -> dict[str, Any]:
        """What the callback says."""
        return {
            "instanceId": self.id,
            "workflowId": self.workflow_id,
            "status": self.ends_as,
            "context": dict(self.result),
        }


@dataclass(slots=True)
class _OfWorkflow:
    lag: float
    everything: dict[str, Instance] = field(default_factory=dict)
    by_status: dict[Status, dict[str, Instance]] = field(default_factory=lambda: {status: {} for status in STATUSES})
    ends: list[tuple[float, int, Instance]] = field(default_factory=list)

    def matching(self, status: Status | None) -> dict[str, Instance]:
        return self.by_status[status] if status else self.everything


@dataclass(frozen=True, slots=True)
class Filters:
    """Which instances are looked for; what is None fits all.

    Attributes:
        workflow_id: of this workflow.
        status: in this status.
        metadata: with these values, letter for letter.
    """

    workflow_id: str | None = None
    status: Status | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


class Instances:
    """What has been started. An instance counts as running from its start until its end, to the instant.

    Args:
        lags: seconds until a look-up by metadata finds an instance, by workflow.
        clock: seconds since the epoch; where it goes back, time stands still here.
        on_end: told of each instance once its end is noticed.
    """

    def __init__(
        self, lags: Mapping[str, float], clock: Callable[[], float], on_end: Callable[[Instance], None]
    ) -> None:
        self._workflows = {workflow_id: _OfWorkflow(lag) for workflow_id, lag in lags.items()}
        self._by_id: dict[str, Instance] = {}
        self._by_metadata: dict[tuple[str, str], list[Instance]] = {}
        self._clock, self._on_end = clock, on_end
        self._now = clock()

    def now(self) -> float:
        """The time, which never goes back; what has ended by then is ended."""
        self._now = max(self._now, self._clock())
        for workflow in self._workflows.values():
            self._end(workflow, self._now)
        return self._now

    def running(self, workflow_id: str) -> int:
        """How many instances of a workflow run now."""
        self.now()
        return len(self._workflows[workflow_id].by_status["running"])

    def next_end(self, workflow_id: str | None = None) -> float | None:
        """When the next instance ends, of one workflow or of all; None where nothing runs."""
        workflows = self._workflows.values() if workflow_id is None else (self._workflows[workflow_id],)
        return min((workflow.ends[0][0] for workflow in workflows if workflow.ends), default=None)

    def add(self, instance: Instance) -> int:
        """Takes an instance that starts now, and returns how many of its workflow run with it."""
        workflow = self._workflows[instance.workflow_id]
        self._by_id[instance.id] = workflow.everything[instance.id] = instance
        workflow.by_status["running"][instance.id] = instance
        heapq.heappush(workflow.ends, (instance.ends_at, len(self._by_id), instance))
        for pair in instance.metadata.items():
            self._by_metadata.setdefault(pair, []).append(instance)
        self._end(workflow, instance.started_at)
        return len(workflow.by_status["running"])

    def get(self, instance_id: str) -> Instance | None:
        """The instance of an id."""
        return self._by_id.get(instance_id)

    def search(self, filters: Filters, offset: int, size: int) -> tuple[int, list[Instance]]:
        """How many instances fit, and a page of them in the order of their starts.

        Returns:
            The count of all that fit, and at most `size` of them after the first `offset`.
        """
        now = self.now()
        if filters.metadata:
            found = [instance for instance in self._candidates(filters) if self._fits(instance, filters, now)]
            return len(found), found[offset : offset + size]
        wanted = self._workflows if filters.workflow_id is None else (filters.workflow_id,)
        pools = [self._workflows[workflow_id].matching(filters.status) for workflow_id in wanted]
        return sum(map(len, pools)), list(_page((pool.values() for pool in pools), offset, size))

    def _candidates(self, filters: Filters) -> list[Instance]:
        return min((self._by_metadata.get(pair, []) for pair in filters.metadata.items()), key=len)

    def _fits(self, instance: Instance, filters: Filters, now: float) -> bool:
        return (
            filters.workflow_id in (None, instance.workflow_id)
            and filters.status in (None, instance.status(now))
            and filters.metadata.items() <= instance.metadata.items()
            and instance.started_at + self._workflows[instance.workflow_id].lag <= now
        )

    def _end(self, workflow: _OfWorkflow, now: float) -> None:
        while workflow.ends and workflow.ends[0][0] <= now:
            _, _, instance = heapq.heappop(workflow.ends)
            del workflow.by_status["running"][instance.id]
            workflow.by_status[instance.ends_as][instance.id] = instance
            self._on_end(instance)


def _page(pools: Iterable[Iterable[Instance]], offset: int, size: int) -> Iterator[Instance]:
    return islice(chain.from_iterable(pools), offset, offset + size)


def _written(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
