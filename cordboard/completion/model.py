"""A completion, as a vendor reports it, and the record that the ERP gets of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cordboard.errors import BadCall, Ours
from cordboard.jsontext import dump_json, parse_json, strings_in
from cordboard.records.effects import require_text
from cordboard.vendors.cxone_workflows import ENDED, MAX_INSTANCE_ID

MAX_BYTES = 64 * 1024
MAX_KEPT = 8 * MAX_BYTES  # characters: `9e15` is kept as 9000000000000000.0
MAX_DEPTH = 32
MAX_WORKFLOW_ID = 200
MAX_STATUS = 64
_PREFECT_TEMPLATE = "__prefect_kind"  # a key by which Prefect takes a value for a template of its own


class NotACompletion(Ours):
    """JSON that is no completion; the text names every field that is wrong."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a vendor says of an instance.

    Attributes:
        instance_id: the vendor's id of the instance.
        workflow_id: of which workflow; empty where the vendor does not say.
        status: the vendor's word, as it was written.
        context: what the instance ended with.
    """

    instance_id: str
    workflow_id: str
    status: str
    context: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def end(self) -> str:
        """The status in lower case, in which statuses are compared and kept."""
        return self.status.lower()

    @property
    def has_ended(self) -> bool:
        """Whether the status is a word for an end."""
        return self.end in ENDED

    def as_text(self) -> str:
        """The four fields as canonical JSON, as the inbox keeps them."""
        return dump_json(
            {
                "instanceId": self.instance_id,
                "workflowId": self.workflow_id,
                "status": self.status,
                "context": dict(self.context),
            }
        )


def read_completion(body: bytes | str, max_bytes: int = MAX_BYTES) -> Completion:
    """Reads the body of a callback. Further fields at the top are left out.

    Args:
        body: as it came, or as the inbox keeps it.
        max_bytes: how large it may be: `MAX_KEPT` for one that the inbox keeps, since that was let in already.

    Raises:
        InvalidJson: it is no strict JSON, too large, or nested deeper than 32 levels.
        NotACompletion: a field is missing or is not what it must be.
    """
    value = parse_json(body, max_bytes=max_bytes, max_depth=MAX_DEPTH)
    if not isinstance(value, dict):
        raise NotACompletion("the body must be a JSON object")
    for text in strings_in(value):
        if "\0" in text:
            raise NotACompletion("a text holds a NUL, which cannot be stored")
        if _PREFECT_TEMPLATE in text:
            raise NotACompletion(f"{_PREFECT_TEMPLATE} may not stand anywhere in it")
    bounds = {"instanceId": MAX_INSTANCE_ID, "workflowId": MAX_WORKFLOW_ID, "status": MAX_STATUS}
    faults = [fault for name, most in bounds.items() if (fault := _fault(name, value.get(name), most))]
    context = value.get("context")
    if not isinstance(context, dict | None):
        faults.append("context must be an object")
    if faults:
        raise NotACompletion("; ".join(faults))
    return Completion(value["instanceId"], value["workflowId"], value["status"], context or {})


def erp_record(completion: Completion) -> dict[str, Any]:
    """The record of the vendor contract; what the context does not hold is null."""
    return {
        "externalId": completion.instance_id,
        "workflowId": completion.workflow_id,
        "finalStatus": completion.status,
        "customerData": completion.context.get("customerId"),
        "routingResult": completion.context.get("routingDecision"),
    }


def _fault(name: str, value: Any, most: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        return f"{name} must be a text of 1 to {most} printable characters"
    try:
        require_text(**{name: value})
    except BadCall as error:
        return str(error)
    return ""
