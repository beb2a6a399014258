"""Whether a live flow still means what its file says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from cordboard.errors import NO_ACCESS, VendorFailed
from cordboard.ivr.canonical import same
from cordboard.ivr.dialects.cxone import from_cxone
from cordboard.ivr.diff import differences
from cordboard.ivr.model import Flow
from cordboard.registration.plan import require_cxone, with_kept

Status = Literal["same", "drifted", "missing", "unreadable"]
Read = Callable[[str], Awaitable[Mapping[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Drift:
    """How one live flow stands to its file.

    Attributes:
        flow_id: the flow.
        file: its file.
        status: `same`, `drifted`, `missing` at the vendor, or `unreadable`.
        changes: what the live flow has otherwise than the file, as sentences.
        error: `kind` and `message` where it could not be read.
    """

    flow_id: str
    file: str
    status: Status
    changes: tuple[str, ...] = ()
    error: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The result as a JSON object."""
        return asdict(self) | {"changes": list(self.changes)}

    def in_short(self) -> str:
        """One line for a list."""
        if self.error:
            return str(self.error.get("message", "it could not be read"))
        if self.status == "missing":
            return "the vendor has no flow of this id"
        return "; ".join(self.changes[:3]) + ("; …" if len(self.changes) > 3 else "")


async def drift_of(flow: Flow, read: Read) -> Drift:
    """Compares a flow of a file with the live one.

    Args:
        flow: from a file. Where it keeps live connections, those that it does not state are no drift.
        read: reads a live flow by its id.
    """
    require_cxone(flow)
    try:
        live = await read(flow.id)
        there = None if live is None else from_cxone(dict(live))
    except VendorFailed as error:
        return Drift(flow.id, flow.file, "unreadable", error=error.evidence)
    except (ValueError, TypeError) as error:
        return Drift(flow.id, flow.file, "unreadable", error={"kind": "bad_reply", "message": str(error)})
    if there is None:
        return Drift(flow.id, flow.file, "missing")
    meant = with_kept(flow, there) if flow.existing == "keep" else flow
    if same(meant, there):
        return Drift(flow.id, flow.file, "same")
    return Drift(flow.id, flow.file, "drifted", tuple(each.sentence for each in differences(meant, there)))


def status_of(found: Sequence[Drift]) -> str:
    """`same` where all are, else the worst: `unreadable`, then `drifted` (a missing flow has drifted too)."""
    statuses = {each.status for each in found}
    return "unreadable" if "unreadable" in statuses else "same" if statuses <= {"same"} else "drifted"


def exit_code(document: Mapping[str, Any]) -> int:
    """0 all the same · 1 something drifted · 2 the vendor refuses our credentials · 3 a flow could not be read."""
    kinds = {(each["error"] or {}).get("kind") for each in document["flows"] if each["status"] == "unreadable"}
    if kinds:
        return 2 if kinds <= NO_ACCESS else 3
    return 0 if document["status"] == "same" else 1
