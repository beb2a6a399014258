"""Workflow instances of NICE CXone: start one, count those that run, find one by our reference, read one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

from cordboard.vendors.cxone import data_action_endpoints
from cordboard.vendors.evidence import clean
from cordboard.vendors.trace_context import traced
from cordboard.vendors.urls import Endpoints, encoded_segment
from cordboard.vendors.wire import Operation, Request, Safety

SCOPES = ("workflow:write", "workflow:read")
REFERENCE = "cordboardReference"  # the name under which our reference stands in an instance's metadata
MAX_INSTANCE_ID = 200
ENDED = frozenset(
    {"completed", "failed", "cancelled", "canceled", "terminated", "error", "aborted", "timeout", "expired"}
)
_INSTANCES = "/api/v2/workflows/instances"
#: A 400 by which the vendor means its limit of concurrent instances. One that names a part of the request says that the
#: request is wrong, whatever else it speaks of: sent again, it would be refused again.
AT_LIMIT = re.compile(
    r"^(?!.*\b(context|metadata|priority|schema|payload|field|property|value|parameter)\b)"
    r".*(concurren|(instance|running).{0,40}(limit|maximum|quota)|(limit|maximum|quota).{0,40}instance)",
    re.I | re.S,
)


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance of a workflow as the vendor has it.

    Attributes:
        id: the vendor's id.
        workflow_id: of which workflow.
        status: the vendor's word, in lower case.
        context: what it ended with, such as `customerId` and `routingDecision`; empty while it runs.
    """

    id: str
    workflow_id: str
    status: str
    context: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def has_ended(self) -> bool:
        """Whether the vendor's word is one for an end."""
        return self.status in ENDED


def started(instance: Instance) -> dict[str, str]:
    """What is kept of an instance that was started, as JSON."""
    return {"instance_id": instance.id, "status": instance.status}


def workflow_endpoints(region: str) -> Endpoints:
    """The defaults for workflows in a region.

    Raises:
        BadCall: no such region; names those spelled alike.
    """
    places = data_action_endpoints(region)  # which lets no region through that is not in the table
    return replace(places, token_url=f"https://{region}.auth.cxone.com/v1/oauth2/token", scopes=SCOPES)


def start_instance(
    body: Mapping[str, Any], *, safety: Safety, idempotency_key: str = "", traceparent: str | None = None
) -> Request:
    """The request that starts an instance; its result is `{"instance_id", "status"}`.

    A 429, or a 400 that speaks of the limit of concurrent instances, says that nothing was started.

    Args:
        body: `workflowId`, `priority`, `context` and `metadata`.
        safety: what is known of the tenant: it honours our key, can be asked for our reference, or neither.
        idempotency_key: sent along where it is not empty.
        traceparent: W3C trace context to send along.
    """
    operation = Operation(
        "cxone.workflow.start",
        "POST",
        safety,
        partial(_started_of, str(body.get("workflowId", ""))),
        identify=_id_of,
        busy_words=AT_LIMIT,
        route=_INSTANCES,
    )
    key = {"idempotency-key": idempotency_key} if idempotency_key else {}
    return Request(operation, _INSTANCES, dict(body), {**key, **traced(traceparent)})


def count_running(workflow_id: str, traceparent: str | None = None) -> Request:
    """The request that counts the instances of a workflow that run just now; its result is the number."""
    operation = Operation("cxone.workflow.count", "GET", Safety.NATURAL, _total_of, route=_INSTANCES)
    query = urlencode({"workflowId": workflow_id, "status": "running", "pageSize": 1})
    return Request(operation, f"{_INSTANCES}?{query}", headers=traced(traceparent))


def find_instances(workflow_id: str, reference: str, traceparent: str | None = None) -> Request:
    """The request that looks for instances by our reference; its result is a tuple of them, ended ones too."""
    parse = partial(_found_of, workflow_id, reference)
    operation = Operation("cxone.workflow.find", "GET", Safety.NATURAL, parse, route=_INSTANCES)
    query = urlencode({"workflowId": workflow_id, f"metadata.{REFERENCE}": reference, "pageSize": 10})
    return Request(operation, f"{_INSTANCES}?{query}", headers=traced(traceparent))


def read_instance(instance_id: str, traceparent: str | None = None) -> Request:
    """The request that reads an instance; one that is not there has the kind `not_found`.

    Raises:
        BadCall: the id cannot stand in a URL.
    """
    parse, route = partial(_instance_of, ""), f"{_INSTANCES}/{{instance_id}}"
    operation = Operation("cxone.workflow.read", "GET", Safety.NATURAL, parse, identify=_id_of, route=route)
    segment = encoded_segment(instance_id, "instance id", MAX_INSTANCE_ID)
    return Request(operation, f"{_INSTANCES}/{segment}", headers=traced(traceparent))


def _instance_of(workflow_id: str, reply: Any) -> Instance:
    if not isinstance(reply, dict):
        raise TypeError("the reply is no instance")
    instance_id, status, workflow = reply.get("id"), reply.get("status"), reply.get("workflowId", workflow_id)
    if not isinstance(instance_id, str) or not 0 < len(instance_id) <= MAX_INSTANCE_ID or not instance_id.isprintable():
        raise ValueError("the reply is no instance: it has no `id`")
    if not isinstance(status, str) or not isinstance(workflow, str):
        raise TypeError("the reply is no instance: it has no `status`")
    if workflow_id and workflow != workflow_id:
        raise ValueError(f"the reply is an instance of {clean(workflow, 64)!r}, not of {workflow_id!r}")
    context = reply.get("context")
    return Instance(instance_id, workflow, clean(status, 64).lower(), context if isinstance(context, dict) else {})


def _started_of(workflow_id: str, reply: Any) -> dict[str, str]:
    return started(_instance_of(workflow_id, reply))


def _total_of(reply: Any) -> int:
    total = reply.get("totalCount") if isinstance(reply, dict) else None
    if type(total) is not int or total < 0:
        raise ValueError("the reply has no `totalCount`")
    return total


def _found_of(workflow_id: str, reference: str, reply: Any) -> tuple[Instance, ...]:
    """The instances that carry the reference; a vendor that passes over the filter must not be taken at its word."""
    total, found = _total_of(reply), reply.get("instances")
    if not isinstance(found, list) or (total > 0 and not found):
        raise ValueError("the reply has no `instances`")
    for each in found:
        stated = each.get("metadata") if isinstance(each, dict) else None
        if not isinstance(stated, dict) or stated.get(REFERENCE) != reference:
            raise ValueError("the vendor does not look instances up by their metadata: it names others")
    return tuple(_instance_of(workflow_id, each) for each in found)


def _id_of(reply: Any) -> str:
    return clean(reply.get("id"), 128)
