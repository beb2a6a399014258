"""One request's way back to its client, over a socket or inside this process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from cordboard.sandbox.call import Reply

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CUT = "cordboard.cut"  # the ASGI extension under which our server hands in a function that drops the connection


class ConnectionCut(ConnectionResetError):  # noqa: N818  (named as what happens)
    """The sandbox dropped the connection. Only in-process clients see this; over a socket the socket closes."""


@dataclass(frozen=True, slots=True)
class Channel:
    """The ASGI side of one request."""

    scope: Mapping[str, Any]
    receive: Receive
    send_message: Send

    async def send(self, reply: Reply) -> None:
        """Sends a whole reply."""
        await self.start(reply)
        await self.send_message({"type": "http.response.body", "body": reply.body})

    async def start(self, reply: Reply) -> None:
        """Sends status and headers; `Content-Length` promises the whole body."""
        headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
        headers.append((b"content-length", str(len(reply.body)).encode()))
        await self.send_message({"type": "http.response.start", "status": reply.status, "headers": headers})

    async def send_part(self, body: bytes) -> None:
        """Sends a piece of the body."""
        await self.send_message({"type": "http.response.body", "body": body, "more_body": True})

    async def finish(self) -> None:
        """Ends a body that left in pieces."""
        await self.send_message({"type": "http.response.body", "body": b""})

    async def cut(self, *, flush: bool = False) -> None:
        """Drops the connection, and with `flush` only after what was sent has left.

        Raises:
            ConnectionCut: there is no connection to drop, because the client is in this process.
        """
        drop = self.scope.get("extensions", {}).get(CUT)
        if drop is None:
            raise ConnectionCut("the sandbox dropped the connection")
        drop(flush)
        await self.client_gone(None)

    async def client_gone(self, seconds: float | None) -> bool:
        """Waits, and says whether the client left in the meantime."""
        try:
            async with asyncio.timeout(seconds):
                while (await self.receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return False
        return True
