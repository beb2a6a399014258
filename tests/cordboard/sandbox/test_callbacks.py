"""Callbacks, from both sides: what the receiver gets, and what the truth says was sent."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from random import Random

import pytest

from cordboard.errors import InvalidDocument
from cordboard.sandbox import default_definition
from cordboard.sandbox.callback_rules import Callbacks

KEY = b"0123456789abcdefghijklmnop"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


def workflow(**rules):
    return {"wf": {"duration_seconds": 0, "result": {"output": {"routingDecision": "sales"}}, **rules}}


def started(start, receiver, count=1, duration=0.0, **callbacks):
    """A sandbox that reports to the receiver, and the ids of instances that it has started."""
    quick = {"url": receiver.url, "retry_seconds": 0.01, **callbacks}
    api = start(callbacks=quick, workflows=workflow(duration_seconds=duration))
    return api, [api.start_instance(metadata={"n": str(number)}).json()["id"] for number in range(count)]


def test_an_end_is_reported_once_and_signed(start, receiver, eventually):
    """The signature is checked here by hand: an HMAC over id, timestamp and body."""
    api, (instance_id,) = started(start, receiver, secret=SECRET)
    eventually(lambda: len(receiver.arrivals) == 1)
    (arrival,) = receiver.arrivals
    assert arrival.json == {
        "instanceId": instance_id,
        "workflowId": "wf",
        "status": "completed",
        "context": {"routingDecision": "sales"},
    }
    message_id, stamp = arrival.headers["webhook-id"], arrival.headers["webhook-timestamp"]
    right = hmac.new(KEY, f"{message_id}.{stamp}.".encode() + arrival.body, hashlib.sha256).digest()
    assert arrival.headers["webhook-signature"] == "v1," + base64.b64encode(right).decode()
    assert abs(int(stamp) - time.time()) < 10
    eventually(lambda: len(api.box.truth.callbacks) == 1)
    (entry,) = api.box.truth.callbacks
    assert (entry.instance_id, entry.message_id, entry.attempt, entry.status) == (instance_id, message_id, 1, 204)
    assert (entry.inputs, entry.fault) == (arrival.json, None)
    assert entry.request_id == api.box.truth.instances[0].request_id


def test_a_vendor_that_cannot_sign_sends_the_shared_secret(start, receiver, eventually):
    """And no id, as it knows nothing of the specification."""
    started(start, receiver, shared_secret="not-a-real-secret")
    eventually(lambda: len(receiver.arrivals) == 1)
    headers = receiver.arrivals[0].headers
    assert headers["x-cordboard-secret"] == "not-a-real-secret"
    assert not [name for name in headers if name.startswith("webhook-")]


def test_an_end_is_reported_when_it_comes_and_not_before(start, receiver, eventually):
    """By the clock, without anybody reading."""
    api, _ = started(start, receiver, duration=0.2)
    eventually(lambda: len(api.box.truth.callbacks) == 1)
    (instance,), (callback,) = api.box.truth.instances, api.box.truth.callbacks
    assert 0 <= callback.at - instance.ends_at < 1


def test_an_earlier_end_is_not_held_up_by_a_later_one(start, receiver, eventually):
    """The short one is started last and reported first."""
    lasting = {"long": {"duration_seconds": 60}, "short": {"duration_seconds": 0.05}}
    api = start(callbacks={"url": receiver.url}, workflows=lasting)
    _, short = (api.start_instance(name).json()["id"] for name in ("long", "short"))
    eventually(lambda: receiver.instances == [short])


def test_a_failed_instance_says_so(start, receiver, eventually):
    """Its callback differs in nothing but the status."""
    failing = workflow(ends={"completed": 0, "failed": 1})
    api = start(callback_url=receiver.url, workflows=failing)
    api.start_instance()
    eventually(lambda: len(receiver.arrivals) == 1)
    assert receiver.arrivals[0].json["status"] == "failed"


def test_a_callback_is_sent_again_under_its_id_until_it_is_taken(start, receiver, eventually):
    """An error, a redirect, then 204; each attempt is in the truth."""
    receiver.statuses = [500, 302]
    api, _ = started(start, receiver, secret=SECRET)
    eventually(lambda: len(api.box.truth.callbacks) == 3)
    assert len({arrival.headers["webhook-id"] for arrival in receiver.arrivals}) == 1
    assert [(entry.attempt, entry.status) for entry in api.box.truth.callbacks] == [(1, 500), (2, 302), (3, 204)]


def test_attempts_are_bounded(start, receiver, eventually):
    """A receiver that never takes it is left alone after so many; so is one that is gone, at once."""
    receiver.after = 503
    api, _ = started(start, receiver, attempts=3)
    eventually(lambda: len(api.box.truth.callbacks) == 3)
    receiver.after = 410
    api.start_instance()
    eventually(lambda: len(api.box.truth.callbacks) == 4)
    receiver.after = 204
    api.start_instance()
    eventually(lambda: len(api.box.truth.callbacks) == 5)
    assert [entry.status for entry in api.box.truth.callbacks] == [503, 503, 503, 410, 204]


def test_a_receiver_that_is_not_there_leaves_attempts_without_a_status(start, eventually):
    """Nobody listens there."""
    callbacks = {"url": "http://127.0.0.1:9/callbacks", "attempts": 2, "retry_seconds": 0.01}
    api = start(callbacks=callbacks, workflows=workflow())
    api.start_instance()
    eventually(lambda: len(api.box.truth.callbacks) == 2)
    assert {entry.status for entry in api.box.truth.callbacks} == {None}


def test_a_receiver_that_does_not_answer_is_given_up(start, receiver, eventually):
    """After `timeout_seconds`, and tried again."""
    held = []
    receiver.on_arrival = lambda arrival: held.append(arrival) or (len(held) == 1 and time.sleep(0.3))
    api, _ = started(start, receiver, timeout_seconds=0.1)
    eventually(lambda: len(api.box.truth.callbacks) == 2)
    assert [entry.status for entry in api.box.truth.callbacks] == [None, 204]


def test_a_duplicate_comes_under_the_same_id(start, receiver, eventually):
    """Whoever remembers ids drops it."""
    api, ids = started(start, receiver, 3, secret=SECRET, duplicates=1)
    eventually(lambda: len(api.box.truth.callbacks) == 6)
    sent = [(arrival.headers["webhook-id"], arrival.json["instanceId"]) for arrival in receiver.arrivals]
    assert sorted(receiver.instances) == sorted(ids * 2)
    assert len(set(sent)) == 3
    assert sorted(entry.fault or "" for entry in api.box.truth.callbacks) == [""] * 3 + ["duplicates"] * 3


def test_a_vendor_may_report_twice_under_two_ids(start, receiver, eventually):
    """Remembering ids is not enough: the instance is the same."""
    api, (instance_id,) = started(start, receiver, secret=SECRET, reissued=1)
    eventually(lambda: len(api.box.truth.callbacks) == 2)
    assert receiver.instances == [instance_id] * 2
    assert len({arrival.headers["webhook-id"] for arrival in receiver.arrivals}) == 2
    assert [entry.fault for entry in api.box.truth.callbacks] == [None, "reissued"]


def test_a_share_is_a_share_and_repeats_with_the_seed(start, receiver, eventually):
    """About half of them, and the same ones each time."""

    def reissued() -> set[str]:
        api, ids = started(start, receiver, 40, reissued=0.5)
        eventually(lambda: {entry.instance_id for entry in api.box.truth.callbacks} == set(ids))
        eventually(lambda: api.box.sandbox.idle)
        return {entry.instance_id for entry in api.box.truth.callbacks if entry.fault == "reissued"}

    first = reissued()
    assert 8 <= len(first) <= 32
    assert reissued() == first


def test_callbacks_may_arrive_out_of_order(start, receiver, eventually):
    """One that is held back lets at least one later end go first."""
    api, ids = started(start, receiver, 30, reorder=0.3)
    eventually(lambda: len(api.box.truth.callbacks) == 30)
    held = {entry.instance_id for entry in api.box.truth.callbacks if entry.fault == "reorder"}
    assert sorted(receiver.instances) == sorted(ids)
    assert 2 <= len(held) <= 20
    overtaken = [one for one in held if any(ids.index(one) < ids.index(other) for other in before(receiver, one))]
    assert set(overtaken) >= held - {ids[-1]}
    ends = {entry.instance_id: entry.ends_at for entry in api.box.truth.instances}
    waited = {entry.instance_id: entry.at - ends[entry.instance_id] for entry in api.box.truth.callbacks}
    assert max(waited[one] for one in overtaken) < 0.9  # they wait for the later one, not for their time to be up


def before(receiver, instance_id):
    return receiver.instances[: receiver.instances.index(instance_id)]


def test_a_callback_that_nobody_overtakes_comes_all_the_same(start, receiver, eventually):
    """After a second."""
    api, (instance_id,) = started(start, receiver, reorder=1)
    eventually(lambda: receiver.instances == [instance_id])
    assert api.box.truth.instances[0].ends_at + 0.9 < time.time()


def test_a_callback_may_come_late(start, receiver, eventually):
    """Its instance has long ended."""
    api, _ = started(start, receiver, delayed=1, delay_seconds=0.2)
    eventually(lambda: len(api.box.truth.callbacks) == 1)
    (instance,), (callback,) = api.box.truth.instances, api.box.truth.callbacks
    assert callback.at - instance.ends_at >= 0.2
    assert callback.fault == "delayed"


def test_a_callback_may_come_before_the_start_is_answered(start, receiver):
    """The receiver hears of an instance that nobody has seen yet."""
    answered: list[str] = []
    seen_before_reply: list[bool] = []
    receiver.on_arrival = lambda _: seen_before_reply.append(not answered)
    api, (instance_id,) = started(start, receiver, before_reply=1, duration=60)
    answered.append(instance_id)
    assert (seen_before_reply, receiver.instances) == ([True], [instance_id])
    assert api.http.get(f"/api/v2/workflows/instances/{instance_id}").json()["status"] == "completed"
    assert (api.running(), [entry.fault for entry in api.box.truth.callbacks]) == (0, ["before_reply"])


def test_a_start_is_answered_though_its_callback_is_not_taken(start, receiver):
    """Only the first attempt comes before the reply."""
    receiver.statuses = [500]
    api, _ = started(start, receiver, before_reply=1, retry_seconds=60)
    assert [entry.status for entry in api.box.truth.callbacks] == [500]
    assert len(receiver.arrivals) == 1


def test_a_callback_may_be_lost(start, receiver, eventually):
    """The receiver hears of the others only, and the truth says of which it does not."""
    api, ids = started(start, receiver, 20, lost=0.5)
    eventually(lambda: {entry.instance_id for entry in api.box.truth.callbacks} == set(ids))
    eventually(lambda: len(api.box.truth.callbacks) == 20)
    lost = {entry.instance_id for entry in api.box.truth.callbacks if entry.fault == "lost"}
    assert 3 <= len(lost) <= 17
    assert sorted(receiver.instances) == sorted(set(ids) - lost)
    assert {(entry.attempt, entry.status) for entry in api.box.truth.callbacks if entry.fault == "lost"} == {
        (None, None)
    }


def test_without_a_url_nothing_is_sent_and_nothing_ends_early(start):
    """Whatever the shares say."""
    api = start(callbacks={"before_reply": 1}, workflows=workflow(duration_seconds=60))
    api.start_instance()
    assert (api.running(), api.box.truth.callbacks) == (1, ())


def test_what_befalls_a_callback_does_not_change_with_the_other_shares():
    """A test that adds one fault keeps the others where they were."""
    alone, among = Callbacks(reissued=0.5), Callbacks(reissued=0.5, lost=0.3, reorder=1)
    fates = [(alone.fate(Random(seed)), among.fate(Random(seed))) for seed in range(50)]
    assert all(one.reissued == other.reissued for one, other in fates)
    assert {one.reissued for one, _ in fates} == {True, False}


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        ({"url": "ftp://x/"}, "such as http://127.0.0.1:8080/callbacks"),
        ({"url": "http://user:pass@x/"}, "without user and password"),
        ({"secret": "whsec_c2hvcnQ="}, "openssl rand -base64 32"),
        ({"secret": "c" * 40}, "openssl rand -base64 32"),
        ({"secret": SECRET, "shared_secret": "x"}, "not both"),
        ({"shared_secret": "ä"}, "visible ASCII"),
        ({"duplicates": 2}, "less than or equal to 1"),
    ],
)
def test_mistakes_in_callbacks_are_refused_without_repeating_a_secret(callbacks, words):
    """Before anything is served."""
    with pytest.raises(InvalidDocument, match=words) as refused:
        default_definition().changed(callbacks=callbacks)
    for name in ("secret", "shared_secret"):
        assert len(callbacks.get(name, "")) < 9 or callbacks[name] not in str(refused.value)


def test_secrets_stay_out_of_texts_and_survive_a_change():
    """A definition may be logged; a copy of it still signs."""
    definition = default_definition().changed(callbacks={"secret": SECRET}, erp={"secret": SECRET})
    assert SECRET not in repr(definition) + definition.model_dump_json()
    changed = definition.changed(token_seconds=5)
    assert changed.callbacks.secret.get_secret_value() == changed.erp.secret.get_secret_value() == SECRET
