"""What a request about instances asks for, with everything that is wrong with it at once."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cordboard.sandbox.call import Refusal, Reply
from cordboard.sandbox.instances import STATUSES, Filters, Status
from cordboard.sandbox.workflow_rules import Workflow, kind_of

METADATA = "metadata."
MAX_PAGE = 500
MAX_NUMBER = 1_000_000
KEYS = ("workflowId", "priority", "context", "metadata")


class InvalidRequest(Refusal):
    """A 400 whose body has every fault in `details`."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__(400, "invalid_request", "; ".join(faults))
        self._faults = faults

    def reply(self) -> Reply:
        """The answer as it goes out."""
        body = {"message": self.message, "code": self.code, "status": self.status, "details": list(self._faults)}
        return Reply.of(body, self.status)


@dataclass(frozen=True, slots=True)
class Start:
    """A start that fits its workflow."""

    workflow_id: str
    priority: int
    context: Mapping[str, Any]
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Search:
    """A look-up: what is looked for, and which page of it; pages count from 1."""

    filters: Filters
    number: int
    size: int

    @property
    def offset(self) -> int:
        """How many come before the page."""
        return (self.number - 1) * self.size


def start_of(body: Any, workflows: Mapping[str, Workflow]) -> Start:
    """Reads the body of a start.

    Raises:
        Refusal: no JSON object (400), an unknown workflow (404), or whatever else is wrong (400, all of it in
            `details`).
    """
    if not isinstance(body, dict):
        raise Refusal(400, "malformed_body", "The body must be a JSON object.")
    workflow = _known(body.get("workflowId"), workflows)
    priority, context, metadata = body.get("priority", 5), body.get("context", {}), body.get("metadata", {})
    faults = [f"{key[:64]} is not a known key" for key in body if key not in KEYS]
    if type(priority) is not int or not 1 <= priority <= 10:
        faults.append("priority must be a whole number from 1 to 10")
    faults += workflow.faults_in(context) if isinstance(context, dict) else ["context must be an object"]
    faults += _faults_of_metadata(metadata)
    if faults:
        raise InvalidRequest(faults)
    return Start(body["workflowId"], priority, context, metadata)


def search_of(query: Sequence[tuple[str, str]], workflows: Collection[str]) -> Search:
    """Reads the query of a look-up.

    Raises:
        Refusal: an unknown workflow (404), or parameters that are wrong (400, all of them in `details`).
    """
    faults = [f"{name[:64]} stands twice" for name in dict(query) if [each for each, _ in query].count(name) > 1]
    given = dict(query)
    metadata = {name.removeprefix(METADATA): given.pop(name) for name in list(given) if name.startswith(METADATA)}
    number, size = _number(given, "pageNumber", 1, MAX_NUMBER, faults), _number(given, "pageSize", 25, MAX_PAGE, faults)
    workflow_id, status = given.pop("workflowId", None), _status(given, faults)
    faults += [f"{name[:64]} is not a known parameter" for name in given]
    if faults:
        raise InvalidRequest(faults)
    if workflow_id is not None and workflow_id not in workflows:
        raise _unknown(workflow_id, workflows)
    return Search(Filters(workflow_id, status, metadata), number, size)


def _known(workflow_id: Any, workflows: Mapping[str, Workflow]) -> Workflow:
    if not isinstance(workflow_id, str):
        raise InvalidRequest([f"workflowId must be a string, not {kind_of(workflow_id)}"])
    if workflow_id not in workflows:
        raise _unknown(workflow_id, workflows)
    return workflows[workflow_id]


def _unknown(workflow_id: str, workflows: Collection[str]) -> Refusal:
    near = difflib.get_close_matches(workflow_id[:128], workflows, n=2)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    return Refusal(404, "workflow_not_found", f"There is no workflow {workflow_id[:128]}{hint}.")


def _faults_of_metadata(metadata: Any) -> Iterator[str]:
    if not isinstance(metadata, dict):
        yield "metadata must be an object"
        return
    for name, value in metadata.items():
        if not isinstance(value, str):
            yield f"metadata.{name[:64]} must be a string, not {kind_of(value)}"


def _number(given: dict[str, str], name: str, default: int, largest: int, faults: list[str]) -> int:
    text = given.pop(name, str(default))
    if text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= largest:
        return int(text)
    faults.append(f"{name} must be a whole number from 1 to {largest}")
    return default


def _status(given: dict[str, str], faults: list[str]) -> Status | None:
    text = given.pop("status", None)
    found = next((status for status in STATUSES if status == text), None)
    if text is not None and found is None:
        faults.append(f"status must be one of {', '.join(STATUSES)}")
    return found
