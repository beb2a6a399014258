"""What an update would change, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cordboard.findings import Finding, errors_in
from cordboard.ivr.diff import Difference
from cordboard.ivr.merge import Conflict
from cordboard.ivr.model import Flow
from cordboard.ivr.suite import CaseResult

Status = Literal[
    "planned", "unchanged", "saved", "conflict", "invalid", "declined", "unverified", "overtaken", "unknown", "failed"
]


@dataclass(frozen=True, slots=True)
class Limits:
    """How long an update goes on where others save in between.

    Attributes:
        attempts: saves that are tried at the most.
        seconds: time after which nothing is sent; waiting for a person's decision does not count.
        longest_wait_seconds: the longest wait after the first refusal; it gets shorter with every further one, so that
            who has waited long comes before who has just begun.
    """

    attempts: int = 20
    seconds: float = 300.0
    longest_wait_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The calls of one suite on the merged flow."""

    suite: str
    file: str
    results: tuple[CaseResult, ...]

    @property
    def broken(self) -> tuple[CaseResult, ...]:
        """The calls that were not as they must be."""
        return tuple(result for result in self.results if result.status != "passed")

    def as_json(self) -> dict[str, Any]:
        """How many passed, and which did not."""
        broken = [
            {"name": each.name, "status": each.status, "mismatches": list(each.mismatches)} for each in self.broken
        ]
        passed = len(self.results) - len(broken)
        return {"suite": self.suite, "file": self.file, "passed": passed, "total": len(self.results), "broken": broken}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be saved over one version of the live flow.

    Attributes:
        live: the flow as the vendor has it.
        body: the same as JSON.
        version: its version.
        merged: the flow as it would be; None where the edits cannot be joined.
        conflicts: why not.
        findings: about the merged flow.
        differences: from what is live, by meaning.
        touched: ids of the nodes of the merged flow that are not as they are live.
        rehearsals: the calls that were made on the merged flow.
        changes_nothing: whether the live flow holds the edit already.
    """

    live: Flow
    body: Mapping[str, Any]
    version: int
    merged: Flow | None
    conflicts: tuple[Conflict, ...] = ()
    findings: tuple[Finding, ...] = ()
    differences: tuple[Difference, ...] = ()
    touched: tuple[str, ...] = ()
    rehearsals: tuple[Rehearsal, ...] = ()
    changes_nothing: bool = False

    @property
    def flow(self) -> Flow:
        """The merged flow, where there is one."""
        assert self.merged is not None
        return self.merged

    @property
    def verdict(self) -> Status | None:
        """Why nothing may be sent; None where nothing speaks against it."""
        if self.merged is None:
            return "conflict"
        if self.changes_nothing:
            return "unchanged"
        if errors_in(self.findings) or any(rehearsal.broken for rehearsal in self.rehearsals):
            return "invalid"
        return None

    @property
    def unrehearsed(self) -> tuple[str, ...]:
        """The touched nodes that no call of a suite came to."""
        visited = {
            node
            for rehearsal in self.rehearsals
            for result in rehearsal.results
            if result.trace
            for node in result.trace.path
        }
        return tuple(node for node in self.touched if node not in visited)
