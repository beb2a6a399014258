"""Workflow instances over HTTP: started within the limit, looked up, read, and reported at their end."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random

from cordboard.jsontext import digest
from cordboard.sandbox.call import INSTANCES, Call, Refusal, Reply
from cordboard.sandbox.callbacks import CallbackSender
from cordboard.sandbox.definition import Definition
from cordboard.sandbox.instances import Instance, Instances
from cordboard.sandbox.keys import IdempotencyKeys
from cordboard.sandbox.truth import Truth
from cordboard.sandbox.workflow_requests import Start, search_of, start_of

REFERENCE = "cordboardReference"
SOONEST_SECONDS = 0.005  # a timer that comes too early by a hair looks again after this


class Workflows:
    """Starts instances and answers for them.

    Args:
        definition: which workflows there are.
        truth: learns of every start that takes effect.
        callbacks: told of every end.
        clock: seconds since the epoch; instances end by it.
        seed: draws ids, durations, ends and what befalls the callbacks.
    """

    def __init__(
        self, definition: Definition, truth: Truth, callbacks: CallbackSender, clock: Callable[[], float], seed: int
    ) -> None:
        self._rules = definition.workflows
        self._truth, self._callbacks, self._seed = truth, callbacks, seed
        lags = {workflow_id: rules.lookup_lag_seconds for workflow_id, rules in self._rules.items()}
        self._instances = Instances(lags, clock, callbacks.ended)
        self._keys = IdempotencyKeys(clock, reused=409, waits=True)
        self._seen: Counter[str] = Counter()
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, call: Call, client: str) -> Reply:
        """Starts an instance: 201, whatever becomes of it.

        Raises:
            Refusal: a body that is wrong (400), an unknown workflow (404), a key that was used with another body
                (409), or a workflow that is at its limit (429 or 400).
        """
        start, content = start_of(call.json, self._rules), digest(call.json)
        work = partial(self._run, call, client, start, content)
        key = call.headers.get("idempotency-key", "").strip()
        if key and self._rules[start.workflow_id].idempotency:
            return await self._keys.once(client, key, content, work)
        return await work()

    def search(self, call: Call) -> Reply:
        """A page of the instances that fit the query, and how many fit.

        Raises:
            Refusal: a query that is wrong (400), or an unknown workflow (404).
        """
        search = search_of(call.query, self._rules)
        total, page = self._instances.search(search.filters, search.offset, search.size)
        now = self._instances.now()
        return Reply.of(
            {
                "totalCount": total,
                "pageNumber": search.number,
                "pageSize": search.size,
                "instances": [instance.shown(now) for instance in page],
            }
        )

    def read(self, call: Call) -> Reply:
        """One instance as it is now.

        Raises:
            Refusal: there is none of this id (404).
        """
        instance_id = call.path.removeprefix(f"{INSTANCES}/")
        now, instance = self._instances.now(), self._instances.get(instance_id)
        if instance is None:
            raise Refusal(404, "instance_not_found", f"There is no instance {instance_id[:128]}.")
        return Reply.of(instance.shown(now))

    def running(self, workflow_id: str) -> int:
        """How many instances of a workflow run now."""
        return self._instances.running(workflow_id)

    def stop(self) -> None:
        """Notices no further end by itself."""
        if self._timer:
            self._timer.cancel()

    async def _run(self, call: Call, client: str, start: Start, content: str) -> Reply:
        rules = self._rules[start.workflow_id]
        if rules.delay_ms:
            await asyncio.sleep(rules.delay_ms / 1000)
        self._demand_room(start.workflow_id)
        instance = self._new(call, start, content)
        running = self._instances.add(instance)
        self._record(call, client, instance, running)
        self._wake()
        if instance.fate.before_reply:
            await self._callbacks.before_reply(instance)
        return Reply.of(instance.as_started(), 201)

    def _demand_room(self, workflow_id: str) -> None:
        rules = self._rules[workflow_id]
        if rules.max_running is None or self._instances.running(workflow_id) < rules.max_running:
            return
        next_end = self._instances.next_end(workflow_id) or 0
        wait = max(1, math.ceil(next_end - self._instances.now()))
        wait = wait if rules.retry_after_seconds is None else rules.retry_after_seconds
        headers = {"retry-after": str(wait)} if rules.at_limit == 429 else {}
        message = f"The workflow {workflow_id} is at its concurrent instance limit of {rules.max_running}."
        raise Refusal(rules.at_limit, "concurrent_instance_limit", message, headers)

    def _new(self, call: Call, start: Start, content: str) -> Instance:
        """Draws everything about an instance from the seed and its content, whatever the order of the starts."""
        rules, now = self._rules[start.workflow_id], self._instances.now()
        self._seen[content] += 1
        draw = Random(f"instances {self._seed} {content} {self._seen[content]}")  # noqa: S311
        instance_id, *message_ids = (f"{draw.getrandbits(64):016x}" for _ in range(3))
        lasts, completes = draw.uniform(*rules.durations), draw.random() < rules.ends.completed
        fate = self._callbacks.fate(draw)
        return Instance(
            id=f"inst_{instance_id}",
            workflow_id=start.workflow_id,
            request_id=call.request_id,
            priority=start.priority,
            metadata=start.metadata,
            result=rules.result.of(start.context),
            started_at=now,
            ends_at=now if fate.before_reply else now + lasts,
            ends_as="completed" if completes else "failed",
            fate=fate,
            message_ids=(f"msg_{message_ids[0]}", f"msg_{message_ids[1]}"),
        )

    def _record(self, call: Call, client: str, instance: Instance, running: int) -> None:
        self._truth.record(
            "effect",
            call,
            at=instance.started_at,
            client=client,
            instance_id=instance.id,
            workflow_id=instance.workflow_id,
            reference=instance.metadata.get(REFERENCE),
            ends_at=instance.ends_at,
            ends_as=instance.ends_as,
            running=running,
        )

    def _wake(self) -> None:
        """Sees to it that the next end is noticed when it comes; without callbacks it is enough to notice it later."""
        next_end = self._instances.next_end()
        if not self._callbacks.is_on or next_end is None:
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + max(SOONEST_SECONDS, next_end - self._instances.now())
        if self._timer is None or self._timer.cancelled() or not loop.time() <= self._timer.when() <= due:
            self.stop()
            self._timer = loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        self._instances.now()
        self._wake()
