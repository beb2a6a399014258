"""A vendor that costs next to nothing: raw asyncio, one reply after a fixed delay.

`python -m bench.vendor PORT`; the delay is in the path: `/50/api/v2/dataactions/executions` answers after 50 ms, and
`/50/api/v2/workflows/instances` starts an instance with an id of its own.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count

TOKEN = b'{"access_token":"bench","token_type":"Bearer","expires_in":3600}'
DONE = b'{"id":"exec_1","status":"completed","output":{"ok":true,"n":1}}'
STARTED = b'{"id":"inst_%d","workflowId":"wf_bench","status":"running"}'
_numbers = count(1)


def reply(body: bytes) -> bytes:
    """A whole HTTP reply."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests come one after another, as HTTP/1.1 clients send them."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer = transport, b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            place = head.find(b"content-length:")
            length = int(head[place + 15 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            self.answer(head.split(b" ", 2)[1])

    def answer(self, path: bytes) -> None:
        if path.endswith(b"/oauth/token"):
            self.transport.write(reply(TOKEN))  # type: ignore[attr-defined]
            return
        delay = int(path.split(b"/")[1]) / 1000
        done = reply(STARTED % next(_numbers) if path.endswith(b"/instances") else DONE)
        if delay:
            asyncio.get_running_loop().call_later(delay, self.transport.write, done)  # type: ignore[attr-defined]
        else:
            self.transport.write(done)  # type: ignore[attr-defined]


async def serve(port: int) -> None:
    """Serves until killed."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
