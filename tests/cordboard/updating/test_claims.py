"""What an update says of itself is true: to people, to pipelines and on the audit record."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from cordboard.errors import BadCall
from cordboard.ivr.reading import load_flow
from cordboard.records.run import RunHandle
from cordboard.records.schema import outbox
from cordboard.sandbox.faults import Faults
from cordboard.updating import callers
from cordboard.updating.callers import compare
from cordboard.updating.document import audit_entry, update_document
from cordboard.updating.loop import PLAIN
from cordboard.updating.undoing import undoing

PUT = {"method": "PUT"}
PROMPT = "nodes: {menu: {prompt: Hello.}}\n"
MONEY = "nodes: {billing: {prompt: Money.}}\n"
NOBODY_KNOWS = "nobody knows what callers notice"


def live(box: Any) -> dict[str, Any]:
    found: dict[str, Any] = box.flows["clinic"]
    return found


def change(box: Any, node: str, **fields: Any) -> None:
    """Somebody else saves a change of a node."""
    flow = live(box)
    box.flows["clinic"] = {**flow, "nodes": {**flow["nodes"], node: {**flow["nodes"][node], **fields}}}


async def webhooks(place: Any) -> list[Any]:
    rows = await place.ledger.read(lambda connection: connection.scalars(select(outbox.c.body)).all())
    return [json.loads(row) for row in rows]


def test_a_comparison_that_fails_is_not_called_nothing_noticed(
    clinic: Any, edit: Any, update: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise KeyError("menu")

    monkeypatch.setattr(callers, "behaviour_changes", fails)
    run = update(clinic(), edit(PROMPT), dry_run=True)
    compare(run)
    (said,) = update_document(run)["noticed"]
    assert NOBODY_KNOWS in said["sentence"]
    assert "KeyError" in said["sentence"]


def test_where_nobody_compared_it_is_not_called_nothing_noticed(clinic: Any, edit: Any, update: Any) -> None:
    (said,) = update_document(update(clinic(), edit(PROMPT), dry_run=True))["noticed"]
    assert NOBODY_KNOWS in said["sentence"]


def test_a_live_flow_that_cannot_be_called_cannot_be_compared(clinic: Any, edit: Any, update: Any) -> None:
    box = clinic()
    ways = [
        {"condition": "dtmf = '1'", "destinationNodeId": "end"},
        *live(box)["nodes"]["desk"]["transitionConditions"],
    ]
    change(box, "desk", transitionConditions=ways)
    mend = json.dumps(ways[1:])
    run = update(box, edit(f"nodes: {{desk: {{transitionConditions: {mend}}}}}\n", base_version=13), dry_run=True)
    assert run.status == "planned"
    compare(run)
    (said,) = update_document(run)["noticed"]
    assert NOBODY_KNOWS in said["sentence"]


def test_an_edit_that_nobody_notices_says_nothing_of_callers(clinic: Any, edit: Any, update: Any) -> None:
    run = update(clinic(), edit("nodes: {menu: {fields: {position: 5}}}\n"), dry_run=True)
    compare(run)
    assert update_document(run)["noticed"] == []


def test_what_callers_would_have_noticed_is_no_word_about_a_later_round(clinic: Any, edit: Any, update: Any) -> None:
    """Somebody makes the same edit in between: nothing is left to notice."""
    box = clinic({"match": {**PUT, "nth": [1]}, "fault": {"other_editor": {"nodes": {"menu": {"prompt": "Hello."}}}}})

    async def agree(run: Any) -> bool:
        compare(run)
        return True

    run = update(box, edit(PROMPT), steps=replace(PLAIN, agree=agree))
    assert (run.status, run.noticed) == ("unchanged", None)
    assert any("may be this very save" in note for note in run.notes), "one of its saves was refused, and it is live"


def test_a_webhook_of_a_save_that_is_still_unverified_is_sent_once(clinic: Any, edit: Any, office: Any) -> None:
    box = clinic({"match": PUT, "fault": {"stores": "drop_connection"}})

    async def thrice(place: Any) -> Any:
        assert [(await place.update(edit(PROMPT))).status for _ in range(3)] == ["unverified"] * 3
        return [each["status"] for each in await webhooks(place)]

    assert office(box, thrice) == ["unverified"]


def test_a_save_that_can_be_verified_later_is_told_after_all(clinic: Any, edit: Any, office: Any) -> None:
    box = clinic({"match": {"method": "GET", "nth": [2, 3, 4, 5]}, "fault": {"status": 503}})

    async def twice(place: Any) -> Any:
        await place.update(edit(PROMPT))
        box.sandbox.use_faults(Faults())
        await place.update(edit(PROMPT))
        return [each["status"] for each in await webhooks(place)]

    assert office(box, twice) == ["unverified", "deployed"]


@pytest.mark.parametrize("status", [403, 404, 400])
def test_a_saved_version_that_the_vendor_will_not_show_is_not_unverified(
    clinic: Any, edit: Any, update: Any, status: int
) -> None:
    box = clinic({"match": {"path": "/api/v2/flows/clinic/versions/13"}, "fault": {"status": status}})

    async def verify(run: Any) -> None:
        change(box, "billing", prompt="Money.")
        await PLAIN.verify(run)

    run = update(box, edit(PROMPT), steps=replace(PLAIN, verify=verify))
    assert (run.status, run.verified, run.differences) == ("saved", None, ())
    assert any("somebody saved version 14 since" in note for note in run.notes)


def test_a_save_over_which_others_saved_says_which_version_is_live(clinic: Any, edit: Any, update: Any) -> None:
    box = clinic()

    async def verify(run: Any) -> None:
        change(box, "menu", prompt="As it was.")
        await PLAIN.verify(run)

    run = update(box, edit(PROMPT), steps=replace(PLAIN, verify=verify))
    assert (run.status, run.version, run.verified) == ("saved", 13, True)
    assert any("version 14 is live" in note for note in run.notes)


def test_a_version_that_never_was_is_refused_also_with_a_file_of_it(
    clinic: Any, edit: Any, update: Any, tmp_path: Any
) -> None:
    """Such as a file, or an undo, of another vendor's flow of this name."""
    box, file = clinic(), tmp_path / "clinic.json"
    file.write_text(json.dumps({**live(box), "version": 99}))
    with pytest.raises(BadCall, match=r"edits version 99 of clinic, and the live flow is version 12"):
        update(box, edit(PROMPT, base_version=99), base=load_flow(file))
    assert box.truth.saves_of("clinic") == ()


