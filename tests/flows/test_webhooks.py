"""Status webhooks of a chain: what is told, how it is proven, and that a dead receiver costs and loses nothing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from cordboard.errors import BadCall, LedgerUnavailable
from cordboard.records.run import RunHandle
from cordboard.sandbox.faults import Faults

pytestmark = [pytest.mark.prefect]

SECRET = "whsec_dGhlIHJlY2VpdmVyIGhvbGRzIHRoZSBzYW1lIQ=="
ONE = "kind: chain\nname: one\nactions: {a: {definition_id: def-echo, inputs: {n: 1}}}\n"
FAN = """
    kind: chain
    name: fan
    actions: {each: {definition_id: def-echo, for_each: "{{ [0, 1, 2, 3] }}", inputs: {n: "{{ item }}"}}}
    """
DEAD = {"status": {"status": 503}, "hang": {"hang": {"seconds": 600}}}


@pytest.fixture
def heard(vendor: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Starts a sandbox that also receives the webhooks; how long a run waits for them is short."""

    def start(*faults: dict[str, Any], **actions: Any) -> Any:
        box = vendor(*faults, **actions)
        monkeypatch.setenv("CORDBOARD_WEBHOOK_URL", f"{box.base_url}/webhooks/status")
        monkeypatch.setenv("CORDBOARD_WEBHOOK_SECRET", SECRET)
        monkeypatch.setenv("CORDBOARD_WEBHOOK_FLUSH_SECONDS", "0.5")
        return box

    return start


def deliver() -> dict[str, int]:
    """What `python -m flows deliver-webhooks` and its deployment do."""
    from flows.deliver_webhooks import deliver_webhooks

    return asyncio.run(deliver_webhooks())


def told(box: Any) -> list[tuple[str, str]]:
    """Which action was told of, and what, in the order in which the receiver accepted it."""
    return [(hook.inputs["action_id"], hook.inputs["status"]) for hook in box.truth.webhooks if hook.status == 200]


def ids(box: Any) -> Counter[str]:
    """How often each message arrived, accepted or not."""
    return Counter(hook.headers["webhook-id"] for hook in box.truth.webhooks)


def test_each_action_tells_that_it_started_and_how_it_ended(heard: Any, run: Any) -> None:
    """In order, in the vendor's own shape; what was skipped was never started and tells nothing."""
    box = heard(bad={"fail": {"status": 422, "message": "no such record"}})
    document = run(
        box,
        """
        kind: chain
        name: told
        actions:
          good: {definition_id: def-echo, inputs: {n: 1}}
          bad: {definition_id: def-bad, depends_on: [good]}
          after: {definition_id: def-echo, depends_on: [bad]}
        """,
    )
    assert told(box) == [("good", "started"), ("good", "completed"), ("bad", "started"), ("bad", "failed")]
    bodies = [hook.inputs for hook in box.truth.webhooks]
    shape = {"orchestrator", "trace_id", "action_id", "status", "timestamp", "payload"}
    assert all(body.keys() == shape for body in bodies)
    assert {(body["orchestrator"], body["trace_id"]) for body in bodies} == {
        ("cxone-data-action-chain", document["trace_id"])
    }
    assert all(abs(body["timestamp"] - time.time()) < 60 for body in bodies)
    assert [body["payload"] for body in bodies[:3]] == [{}, {"output": {"n": 1}}, {}]
    assert bodies[3]["payload"]["error"]["kind"] == "rejected"


def test_the_receiver_can_verify_who_sent_it_and_that_nothing_was_changed(heard: Any, run: Any) -> None:
    """With the library that Standard Webhooks publishes, not with our own code."""
    box = heard()
    run(box, ONE)
    receiver, another = Webhook(SECRET), Webhook("whsec_YW5vdGhlciByZWNlaXZlcidzIHNlY3JldCBpcyB0aGlz")
    for hook in box.truth.webhooks:
        assert receiver.verify(hook.body, hook.headers) == hook.inputs
        with pytest.raises(WebhookVerificationError):
            another.verify(hook.body, hook.headers)
        with pytest.raises(WebhookVerificationError):
            receiver.verify(hook.body.replace('"n":1', '"n":2').replace("started", "stopped"), hook.headers)
    assert len(ids(box)) == 2


