"""A plan that was saved for review: registering against it is refused where the flow moved since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cordboard.errors import BadCall, InvalidJson
from cordboard.ivr.canonical import content_hash, without_bookkeeping
from cordboard.ivr.dialects.cxone import from_cxone
from cordboard.ivr.diff import differences
from cordboard.ivr.model import Flow
from cordboard.jsontext import parse_json
from cordboard.registration.plan import Plan

MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """What a reviewer has seen.

    Attributes:
        flow_id: the flow.
        content_hash: what the file meant then.
        live_hash: what the live flow meant then; empty where there was none.
        live: the live flow then.
        path: where the plan was read from.
    """

    flow_id: str
    content_hash: str
    live_hash: str
    live: Mapping[str, Any] | None
    path: str

    def demand(self, flow: Flow) -> None:
        """Checks that the plan is about this flow as it is now.

        Raises:
            BadCall: it is about another flow, or the file was edited since.
        """
        if flow.id != self.flow_id:
            raise BadCall(f"{self.path} plans the flow {self.flow_id}, and {flow.file} is {flow.id}")
        if flow.existing == "replace":  # else what is planned depends on what is live
            self.demand_content(flow)

    def demand_content(self, flow: Flow) -> None:
        """Checks that what would be sent is what was planned.

        Raises:
            BadCall: it is not.
        """
        if content_hash(without_bookkeeping(flow)) != self.content_hash:
            what = flow.file or flow.id
            raise BadCall(f"{what} was edited since {self.path} was made: plan it again and have it looked at")

    def moved(self, live: Mapping[str, Any] | None) -> tuple[str, ...]:
        """What became of the live flow since, as sentences."""
        then = None if self.live is None else from_cxone(dict(self.live))
        if live is None:
            return ("the live flow is gone since the plan was made",)
        found = tuple(each.sentence for each in differences(then, from_cxone(dict(live))))
        return found or (f"another version of Cordboard made {self.path}: plan again",)


def save_plan(plan: Plan, path: Path) -> None:
    """Writes a plan to a file.

    Raises:
        BadCall: it cannot be written.
    """
    try:
        path.write_text(json.dumps(plan.as_json(), ensure_ascii=False, allow_nan=False, indent=1) + "\n")
    except OSError as error:
        raise BadCall(f"{path} cannot be written: {error.strerror}") from None


def _check_live(live: Any, path: Path) -> None:
    try:
        _ = None if live is None else from_cxone(live)
    except (ValueError, TypeError) as error:
        raise BadCall(f"{path} is no plan: its live flow cannot be understood: {error}") from None


def load_plan(path: Path) -> SavedPlan:
    """Reads a plan back.

    Raises:
        BadCall: the file cannot be read, or is no plan.
    """
    try:
        with path.open("rb") as stream:
            value = parse_json(stream.read(MAX_BYTES + 1), max_bytes=MAX_BYTES)
    except OSError as error:
        raise BadCall(f"{path} cannot be read: {error.strerror}") from None
    except InvalidJson as error:
        raise BadCall(f"{path} is no plan: {error}") from None
    hashes = ("flow_id", "content_hash", "live_hash")
    is_plan = isinstance(value, dict) and value.get("kind") == "ivr-plan"
    if not is_plan or not all(isinstance(value.get(name), str) for name in hashes):
        raise BadCall(f"{path} is no plan of a call flow; make one with `cordboard plan FILE --out {path}`")
    live = value.get("live")
    _check_live(value.get("live"), path)
    flow_id, content, live_hash = (value[name] for name in hashes)
    return SavedPlan(flow_id, content, live_hash, live if isinstance(live, dict) else None, str(path))
