"""What the tasks of one chain run share: its client, its ledger handle, its clock and what it knows already."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cordboard.chains.fingerprint import Fingerprint, what_changed
from cordboard.chains.model import Action, Chain
from cordboard.chains.plan import plan_chain
from cordboard.chains.results import ActionResult
from cordboard.chains.schema import check_output
from cordboard.chains.steps import FanOut, Send, Step
from cordboard.errors import LedgerUnavailable
from cordboard.jsontext import digest, dump_json
from cordboard.records.effects import Effect, EffectState, Entry, Message
from cordboard.records.run import RunHandle
from cordboard.redaction import Redactor
from cordboard.sending import Order, Sent, send_once
from cordboard.settings import Settings
from cordboard.vendors.cxone import execute_data_action, traceparent
from cordboard.vendors.session import VendorSession
from cordboard.vendors.webhook import ChainStatus, chain_status_message
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
        params: its parameters, bound.
        run_key: what makes a rerun the same run.
        trace_id: 32 hex digits, sent to the vendor as `traceparent` and to webhooks.
        session: the vendor's client.
        handle: this run in the ledger.
        settings: limits.
        redactor: masks the secrets of this run.
        endpoint: reference of the webhook endpoint, or None.
        known: what earlier runs under this key left in the ledger, by logical id.
        allowed_seconds: what was asked for; `deadline` is the monotonic time after which nothing starts.
        unsettled: what this process knows of effects and could not tell the ledger yet.
        steps: what was decided for each action whose upstreams have ended, by id.
        sent: how the items of a fan-out ended, by id of its action.
        results: how actions ended, by id.
    """

    def __init__(  # noqa: PLR0913  a run is what it was opened with
        self,
        chain: Chain,
        params: Mapping[str, Any],
        *,
        run_key: str,
        session: VendorSession,
        handle: RunHandle,
        settings: Settings,
        redactor: Redactor,
        endpoint: str | None,
        known: Mapping[str, Entry],
        allowed_seconds: float,
    ) -> None:
        self.chain, self.params, self.run_key = chain, params, run_key
        self.session, self.handle, self.settings, self.endpoint = session, handle, settings, endpoint
        self.known, self.redactor = known, redactor
        self.allowed_seconds, self.deadline = allowed_seconds, time.monotonic() + allowed_seconds
        self.plan = plan_chain(chain)
        self.trace_id = uuid.uuid4().hex
        self.steps: dict[str, Step] = {}
        self.sent: dict[str, list[Sent | None]] = {}
        self.results: dict[str, ActionResult] = {}
        self._started = time.monotonic()
        self.unsettled: dict[str, Sent | None] = {}
        by_time = sorted(self.known.values(), key=lambda entry: entry.updated_at)
        self._before = {entry.effect.subject: entry for entry in by_time}
        self._times = Counter(entry.effect.subject for entry in self.known.values())
        self._offered: set[str] = set()
        self._item_ids: dict[str, tuple[str, ...]] = {}
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

    def messages(self, action_id: str, status: ChainStatus, payload: Mapping[str, Any]) -> tuple[Message, ...]:
        """The status webhook to send, or none where no endpoint is set."""
        if self.endpoint is None:
            return ()
        body = chain_status_message(self.trace_id, action_id, status, time.time(), payload)
        return (Message(self.endpoint, f"action.{status}", body),)

    def why(self, action: Action, print_: Fingerprint) -> str:
        """Says why an action was reused, ran again or did not; nothing where no earlier run under this key had it."""
        known = self.known.get(self.identity(action, print_))
        if known is not None:
            return _why(action, known)
        earlier = self._before.get(action.id)
        if earlier is None:
            return ""
        parts = (earlier.evidence or {}).get("fingerprint", {})
        return f"run again: {what_changed(parts, print_)}"

    def why_items(self, action: Action) -> str:
        """The same for a fan-out, with the number of items for each reason."""
        ids = self.item_ids(action)
        if not any(entry.effect.subject.startswith(f"{action.id}[") for entry in self.known.values()):
            return ""
        reasons = Counter(_why(action, self.known[each]) if each in self.known else _NEW for each in ids)
        if len(reasons) == 1:
            return next(iter(reasons))
        return "; ".join(f"{count} of {len(ids)} {reason}" for reason, count in reasons.most_common())

    async def send(self, action: Action, step: Send) -> Sent:
        """Sends the one call of an action through the ledger, with its status webhooks."""
        order = self._order(action, action.id, self.identity(action, step.fingerprint), step.inputs)
        order = replace(
            order,
            context={"fingerprint": step.fingerprint.as_json()},
            starting=self.messages(action.id, "started", {}),
            ended=lambda sent: self.ending(action, sent),
        )
        return await self._through_ledger(action, order)

    async def send_item(self, action: Action, index: int) -> Sent:
        """Sends one item of a fan-out through the ledger, without status webhooks of its own."""
        async with self._ready:
            fan, logical_id = self.fan_out(action.id), self.item_ids(action)[index]
            order = self._order(action, f"{action.id}[{index}]", logical_id, fan.items[index], fan.prints[index])
            return await self._through_ledger(action, order)

    def identity(self, action: Action, print_: Fingerprint) -> str:
        """The logical id by which the ledger knows the effect of an action.

        Only the latest effect of an action counts as what it did: after an edit and an edit back, the vendor has what
        was sent in between, so the first effect is brought about anew, under an id of its own.
        """
        first = f"{self.chain.name}/{self.run_key}/{action.id}/{print_.value}"
        latest = self._before.get(action.id)
        if latest is not None and latest.effect.logical_id.startswith(first):
            return latest.effect.logical_id
        return f"{first}~{self._times[action.id]}" if first in self.known else first

    def item_ids(self, action: Action) -> tuple[str, ...]:
        """The logical ids of a fan-out's items, in order.

        An item is what the vendor sees of it and what it was made from, not its place in the list: a list that grew
        or was sorted does not send again what is done. The same item for the second time is another one.
        """
        if action.id not in self._item_ids:
            fan, seen = self.fan_out(action.id), Counter[str]()
            ground = digest([action.definition_id, dict(fan.fingerprint.upstream)])
            ids = []
            for each in fan.prints:
                seen[each] += 1
                ids.append(f"{self.chain.name}/{self.run_key}/{action.id}[]/{ground}/{each}#{seen[each]}")
            self._item_ids[action.id] = tuple(ids)
        return self._item_ids[action.id]

    def fan_out(self, action_id: str) -> FanOut:
        """The fan-out that was decided for an action."""
        step = self.steps[action_id]
        assert isinstance(step, FanOut), action_id
        return step

    def all_done(self, action: Action) -> bool:
        """Whether an earlier run under this key completed every item of a fan-out."""
        return bool(self.known) and all(
            (entry := self.known.get(each)) is not None and entry.state is EffectState.DONE
            for each in self.item_ids(action)
        )

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

    def _order(self, action: Action, subject: str, logical_id: str, inputs: Any, body: str | None = None) -> Order:
        request = execute_data_action(
            action.definition_id,
            inputs,
            idempotent=action.idempotent,
            traceparent=traceparent(self.trace_id, subject),
        )
        operation, body = request.operation, body or digest(self.mask(inputs))
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
            return self.known.get(logical_id)
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


def _why(action: Action, known: Entry) -> str:
    open_ended = known.state in {EffectState.SENT, EffectState.UNKNOWN} and not action.idempotent
    return "not sent again: it may have taken effect before" if open_ended else _WHY[known.state]


_NEW = "new: no earlier run had it with these inputs"
_WHY = {
    EffectState.DONE: "reused: same definition, inputs and upstream as before",
    EffectState.READY: "run again: it was refused before",
    EffectState.SENT: "run again: its answer was never recorded, and a repeat is the same",
    EffectState.FAILED: "run again: it failed before",
    EffectState.UNKNOWN: "run again: its outcome was never certain, and a repeat is the same",
}
