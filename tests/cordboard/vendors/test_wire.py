"""What a reply means: the table of outcomes, written out once more and compared with the code for every status."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from cordboard.vendors.wire import (
    Conflict,
    NoReply,
    Operation,
    Outcome,
    Reply,
    Safety,
    Verdict,
    decipher,
    may_repeat,
    settle,
)

TABLE = """
100-199  unknown    bad_reply
300-399  permanent  redirected
400-400  permanent  rejected
401-401  permanent  unauthorized
402-402  permanent  rejected
403-403  permanent  forbidden
404-404  permanent  not_found
405-407  permanent  rejected
408-408  unknown    timeout
409-409  unknown    conflict
410-410  permanent  not_found
411-411  permanent  rejected
412-412  unknown    conflict
413-424  permanent  rejected
425-425  unknown    unavailable
426-428  permanent  rejected
429-429  refused    rate_limited
430-499  permanent  rejected
500-502  unknown    server_error
503-503  unknown    unavailable
504-504  unknown    gateway_timeout
505-599  unknown    server_error
"""
BODIES = {
    "whole": b'{"id": "x", "output": {"n": 1}}',
    "truncated": b'{"id": "x", "output": {"n": ',
    "html": b"<html><body>Bad gateway</body></html>",
    "empty": b"",
    "wrong type": b'["output"]',
    "null output": b'{"output": null}',
    "not utf-8": b'{"output": "\xff"}',
    "NaN": b'{"output": {"n": NaN}}',
    "twice": b'{"output": {"n": 1, "n": 2}}',
    "surrogate": b'{"output": {"n": "\\ud800"}}',
    "too deep": b'{"output": {"n": ' + b"[" * 3000 + b"]" * 3000 + b"}}",
}


def output_of(document: Any) -> dict[str, Any]:
    if not isinstance(document["output"], dict):
        raise TypeError("no output")
    return document["output"]  # type: ignore[no-any-return]


def operation(safety: Safety = Safety.NEITHER, **given: Any) -> Operation:
    return Operation("test.post", "POST", safety, output_of, **given)


def expected(status: int, body: str) -> tuple[str, str]:
    if 200 <= status <= 299:
        return ("accepted", "ok") if body == "whole" else ("unknown", "bad_reply")
    rows = [line.split() for line in TABLE.strip().splitlines()]
    found = [(outcome, kind) for span, outcome, kind in rows if int(span[:3]) <= status <= int(span[4:])]
    assert len(found) == 1, f"the table must name {status} exactly once"
    return found[0]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("safety", Safety)
def test_every_status_means_what_the_table_says(safety: Safety, body: str) -> None:
    """Nothing but a whole 2xx is a success, and nothing but "certainly no effect" is called refused."""
    for status in range(100, 600):
        verdict = decipher(operation(safety), Reply(status, {}, BODIES[body]), now=0.0)
        assert (verdict.outcome, verdict.kind) == expected(status, body), status
        assert verdict.value == ({"n": 1} if verdict.outcome is Outcome.ACCEPTED else None)


@pytest.mark.parametrize("safety", Safety)
def test_only_a_certain_refusal_or_a_harmless_repeat_is_sent_again(safety: Safety) -> None:
    """A write without key is never repeated where it may have taken effect: a lost reply is not a second call."""
    harmless = safety in (Safety.NATURAL, Safety.KEYED)
    repeated = {Outcome.ACCEPTED: False, Outcome.PERMANENT: False, Outcome.REFUSED: True, Outcome.UNKNOWN: harmless}
    assert {outcome: may_repeat(Verdict(outcome, "any"), safety) for outcome in Outcome} == repeated


@pytest.mark.parametrize(
    ("seen", "outcome", "kind"),
    [
        (NoReply("not_sent", False, ""), "refused", "not_sent"),
        (NoReply("timeout", False, ""), "refused", "not_sent"),
        (NoReply("timeout", True, ""), "unknown", "timeout"),
        (NoReply("lost_reply", True, ""), "unknown", "lost_reply"),
        (NoReply("bad_reply", True, ""), "unknown", "bad_reply"),
        (NoReply("rejected", False, ""), "permanent", "rejected"),
    ],
)
def test_without_a_reply_all_depends_on_whether_a_byte_left(seen: NoReply, outcome: str, kind: str) -> None:
    verdict = decipher(operation(), seen, now=0.0)
    assert (verdict.outcome, verdict.kind) == (outcome, kind)


@pytest.mark.parametrize("status", [409, 412])
@pytest.mark.parametrize(
    ("conflict", "outcome", "kind"),
    [
        (Conflict.IN_FLIGHT, "unknown", "conflict"),
        (Conflict.EXISTS, "unknown", "conflict"),
        (Conflict.VERSION, "permanent", "conflict"),
        (Conflict.REJECTED, "permanent", "rejected"),
    ],
)
def test_a_conflict_means_what_the_operation_says(status: int, conflict: Conflict, outcome: str, kind: str) -> None:
    verdict = decipher(operation(conflict=conflict), Reply(status, {}, b""), now=0.0)
    assert (verdict.outcome, verdict.kind) == (outcome, kind)


@pytest.mark.parametrize("conflict", Conflict)
def test_a_400_in_words_of_a_conflict_means_what_a_409_means_and_no_other_status_does(conflict: Conflict) -> None:
    """Only where the operation knows such words, and only where the message has them."""
    knows = operation(conflict=conflict, conflict_words=re.compile("stale"))
    stale, other = b'{"message": "it is stale"}', b'{"message": "it is wrong"}'
    seen = decipher(knows, Reply(400, {}, stale), now=0.0)
    meant = decipher(knows, Reply(409, {}, stale), now=0.0)
    assert (seen.outcome, seen.kind, seen.look_up) == (meant.outcome, meant.kind, meant.look_up)
    assert decipher(knows, Reply(400, {}, other), now=0.0).kind == "rejected"
    assert decipher(operation(conflict=conflict), Reply(400, {}, stale), now=0.0).kind == "rejected"
    assert decipher(knows, Reply(422, {}, stale), now=0.0).kind == "rejected"


@pytest.mark.parametrize("safety", Safety)
@pytest.mark.parametrize("status", [409, 412])
def test_what_exists_already_is_looked_up_and_never_sent_again(status: int, safety: Safety) -> None:
    """A second POST cannot answer whether the one that is there is ours; an attempt still at work can be waited for."""
    exists = decipher(operation(safety, conflict=Conflict.EXISTS), Reply(status, {}, b""), now=0.0)
    assert (exists.outcome, exists.look_up, may_repeat(exists, safety)) == (Outcome.UNKNOWN, True, False)
    at_work = decipher(operation(safety, conflict=Conflict.IN_FLIGHT), Reply(status, {}, b""), now=0.0)
    assert (at_work.look_up, may_repeat(at_work, safety)) == (False, safety in (Safety.NATURAL, Safety.KEYED))


def test_only_a_conflict_asks_for_a_look() -> None:
    """A 503 of the same operation is sent again under its key, and so is a conflict that certainly had no effect."""
    safety = Safety.KEYED
    unavailable = decipher(operation(safety, conflict=Conflict.EXISTS), Reply(503, {}, b""), now=0.0)
    assert (unavailable.look_up, may_repeat(unavailable, safety)) == (False, True)
    harmless = operation(safety, conflict=Conflict.EXISTS, refused=frozenset({409}))
    refused = decipher(harmless, Reply(409, {}, b""), now=0.0)
    assert (refused.outcome, refused.look_up, may_repeat(refused, safety)) == (Outcome.REFUSED, False, True)


def test_the_wish_to_look_outlives_an_earlier_doubt() -> None:
    """First a lost reply, then a 409: the call as a whole ends with the order to look."""
    exists = Verdict(Outcome.UNKNOWN, "conflict", 409, look_up=True)
    assert settle(Verdict(Outcome.UNKNOWN, "lost_reply"), exists, Safety.KEYED) is exists


def test_an_operation_can_know_that_a_status_had_no_effect() -> None:
    full = operation(refused=frozenset({503}))
    assert decipher(full, Reply(503, {}, b""), now=0.0).outcome is Outcome.REFUSED
    assert decipher(full, Reply(500, {}, b""), now=0.0).outcome is Outcome.UNKNOWN


def test_a_body_that_broke_off_is_no_success_even_if_it_parses() -> None:
    verdict = decipher(operation(), Reply(200, {}, BODIES["whole"], "the body broke off"), now=0.0)
    assert verdict.kind == "bad_reply"
    assert "broke off" in verdict.message


def test_an_accepted_call_carries_the_vendors_ids() -> None:
    named = operation(identify=lambda document: str(document["id"]))
    verdict = decipher(named, Reply(201, {"x-request-id": "r-1"}, BODIES["whole"]), now=0.0)
    assert (verdict.reference, verdict.request_id) == ("x", "r-1")


UNKNOWN = Verdict(Outcome.UNKNOWN, "lost_reply")


@pytest.mark.parametrize("safety", Safety)
def test_a_doubt_is_not_lifted_by_a_later_refusal(safety: Safety) -> None:
    """First a lost reply, then a 429: the second attempt had no effect, of the first we still know nothing."""
    refused = replace(UNKNOWN, outcome=Outcome.REFUSED, kind="rate_limited")
    assert settle(UNKNOWN, refused, safety) is UNKNOWN
    assert settle(None, refused, safety) is refused


@pytest.mark.parametrize("safety", Safety)
def test_a_doubt_is_lifted_by_an_accepted_repeat(safety: Safety) -> None:
    accepted = Verdict(Outcome.ACCEPTED, "ok", 200, {})
    assert settle(UNKNOWN, accepted, safety) is accepted


def test_a_definite_answer_lifts_a_doubt_only_where_a_repeat_is_the_same() -> None:
    gone = Verdict(Outcome.PERMANENT, "not_found", 404)
    assert settle(UNKNOWN, gone, Safety.NATURAL) is gone
    assert settle(UNKNOWN, gone, Safety.KEYED) is UNKNOWN


def test_values_and_headers_stand_in_no_repr() -> None:
    """A repr ends in logs and tracebacks; what a vendor sent may hold personal data."""
    reply = Reply(200, {"set-cookie": "canary"}, b"canary")
    assert "canary" not in repr(reply) + repr(Verdict(Outcome.ACCEPTED, "ok", 200, "canary"))
