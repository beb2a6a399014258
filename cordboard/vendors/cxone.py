"""NICE CXone: where it is, its data actions and its call flows. Simulations of call flows: `cxone_debug`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from cordboard.errors import BadCall
from cordboard.vendors.evidence import clean
from cordboard.vendors.trace_context import traced
from cordboard.vendors.urls import Endpoints, host_label, known_region, path_segment
from cordboard.vendors.wire import Conflict, Operation, Request, Safety

DATA_ACTION_SCOPES = ("dataactions:execute", "dataactions:read")
FLOW_SCOPES = ("flows:write", "flows:read")
DEBUG_SCOPES = ("flow:debug", "flow:read")
REGIONS = (
    "na1", "na2", "na3", "eu1", "eu2", "uk1", "au1", "jp1", "ca1", "sg1", "br1", "za1", "uae1",
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1",
    "eu-central-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1",
    "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2", "ap-south-1", "me-central-1", "af-south-1",
)  # fmt: skip
_DEBUG_HOST = "https://api-us-1.cxone.com"
_EXECUTIONS = "/api/v2/dataactions/executions"
_FLOWS = "/api/v2/flows"
_IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")


def data_action_endpoints(region: str) -> Endpoints:
    """The defaults for data actions in a region.

    Raises:
        BadCall: no such region; names those spelled alike.
    """
    host = f"https://{known_region(region, REGIONS, 'CXone')}.api.nice-incontact.com"
    return Endpoints(host, f"{host}/oauth/token", DATA_ACTION_SCOPES)


def flow_endpoints(org_id: str) -> Endpoints:
    """The defaults for call flows of an organisation.

    Raises:
        BadCall: the id cannot be one label of a host name, so it might lead credentials elsewhere.
    """
    host = f"https://{host_label(org_id, 'organisation id')}.api.nice.incontact.com"
    return Endpoints(host, f"{host}/oauth/token", FLOW_SCOPES)


def debug_endpoints() -> Endpoints:
    """The defaults for simulations of call flows; a tenant that is served from another place states its URLs."""
    return Endpoints(_DEBUG_HOST, f"{_DEBUG_HOST}/oauth2/token", DEBUG_SCOPES)


def execute_data_action(
    definition_id: str, inputs: Mapping[str, Any], *, idempotent: bool, traceparent: str | None = None
) -> Request:
    """The request that runs a data action; its result is the `output` object, its reference the execution's id.

    Args:
        definition_id: which data action.
        inputs: its inputs, a JSON object.
        idempotent: whether its author says that running it twice is the same as once. Otherwise a lost reply is never
            followed by a repeat, as the vendor offers neither a key nor a look-up.
        traceparent: W3C trace context to send along.
    """
    operation = _EXECUTE_AGAIN if idempotent else _EXECUTE
    body = {"definition_id": definition_id, "inputs": dict(inputs)}
    return Request(operation, _EXECUTIONS, body, traced(traceparent))


def register_flow(body: Mapping[str, Any], idempotency_key: str, traceparent: str | None = None) -> Request:
    """The request that registers a call flow, or replaces the one of its id; its result is the vendor's reply.

    The reply shows what was sent and proves nothing about what is stored: read it back. A 409 says that the flow
    exists or that its key clashes, so the verdict has `look_up` and the call is not repeated.

    Args:
        body: the flow as the vendor has it: `id`, `name`, `type`, `connections`, `nodes`.
        idempotency_key: made from the content and minted once; the vendor remembers it for 24 hours.
        traceparent: W3C trace context to send along.

    Raises:
        BadCall: the body has no id by which the flow could be read back, or the key cannot be a header.
    """
    stated = body.get("id")
    flow_id = path_segment(stated if isinstance(stated, str) else "", "flow id")
    if not _IDEMPOTENCY_KEY.fullmatch(idempotency_key):
        raise BadCall("an idempotency key has 1 to 255 visible ASCII characters, without spaces")
    operation = Operation(
        "cxone.flow.register",
        "POST",
        Safety.KEYED,
        partial(_flow_of, flow_id),
        Conflict.EXISTS,
        identify=_flow_id_of,
        route=_FLOWS,
    )
    return Request(operation, _FLOWS, dict(body), {"idempotency-key": idempotency_key, **traced(traceparent)})


def read_flow(flow_id: str, traceparent: str | None = None) -> Request:
    """The request that reads a call flow as the vendor has it; a flow that is not there has the kind `not_found`.

    Args:
        flow_id: its id at the vendor.
        traceparent: W3C trace context to send along.

    Raises:
        BadCall: the id cannot stand in a URL.
    """
    path = f"{_FLOWS}/{path_segment(flow_id, 'flow id')}"
    parse, route = partial(_flow_of, flow_id), f"{_FLOWS}/{{flow_id}}"
    operation = Operation("cxone.flow.read", "GET", Safety.NATURAL, parse, identify=_flow_id_of, route=route)
    return Request(operation, path, headers=traced(traceparent))


def _output_of(envelope: Any) -> dict[str, Any]:
    if not isinstance(envelope, dict) or not isinstance(envelope.get("output"), dict):
        raise TypeError("the reply has no `output` object")
    output: dict[str, Any] = envelope["output"]
    return output


def _execution_id_of(envelope: Any) -> str:
    return clean(envelope.get("id"), 128)


def _flow_of(flow_id: str, reply: Any) -> dict[str, Any]:
    """The reply, where it is the flow that was asked for; an answer without connections or nodes proves nothing."""
    if not isinstance(reply, dict) or not isinstance(reply.get("id"), str):
        raise TypeError("the reply is no flow: it has no `id`")
    if reply["id"] != flow_id:
        raise ValueError(f"the reply is the flow {clean(reply['id'], 64)!r}, not {flow_id!r}")
    for name in ("connections", "nodes"):
        parts = reply.get(name)
        if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
            raise TypeError(f"the reply is no flow: `{name}` is no list of objects")
    return reply


def _flow_id_of(flow: Any) -> str:
    return clean(flow.get("id"), 128)


_EXECUTE = Operation(
    "cxone.data_action.execute", "POST", Safety.NEITHER, _output_of, identify=_execution_id_of, route=_EXECUTIONS
)
_EXECUTE_AGAIN = replace(_EXECUTE, safety=Safety.NATURAL)
