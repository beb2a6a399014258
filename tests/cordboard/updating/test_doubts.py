"""What the vendor stored is not what was sent, or nobody heard the answer: nothing is called saved that is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cordboard.errors import BadCall, VendorFailed
from cordboard.sandbox.faults import Faults
from cordboard.updating.comparing import not_as_sent, whose
from cordboard.updating.undoing import undoing

PUT = {"method": "PUT"}
PROMPT = "nodes: {menu: {prompt: Hello.}}\n"


def live(box: Any) -> dict[str, Any]:
    found: dict[str, Any] = box.flows["clinic"]
    return found


def test_a_removal_that_was_lost_is_not_taken_for_saved_because_of_what_others_saved(
    clinic: Any, edit: Any, update: Any
) -> None:
    """Somebody else's version holds everything that was sent, and the field that was to go."""
    box = clinic(
        {"match": {**PUT, "nth": [1]}, "fault": {"lost_reply": "before_commit"}},
        {"match": {**PUT, "nth": [2]}, "fault": {"other_editor": {"nodes": {"billing": {"note": "x"}}}}},
    )
    run = update(box, edit("nodes: {menu: {max_visits: null}}\n"))
    assert (run.status, "max_visits" in live(box)["nodes"]["menu"]) == ("saved", False)
    assert live(box)["nodes"]["billing"]["note"] == "x"


def test_a_vendor_that_keeps_what_was_removed_is_found_out(clinic: Any) -> None:
    box = clinic()
    before = dict(live(box)["nodes"]["menu"])
    sent = {
        **live(box),
        "nodes": {**live(box)["nodes"], "menu": {k: v for k, v in before.items() if k != "max_visits"}},
    }
    assert not_as_sent(live(box), sent, sent) == ()
    assert not_as_sent(live(box), sent, live(box)) == ("`nodes.menu.max_visits` was removed, and is still there",)


def test_whose_version_it_is_shows_in_the_places_that_were_edited() -> None:
    def flow(**fields: Any) -> dict[str, Any]:
        return {"id": "f", "version": 1, "nodes": {"a": {"id": "a", "type": "menu", **fields}}}

    replaced, sent = flow(prompt="old", note="old"), flow(prompt="new", note="new")
    assert whose(replaced, sent, flow(prompt="new", note="new", added="by the vendor")) == "ours"
    assert whose(replaced, sent, flow(prompt="new", note="cut")) == "ours, altered"
    assert whose(replaced, sent, flow(prompt="old", note="old", other="team")) == "theirs"
    assert whose(replaced, sent, flow(prompt="trimmed", note="old")) == "unclear"


def test_a_lost_reply_and_a_flow_that_is_stored_otherwise_is_unverified_and_not_somebody_elses(
    clinic: Any, edit: Any, update: Any
) -> None:
    box = clinic({"match": {**PUT, "nth": [1]}, "fault": {"lost_reply": "after_commit"}})
    store = box.sandbox.flows.accept

    def loses_a_way(call: Any, saved: dict[str, Any]) -> None:
        del saved["nodes"]["menu"]["transitionConditions"][0]
        store(call, saved)

    box.sandbox.flows.accept = loses_a_way
    run = update(box, edit(PROMPT))
    assert (run.status, run.version, run.verified) == ("unverified", 13, False)


def test_what_could_not_be_verified_is_looked_at_again_by_a_rerun(clinic: Any, edit: Any, update: Any) -> None:
    """A pipeline that tries again must not turn red into green without a look."""
    box = clinic({"match": PUT, "fault": {"stores": "drop_connection"}})
    assert [update(box, edit(PROMPT)).status for _ in range(2)] == ["unverified", "unverified"]
    assert len(box.truth.saves_of("clinic")) == 1


def test_a_read_that_failed_is_made_up_for_by_a_rerun(clinic: Any, edit: Any, update: Any) -> None:
    box = clinic({"match": {"method": "GET", "nth": [2, 3, 4, 5]}, "fault": {"status": 503}})
    assert update(box, edit(PROMPT)).status == "unverified"
    box.sandbox.use_faults(Faults())
    run = update(box, edit(PROMPT))
    assert (run.status, run.verified, len(box.truth.saves_of("clinic"))) == ("saved", True, 1)


