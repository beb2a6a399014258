"""Call flows: register under an idempotency key, replace or refuse what exists, read back what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cordboard.jsontext import digest
from cordboard.sandbox.call import Call, Refusal, Reply
from cordboard.sandbox.flow_rules import FlowRules, with_defaults
from cordboard.sandbox.keys import IdempotencyKeys
from cordboard.sandbox.stored_flows import Flow, StoredFlows
from cordboard.sandbox.truth import Truth


class FlowRegistry:
    """Takes registrations and answers for what is stored."""

    def __init__(self, rules: FlowRules, stored: StoredFlows, truth: Truth, clock: Callable[[], float]) -> None:
        self._rules, self._stored, self._truth = rules, stored, truth
        self._keys = IdempotencyKeys(clock)

    async def register(self, call: Call, client: str) -> Reply:
        """Stores the flow that the call brings: 201 where it is new, 200 where it replaces one.

        Raises:
            Refusal: no `Idempotency-Key` or no JSON object (400), a payload that breaks rules (422, all of them
                named), a key that was used with another body (422) or is in flight (409), or a flow that exists
                where the sandbox does not replace (409).
        """
        key, body = call.headers.get("idempotency-key", "").strip(), call.json
        if not key:
            raise Refusal(400, "idempotency_key_missing", "The header Idempotency-Key is required.")
        if not isinstance(body, dict):
            raise Refusal(400, "malformed_body", "The body must be a JSON object.")
        return await self._keys.once(client, key, digest(body), lambda: self._store(call, client, body))

    def read(self, flow_id: str) -> Reply:
        """A flow as it is stored.

        Raises:
            Refusal: there is none of this id (404).
        """
        if flow_id not in self._stored:
            raise Refusal(404, "flow_not_found", f"There is no flow {flow_id}.")
        return Reply.of(self._stored[flow_id])

    async def _store(self, call: Call, client: str, body: Flow) -> Reply:
        faults = self._rules.faults_in(body)
        if faults:
            raise Refusal(422, "invalid_flow", "; ".join(faults))
        if self._rules.delay_ms:
            await asyncio.sleep(self._rules.delay_ms / 1000)
        flow_id = body["id"]
        with self._stored.lock:
            exists = flow_id in self._stored
            if exists and self._rules.on_existing == "conflict":
                raise Refusal(409, "flow_exists", f"The flow {flow_id} exists already.")
            saved = self._stored.next_of(flow_id, with_defaults(body))
            self._stored.accept(call, saved)
            self._truth.record("effect", call, client=client, version=saved["version"])
        return Reply.of(saved, 200 if exists else 201)
