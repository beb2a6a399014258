"""Messages: where ours go, and what those that come in are verified with."""

from __future__ import annotations

import asyncio
import json
import ssl
from contextlib import suppress
from urllib.parse import urlsplit
from uuid import uuid4

from cordboard.completion.verification import Keys
from cordboard.doctor.model import Check, Surroundings, error, ok, skipped, warning
from cordboard.errors import BadCall
from cordboard.vendors.webhook import Endpoint, WebhookSender, chain_status_message

_PORTS = {"https": 443, "http": 80}


async def probe(place: Surroundings) -> list[Check]:
    """The webhook endpoint, the ERP, and the secrets of the receiver."""
    settings = place.settings
    outgoing = await asyncio.gather(
        _endpoint("webhook", settings.webhook_url, settings.webhook_secret, place),
        _endpoint("erp", settings.erp_url, settings.erp_secret, place),
    )
    return [*outgoing, judge_receiver(place)]


async def _endpoint(name: str, url: str, secret: str, place: Surroundings) -> Check:
    variable = f"CORDBOARD_{name.upper()}"
    if not url:
        return skipped(name, f"{variable}_URL is not set: nothing is sent there")
    try:
        endpoint = Endpoint(name, url, secret)
    except BadCall as fault:
        return error(name, str(fault), f"Correct {variable}_URL or {variable}_SECRET.")
    if place.send_test and name == "webhook":
        return await _tested(name, endpoint, place)
    return await _reached(name, url, place.timeout_seconds, f"Correct {variable}_URL, or start what listens there.")


async def _tested(name: str, endpoint: Endpoint, place: Surroundings) -> Check:
    body = chain_status_message("", "", "completed", place.now(), {"test": True, "sent_by": "cordboard doctor"})
    async with WebhookSender(endpoint, clock=place.now, timeout_seconds=place.timeout_seconds) as sender:
        delivery = await sender.send(f"doctor-{uuid4()}", json.dumps(body))
    if delivery.delivered:
        return ok(name, f"a signed test message was taken (HTTP {delivery.status})")
    mend = "See that both sides hold the same secret and the same time, and what the receiver's log says."
    return error(name, f"a signed test message was not taken: {delivery.detail}", mend)


async def _reached(name: str, url: str, seconds: float, mend: str) -> Check:
    parts = urlsplit(url)
    secure = ssl.create_default_context() if parts.scheme == "https" else None
    try:
        async with asyncio.timeout(seconds):
            port = parts.port or _PORTS[parts.scheme]
            _, writer = await asyncio.open_connection(parts.hostname, port, ssl=secure)
    except ssl.SSLError as fault:
        return error(name, f"no TLS with {parts.hostname}: {fault.reason}", "Mend the certificate of that host.")
    except (OSError, TimeoutError) as fault:
        return error(name, f"{parts.hostname} cannot be reached ({type(fault).__name__})", mend)
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            await writer.wait_closed()
    return ok(name, f"{parts.hostname} answers{' with TLS' if secure else ''}; --send-test sends a signed message")


def judge_receiver(place: Surroundings) -> Check:
    """Whether the receiver can tell who sends completions."""
    try:
        keys = Keys.from_settings(place.settings)
    except BadCall as fault:
        if not (place.settings.completion_secrets or place.settings.completion_shared_secrets):
            return skipped("receiver secrets", "none is set: the receiver of completions does not start here")
        mend = "Make a new one, for signatures with `echo whsec_$(openssl rand -base64 32)`, and give it to the sender."
        return error("receiver secrets", str(fault), mend)
    if not keys.signing:
        mend = "Where the vendor can sign, set CORDBOARD_COMPLETION_SECRETS in place of a shared secret."
        return warning("receiver secrets", "completions are only known by a shared secret, which a proxy can log", mend)
    return ok("receiver secrets", f"{len(keys.signing)} for signatures, {len(keys.shared)} shared")