@pytest.mark.parametrize("how", ["reroute", "drop_connection", "add_connection"])
def test_an_undo_takes_back_what_the_vendor_made_of_it_too(clinic: Any, edit: Any, office: Any, how: str) -> None:
    box = clinic({"match": {**PUT, "nth": [1]}, "fault": {"stores": how}})
    before = live(box)["nodes"]

    async def there_and_back(place: Any) -> Any:
        saved = await place.update(edit(PROMPT))
        assert saved.status == "unverified"
        async with await place.ledger.claim_run(saved.handle.tenant, saved.handle.run_key, kind="ivr-update") as handle:
            patch, base = await undoing(place.ledger, handle)
        return await place.update(patch, base=base)

    assert office(box, there_and_back).status == "saved"
    assert live(box)["nodes"] == before


def test_a_repair_of_what_the_vendor_lost_is_made_from_what_it_shows(clinic: Any, edit: Any, update: Any) -> None:
    box = clinic({"match": {**PUT, "nth": [1]}, "fault": {"stores": "drop_connection"}})
    ways = {name: node["transitionConditions"] for name, node in live(box)["nodes"].items()}
    update(box, edit(PROMPT))
    (lost,) = [name for name, node in live(box)["nodes"].items() if node["transitionConditions"] != ways[name]]
    flow = live(box)
    box.flows["clinic"] = {**flow, "nodes": {**flow["nodes"], "end": {**flow["nodes"]["end"], "prompt": "Bye."}}}
    repair = f"nodes: {{{lost}: {{transitionConditions: {json.dumps(ways[lost])}}}}}\n"
    run = update(box, edit(repair, base_version=13))
    assert run.status == "saved", run.notes
    assert live(box)["nodes"][lost]["transitionConditions"] == ways[lost]


def test_the_same_fault_at_another_node_is_not_live_already(clinic: Any, edit: Any, update: Any) -> None:
    box = clinic()
    flow = live(box)
    broken = [{"condition": "dtmf = '1'", "destinationNodeId": "end"}, *flow["nodes"]["desk"]["transitionConditions"]]
    box.flows["clinic"] = {
        **flow,
        "nodes": {**flow["nodes"], "desk": {**flow["nodes"]["desk"], "transitionConditions": broken}},
    }
    run = update(box, edit("nodes: {billing: {transitions: {\"dtmf = '1'\": end}}}\n", base_version=13))
    assert (run.status, box.truth.saves_of("clinic")) == ("invalid", ())


def test_a_reply_of_an_old_version_proves_nothing(clinic: Any, edit: Any, update: Any) -> None:
    echo = {**live(clinic()), "version": 12}
    box = clinic({"match": {**PUT, "nth": [1]}, "fault": {"status": 200, "body": echo, "after_commit": True}})
    run = update(box, edit(PROMPT))
    assert (run.status, run.version, run.verified) == ("saved", 13, True)


def test_an_edit_of_layout_alone_is_saved(clinic: Any, edit: Any, update: Any) -> None:
    box = clinic()
    run = update(box, edit("nodes: {menu: {fields: {position: 5}}}\n"))
    assert (run.status, live(box)["nodes"]["menu"]["position"]) == ("saved", 5)


def test_a_vendor_that_is_down_is_not_a_version_that_nobody_has(clinic: Any, edit: Any, update: Any) -> None:
    box = clinic({"match": {"path": "/api/v2/flows/clinic/versions/12"}, "fault": {"status": 503}})
    box.flows["clinic"] = {**live(box)}
    with pytest.raises(VendorFailed, match="version 12 of clinic cannot be read"):
        update(box, edit(PROMPT))


def test_an_undo_of_a_save_of_which_nobody_knows_says_what_to_do_first(clinic: Any, edit: Any, office: Any) -> None:
    box = clinic({"match": PUT, "fault": {"lost_reply": "before_commit"}})

    async def unknown_and_back(place: Any) -> None:
        run = await place.update(edit(PROMPT))
        assert run.status == "unknown"
        async with await place.ledger.claim_run(run.handle.tenant, run.handle.run_key, kind="ivr-update") as handle:
            await undoing(place.ledger, handle)

    with pytest.raises(BadCall, match=r"nobody knows yet whether .* was saved: give that update again"):
        office(box, unknown_and_back)


