"""How actions and chains end: statuses, the rules for what a failure means downstream, and the result document.

an upstream ended …        the action …
completed                  runs
skipped by its own `when`  runs (its references to the skipped output are guarded; the static check sees to it)
failed, `continue`         runs
failed, `fallback`         runs, with the fallback as the upstream's output
failed or unknown, `stop`  is skipped
skipped for a failure      is skipped
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from cordboard.errors import NO_ACCESS, NOT_NOW


class ActionStatus(StrEnum):
    """How one action ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class ChainStatus(StrEnum):
    """How a chain ended; `partial` means that some actions completed and some did not."""

    COMPLETED = "completed"
    FAILED = "failed"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class ActionResult:
    """How one action ended, with the evidence.

    Attributes:
        status: the end.
        output: the vendor's output; for a fan-out the list in item order, null where an item failed.
        available: whether dependants may read the output.
        blocks: whether dependants must be skipped.
        cached: whether the output was reused from an earlier run under the same run key.
        reason: why it was reused, run again or skipped, in words.
        error: `kind`, `message` and the vendor's evidence, or None.
        attempts: requests sent for it, in this run.
        latency_ms: from the first byte sent to the last byte read, waits between attempts left out.
        latencies_ms: the same for each call; a fan-out has many.
        started_ms, ended_ms: since the start of the run.
        items: for a fan-out, how many of its items ended in each status.
        fingerprint: identity of the effect, empty where nothing was bound.
    """

    status: ActionStatus
    output: Any = None
    available: bool = False
    blocks: bool = False
    cached: bool = False
    reason: str = ""
    error: Mapping[str, Any] | None = None
    attempts: int = 0
    latency_ms: float = 0.0
    latencies_ms: tuple[float, ...] = ()
    started_ms: float = 0.0
    ended_ms: float = 0.0
    items: Mapping[str, int] | None = None
    fingerprint: str = ""

    def as_json(self) -> dict[str, Any]:
        """The result as it stands in the document of a run."""
        hidden = {"available", "blocks", "latencies_ms", "items"}
        shown = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in hidden}
        return shown | ({"items": dict(self.items)} if self.items else {})


def blocking(upstream: Mapping[str, ActionResult]) -> list[str]:
    """Upstream actions whose end means that a dependant must be skipped."""
    return [name for name, result in upstream.items() if result.blocks]


def chain_status(results: Iterable[ActionResult]) -> ChainStatus:
    """The chain's status from its actions'."""
    ends = Counter(result.status for result in results)
    if not ends[ActionStatus.FAILED] and not ends[ActionStatus.UNKNOWN]:
        return ChainStatus.COMPLETED
    return ChainStatus.PARTIAL if ends[ActionStatus.COMPLETED] else ChainStatus.FAILED


def failures_of(results: Mapping[str, ActionResult]) -> list[dict[str, Any]]:
    """What failed or cannot be known, with its evidence, in file order."""
    return [
        {"action": name, "status": str(result.status), **(result.error or {})}
        for name, result in results.items()
        if result.status in {ActionStatus.FAILED, ActionStatus.UNKNOWN}
    ]


def exit_code(document: Mapping[str, Any]) -> int:
    """0 completed · 1 an action failed · 2 the vendor refuses our credentials · 3 the vendor could not be reached.

    Three only where the vendor did nothing for us in this run and every failure says "not now": a chain that got half
    way has a verdict of its own.
    """
    if document["status"] == ChainStatus.COMPLETED:
        return 0
    kinds = {kind for failure in document["failures"] for kind in failure.get("kinds") or [failure.get("kind")]}
    if kinds and kinds <= NO_ACCESS:
        return 2
    fresh = any(_did_something(action) for action in document["actions"].values())
    unknown = any(failure.get("status") == ActionStatus.UNKNOWN for failure in document["failures"])
    return 3 if kinds and kinds <= NOT_NOW and not fresh and not unknown else 1


def _did_something(action: Mapping[str, Any]) -> bool:
    """Whether this run completed an action, or items of one, that no earlier run had."""
    if action["status"] == ActionStatus.COMPLETED:
        return not action["cached"]
    return bool(action["attempts"] and action.get("items", {}).get(ActionStatus.COMPLETED))
