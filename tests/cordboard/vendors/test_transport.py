"""One exchange, over real sockets: what is known when it fails, and what it may cost."""

from __future__ import annotations

import asyncio
import gzip
import logging
import resource
import socket
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx
import pytest

from cordboard.vendors.transport import HttpClient, quiet_http_logs
from cordboard.vendors.wire import NoReply, Operation, Outcome, Reply, Safety, decipher

BODY = b'{"output": {"n": 1}}'
WHOLE = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n" + BODY
MEGABYTE = 1024 * 1024


@asynccontextmanager
async def client(most: int = MEGABYTE, **given: Any) -> AsyncIterator[HttpClient]:
    http = HttpClient(in_flight=4, body_max_bytes=most, **given)
    try:
        yield http
    finally:
        await http.aclose()


async def ask(http: HttpClient, url: str, *, seconds: float = 5.0, method: str = "POST") -> Reply | NoReply:
    return await http.exchange(method, f"{url}/x", headers={}, content=b"{}", timeout_seconds=seconds)


def exchange_with(raw_vendor: Callable[..., Any], answer: bytes, **given: Any) -> Reply | NoReply:
    """One exchange with a server that writes these bytes and hangs up."""

    async def talk(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async def main() -> Reply | NoReply:
        async with raw_vendor(talk) as vendor, client(**given) as http:
            return await ask(http, vendor.url)

    return asyncio.run(main())


def test_a_reply_cut_at_any_byte_is_never_a_success(raw_vendor: Callable[..., Any]) -> None:
    """Wherever the connection breaks, the outcome is unknown: the call was sent, and its answer is not whole."""
    operation = Operation("test", "POST", Safety.NEITHER, lambda document: document["output"])

    async def main() -> None:
        cuts = iter(range(len(WHOLE)))

        async def talk(request: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(WHOLE[: next(cuts)])
            writer.close()

        async with raw_vendor(talk) as vendor, client() as http:
            for cut in range(len(WHOLE)):
                verdict = decipher(operation, await ask(http, vendor.url), now=0.0)
                assert verdict.outcome is Outcome.UNKNOWN, (cut, verdict)
                assert verdict.kind in ("lost_reply", "bad_reply"), (cut, verdict)

    asyncio.run(main())


def test_a_lost_reply_is_not_taken_for_a_failed_connection(raw_vendor: Callable[..., Any]) -> None:
    """The transport calls both `ConnectTimeout`. To believe it would start the vendor's work a second time."""
    seen = exchange_with(raw_vendor, b"")
    assert isinstance(seen, NoReply)
    assert (seen.kind, seen.sent) == ("lost_reply", True)


def test_a_refused_connection_proves_that_nothing_was_sent() -> None:
    async def main() -> Reply | NoReply:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # bound, not listening: connecting is refused
            async with client() as http:
                return await ask(http, f"http://127.0.0.1:{unused.getsockname()[1]}")

    seen = asyncio.run(main())
    assert isinstance(seen, NoReply)
    assert (seen.kind, seen.sent) == ("not_sent", False)
    assert "127.0.0.1" in seen.detail


def test_a_failed_tls_handshake_proves_that_nothing_was_sent(raw_vendor: Callable[..., Any]) -> None:
    async def main() -> Reply | NoReply:
        async def talk(request: bytes, writer: asyncio.StreamWriter) -> None:
            raise AssertionError("a request came through")

        async with raw_vendor(talk) as vendor, client() as http:
            server_hello = asyncio.create_task(ask(http, vendor.url.replace("http:", "https:"), seconds=2.0))
            return await server_hello

    seen = asyncio.run(main())
    assert isinstance(seen, NoReply)
    assert (seen.kind, seen.sent) == ("not_sent", False)


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (httpx.ConnectError("x"), False),
        (httpx.ConnectTimeout("x"), False),
        (httpx.PoolTimeout("x"), False),
        (httpx.ReadTimeout("x"), True),
        (httpx.WriteError("x"), True),
        (httpx.ReadError("x"), True),
        (httpx.RemoteProtocolError("x"), True),
        (aiohttp.ServerDisconnectedError(), True),
        (aiohttp.ConnectionTimeoutError(), False),
        (RuntimeError("a transport's own bug"), True),
        (TimeoutError(), True),
    ],
)
def test_what_is_not_certainly_unsent_counts_as_sent(error: Exception, sent: bool) -> None:
    async def fail(request: httpx.Request) -> httpx.Response:
        raise error

    async def main() -> Reply | NoReply:
        async with client(transport=httpx.MockTransport(fail)) as http:
            return await ask(http, "https://vendor.test")

    seen = asyncio.run(main())
    assert isinstance(seen, NoReply)
    assert seen.sent is sent


