"""Genesys Cloud: where it is, and its call flows, which are saved only over the version that was read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from cordboard.errors import BadCall
from cordboard.vendors.evidence import clean
from cordboard.vendors.trace_context import traced
from cordboard.vendors.urls import Endpoints, known_region, path_segment
from cordboard.vendors.wire import Conflict, Operation, Request, Safety

FLOW_SCOPES = ("flow:write",)
#: Domains by the name of the AWS region that they live in; a region may be given by either.
DOMAINS: Mapping[str, str] = {
    "us-east-1": "mypurecloud.com",
    "us-east-2": "use2.us-gov-pure.cloud",
    "us-west-2": "usw2.pure.cloud",
    "ca-central-1": "cac1.pure.cloud",
    "mx-central-1": "mxc1.pure.cloud",
    "sa-east-1": "sae1.pure.cloud",
    "eu-west-1": "mypurecloud.ie",
    "eu-west-2": "euw2.pure.cloud",
    "eu-central-1": "mypurecloud.de",
    "eu-central-2": "euc2.pure.cloud",
    "me-central-1": "mec1.pure.cloud",
    "ap-northeast-1": "mypurecloud.jp",
    "ap-northeast-2": "apne2.pure.cloud",
    "ap-northeast-3": "apne3.pure.cloud",
    "ap-southeast-1": "apse1.pure.cloud",
    "ap-southeast-2": "mypurecloud.com.au",
    "ap-south-1": "aps1.pure.cloud",
}
REGIONS = (*DOMAINS.values(), *DOMAINS)
_FLOWS = "/api/v2/flows"
_FLOW = f"{_FLOWS}/{{flow_id}}"
#: A stale version is a 409, or a 400 such as "Version 12 does not match the current version 13".
_STALE = re.compile(
    r"\bversion\b[^;]{0,80}\bdoes(?: not|n't) match|does(?: not|n't) match\b[^;]{0,80}\bversion\b", re.I
)


def endpoints(region: str) -> Endpoints:
    """The defaults for a region; one host serves every API.

    Args:
        region: a domain such as `mypurecloud.ie`, or its AWS region, such as `eu-west-1`.

    Raises:
        BadCall: no such region; names those spelled alike.
    """
    known = known_region(region, REGIONS, "Genesys Cloud")
    domain = DOMAINS.get(known, known)
    return Endpoints(f"https://api.{domain}", f"https://login.{domain}/oauth/token", FLOW_SCOPES)


def read_flow(flow_id: str, traceparent: str | None = None) -> Request:
    """The request that reads a call flow as it is now; a flow that is not there has the kind `not_found`.

    Args:
        flow_id: its id at the vendor.
        traceparent: W3C trace context to send along.

    Raises:
        BadCall: the id cannot stand in a URL.
    """
    parse = partial(_flow_of, flow_id, None)
    operation = Operation("genesys.flow.read", "GET", Safety.NATURAL, parse, identify=_id_of, route=_FLOW)
    return Request(operation, _path_of(flow_id), headers=traced(traceparent))


def read_flow_version(flow_id: str, version: int, traceparent: str | None = None) -> Request:
    """The request that reads a call flow as it was; where the vendor keeps no such version the kind is `not_found`.

    Args:
        flow_id: its id at the vendor.
        version: which version, 0 or more.
        traceparent: W3C trace context to send along.

    Raises:
        BadCall: the id cannot stand in a URL, or the version is none.
    """
    path = f"{_path_of(flow_id)}/versions/{_checked(version)}"
    parse = partial(_flow_of, flow_id, version)
    route = f"{_FLOW}/versions/{{version}}"
    operation = Operation("genesys.flow.read_version", "GET", Safety.NATURAL, parse, identify=_id_of, route=route)
    return Request(operation, path, headers=traced(traceparent))


def save_flow(flow_id: str, body: Mapping[str, Any], version: int, traceparent: str | None = None) -> Request:
    """The request that saves a call flow, if the vendor still has the version it was made from.

    A repeat cannot take effect twice: after the first the version is another. So the version is the key of the request,
    and a conflict after a lost reply may be our own save: the call then ends in doubt, and only a look can tell.

    Args:
        flow_id: its id at the vendor.
        body: the whole flow as the vendor has it, such as `to_genesys` makes it.
        version: the version that the body was made from, 0 or more; sent as `If-Match`.
        traceparent: W3C trace context to send along.

    Raises:
        BadCall: the id cannot stand in a URL, the body is another flow's, or the version is none.
    """
    path = _path_of(flow_id)
    if body.get("id", flow_id) != flow_id:
        raise BadCall(f"the body is the flow {clean(body['id'], 64)!r}, and cannot be saved as {flow_id!r}")
    operation = Operation(
        "genesys.flow.save",
        "PUT",
        Safety.KEYED,
        partial(_saved, flow_id, version),
        Conflict.VERSION,
        identify=_id_of,
        conflict_words=_STALE,
        route=_FLOW,
    )
    return Request(operation, path, dict(body), {"if-match": str(_checked(version)), **traced(traceparent)})


def _path_of(flow_id: str) -> str:
    return f"{_FLOWS}/{path_segment(flow_id, 'flow id')}"


def _checked(version: int) -> int:
    if not _is_version(version):
        raise BadCall(f"a version is a whole number, 0 or more, and not {version!r}")
    return version


def _is_version(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _flow_of(flow_id: str, version: int | None, reply: Any) -> dict[str, Any]:
    """The reply, where it is the flow, and the version, that was asked for."""
    if not isinstance(reply, dict) or not isinstance(reply.get("id"), str):
        raise TypeError("the reply is no flow: it has no `id`")
    if reply["id"] != flow_id:
        raise ValueError(f"the reply is the flow {clean(reply['id'], 64)!r}, not {flow_id!r}")
    if not _is_version(reply.get("version")):
        raise TypeError("the reply is no flow: `version` is no whole number")
    if version not in (None, reply["version"]):
        raise ValueError(f"the reply is version {clean(reply['version'], 32)}, not {version}")
    nodes = reply.get("nodes")
    if not isinstance(nodes, dict) or not all(isinstance(node, dict) for node in nodes.values()):
        raise TypeError("the reply is no flow: `nodes` is no object of objects")
    return reply


def _saved(flow_id: str, version: int, reply: Any) -> dict[str, Any]:
    """The reply, where it is the flow in a later version than the one that was saved over."""
    saved = _flow_of(flow_id, None, reply)
    if saved["version"] <= version:
        raise ValueError(f"the reply is version {saved['version']}, and version {version} was saved over")
    return saved


def _id_of(flow: Any) -> str:
    return clean(flow.get("id"), 128)
