"""`python -m bench.cluster_balancer PORT API_PORT…`: what clients of several API servers talk to, as HAProxy would be.

Each connection goes to the next server that takes it. While none does, it answers 503 and when to come again, as
`deployments/cluster/haproxy.cfg` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from itertools import count

HOST = "127.0.0.1"
REFUSAL = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
HEAD_SECONDS = 5.0


class Balancer:
    """Passes bytes on, both ways, until one side ends."""

    def __init__(self, servers: list[int]) -> None:
        self._servers, self._turn = servers, count()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        try:
            server = await self._connected()
            if server is None:
                await _refuse(reader, writer)
                return
            there, back = server
            try:
                tasks = [asyncio.create_task(_pass_on(reader, back)), asyncio.create_task(_pass_on(there, writer))]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            finally:
                back.close()
        finally:
            writer.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        first = next(self._turn)
        for number in range(len(self._servers)):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(HOST, self._servers[(first + number) % len(self._servers)])
        return None


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while some := await reader.read(65536):
            writer.write(some)
            await writer.drain()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
        async with asyncio.timeout(HEAD_SECONDS):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(REFUSAL)
            await writer.drain()


async def serve(port: int, servers: list[int]) -> None:
    """Serves until killed."""
    server = await asyncio.start_server(Balancer(servers).take, HOST, port, backlog=512)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), [int(each) for each in sys.argv[2:]]))
