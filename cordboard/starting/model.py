"""A batch of starts, and how it goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from cordboard.records.histogram import Histogram
from cordboard.starting.spool import Spool
from cordboard.triggers.model import Trigger

PATIENCE_SECONDS = 600.0
#: Failures that say that the vendor has no room or is not there just now: the start waits and is tried again.
NOT_YET = frozenset({"at_limit", "rate_limited", "breaker_open", "not_sent", "deadline"})
#: Failures that every other start would meet as well.
FOR_ALL = frozenset({"credentials", "unauthorized", "forbidden", "not_found", "redirected"})


def batch_run_key(digest: str) -> str:
    """The run key of a batch that was given none: the same file goes on where it was.

    Args:
        digest: of its spool.
    """
    return f"batch-{digest[:12]}"


def single_run_key(flow_run_id: str) -> str:
    """The run key of a single start that was given none: each flow run is a new one, and its repeat the same.

    Args:
        flow_run_id: all of it, since what is made in one moment begins alike.
    """
    return f"start-{flow_run_id}"


def ledger_key(run_key: str) -> str:
    """What the runs of a batch begin with in the ledger."""
    return f"starts/{run_key}"


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be started.

    Attributes:
        trigger: how.
        spool: what, checked.
        tenant: whose workflow it is.
        run_key: what makes it this batch and no other.
        limit: instances that may run at once, over all workers; None for no limit.
    """

    trigger: Trigger
    spool: Spool
    tenant: str
    run_key: str
    limit: int | None = None

    @property
    def ledger_key(self) -> str:
        """What its runs begin with in the ledger; each piece and each worker has one of its own below it."""
        return ledger_key(self.run_key)

    def logical_id(self, key: str) -> str:
        """What makes a start this start and no other.

        A key that somebody chose means the same in every batch of the workflow; content alone only within its batch.
        """
        scope = [self.trigger.workflow_id] if self.trigger.key is not None else [self.trigger.workflow_id, self.run_key]
        return "/".join([*scope, key])


@dataclass(slots=True)
class Progress:
    """How a batch goes in this process.

    Attributes:
        total: starts of the batch.
        clock: monotonic seconds.
        began: by that clock.
        started, already, failed, unknown: starts that ended so.
        kinds: of failures and unknown ends.
        latencies: of calls.
        last_accepted: when the vendor last took a start.
        in_vain: starts in a row that were refused for a reason that every other start would meet as well.
        waiting: what starts wait for here: a place, or the ends of instances.
        refusal: why the vendor took none lately; empty once it takes one.
        took: seconds until every start had ended; None while they are being started.
    """

    total: int
    clock: Callable[[], float]
    began: float = 0.0
    started: int = 0
    already: int = 0
    failed: int = 0
    unknown: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    latencies: Histogram = field(default_factory=Histogram)
    last_accepted: float = 0.0
    in_vain: int = 0
    waiting: str = ""
    refusal: str = ""
    took: float | None = None

    def __post_init__(self) -> None:
        self.began = self.last_accepted = self.clock()

    @property
    def ended(self) -> int:
        """Starts that need nothing more from this run."""
        return self.started + self.already + self.failed + self.unknown

    @property
    def seconds(self) -> float:
        """How long starts are being started, or were."""
        return self.clock() - self.began if self.took is None else self.took

    @property
    def waits_for(self) -> str:
        """What starts wait for, in words; empty where nothing is known of."""
        return self.waiting or self.refusal

    def finish(self) -> None:
        """Notes that nothing more will be started; what comes after is no part of the pace."""
        self.took, self.refusal = self.seconds, ""

    @property
    def per_second(self) -> float:
        """Starts that the vendor took, a second."""
        return self.started / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None where there is none yet."""
        done = self.ended - self.already
        return (self.total - self.ended) / (done / self.seconds) if done and self.seconds > 0 else None
