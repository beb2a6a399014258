"""After a failure the file is mended and the run goes on: only what must run runs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from cordboard.chains.results import exit_code
from cordboard.errors import LedgerUnavailable
from cordboard.records.run import RunHandle
from tests.thorough import points

pytestmark = [pytest.mark.prefect]

LENGTH = 20


def line(changed: int | None = None) -> str:
    """Twenty actions in a row, each made from the one before; `changed` gives that one another constant."""
    actions = [
        f"  a{n}: {{definition_id: def-echo, inputs: {{n: {n}, salt: {'new' if n == changed else 'old'}"
        + (f', before: "{{{{ a{n - 1}.n }}}}"' if n else "")
        + "}}"
        for n in range(LENGTH)
    ]
    return "kind: chain\nname: line\nactions:\n" + "\n".join(actions) + "\n"


def sends(box: Any, after: int = 0) -> list[int]:
    """Which actions the vendor was asked for, beginning with its n-th request."""
    return [request.inputs["n"] for request in box.truth.requests[after:] if request.definition_id]


@pytest.mark.parametrize("k", points([0, 1, 10, 19], range(LENGTH)))
def test_after_a_failure_at_any_place_the_rerun_sends_nothing_that_had_completed(vendor: Any, run: Any, k: int) -> None:
    box = vendor({"match": {"inputs": {"n": k}, "nth": [1]}, "fault": {"status": 422, "body": {"message": "no"}}})
    first = run(box, line())
    seen = len(box.truth.requests)
    second = run(box, line())
    assert (first["status"], second["status"]) == ("partial" if k else "failed", "completed")
    assert sends(box, seen) == list(range(k, LENGTH))
    assert [action["cached"] for action in second["actions"].values()] == [n < k for n in range(LENGTH)]
    assert second["actions"][f"a{k}"]["reason"] == "run again: it failed before"


@pytest.mark.parametrize("k", points([0, 9], range(LENGTH)))
def test_an_edit_of_one_action_sends_it_and_what_depends_on_it_and_nothing_else(vendor: Any, run: Any, k: int) -> None:
    """What depends on it runs again even where its inputs came out the same."""
    box = vendor()
    run(box, line())
    seen = len(box.truth.requests)
    second = run(box, line(changed=k))
    assert sends(box, seen) == list(range(k, LENGTH))
    assert second["actions"][f"a{k}"]["reason"] == "run again: its inputs changed"
    if k + 1 < LENGTH:
        assert second["actions"][f"a{k + 1}"]["reason"] == f"run again: a{k} ran again"


def test_a_branch_that_does_not_depend_on_the_edit_is_reused(vendor: Any, run: Any) -> None:
    box = vendor()
    chain = """
        kind: chain
        name: fork
        actions:
          root: {definition_id: def-echo, inputs: {n: 0}}
          left: {definition_id: def-echo, inputs: {n: 1, from: "{{ root.n }}"}}
          right: {definition_id: def-echo, inputs: {n: 2, from: "{{ root.n }}", x: EDIT}}
        """
    run(box, chain)
    seen = len(box.truth.requests)
    run(box, chain.replace("EDIT", "edited"))
    assert sends(box, seen) == [2]


def test_what_does_not_change_the_effect_does_not_run_it_again(vendor: Any, run: Any) -> None:
    """Timeouts, retries and descriptions are ours; the vendor never sees them."""
    box = vendor()
    chain = "kind: chain\nname: same\nactions: {a: {definition_id: def-echo, inputs: {n: 1}MORE}}\n"
    run(box, chain.replace("MORE", ""))
    second = run(box, chain.replace("MORE", ", timeout_seconds: 5, retries: 4, description: shorter"))
    assert second["actions"]["a"]["cached"]
    assert len(box.truth.requests_for("def-echo")) == 1


def test_only_the_items_that_failed_are_sent_again(vendor: Any, run: Any) -> None:
    box = vendor({"match": {"inputs": {"n": 2}, "nth": [1]}, "fault": {"status": 422}})
    chain = """
        kind: chain
        name: items
        actions:
          each: {definition_id: def-echo, for_each: "{{ [0, 1, 2, 3] }}", inputs: {n: "{{ item }}"}}
        """
    run(box, chain)
    second = run(box, chain)
    assert second["status"] == "completed"
    assert Counter(sends(box)) == {0: 1, 1: 1, 2: 2, 3: 1}


EACH = """
    kind: chain
    name: each
    params: {who: {type: array, required: true}}
    actions:
      each: {definition_id: def-echo, for_each: "{{ params.who }}", inputs: {n: "{{ item }}"}}
    """


def test_a_list_that_grew_sends_only_what_is_new(vendor: Any, run: Any) -> None:
    """Also where the order changed: an item is what the vendor sees of it, and not its place."""
    box = vendor({"match": {"inputs": {"n": 2}, "nth": [1]}, "fault": {"status": 422}})
    run(box, EACH, params={"who": [1, 2, 3]})
    second = run(box, EACH, params={"who": [4, 3, 2, 1]})["actions"]["each"]
    assert Counter(sends(box)) == {1: 1, 2: 2, 3: 1, 4: 1}
    assert [item["n"] for item in second["output"]] == [4, 3, 2, 1]
    assert second["reason"] == (
        "2 of 4 reused: same definition, inputs and upstream as before; "
        "1 of 4 new: no earlier run had it with these inputs; 1 of 4 run again: it failed before"
    )


def test_the_same_item_twice_is_sent_twice_and_not_once_more(vendor: Any, run: Any) -> None:
    box = vendor()
    run(box, EACH, params={"who": [7, 7]})
    run(box, EACH, params={"who": [7, 7, 7]})
    assert sends(box) == [7, 7, 7]


def test_items_whose_source_was_edited_are_sent_again(vendor: Any, run: Any) -> None:
    """They depend on it, as every other dependant does."""
    box = vendor(people={"output": {"who": [1, 2]}})
    chain = """
        kind: chain
        name: source
        actions:
          people: {definition_id: def-people, inputs: {salt: OLD}}
          each: {definition_id: def-echo, for_each: "{{ people.who }}", inputs: {n: "{{ item }}"}}
        """
    run(box, chain)
    run(box, chain.replace("OLD", "new"))
    assert [entry.inputs["n"] for entry in box.truth.requests_for("def-echo")] == [1, 2, 1, 2]


@pytest.mark.parametrize("each", ["", ', for_each: "{{ [1, 2] }}"'], ids=["one call", "a fan-out"])
def test_a_task_that_dies_after_its_intent_is_unknown_and_not_called_unsent(
    vendor: Any, run: Any, monkeypatch: pytest.MonkeyPatch, each: str
) -> None:
    """The vendor has it, the ledger has the intent: nobody may read "not sent" and start it by hand."""

    async def dies(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug of ours")

    box = vendor()
    chain = f"kind: chain\nname: dies\nactions: {{a: {{definition_id: def-echo, inputs: {{n: 1}}{each}}}}}\n"
    with monkeypatch.context() as patch:
        patch.setattr("cordboard.records.run.RunHandle.conclude", dies)
        action = run(box, chain)["actions"]["a"]
    assert action["status"] == "unknown"
    said = "the vendor accepted it, and the ledger could not record that (a bug of ours)"
    assert action["error"]["kind"] == "not_recorded" and said in action["error"]["message"]
    seen = len(box.truth.requests)
    assert run(box, chain)["actions"]["a"]["status"] == "unknown"
    assert len(box.truth.requests) == seen > 0


def test_another_run_key_is_another_run(vendor: Any, run: Any) -> None:
    box = vendor()
    chain = "kind: chain\nname: twice\nactions: {a: {definition_id: def-echo, inputs: {n: 1}}}\n"
    run(box, chain, run_key="monday")
    run(box, chain, run_key="tuesday")
    assert len(box.truth.effects_of("def-echo")) == 2


def test_an_unknown_outcome_is_not_repeated_until_its_author_says_that_a_repeat_is_harmless(
    vendor: Any, run: Any
) -> None:
    """The script that this project replaces sent everything again; a lost reply became a second effect."""
    box = vendor({"match": {"nth": [1]}, "fault": {"lost_reply": "after_commit"}})
    chain = "kind: chain\nname: lost\nactions: {a: {definition_id: def-echo, inputs: {n: 1}MORE}}\n"
    first, second = run(box, chain.replace("MORE", "")), run(box, chain.replace("MORE", ""))
    assert [document["actions"]["a"]["status"] for document in (first, second)] == ["unknown", "unknown"]
    assert "still unknown since" in second["actions"]["a"]["error"]["message"]
    assert len(box.truth.effects_of("def-echo")) == 1
    third = run(box, chain.replace("MORE", ", idempotent: true"))
    assert third["actions"]["a"]["status"] == "completed"
    assert len(box.truth.effects_of("def-echo")) == 2


def test_a_reply_that_is_not_what_was_promised_leaves_the_outcome_unknown(vendor: Any, run: Any) -> None:
    box = vendor({"match": {}, "fault": {"wrong_type": "html"}})
    document = run(box, "kind: chain\nname: html\nactions: {a: {definition_id: def-echo}}\n")
    assert (document["actions"]["a"]["status"], document["failures"][0]["kind"]) == ("unknown", "bad_reply")


def test_what_was_done_for_one_tenant_is_not_taken_as_done_for_another(
    vendor: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same file and run key, once with the credentials of a test tenant and once with others."""
    box = vendor()
    chain = "kind: chain\nname: tenants\nactions: {a: {definition_id: def-echo, inputs: {n: 1}}}\n"
    run(box, chain)
    monkeypatch.setenv("CORDBOARD_TENANT", "another")
    assert not run(box, chain)["actions"]["a"]["cached"]
    assert len(box.truth.effects_of("def-echo")) == 2


