"""The changes that completions make in the ledger; each is all or nothing, in one transaction.

    the instance we know      what is reported        what becomes of it
    none                      an end                  it gets a row with that end; the ERP is told
    running, or `lost`        an end                  it has ended, its place under the limit is free; the ERP is told
    ended                     the same end            nothing: `repeated`
    ended                     another end             `repeated`, and `instance.contradicted` on the audit record
    of another workflow       an end                  `unfit`
    any                       no end                  `unfit`

An instance that is not known may be one whose start has not been answered yet: `Step` keeps the end that it finds. The
ERP is told at once all the same, since the completion is genuine: whoever sent it proved who it is. So the first end
that is reported of an instance is the one that the ERP hears, and the only one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from cordboard.completion.model import Completion, erp_record
from cordboard.jsontext import dump_json
from cordboard.records.changes import RUNNING, Fenced
from cordboard.records.effects import Message
from cordboard.records.inbox import InboxState
from cordboard.records.page import InstanceId, Page, Row, RunId
from cordboard.redaction import Redactor

LOST = "lost"  # the vendor does not know it any more, and never reported its end
ERP_MESSAGE = "instance.ended"


class Applied(StrEnum):
    """What became of a completion."""

    ENDED = "ended"
    REPEATED = "repeated"
    CONTRADICTED = "contradicted"
    UNFIT = "unfit"


@dataclass(frozen=True, slots=True)
class Ended:
    """An instance ended, as a callback or the vendor's own answer says.

    Attributes:
        fence: the run that writes it.
        completion: what is reported.
        inbox_id: the message of the inbox that says so; None where the vendor was asked.
        erp: reference of the ERP's endpoint; None where no record is to be made.
        redactor: masks known secrets in what the ERP gets.
    """

    fence: Fenced
    completion: Completion
    inbox_id: str | None = None
    erp: str | None = None
    redactor: Redactor = field(default_factory=Redactor, repr=False)
    effect_key: None = field(default=None, init=False)

    @property
    def run_id(self) -> RunId:
        """The run that writes it."""
        return self.fence.run_id

    @property
    def instance_id(self) -> InstanceId:
        """The instance that ended."""
        return self.fence.run_id[0], self.completion.instance_id

    def apply(self, page: Page) -> Applied:
        """Does it.

        Raises:
            StaleOwner: a newer owner has the run.
        """
        said, known = self.completion, page.instances.get(self.instance_id)
        self.fence.check(page, f"end of {said.instance_id}")
        if not said.has_ended:
            return self._settle(page, Applied.UNFIT, f"{said.status!r} is no word for an end")
        if known and said.workflow_id not in ("", known["workflow_id"]):
            return self._settle(page, Applied.UNFIT, f"the instance is one of workflow {known['workflow_id']!r}")
        if known is None or known["status"] in (RUNNING, LOST):
            return self._end(page, known)
        if _one_spelling(known["status"]) == _one_spelling(said.end):
            return self._settle(page, Applied.REPEATED)
        self._record(page, "instance.contradicted", known)
        return self._settle(page, Applied.CONTRADICTED, f"it had ended as {known['status']!r}")

    def _end(self, page: Page, known: Row | None) -> Applied:
        row = known or {"workflow_id": self.completion.workflow_id, "run_key": "", "effect_key": ""}
        named = {name: row[name] for name in ("workflow_id", "run_key", "effect_key")}
        page.put_instance(self.instance_id, **named, status=self.completion.end, ended_at=page.now)
        if row["effect_key"]:
            page.slots[row["effect_key"]] = "free"
        self._record(page, "instance.ended", known)
        if self.erp:
            # Under a name of its own: the outbox keeps the order of one name's messages, and these need none.
            record = self.redactor.value(erp_record(self.completion) | {"workflowId": row["workflow_id"]})
            message = Message(self.erp, ERP_MESSAGE, record)
            page.post((self.run_id[0], f"instance/{self.completion.instance_id}"), [(message, dump_json(record))])
        return self._settle(page, Applied.ENDED)

    def _settle(self, page: Page, applied: Applied, detail: str = "") -> Applied:
        if self.inbox_id:
            page.settle(self.inbox_id, _STATES[applied].value, detail)
        return applied

    def _record(self, page: Page, kind: str, known: Row | None) -> None:
        facts: dict[str, Any] = {
            "workflow_id": self.completion.workflow_id,
            "status": self.completion.end,
            "before": known and known["status"],
            "started_by": (known or {}).get("run_key") or None,
            "by": "callback" if self.inbox_id else "poll",
            "inbox_id": self.inbox_id,
        }
        page.record(self.run_id, kind, self.completion.instance_id, dump_json(facts))


def _one_spelling(end: str) -> str:
    """Vendors write `canceled` in a callback and `cancelled` where they are asked, or the reverse: it is one end."""
    return "cancelled" if end == "canceled" else end


@dataclass(frozen=True, slots=True)
class Lost:
    """The vendor no longer knows an instance that never reported its end; the ERP is told nothing."""

    fence: Fenced
    lost_id: str
    effect_key: None = field(default=None, init=False)

    @property
    def run_id(self) -> RunId:
        """The run that writes it."""
        return self.fence.run_id

    @property
    def instance_id(self) -> InstanceId:
        """The instance that is lost."""
        return self.fence.run_id[0], self.lost_id

    def apply(self, page: Page) -> bool:
        """Does it, unless the instance ended in the meantime; returns whether it did.

        Raises:
            StaleOwner: a newer owner has the run.
        """
        self.fence.check(page, f"loss of {self.lost_id}")
        known = page.instances.get(self.instance_id)
        if known is None or known["status"] != RUNNING:
            return False
        page.put_instance(self.instance_id, status=LOST, ended_at=page.now)
        if known["effect_key"]:
            page.slots[known["effect_key"]] = "free"
        facts = {"workflow_id": known["workflow_id"], "started_by": known["run_key"], "started_at": known["started_at"]}
        page.record(self.run_id, "instance.lost", self.lost_id, dump_json(facts))
        return True


@dataclass(frozen=True, slots=True)
class SetAside:
    """A message of the inbox that cannot be read, such as one that an older version let in."""

    fence: Fenced
    inbox_id: str
    reason: str
    effect_key: None = field(default=None, init=False)
    instance_id: None = field(default=None, init=False)

    @property
    def run_id(self) -> RunId:
        """The run that writes it."""
        return self.fence.run_id

    def apply(self, page: Page) -> Literal[Applied.UNFIT]:
        """Does it.

        Raises:
            StaleOwner: a newer owner has the run.
        """
        self.fence.check(page, f"setting {self.inbox_id} aside")
        page.settle(self.inbox_id, InboxState.UNFIT.value, self.reason)
        return Applied.UNFIT


_STATES = {
    Applied.ENDED: InboxState.APPLIED,
    Applied.REPEATED: InboxState.REPEATED,
    Applied.CONTRADICTED: InboxState.REPEATED,
    Applied.UNFIT: InboxState.UNFIT,
}
