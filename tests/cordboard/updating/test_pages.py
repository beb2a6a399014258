"""What people see of an update in the Prefect UI says what is the case."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.records.effects import EffectState
from cordboard.sending import Sent
from cordboard.updating import callers
from cordboard.updating.document import update_document

PROMPT = "nodes: {menu: {prompt: Hello.}}\n"


def test_whoever_decides_sees_that_nobody_knows_what_callers_notice(
    clinic: Any, edit: Any, update: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.update_pages import question_markdown

    run = update(clinic(), edit(PROMPT), dry_run=True)
    assert "nobody knows what callers notice" in question_markdown(update_document(run)), "it was not compared"
    callers.compare(run)
    assert "nobody knows" not in question_markdown(update_document(run))
    monkeypatch.setattr(callers, "behaviour_changes", lambda *_, **__: 1 // 0)
    callers.compare(run)
    assert "nobody knows what callers notice" in question_markdown(update_document(run))


def test_consent_to_what_was_compared_is_none_to_what_was_not(clinic: Any, edit: Any, update: Any) -> None:
    from tasks.approval import _change_of

    run = update(clinic(), edit("nodes: {menu: {fields: {position: 5}}}\n"), dry_run=True)
    callers.compare(run)
    assert run.noticed == ()
    compared, run.noticed = _change_of(run), None
    assert _change_of(run) != compared


@pytest.mark.parametrize(
    ("sent", "status", "name"),
    [
        (Sent(EffectState.FAILED, error={"kind": "conflict"}), "planned", "Overtaken"),
        (Sent(EffectState.FAILED, error={"kind": "rejected"}), "failed", "Failed"),
        (Sent(EffectState.FAILED, error={"kind": "deadline"}), "overtaken", "Overtaken"),
        (Sent(EffectState.UNKNOWN, error={"kind": "timeout"}), "unknown", "Unknown"),
    ],
)
def test_a_save_that_came_too_late_is_shown_as_that_and_not_as_a_plan(
    clinic: Any, edit: Any, update: Any, sent: Sent, status: Any, name: str
) -> None:
    from tasks.updates import state_of_save

    run = update(clinic(), edit(PROMPT), dry_run=True)
    run.status = status
    assert state_of_save(sent, run).name == name


def test_each_value_of_a_conflict_stands_in_its_own_column(clinic: Any, edit: Any, update: Any) -> None:
    """A condition with `||` must not move what is live to where nobody looks for it."""
    from tasks.update_pages import update_markdown

    box = clinic()
    flow = box.flows["clinic"]
    box.flows["clinic"] = {**flow, "nodes": {**flow["nodes"], "menu": {**flow["nodes"]["menu"], "prompt": "a|b\\|c"}}}
    run = update(box, edit(PROMPT))
    assert run.status == "conflict"
    (row,) = [line for line in update_markdown(update_document(run)).splitlines() if line.startswith("| menu")]
    assert [_shown(cell) for cell in _cells(row)] == [
        "menu: prompt",
        '"One for appointments, two for billing."',
        '"Hello."',
        '"a|b\\\\|c"',
    ]


def test_an_edit_that_is_live_after_a_refused_save_is_not_called_sent_by_nobody(
    clinic: Any, edit: Any, update: Any
) -> None:
    from tasks.update_pages import update_markdown

    other = {"other_editor": {"nodes": {"menu": {"prompt": "Hello."}}}}
    run = update(clinic({"match": {"method": "PUT", "nth": [1]}, "fault": other}), edit(PROMPT))
    assert (run.status, run.attempts) == ("unchanged", 1)
    page = update_markdown(update_document(run))
    assert "Nothing was sent" not in page
    assert "refused as too late" in page


def test_a_conflict_that_came_up_after_a_refused_save_does_not_say_that_nothing_was_sent(
    clinic: Any, edit: Any, update: Any
) -> None:
    from tasks.update_pages import update_markdown

    other = {"other_editor": {"nodes": {"menu": {"prompt": "Hi."}}}}
    run = update(clinic({"match": {"method": "PUT", "nth": [1]}, "fault": other}), edit(PROMPT))
    assert (run.status, run.attempts) == ("conflict", 1)
    page = update_markdown(update_document(run))
    assert "Nothing was sent" not in page
    assert "Nothing was saved" in page


def _cells(row: str) -> list[str]:
    """The cells of a row as GitHub and the Prefect UI split it: at bars that no backslash escapes."""
    cells, escaped = [""], False
    for char in row.strip().strip("|"):
        if char == "|" and not escaped:
            cells.append("")
        else:
            cells[-1] += char
        escaped = char == "\\" and not escaped
    return [cell.strip() for cell in cells]


def _shown(cell: str) -> str:
    shown, escaped = "", False
    for char in cell:
        if char == "\\" and not escaped:
            escaped = True
            continue
        shown, escaped = shown + char, False
    return shown
