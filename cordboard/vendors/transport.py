"""One exchange with a vendor: connected, sent and read within one deadline, one size and no redirects.

Why not `httpx.AsyncClient`: its pool slows down from about 50 open calls, its timeouts count per read (a reply that
drips never ends), it reads bodies of any size, and one small gzip can unpack to hundreds of megabytes. It also keeps
cookies from call to call and logs every URL. So the transport is asked directly.

`httpx_aiohttp` maps a connection lost *after* sending to `httpx.ConnectTimeout`. Whether something was sent is
therefore judged by the aiohttp error underneath: taken as "nothing sent", a lost reply would start a second effect.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import AsyncIterable, Mapping
from functools import lru_cache

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from cordboard import __version__
from cordboard.vendors.wire import NoReply, Reply

KEEPALIVE_SECONDS = 3.0  # shorter than servers keep idle connections, so that a POST does not meet one being closed
CONNECT_SECONDS = 10.0
_UNZIP_ANY = 32 + zlib.MAX_WBITS  # zlib's own "gzip or deflate" mode
_HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": f"cordboard/{__version__}"}
_NEVER_SENT = (
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)


def quiet_http_logs() -> None:
    """Sets the loggers that write every URL at INFO to WARNING; for programs to call when they set up logging."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


class HttpClient:
    """One pool of connections; asks, and says what came back, and never raises for what the other side does."""

    def __init__(
        self, *, in_flight: int, body_max_bytes: int, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._body_max_bytes = body_max_bytes
        # `verify=False` only spares the transport a TLS context of its own: the session below brings the one in use.
        self._transport = transport or AiohttpTransport(verify=False, client=lambda: _aiohttp_session(in_flight))

    async def aclose(self) -> None:
        """Closes every connection."""
        await self._transport.aclose()

    async def exchange(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes, timeout_seconds: float
    ) -> Reply | NoReply:
        """Sends one request and reads its reply.

        Args:
            method: HTTP method.
            url: whole URL.
            headers: besides those that every request has.
            content: body.
            timeout_seconds: for the whole exchange, from connecting to the last byte.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                request = httpx.Request(
                    method,
                    _parsed(url),
                    headers={**_HEADERS, **headers},
                    content=content,
                    extensions={"timeout": _connect_within(timeout_seconds)},
                )
                request.headers.encoding = "ascii"  # else it is found out anew for each header and each reader
                response = await self._transport.handle_async_request(request)
                try:
                    return await self._read(response)
                finally:
                    await response.aclose()
        except Exception as error:  # a transport may raise anything; every end of a call is a verdict
            return _no_reply(error, timeout_seconds)

    async def _read(self, response: httpx.Response) -> Reply:
        response.headers.encoding = "latin-1"
        headers = {name.lower(): value for name, value in response.headers.items()}
        assert isinstance(response.stream, httpx.AsyncByteStream)
        body, fault = await _read_at_most(response.stream, self._body_max_bytes)
        encoding = headers.get("content-encoding", "identity").lower()
        if encoding != "identity" and not fault:
            body, fault = _unpack(body, encoding, self._body_max_bytes)
        return Reply(response.status_code, headers, body, fault)


async def _read_at_most(chunks: AsyncIterable[bytes], most: int) -> tuple[bytes, str]:
    parts, size = [], 0
    try:
        async for chunk in chunks:
            size += len(chunk)
            if size > most:
                return b"", f"the body is larger than {most} bytes"
            parts.append(chunk)
    except (httpx.TransportError, aiohttp.ClientError, OSError):
        return b"".join(parts), f"the body broke off after {size} bytes"
    return b"".join(parts), ""


def _unpack(packed: bytes, encoding: str, most: int) -> tuple[bytes, str]:
    if encoding not in ("gzip", "deflate"):
        return b"", "the body is packed in a way that was not asked for"
    unpacker = zlib.decompressobj(_UNZIP_ANY)
    try:
        body = unpacker.decompress(packed, most + 1)
    except zlib.error:
        return b"", f"the body is not {encoding}"
    if len(body) > most:
        return b"", f"the body is larger than {most} bytes when unpacked"
    return (body, "") if unpacker.eof else (b"", "the packed body broke off")


@lru_cache(maxsize=256)
def _parsed(url: str) -> httpx.URL:
    """A run asks the same few addresses again and again, and parsing one costs as much as sending it."""
    return httpx.URL(url)


def _no_reply(error: Exception, timeout_seconds: float) -> NoReply:
    cause = error.__cause__ if isinstance(error.__cause__, aiohttp.ClientError) else error
    if isinstance(cause, _NEVER_SENT):
        return NoReply("not_sent", False, f"nothing was sent: {_reason(cause)}")
    if isinstance(cause, aiohttp.ClientResponseError | httpx.RemoteProtocolError):
        return NoReply("bad_reply", True, "the reply is not HTTP")
    if isinstance(cause, TimeoutError | httpx.TimeoutException):
        return NoReply("timeout", True, f"no whole reply within {timeout_seconds:g} s")
    return NoReply(
        "lost_reply", True, f"the connection broke before the whole reply was there ({type(cause).__name__})"
    )


def _reason(cause: Exception) -> str:
    if isinstance(cause, aiohttp.ClientConnectorError):
        return f"{cause.host}:{cause.port} cannot be reached ({cause.os_error.strerror or type(cause).__name__})"
    return f"the connection could not be made ({type(cause).__name__})"


def _connect_within(timeout_seconds: float) -> dict[str, float | None]:
    """Connecting gives up before the whole exchange does, so that "not even connected" is known as that."""
    most = min(CONNECT_SECONDS, 0.8 * timeout_seconds)
    return {"connect": most, "pool": most, "read": None, "write": None}


def _aiohttp_session(in_flight: int) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=in_flight, keepalive_timeout=KEEPALIVE_SECONDS, ssl=httpx.create_ssl_context()
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )
    # aiohttp sends PUT, DELETE and GET again by itself where a kept connection breaks. Who repeats what is decided in
    # one place only, and there is no public switch.
    session._retry_connection = False
    return session
