"""The changes that callers ask the ledger for, and the rules under which each is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cordboard.errors import RunBusy, SameIdOtherBody, StaleOwner, WrongState
from cordboard.jsontext import dump_json
from cordboard.records.effects import Effect, EffectState, Message, may_move
from cordboard.records.owner import Owner
from cordboard.records.page import InstanceId, Page, Row, RunId, iso

HELD, RELEASED = "held", "released"
WITHOUT_EFFECT = frozenset({EffectState.READY, EffectState.FAILED})  # may be mended and sent with another body
RUNNING = "running"  # an instance that has not ended as far as we know
LEASE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Claim:
    """Takes a run: a new epoch, so that every earlier owner's writes are refused from now on."""

    run_id: RunId
    kind: str
    owner: Owner
    lease_seconds: float = LEASE_SECONDS
    effect_key: None = field(default=None, init=False)
    instance_id: None = field(default=None, init=False)

    def apply(self, page: Page) -> int:
        """Returns the new epoch.

        Raises:
            RunBusy: the run is held by a live process of this host, or by another host whose lease has not passed.
        """
        row = page.runs.get(self.run_id)
        if row and row["state"] == HELD:
            self._refuse_live(Owner.parse(row["owner"]), row["lease_until"], row["updated_at"], page.now)
        epoch = row["epoch"] + 1 if row else 1
        page.put_run(
            self.run_id, kind=self.kind, epoch=epoch, owner=str(self.owner),
            lease_until=page.now + self.lease_seconds, state=HELD,
        )  # fmt: skip
        detail = {"epoch": epoch, "owner": str(self.owner), "kind": self.kind, "after": row and row["state"]}
        page.record(self.run_id, "run.claimed", self.run_id[1], dump_json(detail))
        return epoch

    def _refuse_live(self, holder: Owner, lease_until: float, seen: str, now: float) -> None:
        who = f"run {self.run_id[1]!r} is held by process {holder.pid} on {holder.host}, last heard of at {seen}"
        if holder.is_here():
            if holder.is_alive():
                raise RunBusy(f"{who}. Wait for it, or end that process.")
        elif lease_until > now:
            raise RunBusy(f"{who}. Its lease ends at {iso(lease_until)} unless it is renewed; try again then.")