def test_bytes_that_are_not_http_are_a_bad_reply(raw_vendor: Callable[..., Any]) -> None:
    seen = exchange_with(raw_vendor, b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    assert isinstance(seen, NoReply)
    assert (seen.kind, seen.sent) == ("bad_reply", True)


@pytest.mark.parametrize("answer", [WHOLE[:30], WHOLE[:-15]], ids=["head", "body"])
def test_a_reply_that_drips_ends_at_the_deadline(raw_vendor: Callable[..., Any], answer: bytes) -> None:
    """A timeout per read never fires while a byte comes now and then; only one for the whole exchange does."""

    async def talk(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        for byte in WHOLE[len(answer) :] * 100:
            await asyncio.sleep(0.05)
            writer.write(bytes([byte]) if answer == WHOLE[:30] else b"")

    async def main() -> tuple[Reply | NoReply, float]:
        async with raw_vendor(talk) as vendor, client() as http:
            started = asyncio.get_running_loop().time()
            seen = await ask(http, vendor.url, seconds=0.3)
            took = asyncio.get_running_loop().time() - started
            await asyncio.wait_for(vendor.closed.wait(), 5)  # the timeout ends the call, it does not just stop waiting
            return seen, took

    seen, took = asyncio.run(main())
    assert isinstance(seen, NoReply)
    assert (seen.kind, seen.sent) == ("timeout", True)
    assert took < 0.8


def test_cancelling_a_call_closes_its_connection(raw_vendor: Callable[..., Any]) -> None:
    """A timeout or a cancelled run must not leave the call running behind our back."""

    async def talk(request: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        async with raw_vendor(talk) as vendor, client() as http:
            call = asyncio.create_task(ask(http, vendor.url))
            await asyncio.wait_for(vendor.asked.wait(), 5)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.wait_for(vendor.closed.wait(), 5)

    asyncio.run(main())


def test_a_broken_kept_connection_is_not_silently_sent_again(raw_vendor: Callable[..., Any]) -> None:
    """aiohttp repeats a PUT by itself when a kept connection breaks; who repeats what is ours to decide."""

    async def talk(request: bytes, writer: asyncio.StreamWriter) -> None:
        if b"PUT" in request:
            writer.close()
        else:
            writer.write(WHOLE)

    async def main() -> list[bytes]:
        async with raw_vendor(talk) as vendor, client() as http:
            await ask(http, vendor.url)
            seen = await ask(http, vendor.url, method="PUT")
            assert isinstance(seen, NoReply)
            return [request[:4] for request in vendor.requests]

    assert asyncio.run(main()) == [b"POST", b"PUT "]


@pytest.mark.parametrize("sized", [True, False], ids=["with length", "without length"])
def test_a_body_over_the_limit_is_refused_while_it_is_read(raw_vendor: Callable[..., Any], sized: bool) -> None:
    size = 3 * MEGABYTE
    head = b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: %d\r\n" % size if sized else b"Connection: close\r\n") + b"\r\n"
    seen = exchange_with(raw_vendor, head + b"x" * size)
    assert isinstance(seen, Reply)
    assert (seen.body, "larger" in seen.fault) == (b"", True)


def test_a_body_at_the_limit_is_read(raw_vendor: Callable[..., Any]) -> None:
    seen = exchange_with(raw_vendor, WHOLE, most=len(BODY))
    assert isinstance(seen, Reply)
    assert (seen.body, seen.fault) == (BODY, "")
    assert isinstance(short := exchange_with(raw_vendor, WHOLE, most=len(BODY) - 1), Reply)
    assert short.fault


def packed(body: bytes, encoding: str = "gzip") -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (
        encoding.encode(),
        len(body),
    ) + body  # fmt: skip


def test_a_small_gzip_that_unpacks_to_200_megabytes_costs_little(raw_vendor: Callable[..., Any]) -> None:
    zeros, packer = bytes(MEGABYTE), zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packer.compress(zeros) for _ in range(200)) + packer.flush()
    assert len(bomb) < 210_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen = exchange_with(raw_vendor, packed(bomb), most=8 * MEGABYTE)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert isinstance(seen, Reply)
    assert "larger" in seen.fault
    assert grown_kib <= 32 * 1024


def test_a_gateway_that_packs_unasked_is_understood(raw_vendor: Callable[..., Any]) -> None:
    for body, encoding in [(gzip.compress(BODY, mtime=0), "gzip"), (zlib.compress(BODY), "deflate")]:
        seen = exchange_with(raw_vendor, packed(body, encoding))
        assert isinstance(seen, Reply)
        assert (seen.body, seen.fault) == (BODY, "")


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (gzip.compress(BODY, mtime=0)[:-9], "gzip"),
        (b"plain", "gzip"),
        (BODY, "br"),
        (BODY, "gzip, gzip"),
        (b"", "gzip"),
    ],
)
def test_a_packed_body_that_cannot_be_unpacked_is_a_fault(
    raw_vendor: Callable[..., Any], body: bytes, encoding: str
) -> None:
    seen = exchange_with(raw_vendor, packed(body, encoding))
    assert isinstance(seen, Reply)
    assert seen.fault


def test_cookies_are_not_carried_from_call_to_call(raw_vendor: Callable[..., Any]) -> None:
    async def talk(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(WHOLE.replace(b"\r\n\r\n", b"\r\nSet-Cookie: who=me; Path=/\r\n\r\n", 1))

    async def main() -> list[bytes]:
        async with raw_vendor(talk) as vendor, client() as http:
            await ask(http, vendor.url)
            await ask(http, vendor.url)
            return vendor.requests  # type: ignore[no-any-return]

    requests = asyncio.run(main())
    assert len(requests) == 2
    assert not any(b"cookie" in request.lower() for request in requests)


def test_programs_can_quiet_the_loggers_that_write_urls(caplog: pytest.LogCaptureFixture) -> None:
    levels = {name: logging.getLogger(name).level for name in ("httpx", "httpcore")}
    try:
        caplog.set_level(logging.DEBUG)
        quiet_http_logs()

        async def main() -> None:
            async with client(transport=httpx.MockTransport(lambda _: httpx.Response(200))) as http:
                await ask(http, "https://vendor.test/canary")

        asyncio.run(main())
        assert "canary" not in caplog.text
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
