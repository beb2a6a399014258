"""What the tasks of one chain run share: its client, its ledger handle, its clock and what it knows already."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cordboard.chains.model import Action, Chain
from cordboard.chains.params import without_secrets
from cordboard.chains.plan import plan_chain
from cordboard.chains.results import ActionResult
from cordboard.chains.schema import check_output
from cordboard.chains.steps import FanOut, Send, Step
from cordboard.errors import LedgerUnavailable
from cordboard.jsontext import dump_json
from cordboard.records.effects import Effect, EffectState, Entry, Message
from cordboard.sending import Order, Sent, patiently, send_once
from cordboard.telemetry import labelled
from cordboard.vendors.cxone import execute_data_action
from cordboard.vendors.trace_context import traceparent
from cordboard.vendors.webhook import ChainStatus, chain_status_message
from tasks.connections import Connections
from tasks.earlier_runs import EarlierRuns
from tasks.standing import after_trouble

log = logging.getLogger("cordboard.chain")

#: Coroutines that may prepare an item beyond those whose call is open, so that a freed slot is used at once.
LOOKAHEAD = 16


class ChainRun:
    """One run of one chain. Not a value: tasks of one process write their results into it.

    Tasks get it with the id of their action, and no more: Prefect walks through every dataclass and collection among a
    task's arguments, several times, and would spend longer on a fan-out's items than the vendor.

    Attributes:
        chain: the chain; `plan` is its order.
        params: its parameters, bound; `named_params` has a name in place of each secret.
        run_key: what makes a rerun the same run.
        trace_id: 32 hex digits, sent to the vendor as `traceparent` and to webhooks.
        session: the vendor's client.
        handle: this run in the ledger.
        settings: limits.
        redactor: masks the secrets of this run.
        endpoint: reference of the webhook endpoint, or None.
        earlier: what earlier runs under this key left in the ledger.
        allowed_seconds: what was asked for; `deadline` is the monotonic time after which nothing starts.
        told: actions whose completion an earlier run has on record.
        unsettled: what this process knows of effects and could not tell the ledger yet.
        steps: what was decided for each action whose upstreams have ended, by id.
        sent: how the items of a fan-out ended, by id of its action.
        results: how actions ended, by id.
    """

    def __init__(  # noqa: PLR0913  a run is what it was opened with
        self,
        chain: Chain,
        params: Mapping[str, Any],
        connections: Connections,
        *,
        run_key: str,
        known: Mapping[str, Entry],
        allowed_seconds: float,
    ) -> None:
        self.chain, self.params, self.run_key = chain, params, run_key
        self.session, self.handle, self.settings = connections.session, connections.handle, connections.settings
        self.endpoint, self.redactor, self.trace_id = connections.endpoint, connections.redactor, connections.trace_id
        self.earlier = EarlierRuns(chain.name, run_key, known)
        self.allowed_seconds, self.deadline = allowed_seconds, time.monotonic() + allowed_seconds
        self.plan = plan_chain(chain)
        self.named_params = without_secrets(chain, params)
        self.told = frozenset[str]()
        self.steps: dict[str, Step] = {}
        self.sent: dict[str, list[Sent | None]] = {}
        self.results: dict[str, ActionResult] = {}
        self._started = time.monotonic()
        self.unsettled: dict[str, Sent | None] = {}
        self._offered: set[str] = set()
        self._ready = asyncio.Semaphore(self.settings.in_flight + LOOKAHEAD)

    def elapsed_ms(self) -> float:
        """Milliseconds since this run started."""
        return (time.monotonic() - self._started) * 1000

    def keep(self, action_id: str, result: ActionResult) -> ActionResult:
        """Keeps how an action ended. What it says for people is masked: it is logged and shown in states."""
        said = {"reason": self.redactor.text(result.reason), "error": self.redactor.value(result.error)}
        self.results[action_id] = replace(result, **said)
        return self.results[action_id]

    def mask(self, value: Any) -> Any:
        """The value without the secrets of this run, as the ledger keeps it; the same object where it holds none."""
        return self.redactor.value(value) if self.redactor.knows(dump_json(value)) else value

    async def note(self, kind: str, subject: str, facts: Mapping[str, Any], messages: Sequence[Message] = ()) -> None:
        """Puts something that is no effect on record. A ledger that fails for a moment does not end the run."""

        async def write() -> None:
            await self.handle.record(kind, subject, facts, messages=messages)

        await patiently(write)

    def messages(self, action_id: str, status: ChainStatus, payload: Mapping[str, Any]) -> tuple[Message, ...]:
        """The status webhook to send, or none where no endpoint is set."""
        if self.endpoint is None:
            return ()
        body = chain_status_message(self.trace_id, action_id, status, time.time(), payload)
        return (Message(self.endpoint, f"action.{status}", body),)

    async def send(self, action: Action, step: Send) -> Sent:
        """Sends the one call of an action through the ledger, with its status webhooks."""
        logical_id, body = self.earlier.id_of(action, step.fingerprint), step.fingerprint.inputs
        order = replace(
            self._order(action, action.id, logical_id, step.inputs, body),
            context={"fingerprint": step.fingerprint.as_json()},
            starting=self.messages(action.id, "started", {}),
            ended=lambda sent: self.ending(action, sent),
        )
        return await self._through_ledger(action, order)

    async def send_item(self, action: Action, index: int) -> Sent:
        """Sends one item of a fan-out through the ledger, without status webhooks of its own."""
        async with self._ready:
            fan = self.fan_out(action.id)
            logical_id = self.earlier.item_ids(action, fan)[index]
            order = self._order(action, f"{action.id}[{index}]", logical_id, fan.items[index], fan.prints[index])
            with labelled(item=index):
                return await self._through_ledger(action, order)

    def fan_out(self, action_id: str) -> FanOut:
        """The fan-out that was decided for an action."""
        step = self.steps[action_id]
        assert isinstance(step, FanOut), action_id
        return step

    async def standing(self, action: Action, logical_ids: Sequence[str], trouble: Mapping[str, Any]) -> list[Sent]:
        """How effects stand whose task ended without saying so.

        Args:
            action: the action.
            logical_ids: the effects.
            trouble: what ended the task; the error of those that were certainly not sent.

        Returns:
            One for each id. What may be out is UNKNOWN, also where the ledger cannot be asked.
        """
        try:
            entries, lost = await self.handle.entries(logical_ids), set[str]()
        except LedgerUnavailable:
            entries, lost = {}, self._offered
        found = (after_trouble(each, entries, self.unsettled, lost, trouble) for each in logical_ids)
        return [checked(action, sent) for sent in found]

    def ending(self, action: Action, sent: Sent) -> Sequence[Message]:
        """The webhook that tells how an action ended."""
        sent = checked(action, sent)
        if sent.state is EffectState.DONE:
            return self.messages(action.id, "completed", {"output": sent.output})
        return self.messages(action.id, "failed", {"error": sent.error})

    def _order(self, action: Action, subject: str, logical_id: str, inputs: Any, body: str) -> Order:
        request = execute_data_action(
            action.definition_id,
            inputs,
            idempotent=action.idempotent,
            traceparent=traceparent(self.trace_id, subject),
        )
        operation = request.operation
        return Order(
            Effect(self.handle.tenant, operation.name, logical_id, body, subject, operation.safety),
            request,
            timeout_seconds=action.timeout_seconds,
            attempts=None if action.retries is None else action.retries + 1,
            deadline=self.deadline,
        )

    async def _through_ledger(self, action: Action, order: Order) -> Sent:
        order = replace(order, known=await self._recall(order.effect.logical_id))
        sent = checked(action, await send_once(self.handle, self.session, order, self.unsettled))
        return replace(sent, output=self.mask(sent.output))

    async def _recall(self, logical_id: str) -> Entry | None:
        """What the ledger knows; asked anew where this run has offered the effect before and Prefect tries again."""
        if logical_id not in self._offered:
            self._offered.add(logical_id)
            return self.earlier.known.get(logical_id)
        return (await self.handle.entries([logical_id])).get(logical_id)


def checked(action: Action, sent: Sent) -> Sent:
    """An answer that breaks the action's `output_schema` is a failure: what depends on it must not run on it.

    The effect stays DONE in the ledger. A rerun checks the recorded answer again and sends nothing.
    """
    if sent.state is not EffectState.DONE or action.output_schema is None:
        return sent
    faults = check_output(action.output_schema, sent.output)
    if not faults:
        return sent
    error = {
        "kind": "bad_output",
        "message": f"the vendor's output is not what output_schema says: {'; '.join(faults)}",
    }
    return replace(sent, state=EffectState.FAILED, output=None, error=error)
