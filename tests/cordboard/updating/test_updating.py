"""An edit of a live flow is joined with what others did meanwhile, and nobody's edit is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cordboard.errors import BadCall, InvalidDocument
from cordboard.updating.document import audit_entry, exit_code, messages_of, update_document
from cordboard.updating.metrics import flow_metrics

PUT = {"method": "PUT"}
PROMPT = "nodes: {menu: {prompt: Hello.}}\n"
OTHER_TEAM = {"nodes": {"billing": {"prompt": "Billing, edit {n}."}}}


def saves(box: Any) -> list[Any]:
    return list(box.truth.saves_of("clinic"))


def live(box: Any) -> dict[str, Any]:
    found: dict[str, Any] = box.flows["clinic"]
    return found


def test_an_edit_of_what_is_live_is_saved_as_the_next_version_and_read_back(clinic, edit, update) -> None:
    box = clinic()
    run = update(box, edit(PROMPT))
    assert run.differences == ()
    assert (run.status, run.version, run.verified, run.attempts) == ("saved", 13, True, 1)
    assert live(box)["nodes"]["menu"]["prompt"] == "Hello."
    assert live(box)["nodes"]["menu"]["properties"] == {"audioResource": {"id": "greeting-1", "type": "resource"}}


def test_what_another_team_saved_since_the_author_read_the_flow_stays(clinic, edit, update) -> None:
    """A tutorial's shallow merge writes the whole node `menu` of version 12 over the other team's audio."""
    box = clinic()
    box.flows["clinic"] = _changed(
        live(box), "menu", properties={"audioResource": {"id": "greeting-2", "type": "resource"}}
    )
    run = update(box, edit(PROMPT))
    assert (run.status, run.version) == ("saved", 14)
    menu = live(box)["nodes"]["menu"]
    assert (menu["prompt"], menu["properties"]["audioResource"]["id"]) == ("Hello.", "greeting-2")


def test_the_same_field_edited_twice_is_a_conflict_and_nothing_is_sent(clinic, edit, update) -> None:
    box = clinic()
    box.flows["clinic"] = _changed(live(box), "menu", prompt="Good evening.")
    run = update(box, edit(PROMPT))
    document = update_document(run)
    assert (run.status, exit_code(document), saves(box)) == ("conflict", 1, [])
    (conflict,) = document["conflicts"]
    assert (conflict["node"], conflict["field"]) == ("menu", "prompt")
    assert (conflict["ours"], conflict["theirs"]) == ("Hello.", "Good evening.")
    assert conflict["base"].startswith("One for appointments")


def test_a_node_edited_here_and_removed_there_is_a_conflict(clinic, edit, update) -> None:
    box = clinic()
    changed = _changed(live(box), "menu", transitionConditions=live(box)["nodes"]["menu"]["transitionConditions"][::2])
    del changed["nodes"]["billing"]
    box.flows["clinic"] = changed
    run = update(box, edit("nodes: {billing: {prompt: Money.}}\n"))
    assert (run.status, run.proposed.conflicts[0].node, saves(box)) == ("conflict", "billing", [])


def test_somebody_who_saves_between_our_reading_and_our_save_is_merged_with(clinic, edit, update) -> None:
    box = clinic({"match": {**PUT, "nth": [1]}, "fault": {"other_editor": OTHER_TEAM}})
    run = update(box, edit(PROMPT))
    assert (run.status, run.version, run.attempts) == ("saved", 14, 2)
    nodes = live(box)["nodes"]
    assert (nodes["menu"]["prompt"], nodes["billing"]["prompt"]) == ("Hello.", "Billing, edit 1.")


def test_a_400_that_speaks_of_the_version_is_a_conflict_too(clinic, edit, update) -> None:
    box = clinic({"match": {**PUT, "nth": [1]}, "fault": {"other_editor": OTHER_TEAM}}, stale_save="bad_request")
    assert update(box, edit(PROMPT)).status == "saved"


def test_where_others_always_save_first_it_gives_up_after_its_attempts_and_says_so(clinic, edit, update) -> None:
    box = clinic({"match": PUT, "fault": {"other_editor": OTHER_TEAM}})
    run = update(box, edit(PROMPT))
    assert (run.status, run.attempts, len(saves(box))) == ("overtaken", 5, 5)
    assert exit_code(update_document(run)) == 1
    assert not [entry for entry in box.truth.effects if entry.method == "PUT"]


def test_two_clean_edits_that_strand_a_node_together_are_never_sent(clinic, edit, update) -> None:
    """We lead `2` to the desk; the other team led everybody else past billing: each by itself is fine."""
    box = clinic()
    menu = live(box)["nodes"]["menu"]["transitionConditions"]
    both = [*menu[:2], {"condition": "dtmf == '3'", "destinationNodeId": "billing"}, menu[2]]
    box.flows["clinic"] = _changed(live(box), "menu", transitionConditions=both)  # 2 and 3 lead to billing
    base = update(box, edit("nodes: {menu: {transitions: {\"dtmf == '3'\": null}}}\n", base_version=13), dry_run=True)
    assert base.status == "planned"
    box.flows["clinic"] = _changed(live(box), "menu", transitionConditions=[menu[0], *both[2:]])  # they drop 2
    run = update(box, edit("nodes: {menu: {transitions: {\"dtmf == '3'\": null}}}\n", base_version=13))
    assert (run.status, saves(box)) == ("invalid", [])
    assert any("billing" in finding.message for finding in run.proposed.findings)


def test_a_transition_to_a_node_that_the_other_team_removed_is_never_sent(clinic, edit, update) -> None:
    box = clinic()
    changed = _changed(live(box), "menu", transitionConditions=live(box)["nodes"]["menu"]["transitionConditions"][::2])
    del changed["nodes"]["billing"]
    box.flows["clinic"] = changed
    run = update(box, edit("nodes: {desk: {transitions: {\"dtmf == '9'\": billing}}}\n"))
    assert run.status in {"invalid", "conflict"}
    assert saves(box) == []


def test_a_merge_that_breaks_a_call_of_a_suite_is_never_sent(clinic, edit, update, tmp_path: Path) -> None:
    box, suite = clinic(), tmp_path / "suite.yaml"
    suite.write_text(
        "kind: ivr-suite\nflow: clinic\ncases: [{name: billing, dtmf: '2', expect: {visited: [billing]}}]\n"
    )
    run = update(
        box, edit("nodes: {menu: {transitions: {\"dtmf == '2'\": desk, \"dtmf == '4'\": billing}}}\n"), suites=(suite,)
    )
    assert (run.status, saves(box)) == ("invalid", [])
    (rehearsal,) = update_document(run)["rehearsals"]
    assert (rehearsal["passed"], rehearsal["broken"][0]["name"]) == (0, "billing")


def test_a_suite_that_holds_lets_it_through_and_names_what_it_did_not_try(clinic, edit, update, tmp_path: Path) -> None:
    box, suite = clinic(), tmp_path / "suite.yaml"
    suite.write_text(
        "kind: ivr-suite\nflow: clinic\ncases: [{name: billing, dtmf: '2', expect: {visited: [billing]}}]\n"
    )
    run = update(box, edit("nodes: {billing: {prompt: Money.}, desk: {prompt: Desk.}}\n"), suites=(suite,))
    assert (run.status, run.proposed.unrehearsed) == ("saved", ("desk",))


def test_faults_that_are_live_already_keep_nobody_from_mending_something_else(clinic, edit, update) -> None:
    box = clinic()
    stranded = {
        **live(box),
        "nodes": {**live(box)["nodes"], "old_promo": {**live(box)["nodes"]["desk"], "id": "old_promo"}},
    }
    box.flows["clinic"] = stranded
    run = update(box, edit(PROMPT, base_version=13))
    assert run.status == "saved"
    assert any("live already" in finding.message for finding in run.proposed.findings)


def test_a_lost_reply_is_no_second_save_and_no_doubt(clinic, edit, update) -> None:
    box = clinic({"match": {**PUT, "nth": [1]}, "fault": {"lost_reply": "after_commit"}})
    run = update(box, edit(PROMPT))
    assert (run.status, run.version, live(box)["version"]) == ("saved", 13, 13)


def test_a_lost_reply_and_another_save_on_top_is_told_from_the_version_between(clinic, edit, update) -> None:
    box = clinic(
        {"match": {**PUT, "nth": [1]}, "fault": {"lost_reply": "after_commit"}},
        {"match": {"method": "GET", "nth": [2]}, "fault": {"other_editor": OTHER_TEAM}},
    )
    run = update(box, edit(PROMPT), retry_attempts=1)
    assert (run.status, run.version, live(box)["version"]) == ("saved", 13, 14)
    assert [entry.version for entry in box.truth.effects if entry.method == "PUT"] == [13]


def test_a_flow_that_is_stored_otherwise_than_sent_is_unverified(clinic, edit, update) -> None:
    box = clinic({"match": PUT, "fault": {"stores": "drop_connection"}})
    run = update(box, edit(PROMPT))
    assert (run.status, run.verified, exit_code(update_document(run))) == ("unverified", False, 1)
    assert run.differences


def test_an_edit_that_is_live_already_sends_nothing(clinic, edit, update) -> None:
    box = clinic()
    box.flows["clinic"] = _changed(live(box), "menu", prompt="Hello.")
    run = update(box, edit(PROMPT))
    assert (run.status, exit_code(update_document(run)), saves(box)) == ("unchanged", 0, [])


def test_an_edit_is_made_once_also_where_somebody_took_it_back_since(clinic, edit, update) -> None:
    """A pipeline that runs again must not overrule the person who undid its edit in the console."""
    box = clinic()
    update(box, edit(PROMPT))
    box.flows["clinic"] = _changed(live(box), "menu", prompt="As it was.")
    run = update(box, edit(PROMPT))
    assert (run.status, len(saves(box)), live(box)["nodes"]["menu"]["prompt"]) == ("unchanged", 1, "As it was.")
    assert "version 13" in run.notes[0]


def test_a_flow_that_was_made_anew_is_not_the_one_in_which_it_was_saved(clinic, edit, update) -> None:
    update(clinic(), edit(PROMPT))
    with pytest.raises(
        BadCall, match="the ledger has this edit as version 13 of clinic, and the live flow is version 12"
    ):
        update(clinic(), edit(PROMPT))  # a new sandbox, and the ledger of the old one


def test_a_version_that_was_never_there_is_refused(clinic, edit, update) -> None:
    box = clinic()
    with pytest.raises(BadCall, match=r"edits version 99 of clinic, and the live flow is version 12"):
        update(box, edit(PROMPT, base_version=99))


def test_a_version_that_nobody_has_any_more_is_asked_for(clinic, edit, update) -> None:
    box = clinic({"match": {"path": "/api/v2/flows/clinic/versions/3"}, "fault": {"status": 404}})
    with pytest.raises(BadCall, match="give the flow that you edited with --base FILE"):
        update(box, edit(PROMPT, base_version=3))


def test_a_version_that_the_vendor_has_no_more_is_taken_from_the_ledger(clinic, edit, office) -> None:
    box = clinic({"match": {"path": "/api/v2/flows/clinic/versions/12"}, "fault": {"status": 404}})

    async def both(place: Any) -> Any:
        await place.update(edit(PROMPT))
        return await place.update(edit("nodes: {billing: {prompt: Money.}}\n"))  # from version 12, too

    assert (office(box, both).status, live(box)["version"]) == ("saved", 14)


def test_an_edit_that_does_not_fit_the_version_it_names_is_refused_with_its_place(clinic, edit, update) -> None:
    box = clinic()
    with pytest.raises(InvalidDocument) as caught:
        update(box, edit("nodes: {biling: null}\n"))
    assert "billing" in str(caught.value)  # the near name
    assert saves(box) == []


def test_a_plan_sends_nothing(clinic, edit, update) -> None:
    box = clinic()
    run = update(box, edit(PROMPT), dry_run=True)
    assert (run.status, saves(box)) == ("planned", [])
    assert update_document(run)["changes"]


def test_what_was_refused_counts_in_the_flows_error_rate(clinic, edit, office) -> None:
    box = clinic()

    async def both(place: Any) -> dict[str, Any]:
        await place.update(edit(PROMPT))
        run = await place.update(edit("nodes: {menu: {prompt: Hi.}}\n"))
        assert run.status == "conflict"
        return await flow_metrics(place.ledger, run.handle.tenant, "clinic")

    metrics = office(box, both)
    assert (metrics["updates"], metrics["validation_error_rate"], metrics["latency"]["count"]) == (2, 0.5, 1)


def test_what_is_put_on_record_carries_the_compliance_tag_and_what_changed(clinic, edit, update) -> None:
    """Source of the fields: seed 002, step 5."""
    run = update(clinic(), edit(PROMPT + "reason: New greeting.\n"))
    entry = audit_entry(run)
    assert (entry["operation"], entry["compliance_tag"]) == ("UPDATE_IVR_NODES", "IVR_CHANGE_MANAGEMENT")
    assert entry["success"] is True
    assert entry["changes_applied"]["nodes"]["menu"]["fields"] == {"prompt": "Hello."}
    (message,) = messages_of(run, "pipeline")
    assert (message.body["flow_id"], message.body["version"], message.body["status"]) == ("clinic", 13, "deployed")


def _changed(flow: dict[str, Any], node: str, **fields: Any) -> dict[str, Any]:
    return {**flow, "nodes": {**flow["nodes"], node: {**flow["nodes"][node], **fields}}}
