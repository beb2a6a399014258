"""Takes a completion in: verified, read, durable in the inbox, and only then answered.

Nothing here knows HTTP but its status codes, so that all of it can be tried without a server.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from cordboard.completion.model import MAX_BYTES, NotACompletion, read_completion
from cordboard.completion.verification import Headers, Keys, Unverified, id_of_body, verify
from cordboard.errors import InvalidJson, LedgerUnavailable
from cordboard.records.effects import require_text
from cordboard.records.inbox import Received, receive
from cordboard.records.ledger import Ledger

STORE_SECONDS = 10.0  # a sender waits some 15 to 30 s; after this it is told to try again
log = logging.getLogger("cordboard.completion")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender hears.

    Attributes:
        status: HTTP status.
        body: a small JSON object.
        inbox_id: our id of the message where it is a new one.
        outcome: what it is counted as: `accepted`, `repeated`, or a word of a closed set for why it was refused.
    """

    status: int
    body: dict[str, Any]
    inbox_id: str | None = None
    outcome: str = ""


def refusal(status: int, reason: str, said: str) -> Answer:
    """The answer to what is not taken.

    Args:
        status: HTTP status.
        reason: what it is counted as.
        said: what the sender hears.
    """
    return Answer(status, {"error": said}, outcome=reason)


def too_large() -> Answer:
    """The answer to a body beyond `MAX_BYTES`."""
    return refusal(413, "too_large", f"the body is larger than {MAX_BYTES} bytes")


def inbox_endpoint(tenant: str) -> str:
    """The name of a tenant's inbox of completions.

    >>> inbox_endpoint("acme")
    'completions/acme'
    """
    return f"completions/{tenant}"


@dataclass(frozen=True, slots=True)
class Reception:
    """The receiving end of one tenant's completions.

    Attributes:
        ledger: where they are kept; its clock tells how old a signature is.
        tenant: whose completions they are.
        keys: what senders prove themselves with.
        store_seconds: how long a sender is kept waiting for the ledger.

    Raises:
        BadCall: the ledger cannot hold such a tenant.
    """

    ledger: Ledger
    tenant: str
    keys: Keys = field(repr=False)
    store_seconds: float = STORE_SECONDS

    def __post_init__(self) -> None:
        require_text(tenant=inbox_endpoint(self.tenant))

    async def take(self, headers: Headers, body: bytes) -> Answer:
        """Takes a completion in. 202 says that it is durable, 200 that it was before, and all else that it is not.

        Args:
            headers: of the request, names in lower case.
            body: as it came.
        """
        fault = _unfit_to_read(headers, body)
        if fault:
            return fault
        try:
            message_id = verify(headers, body, self.keys, self.ledger.clock())
            completion = read_completion(body)
        except Unverified as error:
            return refusal(401, error.reason, str(error))
        except InvalidJson as error:
            return refusal(400, "no_json", str(error))
        except NotACompletion as error:
            return refusal(422, "no_completion", str(error))
        return await self._store(message_id, completion.as_text())

    async def _store(self, message_id: str, text: str) -> Answer:
        try:
            async with asyncio.timeout(self.store_seconds):
                kept = await self._kept(message_id, self._masked(text))
        except (LedgerUnavailable, TimeoutError) as error:
            why = str(error) or f"the ledger took longer than {self.store_seconds:g} s"
            log.error("a completion could not be stored, its sender is asked to try again: %s", why)  # noqa: TRY400
            return refusal(503, "not_stored", "it could not be stored; try again")
        if not kept.is_new:
            return Answer(200, {"status": "repeated"}, outcome="repeated")
        return Answer(202, {"status": "accepted"}, kept.inbox_id, "accepted")

    async def _kept(self, message_id: str, text: str) -> Received:
        """A sender that uses an id twice for what it says says two things: dropped as a repeat, one would be lost."""
        endpoint = inbox_endpoint(self.tenant)
        kept = await receive(self.ledger, endpoint, message_id, text)
        if kept.is_same:
            return kept
        return await receive(self.ledger, endpoint, id_of_body(f"{message_id}\n{text}".encode()), text)

    def _masked(self, text: str) -> str:
        redactor = self.ledger.redactor
        return redactor.text(text) if redactor.knows(text) else text


def _unfit_to_read(headers: Headers, body: bytes) -> Answer | None:
    if len(body) > MAX_BYTES:
        return too_large()
    named = dict(headers)
    if named.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        return refusal(415, "encoded", "the body must not be encoded: leave content-encoding out")
    if named.get(b"content-type", b"").partition(b";")[0].strip().lower() != b"application/json":
        return refusal(415, "content_type", "content-type must be application/json")
    return None
