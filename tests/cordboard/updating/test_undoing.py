"""What an update saved is taken back by an edit like any other, so nobody else's work goes with it."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.errors import BadCall
from cordboard.updating.kept import saves_of
from cordboard.updating.undoing import undoing

DEFAULT = "  menu: {prompt: Hello., transitions: {default: night}}\n"


async def taken_back(place: Any, run: Any) -> Any:
    """Takes an update back, to the end."""
    async with await place.ledger.claim_run(run.handle.tenant, run.handle.run_key, kind="ivr-update") as handle:
        patch, base = await undoing(place.ledger, handle)
    return await place.update(patch, base=base)


def test_taken_back_the_flow_is_what_it_was_and_later_edits_of_others_stay(clinic: Any, edit: Any, office: Any) -> None:
    box = clinic()
    before = box.flows["clinic"]["nodes"]
    patch = edit("nodes:\n  desk: null\n  night: {type: queue, transitions: {default: end}}\n" + DEFAULT)

    async def there_and_back(place: Any) -> Any:
        saved = await place.update(patch)
        assert saved.status == "saved"
        flow = box.flows["clinic"]
        billing = {**flow["nodes"]["billing"], "prompt": "Money."}
        box.flows["clinic"] = {**flow, "nodes": {**flow["nodes"], "billing": billing}}
        return await taken_back(place, saved)

    undone = office(box, there_and_back)
    assert (undone.status, undone.version) == ("saved", 15)
    assert box.flows["clinic"]["nodes"] == {**before, "billing": {**before["billing"], "prompt": "Money."}}


def test_where_others_changed_the_same_since_it_is_a_conflict(clinic: Any, edit: Any, office: Any) -> None:
    box = clinic()

    async def there_and_back(place: Any) -> Any:
        saved = await place.update(edit("nodes: {menu: {prompt: Hello.}}\n"))
        flow = box.flows["clinic"]
        menu = {**flow["nodes"]["menu"], "prompt": "Good evening."}
        box.flows["clinic"] = {**flow, "nodes": {**flow["nodes"], "menu": menu}}
        return await taken_back(place, saved)

    assert office(box, there_and_back).status == "conflict"
    assert box.flows["clinic"]["nodes"]["menu"]["prompt"] == "Good evening."


def test_taking_back_is_an_update_that_can_be_taken_back(clinic: Any, edit: Any, office: Any) -> None:
    box = clinic()

    async def back_and_forth(place: Any) -> Any:
        saved = await place.update(edit("nodes: {menu: {prompt: Hello.}}\n"))
        return await taken_back(place, await taken_back(place, saved))

    assert office(box, back_and_forth).status == "saved"
    assert box.flows["clinic"]["nodes"]["menu"]["prompt"] == "Hello."


def test_an_update_that_saved_nothing_cannot_be_taken_back(clinic: Any, edit: Any, office: Any) -> None:
    box = clinic()

    async def plan_and_back(place: Any) -> Any:
        return await taken_back(place, await place.update(edit("nodes: {menu: {prompt: Hi.}}\n"), dry_run=True))

    with pytest.raises(BadCall, match="nothing to take back"):
        office(box, plan_and_back)


def test_the_saves_of_an_edit_are_its_own_and_not_those_of_others(clinic: Any, edit: Any, office: Any) -> None:
    async def both(place: Any) -> list[list[int]]:
        first = await place.update(edit("nodes: {menu: {prompt: Hello.}}\n"))
        second = await place.update(edit("nodes: {billing: {prompt: Money.}}\n"))
        return [
            [kept.version for kept in (await saves_of(place.ledger, run.handle)).values()] for run in (first, second)
        ]

    assert office(clinic(), both) == [[12], [13]]
