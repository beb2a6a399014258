"""Requests and replies as values, and the one table that says what a reply means. No I/O, no clock.

Every call ends in one of four outcomes, and nothing else may be branched on:

    observation                                              outcome     repeated
    -------------------------------------------------------  ----------  ---------------------------
    nothing was sent (DNS, refused, TLS, no free slot)       REFUSED     always
    429                                                      REFUSED     always, not before Retry-After
    2xx whose body the operation understands                 ACCEPTED    -
    2xx with a cut, empty, wrong or unreadable body          UNKNOWN     NATURAL, KEYED (same key)
    401 (after one new token), other 4xx, 3xx                PERMANENT   never
    409, 412 of an operation that declares IN_FLIGHT         UNKNOWN     NATURAL, KEYED (same key)
    409, 412 of one that declares EXISTS                     UNKNOWN     never: `look_up` first
    409, 412 of one that declares VERSION or REJECTED        PERMANENT   never
    400 whose message has the operation's `conflict_words`   as its 409
    400 whose message has the operation's `busy_words`       REFUSED     always
    408, 425, 5xx                                            UNKNOWN     NATURAL, KEYED (same key)
    timeout, reset or end of file after the first byte       UNKNOWN     NATURAL, KEYED (same key)

An operation can declare statuses that its vendor only sends where nothing took effect; those are REFUSED. It can also
declare statuses whose body says how far the vendor came, such as the 500 of a simulation that stops at a broken node:

    a status in `results`, with a body that is understood    PERMANENT   never: the kind is `incomplete`, the body is
                                                                         the verdict's value
    the same status with any other body                      as the table above has it
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from cordboard.errors import InvalidJson
from cordboard.jsontext import parse_json
from cordboard.vendors.evidence import clean, evidence_of, request_id_of, retry_after

__all__ = [
    "Conflict",
    "NoReply",
    "Operation",
    "Outcome",
    "Reply",
    "Request",
    "Safety",
    "Verdict",
    "decipher",
    "may_repeat",
    "retry_after",
    "settle",
]


class Safety(StrEnum):
    """What a repeat of an operation does, as declared for each operation."""

    NATURAL = "natural"  # a read, or a write that is the same twice
    KEYED = "keyed"  # the vendor honours an idempotency key
    LOOKUP = "lookup"  # the vendor can be asked whether our reference exists
    NEITHER = "neither"  # a repeat may be a second effect


class Outcome(StrEnum):
    """How a call ended."""

    ACCEPTED = "accepted"  # the effect took place and its result is known
    REFUSED = "refused"  # certainly no effect; may be tried again
    PERMANENT = "permanent"  # certainly refused; trying again cannot help
    UNKNOWN = "unknown"  # may have taken effect, or may yet


class Conflict(StrEnum):
    """What 409 and 412 mean for an operation."""

    IN_FLIGHT = "in_flight"  # an earlier attempt may still be at work
    EXISTS = "exists"  # there already is one, perhaps ours: look it up
    VERSION = "version"  # somebody saved in between: merge, then save anew
    REJECTED = "rejected"  # no conflict at all, such as the syntax check of CXone scripts


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that a vendor can be asked to do.

    Attributes:
        name: for people and metrics, such as `cxone.data_action.execute`.
        method: HTTP method.
        safety: what a repeat does.
        parse: turns the JSON value of a 2xx reply (None where the body is empty) into the result, and raises
            ValueError, TypeError or LookupError where the value is not what this operation answers with.
        conflict: what 409 and 412 mean. The default is the careful one.
        refused: statuses which, for this operation, say that nothing took effect.
        identify: the vendor's own id of what the call made, taken from the JSON value.
        results: statuses other than 2xx whose body can be a result, each with its own `parse`. Where that raises, the
            status means what it means for every operation.
        conflict_words: how the message of a 400 reads by which the vendor means a conflict; None where it never does.
        busy_words: how it reads where the vendor has no room just now and took nothing; None where it never does.
        route: the path with names in place of ids, by which requests are told apart in traces and metrics.
    """

    name: str
    method: str
    safety: Safety
    parse: Callable[[Any], Any]
    conflict: Conflict = Conflict.IN_FLIGHT
    refused: frozenset[int] = frozenset()
    identify: Callable[[Any], str] | None = None
    results: Mapping[int, Callable[[Any], Any]] = field(default_factory=dict, hash=False)
    conflict_words: re.Pattern[str] | None = None
    busy_words: re.Pattern[str] | None = None
    route: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One call to make; `path` is relative to the session's base URL. Holds no credentials."""

    operation: Operation
    path: str
    body: Any = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. Header names are in lower case.

    Attributes:
        fault: why the body is not whole or not readable; empty where it is.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class NoReply:
    """Nothing usable came back.

    Attributes:
        kind: `not_sent`, `timeout`, `lost_reply`, `bad_reply`, or `rejected` where no request could be made of it.
        sent: whether a byte of the request may have left.
        detail: one sentence for people, without URLs and secrets.
    """

    kind: str
    sent: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an attempt, or a whole call, came to.

    Attributes:
        outcome: decides what happens next, together with `look_up`.
        kind: what was seen, for reports and for counting failures.
        status: HTTP status, or None where there was no reply.
        value: the operation's result; None unless accepted, or `incomplete`.
        message: one sentence for people, at most 600 characters, without control characters.
        code: the vendor's own error code.
        request_id: what the vendor's support asks for.
        retry_after_seconds: how long the vendor asks us to stay away.
        reference: the vendor's own id of what the call made.
        look_up: whether the vendor has to be asked what there is before the same request may leave again.
    """

    outcome: Outcome
    kind: str
    status: int | None = None
    value: Any = field(default=None, repr=False)
    message: str = ""
    code: str = ""
    request_id: str = ""
    retry_after_seconds: float | None = None
    reference: str = ""
    look_up: bool = False


_BY_STATUS: Mapping[int, tuple[Outcome, str]] = {
    401: (Outcome.PERMANENT, "unauthorized"),
    403: (Outcome.PERMANENT, "forbidden"),
    404: (Outcome.PERMANENT, "not_found"),
    408: (Outcome.UNKNOWN, "timeout"),
    410: (Outcome.PERMANENT, "not_found"),
    425: (Outcome.UNKNOWN, "unavailable"),
    429: (Outcome.REFUSED, "rate_limited"),
    503: (Outcome.UNKNOWN, "unavailable"),
    504: (Outcome.UNKNOWN, "gateway_timeout"),
}
_BY_HUNDRED: Mapping[int, tuple[Outcome, str]] = {
    3: (Outcome.PERMANENT, "redirected"),
    4: (Outcome.PERMANENT, "rejected"),
    5: (Outcome.UNKNOWN, "server_error"),
}
_BY_CONFLICT: Mapping[Conflict, tuple[Outcome, str]] = {
    Conflict.IN_FLIGHT: (Outcome.UNKNOWN, "conflict"),
    Conflict.EXISTS: (Outcome.UNKNOWN, "conflict"),
    Conflict.VERSION: (Outcome.PERMANENT, "conflict"),
    Conflict.REJECTED: (Outcome.PERMANENT, "rejected"),
}
_NOT_UNDERSTOOD = (ValueError, TypeError, LookupError, InvalidJson)
_WITHOUT_REPLY: Mapping[str, Outcome] = {"not_sent": Outcome.REFUSED, "rejected": Outcome.PERMANENT}
_IN_WORDS: Mapping[str, str] = {
    "at_limit": "the vendor runs as many as it may",
    "bad_reply": "the reply cannot be understood",
    "conflict": "the vendor reports a conflict",
    "forbidden": "the client may not do this; it may lack a scope",
    "gateway_timeout": "the call ran past the vendor's gateway limit",
    "incomplete": "the vendor stopped half-way and says where",
    "not_found": "the vendor does not know what was asked for",
    "rate_limited": "the vendor asks for fewer calls",
    "redirected": "a redirect is never followed; check the base URL",
    "rejected": "the vendor rejects the request",
    "server_error": "the vendor failed",
    "timeout": "the vendor gave up waiting",
    "unauthorized": "the vendor does not accept our credentials",
    "unavailable": "the vendor is not available",
}


def decipher(operation: Operation, seen: Reply | NoReply, *, now: float) -> Verdict:
    """Says what an exchange came to, by the table above.

    Args:
        operation: what was asked for.
        seen: what came back, or why nothing did.
        now: seconds since the epoch, for a `Retry-After` that is a date.
    """
    if isinstance(seen, NoReply):
        kind = seen.kind if seen.sent or seen.kind in _WITHOUT_REPLY else "not_sent"
        return Verdict(_WITHOUT_REPLY.get(kind, Outcome.UNKNOWN), kind, message=seen.detail)
    if 200 <= seen.status < 300:
        return _accepted(operation, seen)
    value = _result(operation, seen)
    message, code, request_id = evidence_of(seen.headers, seen.body)
    outcome, kind = _meaning(operation, seen.status, message) if value is None else (Outcome.PERMANENT, "incomplete")
    return Verdict(
        outcome,
        kind,
        seen.status,
        value,
        message=_sentence(kind, seen.status, message),
        code=code,
        request_id=request_id,
        retry_after_seconds=retry_after(seen.headers, now),
        look_up=outcome is Outcome.UNKNOWN and kind == "conflict" and operation.conflict is Conflict.EXISTS,
    )


def may_repeat(verdict: Verdict, safety: Safety) -> bool:
    """Whether the same request, with the same key, may be sent again without a look at the vendor first."""
    if verdict.outcome is Outcome.REFUSED:
        return True
    return verdict.outcome is Outcome.UNKNOWN and not verdict.look_up and safety in (Safety.NATURAL, Safety.KEYED)


def settle(doubt: Verdict | None, latest: Verdict, safety: Safety) -> Verdict:
    """What a call of several attempts may claim.

    An attempt in doubt stays in doubt when a later one is merely refused: the 429 says that the second had no effect,
    nothing about the first. Only an accepted attempt lifts it or, where a repeat is the same, a definite refusal.

    Args:
        doubt: the first attempt that ended UNKNOWN, if any.
        latest: the last attempt.
        safety: the operation's class.
    """
    if doubt is None or latest.outcome is Outcome.ACCEPTED or latest.outcome is Outcome.UNKNOWN:
        return latest
    return latest if latest.outcome is Outcome.PERMANENT and safety is Safety.NATURAL else doubt


def _meaning(operation: Operation, status: int, message: str) -> tuple[Outcome, str]:
    words, busy = operation.conflict_words, operation.busy_words
    if status == 400 and busy and busy.search(message):
        return Outcome.REFUSED, "at_limit"
    if status in (409, 412) or (status == 400 and words and words.search(message)):
        outcome, kind = _BY_CONFLICT[operation.conflict]
    else:
        by_hundred = _BY_HUNDRED.get(status // 100, (Outcome.UNKNOWN, "bad_reply"))
        outcome, kind = _BY_STATUS.get(status, by_hundred)
    return (Outcome.REFUSED if status in operation.refused else outcome), kind


def _accepted(operation: Operation, reply: Reply) -> Verdict:
    request_id = request_id_of(reply.headers)
    try:
        document = _document(reply)
        value = operation.parse(document)
        reference = operation.identify(document) if operation.identify else ""
    except _NOT_UNDERSTOOD as error:
        message = _sentence("bad_reply", reply.status, clean(str(error), 200))
        return Verdict(Outcome.UNKNOWN, "bad_reply", reply.status, message=message, request_id=request_id)
    return Verdict(Outcome.ACCEPTED, "ok", reply.status, value, request_id=request_id, reference=reference)


def _result(operation: Operation, reply: Reply) -> Any:
    """What a reply other than 2xx brings all the same; None where it is like every other reply of its status."""
    parse = operation.results.get(reply.status)
    try:
        return parse(_document(reply)) if parse else None
    except _NOT_UNDERSTOOD:
        return None


def _document(reply: Reply) -> Any:
    if reply.fault:
        raise ValueError(reply.fault)
    return parse_json(reply.body, max_bytes=len(reply.body)) if reply.body.strip() else None


def _sentence(kind: str, status: int, detail: str) -> str:
    return f"{_IN_WORDS[kind]} (HTTP {status})" + (f": {detail}" if detail else "")
