"""Callbacks: the vendor reports the end of an instance, with everything that goes wrong between two services."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import Random
from typing import Any

import aiohttp

from cordboard.sandbox.callback_rules import Callbacks, Fate
from cordboard.sandbox.instances import Instance
from cordboard.sandbox.signing import signed
from cordboard.sandbox.truth import Truth

IN_FLIGHT = 16
LONGEST_RETRY_SECONDS = 2.0
OVERTAKEN_SECONDS = 1.0
GONE = 410
KEEPALIVE_SECONDS = 2.0  # shorter than receivers keep idle connections, so that none is used that is being closed
SHARED_SECRET_HEADER = "x-cordboard-secret"  # noqa: S105  (the header's name is public)


class CallbackSender:
    """Sends one message for every instance that ends, unless its fate is another.

    Args:
        rules: where to, how often, and what goes wrong.
        truth: learns of every attempt, and of what is lost on purpose.
        clock: seconds since the epoch, for the timestamps that are signed.
        spawn: runs something beside the requests.
    """

    def __init__(
        self,
        rules: Callbacks,
        truth: Truth,
        clock: Callable[[], float],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._rules, self._truth, self._clock, self._spawn = rules, truth, clock, spawn
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._held: list[tuple[float, asyncio.Event]] = []

    @property
    def is_on(self) -> bool:
        """Whether there is somebody to report to."""
        return self._rules.url is not None

    def fate(self, draw: Random) -> Fate:
        """Draws what befalls the callback of an instance that starts."""
        drawn = self._rules.fate(draw)
        return drawn if self.is_on else Fate(*[False] * len(drawn))

    def ended(self, instance: Instance) -> None:
        """Reports an end, unless that is done before the reply."""
        if self.is_on and not instance.fate.before_reply:
            self._spawn(self._deliver(instance, asyncio.Event()))

    async def before_reply(self, instance: Instance) -> None:
        """Reports an end, and returns once that was tried for the first time."""
        tried = asyncio.Event()
        self._spawn(self._deliver(instance, tried))
        await tried.wait()

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._session:
            await self._session.close()

    async def _deliver(self, instance: Instance, tried: asyncio.Event) -> None:
        fate, (message_id, other_id) = instance.fate, instance.message_ids
        try:
            if fate.lost:
                self._note(instance, message_id, fault="lost")
                return
            if not fate.before_reply:
                await self._wait(instance)
            await self._send(instance, message_id, _fault(fate), tried)
        finally:
            tried.set()
        self._let_go(instance)
        if fate.duplicate:
            await self._send(instance, message_id, "duplicates", tried)
        if fate.reissued:
            await self._send(instance, other_id, "reissued", tried)

    async def _wait(self, instance: Instance) -> None:
        if instance.fate.delayed:
            await asyncio.sleep(self._rules.delay_seconds)
        if instance.fate.reordered:
            held = (instance.ends_at, asyncio.Event())
            self._held.append(held)
            with suppress(TimeoutError):
                await asyncio.wait_for(held[1].wait(), OVERTAKEN_SECONDS)
            self._held.remove(held)

    def _let_go(self, instance: Instance) -> None:
        for ends_at, overtaken in self._held:
            if ends_at < instance.ends_at:
                overtaken.set()

    async def _send(self, instance: Instance, message_id: str, fault: str | None, tried: asyncio.Event) -> None:
        body = json.dumps(instance.completion(), ensure_ascii=False)
        wait = self._rules.retry_seconds
        for attempt in range(1, self._rules.attempts + 1):
            async with self._slots:
                status = await self._post(message_id, body)
            self._note(instance, message_id, attempt=attempt, status=status, fault=fault)
            tried.set()
            if status is not None and (200 <= status < 300 or status == GONE):
                return
            if attempt < self._rules.attempts:
                await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_RETRY_SECONDS)

    async def _post(self, message_id: str, body: str) -> int | None:
        """The status of the answer; None where there is none."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=IN_FLIGHT, keepalive_timeout=KEEPALIVE_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        headers = {"content-type": "application/json", **self._proof(message_id, body)}
        sending = self._session.post(
            self._rules.url or "",
            data=body.encode(),
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=self._rules.timeout_seconds),
        )
        try:
            async with sending as reply:
                await reply.read()
                return reply.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None

    def _proof(self, message_id: str, body: str) -> dict[str, str]:
        if self._rules.secret:
            return signed(self._rules.secret, message_id, self._clock(), body)
        if self._rules.shared_secret:
            return {SHARED_SECRET_HEADER: self._rules.shared_secret.get_secret_value()}
        return {}

    def _note(self, instance: Instance, message_id: str, **facts: Any) -> None:
        self._truth.note(
            "callback",
            instance.request_id,
            "POST",
            self._rules.url or "",
            instance_id=instance.id,
            workflow_id=instance.workflow_id,
            message_id=message_id,
            inputs=instance.completion(),
            **facts,
        )


def _fault(fate: Fate) -> str | None:
    """What the first message suffers, as its share is called."""
    names = {"before_reply": fate.before_reply, "reorder": fate.reordered, "delayed": fate.delayed}
    return next((name for name, befallen in names.items() if befallen), None)