def test_suites_on_a_flow_that_is_broken_already_say_so(clinic: Any, edit: Any, update: Any, tmp_path: Any) -> None:
    box, suite = clinic(), tmp_path / "suite.yaml"
    suite.write_text("kind: ivr-suite\nflow: clinic\ncases: [{name: b, dtmf: '2', expect: {visited: [billing]}}]\n")
    flow = live(box)
    broken = [{"condition": "dtmf = '1'", "destinationNodeId": "end"}, *flow["nodes"]["desk"]["transitionConditions"]]
    box.flows["clinic"] = {
        **flow,
        "nodes": {**flow["nodes"], "desk": {**flow["nodes"]["desk"], "transitionConditions": broken}},
    }
    run = update(box, edit(PROMPT, base_version=13), suites=(suite,))
    assert run.status == "invalid"
    assert any(each.rule == "update/no-rehearsal" for each in run.proposed.findings)


def test_a_flow_that_holds_a_secret_of_ours_is_verified_and_never_undone_with_stars(
    clinic: Any, edit: Any, office: Any
) -> None:
    box = clinic()
    flow, secret = live(box), "a-secret-that-is-long-enough"
    box.flows["clinic"] = {**flow, "nodes": {**flow["nodes"], "desk": {**flow["nodes"]["desk"], "note": secret}}}

    async def there_and_back(place: Any) -> None:
        place.ledger.redactor.learn(secret)
        run = await place.update(edit(PROMPT, base_version=13))
        assert (run.status, run.verified) == ("saved", True)
        async with await place.ledger.claim_run(run.handle.tenant, run.handle.run_key, kind="ivr-update") as handle:
            await undoing(place.ledger, handle)

    with pytest.raises(BadCall, match="held a secret of ours, and is not kept"):
        office(box, there_and_back)


def test_a_lost_save_and_somebody_elses_save_in_the_same_form_are_told_apart(
    clinic: Any, edit: Any, office: Any
) -> None:
    """What our own form adds to a flow, such as the `id` of a node that left it out, is nobody's edit."""
    box = clinic()
    flow = live(box)
    box.flows["clinic"] = {
        **flow,
        "nodes": {k: {n: v for n, v in x.items() if n != "id"} for k, x in flow["nodes"].items()},
    }
    box.sandbox.use_faults(Faults.of({"match": PUT, "fault": {"lost_reply": "before_commit"}}))
    ours = edit(PROMPT, base_version=13)
    theirs = edit("nodes: {billing: {prompt: Money.}}\n", base_version=13)

    async def one_after_another(place: Any) -> Any:
        assert (await place.update(ours)).status == "unknown"
        box.sandbox.use_faults(Faults())
        assert (await place.update(theirs)).status == "saved"
        return await place.update(ours)

    assert office(box, one_after_another).status == "saved"
    assert (live(box)["nodes"]["menu"]["prompt"], live(box)["nodes"]["billing"]["prompt"]) == ("Hello.", "Money.")


def test_an_undo_of_a_save_that_was_found_by_a_look_leaves_what_others_did(clinic: Any, edit: Any, office: Any) -> None:
    box = clinic(
        {"match": {**PUT, "nth": [1]}, "fault": {"lost_reply": "after_commit"}},
        {"match": {"method": "GET", "nth": [2, 3, 4, 5]}, "fault": {"status": 503}},
    )
    ours, theirs = edit(PROMPT), edit("nodes: {billing: {prompt: Money.}}\n")

    async def there_and_back(place: Any) -> Any:
        assert (await place.update(ours, retry_attempts=1)).status == "unknown"
        box.sandbox.use_faults(
            Faults.of({"match": {"path": "/api/v2/flows/clinic/versions/13"}, "fault": {"status": 404}})
        )
        assert (await place.update(theirs)).status == "saved"
        found = await place.update(ours)
        assert found.status == "saved"
        async with await place.ledger.claim_run(found.handle.tenant, found.handle.run_key, kind="ivr-update") as handle:
            patch, base = await undoing(place.ledger, handle)
        return await place.update(patch, base=base)

    assert office(box, there_and_back).status == "saved"
    assert live(box)["nodes"]["menu"]["prompt"] == "One for appointments, two for billing."
    assert live(box)["nodes"]["billing"]["prompt"] == "Money."
