"""Call flows: register under an idempotency key, replace or refuse what exists, read back what is stored."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from random import Random
from typing import Any

from cordboard.jsontext import digest
from cordboard.sandbox.alteration import altered
from cordboard.sandbox.call import Call, Refusal, Reply
from cordboard.sandbox.flow_rules import FlowRules, with_defaults
from cordboard.sandbox.keys import IdempotencyKeys
from cordboard.sandbox.truth import Truth

Flow = dict[str, Any]


class StoredFlows(MutableMapping[str, Flow]):
    """The flows as the vendor has them, by id.

    Reading gives the stored document itself, so a test can change it behind everybody's back. Setting is a save, as
    somebody makes it in the vendor's console: a copy is stored, and its version is one more than before.

    Args:
        definitions: flows that exist from the start.
        clock: seconds since the epoch, for `createdAt` and `updatedAt`.
    """

    def __init__(self, definitions: Mapping[str, Flow], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._flows: dict[str, Flow] = {}
        for flow_id, flow in definitions.items():
            self._flows[flow_id] = {**self.next_of(flow_id, with_defaults(flow)), "version": flow.get("version", 1)}

    def __getitem__(self, flow_id: str) -> Flow:
        return self._flows[flow_id]

    def __setitem__(self, flow_id: str, flow: Flow) -> None:
        self._flows[flow_id] = self.next_of(flow_id, flow)

    def __delitem__(self, flow_id: str) -> None:
        del self._flows[flow_id]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._flows))

    def __len__(self) -> int:
        return len(self._flows)

    def next_of(self, flow_id: str, flow: Flow) -> Flow:
        """A copy of the flow with the fields that the vendor sets itself, for its next version."""
        now = datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        old = self._flows.get(flow_id, {"version": 0, "createdAt": now})
        own = {"version": old["version"] + 1, "createdAt": old["createdAt"], "updatedAt": now}
        return {**copy.deepcopy(flow), "id": flow_id, **own}

    def keep(self, flow: Flow) -> None:
        """Stores a flow as it is."""
        self._flows[flow["id"]] = flow


class FlowRegistry:
    """Takes registrations and answers for what is stored.

    Attributes:
        stored: the flows, for tests to read and change.
    """

    def __init__(self, rules: FlowRules, truth: Truth, seed: int, clock: Callable[[], float]) -> None:
        self.stored = StoredFlows(rules.definitions, clock)
        self._rules, self._truth, self._seed = rules, truth, seed
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
        if flow_id not in self.stored:
            raise Refusal(404, "flow_not_found", f"There is no flow {flow_id}.")
        return Reply.of(self.stored[flow_id])

    async def _store(self, call: Call, client: str, body: Flow) -> Reply:
        faults = self._rules.faults_in(body)
        if faults:
            raise Refusal(422, "invalid_flow", "; ".join(faults))
        if self._rules.delay_ms:
            await asyncio.sleep(self._rules.delay_ms / 1000)
        flow_id = body["id"]
        exists = flow_id in self.stored
        if exists and self._rules.on_existing == "conflict":
            raise Refusal(409, "flow_exists", f"The flow {flow_id} exists already.")
        saved = self.stored.next_of(flow_id, with_defaults(body))
        self.stored.keep(self._as_stored(call, saved))
        self._truth.record("effect", call, client=client, version=saved["version"])
        return Reply.of(saved, 200 if exists else 201)

    def _as_stored(self, call: Call, saved: Flow) -> Flow:
        """What is kept: the flow as it was accepted, unless a fault stores something else."""
        if call.stores is None:
            return saved
        draw = Random(f"{self._seed}:{call.stores}:{saved['version']}:{digest(call.json)}")  # noqa: S311
        return altered(saved, call.stores, draw)
