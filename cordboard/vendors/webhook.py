"""Outgoing webhooks in the Standard Webhooks way (https://www.standardwebhooks.com): signed, small, never redirected.

The receiver verifies `webhook-signature`, an HMAC-SHA256 over `id.timestamp.body`, refuses old timestamps and drops an
id that it has seen. Which message is sent when is the outbox's business; here is one message and one attempt.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Literal, Self

import httpx
from standardwebhooks import Webhook

from cordboard.errors import BadCall
from cordboard.telemetry import labelled
from cordboard.vendors.telling import attempting
from cordboard.vendors.trace_context import traced_on
from cordboard.vendors.wire import Operation, Outcome, Safety, Verdict

ORCHESTRATOR = "cxone-data-action-chain"
SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix is public
SECRET_BYTES = range(24, 65)  # as the Standard Webhooks specification has it
TIMEOUT_SECONDS = 15.0
REPLY_MAX_BYTES = 64 * 1024
GONE = 410

ChainStatus = Literal["started", "completed", "failed"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where webhooks go.

    Attributes:
        ref: its name in ledger and outbox, which hold neither URL nor secret.
        url: https, or http on this host only; without credentials in it.
        secret: `whsec_` and the base64 of 24 to 64 random bytes.
    """

    ref: str
    url: str = field(repr=False)
    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        _check_url(self.url)
        signing_key(self.secret, "the webhook secret")

    def headers(self, message_id: str, body: str, at: float) -> dict[str, str]:
        """The headers of one attempt; `at` is its time in seconds since the epoch."""
        moment = datetime.fromtimestamp(int(at), UTC)
        return {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at)),
            "webhook-signature": Webhook(self.secret).sign(message_id, moment, body),
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """What came of one attempt.

    Attributes:
        delivered: the receiver answered 2xx.
        final: sending it again is pointless (410 Gone).
        detail: what happened, in one sentence that holds neither URL nor secret.
        status: the HTTP status, where there was an answer.
    """

    delivered: bool
    final: bool
    detail: str
    status: int | None = None


class WebhookSender:
    """Sends messages to one endpoint over connections it keeps; use it as an async context manager."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.ref = endpoint.ref
        self._endpoint, self._clock, self._timeout_seconds = endpoint, clock, timeout_seconds
        self._client = httpx.AsyncClient(
            transport=transport, timeout=timeout_seconds, follow_redirects=False, trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def send(self, message_id: str, body: str) -> Delivery:
        """Makes one attempt; whatever the receiver does is a Delivery, never an exception."""
        headers = {**self._endpoint.headers(message_id, body, self._clock()), **traced_on(body, message_id)}
        started = time.perf_counter()
        with labelled(webhook_id=message_id), attempting(_DELIVER, self._endpoint.url, number=None, mask=str) as told:
            delivery = await self._sent(body, told.headers(headers))
            told.ended(_verdict_of(delivery), time.perf_counter() - started)
        return delivery

    async def _sent(self, body: str, headers: Mapping[str, str]) -> Delivery:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return judge(await self._status_of(body, headers))
        except TimeoutError:
            return Delivery(False, False, f"no answer within {self._timeout_seconds:g} s")
        except httpx.HTTPError as error:
            return Delivery(False, False, f"the endpoint cannot be reached ({type(error).__name__})")

    async def _status_of(self, body: str, headers: Mapping[str, str]) -> int:
        """Sends, and reads so much of the answer that the connection can be used again."""
        request = self._client.build_request("POST", self._endpoint.url, content=body.encode(), headers=headers)
        reply = await self._client.send(request, stream=True)
        try:
            read = 0
            async for chunk in reply.aiter_raw():
                read += len(chunk)
                if read > REPLY_MAX_BYTES:
                    break
        finally:
            await reply.aclose()
        return reply.status_code


def _verdict_of(delivery: Delivery) -> Verdict:
    """The same in the words in which every request is told of."""
    if delivery.delivered:
        return Verdict(Outcome.ACCEPTED, "ok", delivery.status)
    outcome = Outcome.PERMANENT if delivery.final else Outcome.UNKNOWN
    return Verdict(outcome, "not_delivered", delivery.status, message=delivery.detail)


_DELIVER = Operation("webhook.deliver", "POST", Safety.NATURAL, lambda _: None)


def judge(status: int) -> Delivery:
    """What a status means: 2xx delivered, 410 never again, everything else (redirects too) a failure to be retried."""
    if 200 <= status < 300:
        return Delivery(True, True, "delivered", status)
    if status == GONE:
        return Delivery(False, True, "the endpoint is gone (410)", status)
    redirected = " (redirects are not followed)" if 300 <= status < 400 else ""
    return Delivery(False, False, f"the endpoint answered {status}{redirected}", status)


def chain_status_message(
    trace_id: str, action_id: str, status: ChainStatus, timestamp: float, payload: Mapping[str, Any]
) -> dict[str, Any]:
    """The body of a status webhook of a chain, as the vendor contract has it.

    Args:
        trace_id: the run's trace id.
        action_id: the action, or empty for the run as a whole.
        status: what happened to it.
        timestamp: when, in seconds since the epoch.
        payload: a JSON object with what is to be told of it.
    """
    return {
        "orchestrator": ORCHESTRATOR,
        "trace_id": trace_id,
        "action_id": action_id,
        "status": status,
        "timestamp": timestamp,
        "payload": dict(payload),
    }


def signing_key(secret: str, what: str) -> bytes:
    """The key that a secret of the standard's form holds.

    Args:
        secret: `whsec_` and the base64 of 24 to 64 random bytes.
        what: its name in the error, such as `the webhook secret`.

    Raises:
        BadCall: it has another form. The secret itself is not repeated.
    """
    hint = f"make one with: echo {SECRET_PREFIX}$(openssl rand -base64 32)"
    if not secret.startswith(SECRET_PREFIX):
        raise BadCall(f"{what} must begin with {SECRET_PREFIX}; {hint}")
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:  # not ASCII, or not base64
        raise BadCall(f"{what} is not base64 after {SECRET_PREFIX}; {hint}") from None
    if len(key) not in SECRET_BYTES:
        raise BadCall(f"{what} holds {len(key)} bytes and must hold 24 to 64; {hint}")
    return key


def _check_url(text: str) -> None:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise BadCall("the webhook URL is not a URL") from None
    if url.userinfo:
        raise BadCall("the webhook URL holds credentials; leave them out, the signature shows who sends")
    if not url.host or not (url.scheme == "https" or (url.scheme == "http" and _is_loopback(url.host))):
        raise BadCall(f"the webhook URL must be https (http on this host only), not {url.scheme or 'without scheme'}")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
