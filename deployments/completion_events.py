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
from cordboard.records.inbox import newest_applied, oldest_waiting
from cordboard.records.ledger import Ledger
from cordboard.records.outbox import is_due

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

EVENT = "cordboard.completion.received"
PAUSE_SECONDS = 1.0
REMIND_SECONDS = 30.0
POST_SECONDS = 10.0
log = logging.getLogger("cordboard.receiver")
Post = Callable[[str], Awaitable[bool]]


class Announcer:
    """Emits events in the background; `tell` returns at once, whatever becomes of them.

    Args:
        post: sends an event for a message of the inbox, and says whether there was anybody to send it to.
        pause_seconds: between two events.
        note: hears of each try whether it went well.
    """

    def __init__(
        self, post: Post, pause_seconds: float = PAUSE_SECONDS, note: Callable[[bool], None] | None = None
    ) -> None:
        self._post, self._pause_seconds, self._note = post, pause_seconds, note or (lambda _: None)
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
            await self._emit()
            await asyncio.sleep(self._pause_seconds)

    async def _emit(self) -> None:
        try:
            async with asyncio.timeout(POST_SECONDS):
                if await self._post(self._newest):
                    self._note(True)
        except Exception as error:  # nothing that Prefect does may end the receiver
            self._note(False)
            status = getattr(getattr(error, "response", None), "status_code", "")
            why = f"{type(error).__name__} {status}".rstrip()
            log.warning("Prefect was not told of a completion (%s); it is told again soon", why)


async def remind(
    ledger: Ledger,
    tenant: str,
    tell: Callable[[str], None],
    every: float = REMIND_SECONDS,
    erp: str | None = None,
) -> None:
    """Tells of what waits: at once of anything, then again and again of what has waited that long already.

    Args:
        ledger: where it waits.
        tenant: whose it is.
        tell: is given our id of a message of the inbox.
        every: seconds from one look to the next.
        erp: reference of the ERP's endpoint, whose records come due again after it refused them; None where there is
            no ERP.
    """
    least = 0.0
    while True:
        try:
            overdue = await _overdue(ledger, inbox_endpoint(tenant), erp, ledger.clock() - least)
        except Exception as error:  # whatever it is, what waits must be told of later
            why = error if isinstance(error, LedgerUnavailable) else type(error).__name__
            log.warning("the inbox could not be looked into: %s", why)
            overdue = None
        if overdue:
            tell(overdue)
        await asyncio.sleep(every)
        least = every


async def _overdue(ledger: Ledger, endpoint: str, erp: str | None, by: float) -> str | None:
    """Our id of a message to tell of; where only records for the ERP are due, of the one that was applied last."""
    if oldest := await oldest_waiting(ledger, endpoint, by=by):
        return oldest
    if erp is None or not await is_due(ledger, erp, by):
        return None
    return await newest_applied(ledger, endpoint)


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

    async def post(self, inbox_id: str) -> bool:
        """Sends the event for one message of the inbox; returns whether there is a server at all."""
        if self._client is None:
            return False
        from prefect.events.schemas.events import Event, Resource  # noqa: PLC0415  as above

        resource = Resource({"prefect.resource.id": f"cordboard.inbox.{inbox_id}"})
        event = Event(event=EVENT, resource=resource, payload={"inbox_id": inbox_id})
        reply = await self._client.request("POST", "/events", json=[event.model_dump(mode="json")])
        reply.raise_for_status()
        return True
