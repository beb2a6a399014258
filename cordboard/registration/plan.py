"""Registering a call flow: what it would change, what is sent, and what came of it. Pure but for two reads.

    live flow is …                 and then
    not there                      registered
    the same in meaning            `unchanged`; nothing is sent
    another than the plan saw      `conflict`; nothing is sent, the difference is shown
    another                        replaced; what it was is on record first

The idempotency key is minted once from what is sent, what it replaces and how often this flow was registered before:
after a lost reply or a restart it is the same key, and after an edit and an edit back it is another, because the vendor
would answer the old key with the old answer and do nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from cordboard.errors import BadCall, VendorFailed
from cordboard.findings import Finding, errors_in
from cordboard.ivr.canonical import content_hash, verify, way, without_bookkeeping
from cordboard.ivr.dialects.cxone import from_cxone, to_cxone
from cordboard.ivr.diff import Difference, differences
from cordboard.ivr.model import Flow, Node
from cordboard.ivr.topology import check_flow
from cordboard.jsontext import digest
from cordboard.records.effects import Effect, EffectState, Entry
from cordboard.sending import evidence
from cordboard.vendors.cxone import read_flow, register_flow
from cordboard.vendors.session import VendorSession
from cordboard.vendors.wire import Outcome, Request

READ_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What registering a flow would do.

    Attributes:
        flow: the flow as it will be, with the live connections that it keeps.
        body: what is sent.
        live: the flow as the vendor has it, or None.
        findings: about the flow as it will be.
        differences: what changes for callers.
        live_hash: what the live flow means; empty where there is none.
    """

    flow: Flow
    body: Mapping[str, Any]
    live: Mapping[str, Any] | None
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    live_hash: str

    @property
    def is_sound(self) -> bool:
        """Whether nothing speaks against registering it."""
        return not errors_in(self.findings)

    @property
    def changes_nothing(self) -> bool:
        """Whether the live flow means the same already."""
        return self.live is not None and self.live_hash == content_hash(self.flow)

    def as_json(self) -> dict[str, Any]:
        """The plan as a file keeps it; with the live flow, so that a later run can say what moved since."""
        return {
            "kind": "ivr-plan",
            "flow_id": self.flow.id,
            "file": self.flow.file,
            "content_hash": content_hash(self.flow),
            "live_hash": self.live_hash,
            "changes": [difference.sentence for difference in self.differences],
            "findings": [finding.as_json() for finding in self.findings],
            "live": self.live,
        }


def make_plan(flow: Flow, live: Mapping[str, Any] | None, *, today: date) -> Plan:
    """Plans the registration of a flow.

    Args:
        flow: from a file.
        live: the flow of that id as the vendor has it, or None.
        today: for suppressions that expire.

    Raises:
        BadCall: the flow is not written for CXone, or the live one is another.
        VendorFailed: the live flow cannot be understood.
    """
    require_cxone(flow)
    before = None if live is None else _understood(live)
    if before is not None and before.id != flow.id:
        raise BadCall(f"the live flow is {before.id}, and the file is {flow.id}: they are two flows")
    flow = without_bookkeeping(flow)
    after = flow if before is None or flow.existing == "replace" else with_kept(flow, before)
    return Plan(
        flow=after,
        body=to_cxone(after),
        live=live,
        findings=check_flow(after, today=today),
        differences=differences(before, after),
        live_hash="" if before is None else content_hash(before),
    )


def require_cxone(flow: Flow) -> None:
    """Refuses a flow that speaks another vendor's words.

    Raises:
        BadCall: it does.
    """
    if flow.platform != "cxone":
        hint = "call flows are registered at CXone only"
        raise BadCall(f"{flow.file or flow.id} is written for {flow.platform}, and {hint}")


def with_kept(flow: Flow, live: Flow) -> Flow:
    """The live flow with what the file adds to it, and says otherwise.

    A connection of the file replaces the live one of the same node with the same condition. What the file says of a
    node goes before what is live; a node that it only connects stays as it is.
    """
    live = without_bookkeeping(live)
    there, ours = {node.id: node for node in live.nodes}, {node.id: node for node in flow.nodes}
    ways = {(each.source, way(each)) for each in flow.transitions}
    nodes = [_laid_over(node, ours.get(node.id)) for node in live.nodes]
    nodes += [node for node in flow.nodes if node.id not in there]
    kept = tuple(each for each in live.transitions if (each.source, way(each)) not in ways)
    return replace(
        flow,
        name=flow.name or live.name,
        nodes=tuple(nodes),
        transitions=kept + flow.transitions,
        extra={**live.extra, **flow.extra},
    )


def _laid_over(live: Node, ours: Node | None) -> Node:
    if ours is None or not ours.stated:
        return live
    said = {name: value for name in ("name", "prompt", "max_visits", "set") if (value := getattr(ours, name))}
    if ours.type != "decision":  # what the file's reader fills in where nobody said
        said["type"] = ours.type
    return replace(live, **said, extra={**live.extra, **ours.extra}, place=ours.place)


def _understood(live: Mapping[str, Any]) -> Flow:
    try:
        return from_cxone(dict(live))
    except (ValueError, TypeError) as error:
        raise VendorFailed("the live flow cannot be understood", {"kind": "bad_reply", "message": str(error)}) from None


async def read_live(session: VendorSession, flow_id: str, traceparent: str | None = None) -> dict[str, Any] | None:
    """The flow as the vendor has it, or None where there is none of this id.

    Raises:
        VendorFailed: it cannot be read.
    """
    verdict = (await session.call(read_flow(flow_id, traceparent), timeout_seconds=READ_SECONDS)).verdict
    if verdict.outcome is Outcome.ACCEPTED:
        found: dict[str, Any] = verdict.value
        return found
    if verdict.kind == "not_found":
        return None
    raise VendorFailed(f"the live flow {flow_id} cannot be read", evidence(verdict))


def registration(
    plan: Plan, tenant: str, earlier: Mapping[str, Entry], traceparent: str | None = None
) -> tuple[Effect, Request]:
    """The effect that registers a planned flow, and its request with the key.

    Args:
        plan: what is registered.
        tenant: whose flow it is.
        earlier: every registration of this flow that the ledger knows.
        traceparent: W3C trace context to send along.
    """
    done = sum(entry.state is EffectState.DONE for entry in earlier.values())
    body = digest(plan.body)
    logical_id = f"ivr/{plan.flow.id}/{body[:32]}/{plan.live_hash[:32] or 'new'}~{done}"
    key = f"cordboard-{digest([tenant, logical_id])[:40]}"
    request = register_flow(plan.body, key, traceparent)
    operation = request.operation
    return Effect(tenant, operation.name, logical_id, body, plan.flow.id, operation.safety), request


def key_of(request: Request) -> str:
    """The idempotency key that a registration is sent with."""
    return request.headers["idempotency-key"]


def stored_differently(plan: Plan, stored: Mapping[str, Any] | None) -> tuple[str, ...]:
    """What the vendor stored otherwise than it was sent, as sentences; empty where all of it is there.

    Stricter than meaning, and then by meaning: the order of connections that can both hold decides where a call goes.
    """
    if stored is None:
        return ("the vendor has no flow of this id",)
    found = verify(plan.body, stored)
    if found:
        return found
    try:
        return tuple(each.sentence for each in differences(plan.flow, _understood(stored)))
    except VendorFailed as error:
        return (str(error),)


def hash_of(stored: Mapping[str, Any] | None) -> str:
    """What a stored flow means, as a hash; empty where there is none or it cannot be understood."""
    try:
        return "" if stored is None else content_hash(_understood(stored))
    except VendorFailed:
        return ""