def test_what_a_dead_run_saved_is_told_with_what_it_changed(
    clinic: Any, edit: Any, office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dead(BaseException):
        pass

    async def dies(*_: Any, **__: Any) -> None:
        raise Dead

    async def dies_and_tells(place: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(RunHandle, "conclude", dies)
            with pytest.raises(Dead):
                await place.update(edit(PROMPT))
        run = await place.update(edit(PROMPT))
        return run, await webhooks(place)

    run, (told,) = office(clinic(), dies_and_tells)
    assert run.status == "saved"
    assert any("Hello." in sentence for sentence in told["changes"])
    assert told["changes"] == audit_entry(run)["changes"] == update_document(run)["changes"]


def test_a_rerun_that_finds_its_save_needs_the_edited_version_no_more(
    clinic: Any, edit: Any, office: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    box, patch = clinic(), edit(PROMPT)
    change(box, "billing", prompt="Money.")

    class Dead(BaseException):
        pass

    async def dies(*_: Any, **__: Any) -> None:
        raise Dead

    async def dies_and_goes_on(place: Any) -> Any:
        with monkeypatch.context() as deadly:
            deadly.setattr(RunHandle, "conclude", dies)
            with pytest.raises(Dead):
                await place.update(patch)
        gone = {"match": {"path": "/api/v2/flows/clinic/versions/12"}, "fault": {"status": 404}}
        box.sandbox.use_faults(Faults.of(gone))
        return await place.update(patch)

    run = office(box, dies_and_goes_on)
    assert (run.status, run.version, len(box.truth.saves_of("clinic"))) == ("saved", 14, 1)


def test_what_was_not_saved_is_not_on_record_as_applied(clinic: Any, edit: Any, update: Any) -> None:
    async def refuse(_: Any) -> bool:
        return False

    entry = audit_entry(update(clinic(), edit(PROMPT), steps=replace(PLAIN, agree=refuse)))
    assert (entry["status"], entry["changes_applied"]) == ("declined", {})
    assert entry["edit"]["nodes"]["menu"]["fields"] == {"prompt": "Hello."}


def test_a_second_undo_of_the_same_save_says_how_to_go_on(clinic: Any, edit: Any, office: Any) -> None:
    async def back(place: Any, run: Any) -> Any:
        async with await place.ledger.claim_run(run.handle.tenant, run.handle.run_key, kind="ivr-update") as handle:
            patch, base = await undoing(place.ledger, handle)
        return await place.update(patch, base=base)

    async def to_and_fro(place: Any) -> Any:
        saved = await place.update(edit(PROMPT))
        again = await back(place, await back(place, saved))
        assert again.status == "saved"
        return await back(place, saved)

    run = office(clinic(), to_and_fro)
    assert run.status == "unchanged"
    assert "base_version" not in run.notes[0]
    assert "--undo" in run.notes[0]


def test_a_doubt_that_is_lifted_is_told_no_more(clinic: Any, edit: Any, update: Any) -> None:
    """A replica shows half of the save first, and all of it at the next look."""
    box = clinic({"match": {**PUT, "nth": [1]}, "fault": {"lost_reply": "after_commit"}})
    half = {**live(box), "version": 13, "nodes": {**live(box)["nodes"]}}
    half["nodes"]["menu"] = {**half["nodes"]["menu"], "prompt": "Hel", "max_visits": 3}
    rules = [{"match": {**PUT, "nth": [1]}, "fault": {"lost_reply": "after_commit"}}]
    rules += [{"match": {"method": "GET", "nth": [2]}, "fault": {"status": 200, "body": half}}]
    box.sandbox.use_faults(Faults.of(*rules))
    run = update(box, edit(PROMPT), retry_attempts=1)
    assert (run.status, run.notes) == ("saved", ())