def test_an_edit_that_is_taken_back_is_sent_again(vendor: Any, run: Any) -> None:
    """The vendor has what was sent last; that the first version was sent once, before, does not bring it back."""
    box = vendor()
    chain = "kind: chain\nname: back\nactions: {a: {definition_id: def-echo, inputs: {n: NOTE}}}\n"
    for note in (1, 2, 1, 1, 2, 2):
        document = run(box, chain.replace("NOTE", str(note)))
    assert sends(box) == [1, 2, 1, 2]
    assert document["actions"]["a"]["cached"]


BACK = "kind: chain\nname: back\nactions: {a: {definition_id: def-echo, inputs: {n: NOTE}}}\n"
LOST_ONCE = {"match": {"inputs": {"n": 1}, "nth": [1]}, "fault": {"lost_reply": "after_commit"}}


@pytest.mark.parametrize("before", [[], [LOST_ONCE]], ids=["done", "unknown"])
def test_an_edit_that_was_refused_changed_nothing_so_taking_it_back_sends_nothing(
    vendor: Any, run: Any, before: list[Any]
) -> None:
    box = vendor({"match": {"inputs": {"n": 2}}, "fault": {"status": 422}}, *before)
    for note in (1, 2, 1):
        run(box, BACK.replace("NOTE", str(note)))
    assert sends(box) == [1, 2]


