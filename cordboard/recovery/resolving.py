"""A person settles an effect of which nobody knows whether it came about, with evidence.

The run that sent it is claimed for that, in a new epoch: a live process that holds it is never overruled, and one that
was thought dead can write no more. The effect stays with its run, so that a rerun finds it there, as settled. It must
still be as it was when it was looked at; so of two people who settle it at once, one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, select

from cordboard.errors import BadCall, WrongState
from cordboard.jsontext import dump_json
from cordboard.records.changes import Aftermath, Fenced, Step
from cordboard.records.effects import Effect, EffectState, require_text
from cordboard.records.ledger import Ledger
from cordboard.records.page import InstanceId, Page, RunId
from cordboard.records.schema import instances, runs, slots
from cordboard.recovery.finding import find_effect
from cordboard.recovery.opened import OpenEffect, open_effect

STARTS = "cxone.workflow.start"
MAX_INSTANCE_ID = 200  # characters; the column's width
Verdict = Literal["done", "failed"]
_OPEN = (EffectState.SENT, EffectState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a person says of an effect.

    Attributes:
        effect: its key, the beginning of it, or its logical id.
        verdict: `done`, it came about; `failed`, it certainly did not and never will.
        evidence: how the person knows, in their words.
        by: who says so.
        result: the JSON value that came of it, for reruns; None where there is none, and for `failed`.
        tenant: whose effect it is; empty where the name is enough.
    """

    effect: str
    verdict: Verdict
    evidence: str
    by: str
    result: Any = None
    tenant: str = ""

    def __post_init__(self) -> None:
        require_text(evidence=self.evidence, by=self.by)
        if not self.evidence.strip():
            raise BadCall("--evidence is empty: say how you know, such as the vendor's own log or a ticket")
        if not self.by.strip():
            raise BadCall("--by is empty: say who settles it")
        if self.verdict == "failed" and self.result is not None:
            raise BadCall("what failed has no result: leave --result out, or resolve it as done")


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of it.

    Attributes:
        before: the effect as it stood.
        verdict: how it stands now.
        instance_id: the workflow instance that it started; empty where there is none or none is known.
    """

    before: OpenEffect
    verdict: Verdict
    instance_id: str

    def as_json(self) -> dict[str, Any]:
        """What happened, as a JSON object."""
        before = self.before
        return {
            "key": before.key, "tenant": before.tenant, "run_key": before.run_key, "subject": before.subject,
            "from": str(before.state), "to": self.verdict, "instance_id": self.instance_id or None,
        }  # fmt: skip


async def resolve(ledger: Ledger, asked: Resolution) -> Resolved:
    """Settles one effect.

    Args:
        ledger: where it is on record.
        asked: what the person says.

    Raises:
        BadCall: no effect or several are called so, it is not open, or what is given of its result does not fit.
        RunBusy: a live process has the effect's run in hand.
        WrongState: somebody else has settled it meanwhile.
        LedgerUnavailable: it could not be written; nothing was changed.
    """
    found, kind, workflow_id = await ledger.read(lambda connection: _look(connection, ledger.clock(), asked))
    if found.state not in _OPEN:
        raise BadCall(f"{_name(found)} is {found.state} since {found.since}: there is nothing to resolve")
    aftermath = _aftermath(found, asked, workflow_id)
    async with await ledger.claim_run(found.tenant, found.run_key, kind=kind) as run:
        fence = Fenced((run.tenant, run.run_key), run.epoch)
        await ledger.submit(_settlement(ledger, fence, found, asked, aftermath))
    return Resolved(found, asked.verdict, aftermath.instance_id if aftermath else "")


@dataclass(frozen=True, slots=True)
class Settlement:
    """The change of the ledger: a step that is taken only from where its caller saw the effect."""

    step: Step
    seen: OpenEffect
    instance_id: InstanceId | None = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "instance_id", self.step.instance_id)

    @property
    def run_id(self) -> RunId:
        """The effect's run."""
        return self.step.run_id

    @property
    def effect_key(self) -> str:
        """The effect's key."""
        return self.step.effect_key

    def apply(self, page: Page) -> None:
        """Does it.

        Raises:
            StaleOwner: a newer owner has the run.
            WrongState: the effect has moved on since it was seen.
        """
        row, seen = page.effects[self.effect_key], self.seen
        if (row["state"], row["attempts"], row["run_key"]) != (seen.state.value, seen.attempts, seen.run_key):
            raise WrongState(f"{_name(seen)} has become {row['state']} meanwhile, by run {row['run_key']!r}")
        self.step.apply(page)


