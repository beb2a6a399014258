"""Data actions: execute by definition, remember by id, answer the same key with the same reply."""

from __future__ import annotations

import asyncio
import difflib
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass
from random import Random
from typing import Any

from cordboard.jsontext import digest
from cordboard.sandbox.call import Call, Refusal, Reply
from cordboard.sandbox.definition import DataAction, Definition, Failure, Lookup
from cordboard.sandbox.truth import Truth


@dataclass(frozen=True, slots=True)
class _Keyed:
    body: str
    reply: asyncio.Future[Reply]


class DataActions:
    """Runs executions and keeps what they left behind."""

    def __init__(self, definition: Definition, truth: Truth, random: Random) -> None:
        self._actions = definition.data_actions
        self._truth = truth
        self._random = random
        self._failed: Counter[str] = Counter()
        self._executions: dict[str, dict[str, Any]] = {}
        self._keyed: dict[tuple[str, str], _Keyed] = {}

    async def execute(self, call: Call, client: str) -> Reply:
        """Executes what the call asks for; a known `Idempotency-Key` returns the first reply without a second effect.

        Raises:
            Refusal: a body of another shape (400, 422), an unknown definition or look-up value (404), a key that
                was used with another body (409), or the action's own failure.
        """
        definition_id, inputs = _asked(call)
        action = self._named(definition_id)
        key = call.headers.get("idempotency-key")
        if key is None:
            return await self._perform(call, client, definition_id, action, inputs)
        body = digest([definition_id, inputs])
        known = self._keyed.get((client, key))
        if known is None:
            return await self._first((client, key), body, self._perform(call, client, definition_id, action, inputs))
        if known.body != body:
            raise Refusal(409, "idempotency_key_reused", "This Idempotency-Key was used with another body.")
        return await asyncio.shield(known.reply)

    def read(self, execution_id: str) -> Reply:
        """An earlier execution.

        Raises:
            Refusal: there is none of this id (404).
        """
        if execution_id not in self._executions:
            raise Refusal(404, "execution_not_found", f"There is no execution {execution_id}.")
        return Reply.of(self._executions[execution_id])

    async def _first(self, key: tuple[str, str], body: str, work: Awaitable[Reply]) -> Reply:
        task = asyncio.ensure_future(work)
        self._keyed[key] = _Keyed(body, task)
        try:
            return await task
        except Refusal:
            del self._keyed[key]  # nothing happened under this key, so it may be tried again
            raise

    async def _perform(
        self, call: Call, client: str, definition_id: str, action: DataAction, inputs: dict[str, Any]
    ) -> Reply:
        if action.delay_ms:
            await asyncio.sleep(action.delay_ms / 1000)
        self._fail_if_told(definition_id, action.fail)
        output = _output(action, inputs)
        execution_id = f"exec_{self._random.getrandbits(64):016x}"
        envelope = {"id": execution_id, "definition_id": definition_id, "status": "completed", "output": output}
        self._executions[execution_id] = envelope
        if action.effect:
            self._truth.record("effect", call, client=client, execution_id=execution_id)
        return Reply.of(envelope)

    def _named(self, definition_id: str) -> DataAction:
        action = self._actions.get(definition_id)
        if action is None:
            hint = _did_you_mean(definition_id, self._actions)
            raise Refusal(404, "definition_not_found", f"There is no data action {definition_id}{hint}.")
        return action

    def _fail_if_told(self, definition_id: str, failure: Failure | None) -> None:
        if failure and (failure.times is None or self._failed[definition_id] < failure.times):
            self._failed[definition_id] += 1
            raise Refusal(failure.status, failure.code, failure.message)


def _asked(call: Call) -> tuple[str, dict[str, Any]]:
    body = call.json
    if not isinstance(body, dict):
        raise Refusal(400, "malformed_body", "The body must be a JSON object.")
    faults = [f"{key} is not a known key" for key in body if key not in {"definition_id", "inputs"}]
    if not isinstance(body.get("definition_id"), str):
        faults.append("definition_id must be a string")
    if not isinstance(body.get("inputs", {}), dict):
        faults.append("inputs must be an object")
    if faults:
        raise Refusal(422, "invalid_request", "; ".join(faults))
    return body["definition_id"], body.get("inputs", {})


def _output(action: DataAction, inputs: dict[str, Any]) -> dict[str, Any]:
    if action.lookup:
        return _looked_up(action.lookup, inputs)
    echoed = inputs if action.echo is True else {name: inputs.get(name) for name in action.echo or ()}
    return {**echoed, **(action.output or {})}


def _looked_up(lookup: Lookup, inputs: dict[str, Any]) -> dict[str, Any]:
    if lookup.by not in inputs:
        raise Refusal(422, "missing_input", f"The input {lookup.by} is required.")
    wanted = str(inputs[lookup.by])
    if wanted not in lookup.table:
        hint = _did_you_mean(wanted, lookup.table)
        raise Refusal(404, "record_not_found", f"Nothing has {lookup.by} {wanted}{hint}.")
    return lookup.table[wanted]


def _did_you_mean(wanted: str, known: dict[str, Any]) -> str:
    near = difflib.get_close_matches(wanted, known, n=2) if len(known) <= 1000 else []
    return f" (did you mean {' or '.join(near)}?)" if near else ""