def test_dependants_are_sent_again_where_an_edit_above_is_taken_back(vendor: Any, run: Any) -> None:
    """The one above is brought about anew, so what is made from it is too, also the items of a fan-out."""
    box = vendor(people={"output": {"who": [1, 2]}})
    chain = """
        kind: chain
        name: source
        actions:
          people: {definition_id: def-people, inputs: {salt: SALT}}
          each: {definition_id: def-echo, for_each: "{{ people.who }}", inputs: {n: "{{ item }}"}}
          last: {definition_id: def-echo, depends_on: [each], inputs: {n: 3}}
        """
    for salt in ("x", "y", "x", "x"):
        run(box, chain.replace("SALT", salt))
    assert Counter(entry.inputs["n"] for entry in box.truth.requests_for("def-echo")) == {1: 3, 2: 3, 3: 3}


def test_of_equal_items_the_completed_one_counts_first(vendor: Any, run: Any) -> None:
    """Two were wanted, the first was refused; now one is wanted, and one is done."""
    box = vendor({"match": {"nth": [1]}, "fault": {"status": 422}})
    run(box, EACH, params={"who": [7, 7]})
    assert run(box, EACH, params={"who": [7]})["status"] == "completed"
    assert len(box.truth.effects) == 1


PINS = """
    kind: chain
    name: pins
    params:
      a: {type: string, secret: true, required: true}
      b: {type: string, secret: true, required: true}
    actions:
      each: {definition_id: def-echo, for_each: "{{ [params.FIRST, params.SECOND] }}", inputs: {pin: "{{ item }}"}}
      one: {definition_id: def-echo, inputs: {pin: "{{ params.FIRST }}", account: ACC-1001}}
    """


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`pins(a, b)` sets two secrets."""

    def put(first: str, second: str) -> None:
        monkeypatch.setenv("CORDBOARD_SECRET_A", first)
        monkeypatch.setenv("CORDBOARD_SECRET_B", second)

    return put


def test_another_secret_is_another_effect(vendor: Any, run: Any, pins: Any) -> None:
    """Masked they look alike; each is known by the name of its parameter."""
    box = vendor({"match": {"inputs": {"pin": "bbbb-2222"}, "nth": [1]}, "fault": {"status": 422}})
    pins("aaaa-1111", "bbbb-2222")
    run(box, PINS.replace("FIRST", "a").replace("SECOND", "b"))
    document = run(box, PINS.replace("FIRST", "b").replace("SECOND", "a"))
    assert not document["actions"]["one"]["cached"]
    items = [entry.inputs["pin"] for entry in box.truth.requests if "account" not in entry.inputs]
    assert Counter(items) == {"aaaa-1111": 1, "bbbb-2222": 2}


def test_renewing_a_secret_sends_nothing_again_also_where_other_text_looks_like_it(
    vendor: Any, run: Any, pins: Any
) -> None:
    box, chain = vendor(), PINS.replace("FIRST", "a").replace("SECOND", "b")
    pins("ACC-1001", "bbbb-2222")
    run(box, chain)
    seen = len(box.truth.requests)
    pins("another-1", "another-2")
    assert run(box, chain)["actions"]["one"]["cached"]
    assert len(box.truth.requests) == seen


def test_a_fan_out_of_which_an_item_is_unknown_is_not_called_reused(vendor: Any, run: Any) -> None:
    box = vendor({"match": {"inputs": {"n": 2}, "nth": [1]}, "fault": {"lost_reply": "after_commit"}})
    for _ in range(2):
        each = run(box, EACH, params={"who": [1, 2]})["actions"]["each"]
        assert (each["status"], each["cached"]) == ("unknown", False)


def test_the_exit_code_of_a_fan_out_counts_every_kind_of_failure_and_every_item_that_completed(
    vendor: Any, run: Any
) -> None:
    later = {"status": 429, "headers": {"retry-after": "100"}}
    box = vendor(
        {"match": {"inputs": {"n": 1}}, "fault": {"status": 422}},
        {"match": {"inputs": {"n": 2}}, "fault": later},
        {"match": {"inputs": {"n": 3}}, "fault": later},
    )
    assert exit_code(run(box, EACH, params={"who": [1, 2, 3]}, run_key="mixed")) == 1
    assert exit_code(run(box, EACH, params={"who": [0, 2]}, run_key="partly")) == 1
    assert exit_code(run(box, EACH, params={"who": [2, 3]}, run_key="later")) == 3


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`forgetful(kind, times)`: the ledger cannot take records of that kind, so many times."""

    def set_up(kind: str, times: int) -> None:
        real, left = RunHandle.record, [times]

        async def record(self: RunHandle, what: str, *args: Any, **more: Any) -> None:
            if what == kind and left[0]:
                left[0] -= 1
                raise LedgerUnavailable("the database is locked")
            await real(self, what, *args, **more)

        monkeypatch.setattr(RunHandle, "record", record)

    return set_up


