"""Idempotency keys: what was answered under each, for a day."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cordboard.sandbox.call import Refusal, Reply

KEPT_SECONDS = 24 * 3600.0


@dataclass(slots=True)
class _Kept:
    body: str
    since: float
    reply: Reply | None = None


class IdempotencyKeys:
    """Answers the same key and body with the first reply, without a second effect.

    Args:
        clock: seconds since the epoch; a key is forgotten 24 hours after its first use.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str], _Kept] = {}

    async def once(self, client: str, key: str, body: str, work: Callable[[], Awaitable[Reply]]) -> Reply:
        """Does the work under a key that is new, and else gives its first reply.

        Args:
            client: whose key it is; two clients may use the same.
            key: what the request carries.
            body: digest of the request's body.
            work: what to do; where it fails, nothing happened and the key is free again.

        Raises:
            Refusal: another body under the key (422), or its first request is not answered yet (409).
        """
        self._forget()
        kept = self._kept.get((client, key))
        if kept is None:
            return await self._first((client, key), body, work)
        if kept.body != body:
            message = "This Idempotency-Key was used with another body."
            raise Refusal(422, "idempotency_key_reused", message)
        if kept.reply is None:
            message = "The first request with this Idempotency-Key is still at work."
            raise Refusal(409, "idempotency_key_in_flight", message)
        return kept.reply

    async def _first(self, name: tuple[str, str], body: str, work: Callable[[], Awaitable[Reply]]) -> Reply:
        kept = self._kept[name] = _Kept(body, self._clock())
        try:
            reply = kept.reply = await work()
        finally:
            if kept.reply is None:
                self._kept.pop(name, None)
        return reply

    def _forget(self) -> None:
        latest = self._clock() - KEPT_SECONDS
        self._kept = {name: kept for name, kept in self._kept.items() if kept.since > latest}
