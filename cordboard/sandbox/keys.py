"""Idempotency keys: what was answered under each, for a day."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cordboard.sandbox.call import Refusal, Reply

KEPT_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class _Kept:
    body: str
    since: float
    reply: asyncio.Future[Reply]


class IdempotencyKeys:
    """Answers the same key and body with the first reply, without a second effect.

    Args:
        clock: seconds since the epoch; a key is forgotten 24 hours after its first use.
        reused: status of the refusal of another body under the same key.
        waits: whether a second request waits while the first is still at work, or is refused.
    """

    def __init__(self, clock: Callable[[], float], *, reused: int = 422, waits: bool = False) -> None:
        self._clock, self._reused, self._waits = clock, reused, waits
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def once(self, client: str, key: str, body: str, work: Callable[[], Awaitable[Reply]]) -> Reply:
        """Does the work under a key that is new, and else gives its first reply.

        Args:
            client: whose key it is; two clients may use the same.
            key: what the request carries.
            body: digest of the request's body.
            work: what to do; where it fails, nothing happened and the key is free again.

        Raises:
            Refusal: another body under the key (422 unless told otherwise), or its first request is not answered yet
                (409, unless this one waits).
        """
        self._forget()
        kept = self._kept.get((client, key))
        if kept is None:
            return await self._first((client, key), body, work)
        if kept.body != body:
            message = "This Idempotency-Key was used with another body."
            raise Refusal(self._reused, "idempotency_key_reused", message)
        if not kept.reply.done() and not self._waits:
            message = "The first request with this Idempotency-Key is still at work."
            raise Refusal(409, "idempotency_key_in_flight", message)
        return await asyncio.shield(kept.reply)

    async def _first(self, name: tuple[str, str], body: str, work: Callable[[], Awaitable[Reply]]) -> Reply:
        task = asyncio.ensure_future(work())
        self._kept[name] = _Kept(body, self._clock(), task)
        try:
            return await task
        except BaseException:
            self._kept.pop(name, None)
            raise

    def _forget(self) -> None:
        """Drops what is too old; the oldest stand first."""
        latest = self._clock() - KEPT_SECONDS
        while self._kept and (oldest := next(iter(self._kept.items())))[1].since <= latest:
            del self._kept[oldest[0]]
