"""What every report is made of: the calls of one run of a suite, and the flow through which they went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cordboard.ivr.model import Flow
from cordboard.ivr.suite import CaseResult, Coverage, Covered


@dataclass(frozen=True, slots=True)
class Report:
    """One run of a suite.

    Attributes:
        suite: the suite's name.
        flow: the call flow that was simulated.
        engine: who simulated it: `local` or `vendor`.
        started_at: when, as ISO 8601.
        cases: what came of each; they are read from first to last, more than once, and none is kept.
        coverage: how often each node and transition of the flow was taken, in file order.
    """

    suite: str
    flow: Flow
    engine: str
    started_at: str
    cases: Sequence[CaseResult]
    coverage: Coverage

    @property
    def flow_known(self) -> bool:
        """Whether anything is known of the flow; of one that only a vendor has, there is nothing to cover."""
        return bool(self.coverage.nodes or self.coverage.transitions)

    @property
    def totals(self) -> Totals:
        """How many cases passed, failed and could not be run."""
        counts = {"passed": 0, "failed": 0, "error": 0}
        for case in self.cases:
            counts[case.status] += 1
        return Totals(counts["passed"], counts["failed"], counts["error"])


@dataclass(frozen=True, slots=True)
class Totals:
    """How many cases passed, failed and could not be run."""

    passed: int
    failed: int
    errors: int

    @property
    def all(self) -> int:
        """Every case."""
        return self.passed + self.failed + self.errors

    @property
    def status(self) -> Literal["passed", "failed"]:
        """The verdict; a suite without cases has shown nothing wrong."""
        return "failed" if self.failed or self.errors else "passed"

    def as_json(self) -> dict[str, int]:
        """As a JSON object."""
        return {"cases": self.all, "passed": self.passed, "failed": self.failed, "errors": self.errors}

    def __str__(self) -> str:
        said = [f"{self.passed:,} of {self.all:,} call{'' if self.all == 1 else 's'} passed"]
        said += [f"{self.failed:,} failed"] if self.failed else []
        said += [f"{self.errors:,} could not be run"] if self.errors else []
        return ", ".join(said)


@dataclass(frozen=True, slots=True)
class Share:
    """How much of something calls have taken."""

    taken: int
    total: int

    @classmethod
    def of(cls, parts: Sequence[Covered]) -> Share:
        """How many of some nodes or transitions were taken."""
        return cls(sum(1 for part in parts if part.times), len(parts))

    @property
    def percent(self) -> int:
        """Rounded down, so that only all of it is 100; of nothing, all is taken."""
        return 100 * self.taken // self.total if self.total else 100
