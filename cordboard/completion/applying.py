"""Applies what waits in the inbox, and sends the ERP what came of it, until nothing is left to do.

One process at a time does it for a tenant: the ledger's run `completions` is its turn. A message that comes in while
somebody else has the turn is theirs: after giving the turn back they look once more, so nothing falls between two.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cordboard.completion.ended import Applied, Ended, SetAside
from cordboard.completion.model import MAX_KEPT, NotACompletion, read_completion
from cordboard.completion.receiving import inbox_endpoint
from cordboard.errors import InvalidJson, RunBusy
from cordboard.records.changes import Fenced
from cordboard.records.inbox import Incoming, oldest_waiting, waiting
from cordboard.records.ledger import Ledger
from cordboard.records.outbox import DeliveryReport, MessageState, Sender, counts, deliver_due, is_due
from cordboard.records.run import RunHandle

RUN_KEY = KIND = "completions"
BATCH = 256  # what the ledger commits at once
DELIVERIES = 128  # between two looks into the inbox: an ERP that hangs must not hold completions up


@dataclass(frozen=True, slots=True)
class Drained:
    """What a run over the inbox did.

    Attributes:
        busy: another process had the turn, and this one did nothing.
        applied: how many messages ended how.
        erp: how many records the ERP took now, still waits for, and will never get; None where there is no ERP.
    """

    busy: bool = False
    applied: Mapping[Applied, int] = field(default_factory=dict)
    erp: DeliveryReport | None = None

    def as_json(self) -> dict[str, Any]:
        """The document of the run."""
        told = self.erp or DeliveryReport(0, 0, 0)
        return {
            "status": "busy" if self.busy else "completed",
            **{applied.value: self.applied.get(applied, 0) for applied in Applied},
            "erp": {"delivered": told.delivered, "pending": told.pending, "dead": told.dead} if self.erp else None,
        }


async def drain(ledger: Ledger, tenant: str, sender: Sender | None) -> Drained:
    """Applies all that waits and delivers what is due, in turn with other processes.

    Args:
        ledger: where both wait.
        tenant: whose completions.
        sender: the ERP, with the reference of `erp_ref`; None makes no records.

    Raises:
        StaleOwner: another host took the turn over, as this one fell silent.
        LedgerUnavailable: the ledger cannot be read or written; what was not applied still waits.
    """
    applied: Counter[Applied] = Counter()
    delivered, begun = 0, False
    while await _is_work(ledger, tenant, sender):
        try:
            handle = await ledger.claim_run(tenant, RUN_KEY, kind=KIND)
        except RunBusy:
            if not begun:
                return Drained(busy=True)
            break
        begun = True
        async with handle:
            sent = await _drain_in_turn(ledger, handle, sender, applied)
        delivered += sent
        if not sent and await oldest_waiting(ledger, inbox_endpoint(tenant)) is None:
            break  # what is due and was not taken is for a later run
    if sender is None:
        return Drained(applied=applied)
    stands = await counts(ledger, sender.ref)
    return Drained(False, applied, DeliveryReport(delivered, stands[MessageState.PENDING], stands[MessageState.DEAD]))


async def apply_waiting(ledger: Ledger, handle: RunHandle, erp: str | None) -> Counter[Applied]:
    """Applies every message that waits, in the order in which they came.

    Args:
        ledger: where they wait.
        handle: the turn.
        erp: reference of the ERP's endpoint; None makes no records.
    """
    applied: Counter[Applied] = Counter()
    endpoint = inbox_endpoint(handle.tenant)
    while messages := await waiting(ledger, endpoint, BATCH):
        applied += await _apply(ledger, handle, messages, erp)
    return applied


async def _drain_in_turn(ledger: Ledger, handle: RunHandle, sender: Sender | None, applied: Counter[Applied]) -> int:
    """Applies and delivers by turns; returns how many records the ERP took."""
    delivered = 0
    while True:
        new = await apply_waiting(ledger, handle, sender.ref if sender else None)
        applied.update(new)
        sent = (await deliver_due(ledger, sender, limit=DELIVERIES)).delivered if sender else 0
        delivered += sent
        if not new and not sent:
            return delivered


async def _apply(ledger: Ledger, handle: RunHandle, messages: Sequence[Incoming], erp: str | None) -> Counter[Applied]:
    changes = [_change(ledger, fence_of(handle), message, erp) for message in messages]
    return Counter(await asyncio.gather(*map(ledger.submit, changes)))


def _change(ledger: Ledger, fence: Fenced, message: Incoming, erp: str | None) -> Ended | SetAside:
    try:
        completion = read_completion(message.body, MAX_KEPT)
    except (InvalidJson, NotACompletion) as error:
        return SetAside(fence, message.inbox_id, str(error))
    return Ended(fence, completion, message.inbox_id, erp, ledger.redactor)


def fence_of(handle: RunHandle) -> Fenced:
    """What a change of this run carries."""
    return Fenced((handle.tenant, handle.run_key), handle.epoch)


async def _is_work(ledger: Ledger, tenant: str, sender: Sender | None) -> bool:
    if await oldest_waiting(ledger, inbox_endpoint(tenant)) is not None:
        return True
    return sender is not None and await is_due(ledger, sender.ref, ledger.clock())
