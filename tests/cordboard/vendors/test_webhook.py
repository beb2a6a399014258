"""Outgoing webhooks: signed as the standard says, sent to where they belong, and no secret anywhere else."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from cordboard.errors import BadCall
from cordboard.records.effects import Message
from cordboard.records.ledger import Ledger
from cordboard.records.relay import Relay
from cordboard.vendors.webhook import Delivery, Endpoint, WebhookSender, chain_status_message, judge

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
URL = "https://ops.example.com/hooks/cordboard"
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def send_to(transport: httpx.AsyncBaseTransport, body: str = "{}") -> Delivery:
    async def run_it() -> Delivery:
        async with WebhookSender(Endpoint("ops", URL, SECRET), transport=transport) as sender:
            return await sender.send("msg_1", body)

    return asyncio.run(run_it())


@asynccontextmanager
async def server(handler: Handler) -> AsyncIterator[str]:
    listening = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"


def test_the_receiver_can_verify_what_it_got() -> None:
    """The standard's own library accepts it, and refuses it with one byte changed or under another id."""
    got: list[httpx.Request] = []

    def take(request: httpx.Request) -> httpx.Response:
        got.append(request)
        return httpx.Response(204, stream=httpx.ByteStream(b""))

    body = json.dumps(chain_status_message("t1", "enrich", "completed", 1_700_000_000.5, {"name": "Zoë"}))
    assert send_to(httpx.MockTransport(take), body) == Delivery(True, True, "delivered", 204)
    headers, content = dict(got[0].headers), got[0].content
    assert headers["webhook-id"] == "msg_1"
    assert headers["content-type"] == "application/json"
    assert Webhook(SECRET).verify(content, headers)["payload"] == {"name": "Zoë"}
    for data, changed in ((content + b" ", headers), (content, {**headers, "webhook-id": "msg_2"})):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(data, changed)


def test_the_example_of_the_standard_has_its_signature() -> None:
    """Message, time and secret of its documentation give its signature, whatever the time zone here."""
    endpoint = Endpoint("ops", URL, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = '{"test": 2432232314}'
    headers = endpoint.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", body, 1614265330.9)
    assert headers["webhook-timestamp"] == "1614265330"
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("status", "delivered", "final"),
    [(200, True, True), (299, True, True), (301, False, False), (307, False, False), (400, False, False),
     (401, False, False), (404, False, False), (409, False, False), (410, False, True), (429, False, False),
     (500, False, False), (503, False, False)],
)  # fmt: skip
def test_only_a_2xx_delivers_and_only_gone_is_final(status: int, delivered: bool, final: bool) -> None:
    verdict = judge(status)
    assert (verdict.delivered, verdict.final, verdict.status) == (delivered, final, status)


def test_a_redirect_is_not_followed() -> None:
    """A signed body must not travel to where an answer points."""
    hosts: list[str] = []

    def elsewhere(request: httpx.Request) -> httpx.Response:
        hosts.append(request.url.host)
        return httpx.Response(307, headers={"location": "https://evil.example.net/"}, stream=httpx.ByteStream(b""))

    assert not send_to(httpx.MockTransport(elsewhere)).delivered
    assert hosts == ["ops.example.com"]


def test_a_receiver_that_cannot_be_reached_is_told_without_its_address() -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot connect to {URL}?token=abc")

    said = send_to(httpx.MockTransport(refuse))
    assert said == Delivery(False, False, "the endpoint cannot be reached (ConnectError)")


def test_a_receiver_that_drips_or_floods_costs_no_more_than_its_time() -> None:
    """The time limit is for the whole exchange, and of an endless answer no more than a little is read."""
    read = asyncio.Event()

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while not writer.is_closing():
            writer.write(b"X-A: b\r\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000000\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except ConnectionError:
            read.set()

    async def try_it(handler: Handler, seconds: float) -> Delivery:
        async with (
            server(handler) as url,
            WebhookSender(Endpoint("ops", url, SECRET), timeout_seconds=seconds) as sender,
        ):
            return await sender.send("msg_1", "{}")

    async def run_it() -> None:
        assert await try_it(drip, 0.2) == Delivery(False, False, "no answer within 0.2 s")
        assert (await try_it(flood, 2)).delivered
        await asyncio.wait_for(read.wait(), 5)

    asyncio.run(run_it())


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://ops.example.com/", "must be https"),
        ("ftp://ops.example.com/", "must be https"),
        ("ops.example.com", "must be https"),
        ("https://", "must be https"),
        ("http://localhost.example.com/", "must be https"),
        ("https://user:pass@ops.example.com/", "holds credentials"),
        ("https://ops.example.com:port/", "not a URL"),
    ],
)
def test_a_url_that_webhooks_must_not_go_to_is_refused(url: str, hint: str) -> None:
    with pytest.raises(BadCall, match=hint) as refusal:
        Endpoint("ops", url, SECRET)
    assert "pass" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["https://ops.example.com/x?tenant=1", "http://127.0.0.1:80/", "http://[::1]/", "http://localhost:9/"]
)
def test_https_anywhere_and_http_on_this_host_are_accepted(url: str) -> None:
    assert Endpoint("ops", url, SECRET).url == url


@pytest.mark.parametrize(
    ("secret", "hint"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "must begin with whsec_"),
        ("whsec_not base64!", "not base64"),
        ("whsec_" + base64.b64encode(b"short").decode(), "holds 5 bytes"),
        ("whsec_", "holds 0 bytes"),
    ],
)
def test_a_secret_that_cannot_sign_is_refused_with_a_way_to_make_one(secret: str, hint: str) -> None:
    with pytest.raises(BadCall, match=hint) as refusal:
        Endpoint("ops", URL, secret)
    assert "openssl rand" in str(refusal.value)
    assert secret.removeprefix("whsec_") not in str(refusal.value) or secret == "whsec_"


def test_an_endpoint_shows_neither_its_secret_nor_its_url() -> None:
    assert repr(Endpoint("ops", URL, SECRET)) == "Endpoint(ref='ops')"


def test_a_status_webhook_travels_from_the_ledger_to_its_receiver(tmp_path: Path) -> None:
    """Recorded, relayed, signed, verified; and the ledger's files hold neither the secret nor the address."""
    got: list[tuple[dict[str, str], bytes]] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head)}
        got.append((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async def run_it() -> str:
        async with (
            server(receive) as url,
            await Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger,
            WebhookSender(Endpoint("ops", f"{url}secret-path", SECRET)) as sender,
            Relay(ledger, sender) as relay,
            await ledger.claim_run("acme", "r1") as run,
        ):
            body = chain_status_message("t1", "enrich", "started", 1_700_000_000.5, {})
            await run.record("action.started", "enrich", None, [Message("ops", "action.started", body)])
            assert await relay.flush(10)
            kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
            return kept.decode(errors="replace")

    kept = asyncio.run(run_it())
    ((headers, content),) = got
    assert Webhook(SECRET).verify(content, headers)["action_id"] == "enrich"
    assert headers["webhook-id"] in kept
    assert SECRET.removeprefix("whsec_") not in kept
    assert "secret-path" not in kept


def test_the_body_is_the_one_of_the_contract() -> None:
    at = datetime(2024, 5, 1, tzinfo=UTC).timestamp()
    assert chain_status_message("t1", "enrich", "failed", at, {"kind": "timeout"}) == {
        "orchestrator": "cxone-data-action-chain",
        "trace_id": "t1",
        "action_id": "enrich",
        "status": "failed",
        "timestamp": 1714521600.0,
        "payload": {"kind": "timeout"},
    }
