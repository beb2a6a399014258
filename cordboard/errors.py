"""Every error that Cordboard raises on purpose.

    CordboardError                 exit code
    ├── Ours                       2   the input or the call is wrong; nothing was sent
    │   ├── InvalidDocument            a file breaks rules; every finding is listed with its place
    │   ├── InvalidJson                bytes that are not the strict JSON we accept
    │   ├── BindError                  a template cannot be bound; names path and near names
    │   ├── ConditionError             a condition of a call flow cannot be read; in cordboard.ivr.conditions
    │   ├── BadCall                    a setting, argument or credential is missing or malformed
    │   └── RunBusy                    another live process holds this run key
    └── Theirs                     3   a vendor or a service failed us
        ├── VendorFailed               the vendor said no, or nothing; carries the evidence
        ├── LedgerUnavailable          the ledger cannot be written, so nothing may be sent
        ├── StaleOwner                 a newer owner took this run over; our writes are refused
        ├── SameIdOtherBody            one logical id with two bodies: refused, never a second effect
        ├── WrongState                 the ledger does not let an effect go from where it stands to where it is wanted
        ├── CheckpointsUnavailable     checkpoints of the audit record can be neither read nor written
        └── ChainDiffers               1   the audit record is not the one that its last checkpoint vouches for

All of them pickle: their arguments are their state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cordboard.findings import Finding

#: Kinds of failure that say "not now" rather than "not like this": nothing took effect, a later run may succeed.
NOT_NOW = frozenset({"not_sent", "unavailable", "rate_limited", "breaker_open", "deadline", "server_error", "ledger"})
#: Kinds of failure that new credentials would mend.
NO_ACCESS = frozenset({"credentials", "unauthorized"})


class CordboardError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what a command ends with."""

    exit_code = 3


class Ours(CordboardError):  # noqa: N818 - the tree above reads as a sentence
    """The input or the call is wrong: mend it and try again. Nothing was sent."""

    exit_code = 2


class InvalidDocument(Ours):
    """A document breaks one or more rules.

    Attributes:
        findings: every fault found, in file order.
    """

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(findings)
        self.findings = findings

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


class InvalidJson(Ours):
    """Bytes that are not JSON as we accept it: UTF-8, no NaN, no duplicate keys, no lone surrogates, bounded."""


class BindError(Ours):
    """A template could not be compiled or bound.

    Attributes:
        path: where in the document the template stands, such as `actions.enrich.inputs.id`.
        reason: what is wrong, in one sentence.
        near: names that exist and are spelled alike.
    """

    def __init__(self, path: str, reason: str, near: tuple[str, ...] = ()) -> None:
        super().__init__(path, reason, near)
        self.path, self.reason, self.near = path, reason, near

    def __str__(self) -> str:
        place = f"{self.path}: " if self.path else ""
        hint = f" (did you mean {' or '.join(self.near)}?)" if self.near else ""
        return f"{place}{self.reason}{hint}"


class BadCall(Ours):
    """A setting, an argument or a credential is missing or malformed."""


class RunBusy(Ours):
    """Another live process holds this run key."""


class Theirs(CordboardError):  # noqa: N818 - the tree above reads as a sentence
    """A vendor or a service we depend on failed."""


class VendorFailed(Theirs):
    """A read at the vendor failed for good.

    Attributes:
        evidence: `kind`, `outcome`, `message` and, where the vendor gave them, `http_status`, `code`, `request_id`.
    """

    def __init__(self, what: str, evidence: Mapping[str, Any]) -> None:
        super().__init__(what, evidence)
        self.what, self.evidence = what, evidence
        if evidence.get("kind") in NO_ACCESS:
            self.exit_code = 2

    def __str__(self) -> str:
        request = f" (vendor request {self.evidence['request_id']})" if self.evidence.get("request_id") else ""
        return f"{self.what}: {self.evidence.get('message', 'no answer')}{request}"


class LedgerUnavailable(Theirs):
    """The ledger cannot be read or written. Where an intent cannot be recorded, nothing is sent."""


class StaleOwner(Theirs):
    """A newer owner has taken this run over; a write of the old one was refused (fencing)."""


class SameIdOtherBody(Theirs):
    """The same logical id was used with another body.

    Attributes:
        logical_id: the id.
        recorded: hash of the body that the ledger knows.
        offered: hash of the body that was offered now.
    """

    def __init__(self, logical_id: str, recorded: str, offered: str) -> None:
        super().__init__(logical_id, recorded, offered)
        self.logical_id, self.recorded, self.offered = logical_id, recorded, offered

    def __str__(self) -> str:
        return (
            f"{self.logical_id} was recorded with body {self.recorded[:12]} and is now offered with {self.offered[:12]}"
        )


class WrongState(Theirs):
    """An effect cannot go from the state it is in to the one that is wanted, such as sending what is done."""


class CheckpointsUnavailable(Theirs):
    """The file of the checkpoints cannot be read or written."""


class ChainDiffers(Theirs):
    """The audit record is not the one for which the last checkpoint vouches, so no other one vouches for it."""

    exit_code = 1