@dataclass(frozen=True, slots=True)
class Fenced:
    """What every write of a run's owner carries: the run, and the epoch in which it was claimed."""

    run_id: RunId
    epoch: int

    def check(self, page: Page, what: str) -> None:
        """Refuses the write of an owner that no longer holds the run, and puts the refusal on record.

        Raises:
            StaleOwner: the run was claimed again or released.
        """
        row = page.runs.get(self.run_id)
        if row and row["epoch"] == self.epoch and row["state"] == HELD:
            return
        now_at = row["epoch"] if row else None
        detail = {"refused": what, "epoch": self.epoch, "current": now_at, "state": row and row["state"]}
        page.record(self.run_id, "write.refused", self.run_id[1], dump_json(detail))
        raise StaleOwner(
            f"{what} of run {self.run_id[1]!r} was refused: it was made in epoch {self.epoch}, now is {now_at}"
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """Renews the lease of a run (`release` false), or gives the run back."""

    fence: Fenced
    release: bool = False
    lease_seconds: float = LEASE_SECONDS
    effect_key: None = field(default=None, init=False)
    instance_id: None = field(default=None, init=False)

    @property
    def run_id(self) -> RunId:
        """The run it holds."""
        return self.fence.run_id

    def apply(self, page: Page) -> None:
        """Does it; only a release is worth an audit record.

        Raises:
            StaleOwner: a newer owner has the run.
        """
        self.fence.check(page, "release" if self.release else "renewal")
        if not self.release:
            page.put_run(self.run_id, lease_until=page.now + self.lease_seconds)
            return
        page.put_run(self.run_id, state=RELEASED, lease_until=page.now)
        page.record(self.run_id, "run.released", self.run_id[1], dump_json({"epoch": self.fence.epoch}))


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What the end of a start means for its workflow.

    Attributes:
        instance_id: the instance that runs now, by the vendor's id; empty where none is known of.
        workflow_id: the workflow.
        settle_seconds: for how long a start that cannot be known keeps its place under the workflow's limit: until
            then it may still come to be, and from then on the vendor's own count knows of it.
    """

    instance_id: str
    workflow_id: str
    settle_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """Takes an effect to another state. To SENT is the intent: it counts an attempt.

    Attributes:
        detail: what the audit record says beside the effect's own facts; JSON.
        result, evidence: canonical JSON text, or None.
        messages: what leaves with it, each with its body as text.
        aftermath: what it means for the workflow, where it is the end of a start.
        seen: the sends that were on record when its caller looked, where another run may have it in hand.
    """

    fence: Fenced
    effect: Effect
    to: EffectState
    kind: str
    detail: dict[str, Any] = field(default_factory=dict)
    result: str | None = None
    evidence: str | None = None
    messages: tuple[tuple[Message, str], ...] = ()
    aftermath: Aftermath | None = None
    seen: int | None = None

    @property
    def run_id(self) -> RunId:
        """The run that takes it."""
        return self.fence.run_id

    @property
    def instance_id(self) -> InstanceId | None:
        """The instance that it started."""
        after = self.aftermath
        return (self.effect.tenant, after.instance_id) if after and after.instance_id else None

    @property
    def effect_key(self) -> str:
        """The effect's key."""
        return self.effect.key

    def apply(self, page: Page) -> None:
        """Does it.

        Raises:
            StaleOwner: a newer owner has the run.
            SameIdOtherBody: the id was sent with another body, and that may have taken effect.
            WrongState: the effect may not go from where it stands to where it is wanted.
        """
        self.fence.check(page, f"{self.kind} of {self.effect.subject}")
        row = page.effects.get(self.effect.key)
        before = EffectState(row["state"]) if row else EffectState.READY
        if row and row["body_hash"] != self.effect.body_hash and before not in WITHOUT_EFFECT:
            raise SameIdOtherBody(self.effect.logical_id, row["body_hash"], self.effect.body_hash)
        if not may_move(before, self.to, self.effect.safety):
            raise WrongState(
                f"{self.effect.subject} is {before} and cannot become {self.to} (its class is {self.effect.safety})"
            )
        in_doubt = before in (EffectState.SENT, EffectState.UNKNOWN)
        if row and in_doubt and self._needs_to_be_ours(row) and not self._is_ours(row):
            raise WrongState(f"{self.effect.subject} was sent again by run {row['run_key']!r} in the meantime")
        self._write(page, before, row["attempts"] if row else 0)

    def _needs_to_be_ours(self, row: Row) -> bool:
        """Whether it says "certainly no effect", or sends again what its caller has looked at."""
        if self.to is EffectState.FAILED:  # a run may say so of what its own earlier owner left
            return bool(row["run_key"] != self.run_id[1])
        return self.to is EffectState.READY or (self.to is EffectState.SENT and self.seen is not None)

    def _is_ours(self, row: Row) -> bool:
        """Whether nobody else sent it since its caller looked; else "it had no effect" is true of another send."""
        return (row["run_key"], row["epoch"]) == (self.run_id[1], self.fence.epoch) or row["attempts"] == self.seen

    def _write(self, page: Page, before: EffectState, attempts: int) -> None:
        effect, tenant = self.effect, self.effect.tenant
        page.put_effect(
            effect.key, tenant=tenant, run_key=self.run_id[1], operation=effect.operation,
            logical_id=effect.logical_id, subject=effect.subject, body_hash=effect.body_hash, safety=effect.safety,
            state=self.to.value, attempts=attempts + (self.to is EffectState.SENT), epoch=self.fence.epoch,
            result=self.result, evidence=self.evidence,
        )  # fmt: skip
        facts = {
            "operation": effect.operation, "logical_id": effect.logical_id, "body_hash": effect.body_hash,
            "epoch": self.fence.epoch, "from": before.value, "to": self.to.value, **self.detail,
        }  # fmt: skip
        page.record(self.run_id, self.kind, effect.subject, dump_json(facts))
        page.post(self.run_id, self.messages)
        if self.aftermath:
            self._follow(page, self.aftermath)

    def _follow(self, page: Page, after: Aftermath) -> None:
        """Notes the instance, which may have reported its end before its start was answered, and moves the slot."""
        has_ended = False
        if self.instance_id:
            known = page.instances.get(self.instance_id, {"status": RUNNING})
            has_ended = known["status"] != RUNNING
            page.put_instance(
                self.instance_id, workflow_id=after.workflow_id, run_key=self.run_id[1], effect_key=self.effect.key,
                status=known["status"],
            )  # fmt: skip
        if self.to is EffectState.FAILED or has_ended:
            page.slots[self.effect.key] = "free"
        elif self.to is EffectState.DONE:
            page.slots[self.effect.key] = "ended"
        elif self.to is EffectState.UNKNOWN:
            page.slots[self.effect.key] = page.now + after.settle_seconds


@dataclass(frozen=True, slots=True)
class Note:
    """Puts something that is no effect on record: a run that began, an action that was skipped or reused."""

    fence: Fenced
    kind: str
    subject: str
    detail: str
    messages: tuple[tuple[Message, str], ...] = ()
    effect_key: None = field(default=None, init=False)
    instance_id: None = field(default=None, init=False)

    @property
    def run_id(self) -> RunId:
        """The run it belongs to."""
        return self.fence.run_id

    def apply(self, page: Page) -> None:
        """Does it.

        Raises:
            StaleOwner: a newer owner has the run.
        """
        self.fence.check(page, self.kind)
        page.record(self.run_id, self.kind, self.subject, self.detail)
        page.post(self.run_id, self.messages)
