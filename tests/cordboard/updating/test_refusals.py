"""A save that the vendor refuses, or makes over another version: what is said of it is what can be known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cordboard.errors import BadCall
from cordboard.updating.document import exit_code, update_document
from cordboard.updating.loop import PLAIN

PUT = {"method": "PUT"}
PROMPT = "nodes: {menu: {prompt: Hello.}}\n"


def test_a_flow_that_is_locked_is_not_told_as_saves_of_others(clinic: Any, edit: Any, update: Any) -> None:
    locked = {"status": 409, "body": {"message": "The flow is locked by Ada."}}
    run = update(clinic({"match": PUT, "fault": locked}), edit(PROMPT))
    assert (run.status, run.attempts) == ("overtaken", 5)
    (note,) = run.notes
    assert note.startswith("version 12 is live still, and saves over it were refused")
    assert "locked by Ada" in update_document(run)["error"]["message"]


def test_an_old_flow_that_a_replica_shows_for_a_moment_leaves_no_word(clinic: Any, edit: Any, update: Any) -> None:
    late = {"match": {**PUT, "nth": [1, 2]}, "fault": {"status": 409}}
    run = update(clinic(late), edit(PROMPT))
    assert (run.status, run.attempts, run.notes) == ("saved", 3, ())


@pytest.mark.parametrize("status", [403, 404])
def test_an_edited_version_that_the_vendor_will_not_show_is_asked_for(
    clinic: Any, edit: Any, update: Any, status: int
) -> None:
    box = clinic({"match": {"path": "/api/v2/flows/clinic/versions/12"}, "fault": {"status": status}})
    flow = box.flows["clinic"]
    box.flows["clinic"] = {**flow, "nodes": {**flow["nodes"], "billing": {**flow["nodes"]["billing"], "note": "x"}}}
    with pytest.raises(BadCall, match="give the flow that you edited with --base FILE") as caught:
        update(box, edit(PROMPT))
    assert ("HTTP 403" in str(caught.value)) == (status == 403)


def test_a_flow_that_others_save_all_the_time_is_not_told_as_locked(clinic: Any, edit: Any, update: Any) -> None:
    other = {"other_editor": {"nodes": {"billing": {"prompt": "{n}"}}}}
    run = update(clinic({"match": PUT, "fault": other}), edit(PROMPT))
    assert (run.status, run.notes) == ("overtaken", ())


def test_a_deadline_that_ends_among_saves_of_others_is_overtaken_and_no_failure_of_the_vendor(
    clinic: Any, edit: Any, update: Any
) -> None:
    box = clinic({"match": {**PUT, "nth": [1]}, "fault": {"other_editor": {"nodes": {"billing": {"prompt": "{n}"}}}}})

    async def join(run: Any) -> None:
        await PLAIN.join(run)
        if run.attempts:
            run.started -= 1000  # it took until after the deadline

    run = update(box, edit(PROMPT), steps=replace(PLAIN, join=join))
    assert (run.status, exit_code(update_document(run))) == ("overtaken", 1)
    assert len(box.truth.saves_of("clinic")) == 1, "nothing was sent after the deadline"
    assert len(run.latencies) == 1


def test_a_vendor_that_saves_over_a_version_that_we_did_not_name_is_told(clinic: Any, edit: Any, update: Any) -> None:
    """One that heeds no `If-Match` writes over what somebody saved in between."""
    box = clinic()
    accept = box.sandbox.flows.accept

    def late(call: Any, saved: dict[str, Any]) -> None:
        saved["version"] = 14
        accept(call, saved)

    box.sandbox.flows.accept = late
    run = update(box, edit(PROMPT))
    assert (run.status, run.version) == ("saved", 14)
    assert any("what became of version 13" in note for note in run.notes)
