"""Call flows of Genesys Cloud: saved over the version that was read, or not at all; earlier versions can be read."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from cordboard.sandbox.call import Call, Refusal, Reply
from cordboard.sandbox.flow_rules import FlowRules
from cordboard.sandbox.genesys_rules import genesys_faults, is_genesys
from cordboard.sandbox.stored_flows import Flow, StoredFlows
from cordboard.sandbox.truth import Truth

_IF_MATCH = re.compile(r'("?)([0-9]{1,18})\1')


class _InvalidFlow(Refusal):
    def __init__(self, faults: list[str]) -> None:
        super().__init__(400, "bad.request", "The flow is not valid.")
        self._faults = faults

    def reply(self) -> Reply:
        errors = [{"message": fault, "code": "invalid.flow", "status": 400} for fault in self._faults]
        return Reply.of({"message": self.message, "code": self.code, "status": self.status, "errors": errors}, 400)


class GenesysFlows:
    """Takes saves and answers for earlier versions.

    Args:
        rules: how the vendor treats call flows.
        stored: the flows as they are.
        truth: learns of every save.
    """

    def __init__(self, rules: FlowRules, stored: StoredFlows, truth: Truth) -> None:
        self._rules, self._stored, self._truth = rules, stored, truth

    async def save(self, call: Call, client: str) -> Reply:
        """Stores the flow that the call brings as the next version, if its `If-Match` is the current one.

        Raises:
            Refusal: there is no such flow (404), no `If-Match` or no JSON object (400), a version that is not the
                current one (409, or 400 where the sandbox is told so), or a body that breaks rules (400, all of them
                named).
        """
        if self._rules.delay_ms:
            await asyncio.sleep(self._rules.delay_ms / 1000)
        flow_id = call.flow_id or ""
        with self._stored.lock:
            self._demand_current(flow_id, call)
            saved = self._stored.next_of(flow_id, _valid(flow_id, call.json))
            self._stored.accept(call, saved)
            self._truth.record("effect", call, client=client, version=saved["version"])
        return Reply.of(saved)

    def read_version(self, call: Call) -> Reply:
        """A flow as it was.

        Raises:
            Refusal: the vendor has no such version (404).
        """
        asked = call.path.rpartition("/")[2]
        found = self._stored.version(call.flow_id or "", int(asked)) if re.fullmatch("[0-9]{1,18}", asked) else None
        if not is_genesys(found):
            raise Refusal(404, "not.found", f"There is no version {asked[:64]} of the flow {call.flow_id}.")
        return Reply.of(found)

    def speaks(self, call: Call) -> bool:
        """Whether a request is one to Genesys Cloud: a save, or about a flow that is in its form."""
        return call.method == "PUT" or is_genesys(self._stored.get(call.flow_id or ""))

    def _demand_current(self, flow_id: str, call: Call) -> None:
        if not is_genesys(self._stored.get(flow_id)):
            raise Refusal(404, "not.found", f"There is no flow {flow_id}.")
        version, current = _version_of(call), self._stored[flow_id]["version"]
        if version == current:
            return
        message = f"Version {version} of the flow {flow_id} does not match the current version {current}."
        if self._rules.stale_save == "bad_request":
            raise Refusal(400, "bad.request", message)
        raise Refusal(409, "version.conflict", message)


def _version_of(call: Call) -> int:
    stated = _IF_MATCH.fullmatch(call.headers.get("if-match", "").strip())
    if stated is None:
        raise Refusal(400, "bad.request", "The header If-Match is required: the version that the flow was made from.")
    return int(stated[2])


def _valid(flow_id: str, body: Any) -> Flow:
    if not isinstance(body, dict):
        raise Refusal(400, "bad.request", "The body must be a JSON object.")
    faults = list(genesys_faults(body))
    if body.get("id", flow_id) != flow_id:
        faults.insert(0, f"id is not {flow_id}")
    if faults:
        raise _InvalidFlow(faults)
    return body


def dressed(call: Call, reply: Reply) -> Reply:
    """A reply as Genesys Cloud sends it: its names of headers, and in errors where the vendor finds the call again."""
    headers = {name: value for name, value in reply.headers.items() if not name.startswith("x-")}
    body = reply.body
    if reply.status >= 400:
        error = json.loads(body)
        body = json.dumps({"details": [], "errors": [], **error, "contextId": call.request_id}).encode()
    return Reply(reply.status, {**headers, **_limits(reply), "inin-correlation-id": call.request_id}, body)


def _limits(reply: Reply) -> dict[str, str]:
    """Genesys Cloud counts what was used of the limit, others what is left of it."""
    if "x-ratelimit-limit" not in reply.headers:
        return {}
    allowed, left = (int(reply.headers[f"x-ratelimit-{name}"]) for name in ("limit", "remaining"))
    reset = reply.headers["x-ratelimit-reset"]
    return {
        "inin-ratelimit-allowed": str(allowed),
        "inin-ratelimit-count": str(allowed - left),
        "inin-ratelimit-reset": reset,
    }
