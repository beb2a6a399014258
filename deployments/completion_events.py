"""Tells Prefect that completions wait. The event carries our id of one of them, and nothing that came from outside.

One event is enough for all that wait, because the flow that it starts applies all of them. So at most one a second
leaves, and what could not be told is told again as long as it waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Self

from cordboard.completion.receiving import inbox_endpoint
from cordboard.errors import LedgerUnavailable
from cordboard.records.inbox import oldest_waiting
from cordboard.records.ledger import Ledger

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

EVENT = "cordboard.completion.received"
PAUSE_SECONDS = 1.0
REMIND_SECONDS = 30.0
POST_SECONDS = 10.0
log = logging.getLogger("cordboard.receiver")
Post = Callable[[str], Awaitable[None]]


class Announcer:
    """Emits events in the background; `tell` returns at once, whatever becomes of them."""

    def __init__(self, post: Post, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._post, self._pause_seconds = post, pause_seconds
        self._newest = ""
        self._wake = asyncio.Event()

    def tell(self, inbox_id: str) -> None:
        """Asks for an event."""
        self._newest = inbox_id
        self._wake.set()

    async def run(self) -> None:
        """Emits what is asked for, until it is cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                async with asyncio.timeout(POST_SECONDS):
                    await self._post(self._newest)
            except Exception as error:  # nothing that Prefect does may end the receiver
                log.warning("Prefect was not told of a completion (%s); it is told again soon", type(error).__name__)
            await asyncio.sleep(self._pause_seconds)


async def remind(ledger: Ledger, tenant: str, tell: Callable[[str], None], every: float = REMIND_SECONDS) -> None:
    """Tells of what waits: at once of anything, then again and again of what has waited that long already."""
    least = 0.0
    while True:
        try:
            oldest = await oldest_waiting(ledger, inbox_endpoint(tenant), by=ledger.clock() - least)
        except LedgerUnavailable as error:
            log.warning("the inbox could not be looked into: %s", error)
            oldest = None
        if oldest:
            tell(oldest)
        await asyncio.sleep(every)
        least = every


class PrefectEvents:
    """The way to a Prefect server. Without one nothing is sent: a schedule or a person starts the flow.

    Use it as an async context manager. Prefect is imported when it is entered, which takes seconds: enter it before
    anybody waits for an answer.
    """

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url
        self._stack = contextlib.AsyncExitStack()
        self._client: PrefectClient | None = None

    async def __aenter__(self) -> Self:
        if self._api_url:
            from prefect.client.orchestration import get_client  # noqa: PLC0415  seconds, and only with a server

            self._client = await self._stack.enter_async_context(get_client())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def post(self, inbox_id: str) -> None:
        """Sends the event for one message of the inbox."""
        if self._client is None:
            return
        from prefect.events.schemas.events import Event, Resource  # noqa: PLC0415  as above

        resource = Resource({"prefect.resource.id": f"cordboard.inbox.{inbox_id}"})
        event = Event(event=EVENT, resource=resource, payload={"inbox_id": inbox_id})
        reply = await self._client.request("POST", "/events", json=[event.model_dump(mode="json")])
        reply.raise_for_status()
