"""What the tasks of one registration share, and the document that comes of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from cordboard.ivr.model import Flow
from cordboard.records.effects import Effect, Message
from cordboard.registration.plan import Plan
from cordboard.sending import Sent
from cordboard.vendors.wire import Request
from tasks.connections import Connections

Status = Literal["invalid", "planned", "unchanged", "registered", "conflict", "unverified", "unknown", "failed"]

_TAKEN_EFFECT = frozenset({"registered", "unverified", "unknown"})
EVENT = "flow.connections.updated"


@dataclass(slots=True, eq=False)
class RegistrationRun:
    """One registration of one call flow; not a value: tasks write what they found into it.

    Attributes:
        flow: as its file says.
        connections: what the run holds open.
        today: for suppressions that expire.
        deadline: monotonic time after which nothing is sent.
        plan: what it would change.
        sent: how the request ended, where one was made.
        key: the idempotency key.
        verified: whether the vendor stored what was sent; None where nothing was read back.
        differences: what the vendor stored otherwise, or what moved since the plan.
        status: how it stands.
        doubts: registrations of other content that may still take effect, as sentences.
        minted: the effect and its request, made once: a retry of the task must not make another.
        restoring: whether a registration is being taken back.
        stored_hash: what the flow meant that was read back.
        unsettled: what this process knows and could not tell the ledger.
    """

    flow: Flow
    connections: Connections
    today: date
    deadline: float
    plan: Plan | None = None
    sent: Sent | None = None
    key: str = ""
    verified: bool | None = None
    differences: tuple[str, ...] = ()
    status: Status = "planned"
    doubts: tuple[str, ...] = ()
    minted: tuple[Effect, Request] | None = None
    restoring: bool = False
    stored_hash: str = ""
    unsettled: dict[str, Sent | None] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @property
    def planned(self) -> Plan:
        """The plan, once there is one."""
        assert self.plan is not None
        return self.plan

    def document(self) -> dict[str, Any]:
        """How the registration stands, as one JSON object."""
        plan, sent = self.plan, self.sent
        replaced = bool(plan and plan.live is not None and sent and self.status in _TAKEN_EFFECT)
        return {
            "flow_id": self.flow.id,
            "file": self.flow.file,
            "status": self.status,
            "run_key": self.connections.handle.run_key,
            "trace_id": self.connections.trace_id,
            "idempotency_key": self.key,
            "verified": self.verified,
            "findings": [finding.as_json() for finding in (plan.findings if plan else ())],
            "plan": None if plan is None else _shown(plan),
            "differences": list(self.differences),
            "doubts": list(self.doubts),
            "error": dict(sent.error) if sent and sent.error else None,
            "attempts": sent.attempts if sent else 0,
            "latency_ms": round(sent.latency_ms, 3) if sent else 0.0,
            "duration_ms": round((time.monotonic() - self.started) * 1000, 3),
            "restore": f"python -m flows register-ivr --restore {self.flow.id}" if replaced else "",
        }

    def messages(self) -> tuple[Message, ...]:
        """The webhook that tells visualisation tools of a registration; none where no endpoint is set."""
        if self.connections.endpoint is None:
            return ()
        return (Message(self.connections.endpoint, EVENT, {"event": EVENT, "payload": self.audit_entry()}),)

    def audit_entry(self) -> dict[str, Any]:
        """What is put on record of a registration, and told to others."""
        sent = self.sent
        return {
            "timestamp": time.time(),
            "flow_id": self.flow.id,
            "idempotency_key": self.key,
            "connection_count": len(self.planned.flow.transitions),
            "latency_ms": round(sent.latency_ms, 3) if sent else 0.0,
            "validation_success": self.planned.is_sound,
            "status": self.status,
            "verified": self.verified,
        }


def _shown(plan: Plan) -> dict[str, Any]:
    whole = plan.as_json()
    return {name: whole[name] for name in ("changes", "content_hash", "live_hash")}