@pytest.mark.parametrize("how", DEAD)
def test_a_dead_receiver_does_not_hold_the_run_up_and_hears_everything_later(
    heard: Any, run: Any, wait_until: Any, how: str
) -> None:
    """What arrives later has the ids that it had at first, so that a receiver can drop what it saw twice."""
    box = heard({"match": {"path": "/webhooks/*"}, "fault": DEAD[how]})
    started = time.monotonic()
    document = run(box, ONE)
    assert time.monotonic() - started < 10  # one attempt alone may take 15 s
    assert document["status"] == "completed"
    wait_until(lambda: box.truth.in_flight == 0)
    assert told(box) == []
    tried = set(ids(box))
    box.sandbox.use_faults(Faults())
    wait_until(lambda: deliver() == {"delivered": 0, "pending": 0, "dead": 0})
    assert sorted(told(box)) == [("a", "completed"), ("a", "started")]
    assert tried and tried <= set(ids(box)) and len(ids(box)) == 2


def test_nothing_is_delivered_a_second_time(heard: Any, run: Any) -> None:
    box = heard()
    run(box, ONE)
    assert deliver() == {"delivered": 0, "pending": 0, "dead": 0}
    assert set(ids(box).values()) == {1}


def test_a_receiver_that_is_gone_for_good_is_not_asked_again(heard: Any, run: Any) -> None:
    """410 Gone is the receiver's way to say so; what is left is kept for a person to see."""
    box = heard({"match": {"path": "/webhooks/*"}, "fault": {"status": 410}})
    run(box, ONE)
    box.sandbox.use_faults(Faults())
    assert deliver() == {"delivered": 0, "pending": 0, "dead": 2}
    assert told(box) == []


def test_an_action_that_is_reused_tells_nothing(heard: Any, run: Any) -> None:
    """Its completion was told when it happened."""
    box = heard()
    run(box, ONE)
    assert run(box, ONE)["actions"]["a"]["cached"]
    assert told(box) == [("a", "started"), ("a", "completed")]


def test_a_fan_out_tells_once_that_it_started_and_once_how_it_ended(heard: Any, run: Any) -> None:
    """Ten thousand items must not become twenty thousand webhooks."""
    box = heard({"match": {"inputs": {"n": 2}, "nth": [1]}, "fault": {"status": 422}})
    run(box, FAN)
    assert told(box) == [("each", "started"), ("each", "failed")]
    assert box.truth.webhooks[1].inputs["payload"]["items"] == {"completed": 3, "failed": 1}
    run(box, FAN)
    assert told(box)[2:] == [("each", "started"), ("each", "completed")]
    run(box, FAN)
    assert len(told(box)) == 4


def test_an_outcome_that_cannot_be_known_is_told_as_a_failure_that_says_so(heard: Any, run: Any) -> None:
    """The contract knows started, completed and failed; the error's kind tells the rest."""
    box = heard({"match": {}, "fault": {"lost_reply": "after_commit"}})
    run(box, ONE)
    assert told(box) == [("a", "started"), ("a", "failed")]
    error = box.truth.webhooks[1].inputs["payload"]["error"]
    assert (error["kind"], error["outcome"]) == ("lost_reply", "unknown")


def test_a_block_names_the_receiver_in_place_of_the_environment(vendor: Any, run: Any) -> None:
    from blocks.webhook import WebhookEndpoint

    box = vendor()
    run(box, ONE, webhook=WebhookEndpoint(url=f"{box.base_url}/webhooks/block", secret=SECRET))
    assert told(box) == [("a", "started"), ("a", "completed")]
    assert {hook.path for hook in box.truth.webhooks} == {"/webhooks/block"}


def test_without_a_receiver_there_is_nothing_to_deliver_and_it_says_what_to_set(prefect_server: str, home: Any) -> None:
    with pytest.raises(BadCall, match="CORDBOARD_WEBHOOK_URL and CORDBOARD_WEBHOOK_SECRET"):
        deliver()


def test_an_end_that_could_not_be_put_on_record_is_told_by_the_rerun(
    heard: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between the last item and the end of its fan-out: everything is done, and nobody was told."""
    box, real = heard(), RunHandle.record

    async def forgetful(self: RunHandle, kind: str, *args: Any, **more: Any) -> None:
        if kind == "action.completed":
            raise LedgerUnavailable("the database is locked")
        await real(self, kind, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(RunHandle, "record", forgetful)
        run(box, FAN)
    assert told(box) == [("each", "started")]
    assert run(box, FAN)["actions"]["each"]["cached"]
    run(box, FAN)
    assert told(box) == [("each", "started"), ("each", "completed")]
