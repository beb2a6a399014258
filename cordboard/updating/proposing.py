"""Makes the flow that would be saved: the edit and what is live, joined, checked as a whole, and rehearsed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from cordboard.errors import InvalidDocument, VendorFailed
from cordboard.findings import Finding, Severity, errors_in
from cordboard.ivr.canonical import without_bookkeeping
from cordboard.ivr.dialects.fields import by_source
from cordboard.ivr.dialects.genesys import from_genesys, to_genesys
from cordboard.ivr.diff import Difference, differences
from cordboard.ivr.merge import merge
from cordboard.ivr.model import Flow
from cordboard.ivr.suite import load_suite, run_suite
from cordboard.ivr.topology import check_flow
from cordboard.ivr.trace import compile_flow
from cordboard.updating.model import Proposal, Rehearsal

#: The node in a path, which ends where the next field begins.
_NODE = re.compile(r"nodes\.[^.\[]+")
_INDEX = re.compile(r"\[\d+\]")


def understood(body: Mapping[str, Any]) -> Flow:
    """The flow that the vendor sent.

    Raises:
        VendorFailed: it is none.
    """
    try:
        return from_genesys(dict(body))
    except (ValueError, TypeError) as error:
        raise VendorFailed("the live flow cannot be understood", {"kind": "bad_reply", "message": str(error)}) from None


def propose(base: Flow, ours: Flow, body: Mapping[str, Any], *, today: date) -> Proposal:
    """Joins an edit with what is live, and checks what comes of it.

    Two edits that are fine by themselves can strand a node together, so it is the merged flow that is checked. What is
    wrong with the live flow already does not keep anybody from mending something else; it is told as a warning.

    Args:
        base: the flow that the author edited.
        ours: what the author made of it.
        body: the flow as the vendor has it.
        today: for suppressions that expire.
    """
    live = understood(body)
    joined = merge(base, ours, live)
    version = live.version or 0
    if joined.flow is None:
        return Proposal(live, body, version, None, joined.conflicts)
    merged = joined.flow
    touched = touched_nodes(live, merged)
    return Proposal(
        live,
        body,
        version,
        merged,
        findings=tuple(_findings(live, merged, today)),
        differences=changes_between(live, merged, touched),
        touched=touched,
        changes_nothing=saved_body(live) == saved_body(merged),
    )


def changes_between(before: Flow, after: Flow, touched: Iterable[str] | None = None) -> tuple[Difference, ...]:
    """What changes, by meaning; ways out of untouched nodes are not looked at, and that is most of a large flow."""
    touched = touched_nodes(before, after) if touched is None else touched
    changed = {*touched, *({node.id for node in before.nodes} - {node.id for node in after.nodes})}

    def part(flow: Flow) -> Flow:
        return replace(flow, transitions=tuple(each for each in flow.transitions if each.source in changed))

    return differences(part(before), part(after))


def _findings(live: Flow, merged: Flow, today: date) -> Iterator[Finding]:
    all_found = check_flow(merged, today=today)
    known = Counter(map(_about, errors_in(check_flow(live, today=today)) if errors_in(all_found) else ()))
    for found in all_found:
        if found.severity is Severity.ERROR and known[_about(found)] > 0:
            known[_about(found)] -= 1
            yield replace(found, message=f"{found.message} (so it is live already)", severity=Severity.WARNING)
        else:
            yield found


def _about(found: Finding) -> tuple[str, str, str]:
    """What a finding is about, wherever in its node it stands."""
    node = _NODE.match(found.path)
    return found.rule, node[0] if node else "", _INDEX.sub("", found.message)


def saved_body(flow: Flow) -> dict[str, Any]:
    """What is sent for a flow: not what the vendor writes into it by itself. The version goes into `If-Match`."""
    return to_genesys(without_bookkeeping(flow))


def touched_nodes(before: Flow, after: Flow) -> tuple[str, ...]:
    """Ids of the nodes of a flow that were not there before, or were otherwise, or were left in other ways."""
    known = {node.id: node for node in before.nodes}
    left, leaves = by_source(before.transitions), by_source(after.transitions)
    return tuple(
        node.id for node in after.nodes if known.get(node.id) != node or left.get(node.id) != leaves.get(node.id)
    )


def rehearsed(proposal: Proposal, suites: Sequence[Path]) -> Proposal:
    """The proposal with the calls of the suites made on the merged flow.

    Raises:
        InvalidDocument: a suite has faults, seen from the merged flow.
    """
    if not suites or proposal.verdict is not None:
        return proposal
    try:
        program = compile_flow(proposal.flow)
    except InvalidDocument as error:  # only what is live already: else the verdict would stand
        why = f"no call can be tried: {error.findings[0].message}, and so it is live already"
        hint = "Mend that first, or leave the suites out."
        return replace(proposal, findings=(*proposal.findings, Finding("update/no-rehearsal", why, hint=hint)))
    return replace(proposal, rehearsals=tuple(_rehearsals(program, proposal.flow, suites)))


def _rehearsals(program: Any, flow: Flow, suites: Iterable[Path]) -> Iterable[Rehearsal]:
    for path in suites:
        suite = load_suite(path, flow)
        yield Rehearsal(suite.name, str(path), run_suite(program, suite))
