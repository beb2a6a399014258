"""What is to be brought about, and how it stands afterwards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cordboard.records.changes import Aftermath
from cordboard.records.effects import Effect, EffectState, Entry, Message
from cordboard.vendors.wire import Request


@dataclass(frozen=True, slots=True)
class Sent:
    """How one effect stands after `send_once`.

    Attributes:
        state: DONE, FAILED or UNKNOWN.
        output: what the vendor answered, where DONE.
        error: `kind`, `message` and evidence where not DONE.
        reused: whether the ledger knew the result and nothing was sent.
        attempts: requests sent now.
        latency_ms: the last exchange, milliseconds.
        proof: what the vendor said, where DONE.
    """

    state: EffectState
    output: Any = None
    error: Mapping[str, Any] | None = None
    reused: bool = False
    attempts: int = 0
    latency_ms: float = 0.0
    proof: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LookUp:
    """How the vendor is asked whether an effect exists, by our reference.

    Attributes:
        request: makes the request of a read.
        result: from its value, the effect's result, or None where the effect is not there.
        settle_seconds: how long after a call ended the vendor may still bring its effect about, or may not find it
            yet. An answer "not there" proves nothing before; how long it is, is an assumption about the vendor.
        clock: seconds since the epoch.
        sleep: waits that many seconds.
    """

    request: Callable[[], Request]
    result: Callable[[Any], Any | None]
    settle_seconds: float
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, slots=True)
class Order:
    """One effect to bring about.

    Attributes:
        effect: what the ledger calls it.
        request: what is sent.
        timeout_seconds: for each attempt.
        attempts: sends at the most; None takes the session's limit.
        deadline: monotonic time after which nothing is sent.
        known: what an earlier run left in the ledger.
        context: kept in the evidence, such as the parts of a fingerprint.
        starting: messages that leave with the first intent.
        ended: the messages that leave with the outcome.
        look_up: how to find out what became of it; None where the vendor cannot be asked.
        key_seconds: for how long after the first send the vendor surely remembers an idempotency key.
        aftermath: what its end means for a workflow that it was to start.
        leaving: called before each send, when only a full stop of the process keeps it from leaving.
    """

    effect: Effect
    request: Request
    timeout_seconds: float
    attempts: int | None = None
    deadline: float | None = None
    known: Entry | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    starting: Sequence[Message] = ()
    ended: Callable[[Sent], Sequence[Message]] = lambda _: ()
    look_up: LookUp | None = None
    key_seconds: float = float("inf")
    aftermath: Callable[[Sent], Aftermath | None] = lambda _: None
    leaving: Callable[[], None] = lambda: None

    @property
    def is_in_doubt(self) -> bool:
        """Whether it may have taken effect in an earlier run. Only an answer that it has lifts the doubt."""
        return self.known is not None and self.known.state in {EffectState.SENT, EffectState.UNKNOWN}


#: What this process knows of effects and the ledger could not be told yet, by logical id: how one ended, or None where
#: its intent may be recorded and certainly nothing was sent.
Unsettled = MutableMapping[str, Sent | None]