def _settlement(
    ledger: Ledger, fence: Fenced, found: OpenEffect, asked: Resolution, aftermath: Aftermath | None
) -> Settlement:
    effect = Effect(found.tenant, found.operation, found.logical_id, found.body_hash, found.subject, found.safety)
    said = {"by": asked.by, "as": asked.verdict, "evidence": ledger.redactor.text(asked.evidence)}
    proof = {**_context(found), "kind": "resolved", "message": f"{asked.by} resolved it as {asked.verdict}", **said}
    result = None if asked.result is None else dump_json(ledger.redactor.value(asked.result))
    step = Step(
        fence,
        effect,
        EffectState(asked.verdict),
        "effect.resolved",
        {**said, "key": found.key, "before": found.why, "result": asked.result is not None},
        result=result,
        evidence=dump_json(proof),
        aftermath=aftermath,
    )
    return Settlement(step, found)


def _look(connection: Connection, now: float, asked: Resolution) -> tuple[OpenEffect, str, str]:
    """The effect, the kind of its run, and the workflow that it starts, where a place is kept for it."""
    row = find_effect(connection, asked.effect, asked.tenant)
    its_run = (runs.c.tenant == row.tenant) & (runs.c.run_key == row.run_key)
    kind = connection.scalar(select(runs.c.kind).where(its_run)) or "resolve"
    known = connection.scalar(select(slots.c.workflow_id).where(slots.c.effect_key == row.key))
    known = known or connection.scalar(select(instances.c.workflow_id).where(instances.c.effect_key == row.key))
    return open_effect(row, now), kind, known or ""


def _context(found: OpenEffect) -> Mapping[str, Any]:
    """What the evidence held beside what went wrong, such as the fingerprint by which a rerun explains itself."""
    said = found.evidence if isinstance(found.evidence, dict) else {}
    return {name: said[name] for name in ("fingerprint", "line") if name in said} | {"before": found.why}


def _aftermath(found: OpenEffect, asked: Resolution, workflow_id: str) -> Aftermath | None:
    """What it means for the workflow that it was to start."""
    if found.operation != STARTS:
        return None
    result = asked.result if isinstance(asked.result, dict) else {}
    if asked.result is not None and not isinstance(result.get("instance_id"), str):
        raise BadCall('the result of a start is a JSON object with its instance: --result \'{"instance_id": "..."}\'')
    workflow_id = workflow_id or str(result.get("workflow_id") or "") or _workflow_of(found.logical_id)
    instance_id = str(result.get("instance_id", ""))
    require_text(instance_id=instance_id, workflow_id=workflow_id)
    if len(instance_id) > MAX_INSTANCE_ID:
        raise BadCall(f"the instance id is longer than {MAX_INSTANCE_ID} characters: {instance_id[:80]!a}…")
    if instance_id and not workflow_id:
        raise BadCall('the ledger does not say which workflow it starts: add "workflow_id" to --result')
    return Aftermath(instance_id, workflow_id)


def _workflow_of(logical_id: str) -> str:
    """The workflow in a start's logical id; empty where that is a digest because it was too long."""
    workflow_id, slash, _ = logical_id.partition("/")
    return workflow_id if slash else ""


def _name(found: OpenEffect) -> str:
    return f"{found.subject} ({found.key[:12]})"
