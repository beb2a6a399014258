"""Effects: what one is, the states it goes through and which moves the ledger allows.

An effect is one thing that we ask a vendor to do. Its key is made from tenant, operation and logical id and never from
its body: with the body in the key, an edited retry would be a second effect. The body's hash stands beside the key, so
the same id with another body is seen and refused.

    READY    nothing is out: never sent, or every send was certainly refused
    SENT     the intent is durable; the request may be out, and nobody knows yet
    DONE     the vendor accepted it; final
    FAILED   the vendor certainly refused it, or we never sent it; a later run may try again
    UNKNOWN  it may have taken effect, or may yet; evidence is attached

The table below is the whole policy. From READY and FAILED (no effect can exist) an effect may be sent, or end without
having been sent. SENT and UNKNOWN can end in every way, because a reply, a look-up or a person may settle them; they
may be *sent again* only where the operation's class makes a repeat safe. Nothing leaves DONE.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from cordboard.errors import BadCall
from cordboard.jsontext import digest

KEY_VERSION = 1
MAX_TEXT = 1000  # bytes; PostgreSQL indexes entries of up to 2,704
REPEATABLE = frozenset({"natural", "keyed"})  # same twice, or the vendor honours our idempotency key


class EffectState(StrEnum):
    """Where an effect stands."""

    READY = "ready"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Move(StrEnum):
    """Whether the ledger lets an effect go from one state to another."""

    YES = "yes"
    IF_REPEATABLE = "if repeatable"
    NO = "no"


def _row(ready: Move, sent: Move, done: Move, failed: Move, unknown: Move) -> Mapping[EffectState, Move]:
    return MappingProxyType(dict(zip(EffectState, (ready, sent, done, failed, unknown), strict=True)))


_Y, _R, _N = Move.YES, Move.IF_REPEATABLE, Move.NO
MOVES: Mapping[EffectState, Mapping[EffectState, Move]] = MappingProxyType(
    {  # from:                      to: READY SENT DONE FAILED UNKNOWN
        EffectState.READY: _row(_Y, _Y, _N, _Y, _N),  # an effect the ledger has not seen counts as READY
        EffectState.SENT: _row(_Y, _R, _Y, _Y, _Y),
        EffectState.DONE: _row(_N, _N, _N, _N, _N),
        EffectState.FAILED: _row(_Y, _Y, _N, _Y, _N),
        EffectState.UNKNOWN: _row(_Y, _R, _Y, _Y, _Y),
    }
)


def may_move(before: EffectState, after: EffectState, safety: str) -> bool:
    """Whether an effect of this safety class may go from one state to another."""
    move = MOVES[before][after]
    return move is Move.YES or (move is Move.IF_REPEATABLE and safety in REPEATABLE)


def effect_key(tenant: str, operation: str, logical_id: str) -> str:
    """The ledger's key of an effect: SHA-256 in hex, stable over runs, processes and machines."""
    return digest([KEY_VERSION, tenant, operation, logical_id])


def require_text(**fields: str) -> None:
    """Refuses text that a database cannot hold or index, before it can spoil the transaction of others.

    Raises:
        BadCall: a field holds a NUL or a lone surrogate, or is longer than `MAX_TEXT` bytes.
    """
    for name, value in fields.items():
        if "\0" in value or (not value.isprintable() and any("\ud800" <= char <= "\udfff" for char in value)):
            raise BadCall(f"{name} holds a character that cannot be stored (NUL or a lone surrogate): {value[:80]!a}")
        if len(value.encode()) > MAX_TEXT:
            raise BadCall(f"{name} is longer than {MAX_TEXT} bytes: {value[:80]!a}…")


@dataclass(frozen=True, slots=True)
class Effect:
    """One effect, as its caller names it.

    Attributes:
        tenant: whose effect it is.
        operation: the vendor operation, such as `cxone.dataactions.execute`.
        logical_id: what makes it this effect and no other; unique per tenant and operation.
        body_hash: SHA-256 of the request body, in hex.
        subject: what people call it, such as an action's id or an item of it.
        safety: `natural`, `keyed`, `lookup` or `neither`; says whether it may be sent again.
        key: the ledger's key, made from the first three.
    """

    tenant: str
    operation: str
    logical_id: str
    body_hash: str
    subject: str
    safety: str
    key: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("tenant", "operation", "logical_id", "body_hash", "subject"):
            require_text(**{name: getattr(self, name)})
        object.__setattr__(self, "safety", str(self.safety).lower())
        object.__setattr__(self, "key", effect_key(self.tenant, self.operation, self.logical_id))


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger knows of one effect.

    Attributes:
        effect: the effect as it was recorded.
        state: where it stands.
        result: the JSON value it was concluded with, or None.
        evidence: the JSON value that shows why it stands where it does, or None.
        attempts: sends that were recorded, over all runs.
        epoch: the epoch of the run that wrote it last.
        updated_at: ISO 8601, UTC.
        created_at: when it was first heard of; ISO 8601, UTC.
        run_key: the run that wrote it last.
    """

    effect: Effect
    state: EffectState
    result: Any
    evidence: Any
    attempts: int
    epoch: int
    updated_at: str
    created_at: str = ""
    run_key: str = ""

    @property
    def body_hash(self) -> str:
        """SHA-256 of the recorded request body, in hex."""
        return self.effect.body_hash


@dataclass(frozen=True, slots=True)
class Message:
    """A webhook that leaves from the outbox, written in the transaction of the change it tells of.

    Attributes:
        endpoint: reference of the endpoint it goes to; never its URL or secret.
        kind: what it tells of, such as `action.completed`.
        body: the JSON value that is sent.
    """

    endpoint: str
    kind: str
    body: Any

    def __post_init__(self) -> None:
        require_text(endpoint=self.endpoint, kind=self.kind)