@pytest.mark.parametrize("kind", ["action.started", "action.completed", "run.ended"])
def test_a_ledger_that_fails_for_a_moment_between_two_calls_ends_nothing(
    vendor: Any, run: Any, forgetful: Any, kind: str
) -> None:
    box = vendor()
    forgetful(kind, 2)
    assert run(box, EACH, params={"who": [1, 2]})["status"] == "completed"


def test_a_ledger_that_stays_away_ends_the_fan_out_and_not_its_neighbours(
    vendor: Any, run: Any, forgetful: Any
) -> None:
    box = vendor()
    forgetful("action.started", 100)
    chain = """
        kind: chain
        name: neighbours
        actions:
          each: {definition_id: def-echo, for_each: "{{ [1, 2] }}", inputs: {n: "{{ item }}"}}
          beside: {definition_id: def-echo, inputs: {n: 3}}
        """
    actions = run(box, chain)["actions"]
    assert (actions["each"]["error"]["kind"], actions["beside"]["status"]) == ("ledger", "completed")
    assert sends(box) == [3]


def test_the_items_of_a_slice_that_ended_early_name_what_ended_it(
    vendor: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, real = vendor({"match": {"inputs": {"n": 0}}, "fault": {"status": 422}}), RunHandle.intend

    async def intend(self: RunHandle, effect: Any, *args: Any, **more: Any) -> None:
        if int(effect.subject[5:-1]) >= 500:
            raise OSError("the disk is gone")
        await real(self, effect, *args, **more)

    monkeypatch.setattr(RunHandle, "intend", intend)
    error = run(box, EACH, params={"who": list(range(502))})["actions"]["each"]["error"]
    assert [(item["item"], item["kind"]) for item in error["items"]] == [
        (0, "rejected"),
        (500, "OSError"),
        (501, "OSError"),
    ]
