"""The ERP behind the contact centre: takes one record for each completed instance, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from cordboard.jsontext import digest
from cordboard.sandbox.call import Call, Refusal, Reply
from cordboard.sandbox.reading import Part
from cordboard.sandbox.signing import WebhookSecret, is_signed
from cordboard.sandbox.truth import Truth
from cordboard.sandbox.workflow_requests import InvalidRequest
from cordboard.sandbox.workflow_rules import kind_of

TEXTS = ("externalId", "workflowId", "finalStatus")
FIELDS = (*TEXTS, "customerData", "routingResult")


class ErpRules(Part):
    """How the ERP treats what it is sent.

    Attributes:
        secret: records must be signed with it in the Standard Webhooks way; None takes them unsigned.
    """

    secret: WebhookSecret | None = None

    def as_written(self) -> dict[str, Any]:
        """The section as it stands in a file, secret and all."""
        return {"secret": self.secret and self.secret.get_secret_value()}


class Erp:
    """Keeps records by `externalId`.

    Args:
        rules: how they are treated.
        truth: learns of every record that gets here, whether or not it is new.
        clock: seconds since the epoch, for the age of signatures.

    Attributes:
        records: what is stored.
        repeats: how often each was sent again.
    """

    def __init__(self, rules: ErpRules, truth: Truth, clock: Callable[[], float]) -> None:
        self._rules, self._truth, self._clock = rules, truth, clock
        self.records: dict[str, dict[str, Any]] = {}
        self.repeats: Counter[str] = Counter()

    async def receive(self, call: Call) -> Reply:
        """Stores a record: 201 where it is new, 200 where the same is stored already.

        Raises:
            Refusal: a signature is wrong, too old or missing (401), a body of another shape (400, every fault in
                `details`), or another record is stored under its `externalId` (409).
        """
        if self._rules.secret and not is_signed(self._rules.secret, call.headers, call.body, self._clock()):
            raise Refusal(401, "invalid_signature", "The signature is missing, wrong or too old.")
        record = _record_of(call.json)
        external_id = record["externalId"]
        known = self.records.setdefault(external_id, record)
        if known is record:
            return self._answer(call, external_id, "created", 201)
        if digest(known) != digest(record):
            self._answer(call, external_id, "conflict", 409)
            message = f"There is another record of {external_id[:128]}."
            raise Refusal(409, "record_conflict", message)
        self.repeats[external_id] += 1
        return self._answer(call, external_id, "repeated", 200)

    def _answer(self, call: Call, external_id: str, outcome: str, status: int) -> Reply:
        self._truth.record("erp", call, external_id=external_id, outcome=outcome)
        return Reply.of({"externalId": external_id, "outcome": outcome}, status)


def _record_of(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refusal(400, "malformed_body", "The body must be a JSON object.")
    faults = list(_faults_in(body))
    if faults:
        raise InvalidRequest(faults)
    return body


def _faults_in(body: dict[str, Any]) -> Iterator[str]:
    yield from (f"{name[:64]} is not a known key" for name in body if name not in FIELDS)
    yield from (f"{name} is required" for name in FIELDS if name not in body)
    for name in TEXTS:
        value = body.get(name, "")
        if not isinstance(value, str):
            yield f"{name} must be a string, not {kind_of(value)}"
        elif name in body and not value:
            yield f"{name} must not be empty"
