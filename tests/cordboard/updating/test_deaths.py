"""A run that dies, wherever it dies: the old or the new version is live, the ledger knows which, a rerun ends it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import select

from cordboard.errors import VendorFailed
from cordboard.records.audit import history
from cordboard.records.run import RunHandle
from cordboard.records.schema import effects, outbox
from cordboard.sandbox.faults import Faults
from cordboard.vendors.session import VendorSession

OTHERS = {"match": {"method": "PUT", "nth": [1]}, "fault": {"other_editor": {"nodes": {"billing": {"prompt": "{n}"}}}}}
#: Everything that is durable or leaves the house goes through one of these.
POINTS = [(RunHandle, "intend"), (RunHandle, "conclude"), (RunHandle, "record"), (VendorSession, "call")]

#: After these steps of a whole run its save is out, and what the vendor answered is not on record.
READ, KEPT, SENT, INTENDED, CONCLUDED = range(1, 6)


class Dead(BaseException):
    """The process is gone: nobody's `except` is for it."""


@contextmanager
def dying_at(point: int, *, after: bool) -> Iterator[None]:
    """Every step fails from the n-th on, which is taken still where the run dies after it."""
    taken = itertools.count(1)

    def mortal(step: Callable[..., Any]) -> Callable[..., Any]:
        async def perhaps(*given: Any, **more: Any) -> Any:
            number = next(taken)
            if number > point or (number == point and not after):
                raise Dead
            result = await step(*given, **more)
            if number >= point:
                raise Dead
            return result

        return perhaps

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in POINTS:
            patch.setattr(owner, name, mortal(getattr(owner, name)))
        yield


def test_wherever_it_dies_a_rerun_ends_it_with_one_save(clinic: Any, edit: Any, office: Any) -> None:
    """Before and after each write to the ledger and each exchange with the vendor, while another team saves."""
    box = clinic()

    async def lives(place: Any) -> int:
        for point in itertools.count(1):
            for after in (False, True):
                box.sandbox.use_faults(Faults.of(OTHERS))
                greeting, saved = f"Hello, {point} {after}.", len(box.truth.effects_on("clinic"))
                patch = edit(f"nodes: {{menu: {{prompt: '{greeting}'}}}}\n", box.flows["clinic"]["version"])
                ended = await _lived(place, patch, point, after=after)
                run = await place.update(patch)
                assert run.status in ({"unchanged"} if ended else {"saved", "unchanged"}), (point, after, run.sent)
                assert box.flows["clinic"]["nodes"]["menu"]["prompt"] == greeting
                assert len(box.truth.effects_on("clinic")) == saved + 1, (point, after)
                assert await _ends(place, run) == ["flow.update.saved"], "told once that it is saved"
            if ended:
                return point
        raise AssertionError

    assert office(box, lives) > 6


def test_a_save_that_nobody_heard_of_is_told_apart_from_what_others_saved_on_top(
    clinic: Any, edit: Any, office: Any
) -> None:
    box, patch = clinic(), edit("nodes: {menu: {prompt: Hello.}}\n")

    async def dies_and_goes_on(place: Any) -> Any:
        assert not await _lived(place, patch, CONCLUDED, after=False)
        flow = box.flows["clinic"]
        assert flow["version"] == 13, "it was saved, and the run died before it heard so"
        box.flows["clinic"] = {**flow, "nodes": {**flow["nodes"], "menu": {**flow["nodes"]["menu"], "prompt": "No."}}}
        return await place.update(patch)

    run = office(box, dies_and_goes_on)
    assert (run.status, run.version, run.verified, box.flows["clinic"]["version"]) == ("saved", 13, True, 14)


def test_where_the_vendor_keeps_no_versions_the_edit_itself_in_the_live_flow_is_the_proof(
    clinic: Any, edit: Any, office: Any
) -> None:
    box = clinic({"match": {"path": "/api/v2/flows/clinic/versions/13"}, "fault": {"status": 404}})
    patch = edit("nodes: {menu: {prompt: Hello.}}\n")

    async def dies_and_goes_on(place: Any) -> Any:
        assert not await _lived(place, patch, CONCLUDED, after=False)
        flow = box.flows["clinic"]
        box.flows["clinic"] = {**flow, "nodes": {**flow["nodes"], "desk": {**flow["nodes"]["desk"], "prompt": "Desk."}}}
        return await place.update(patch)

    run = office(box, dies_and_goes_on)
    assert (run.status, run.version, len(box.truth.saves_of("clinic"))) == ("saved", 14, 1)
    assert "holds the edit" in run.notes[0]


@pytest.mark.parametrize("status", [403, 404, 400])
def test_a_version_that_the_vendor_will_never_show_keeps_no_rerun_from_going_on(
    clinic: Any, edit: Any, office: Any, status: int
) -> None:
    box = clinic({"match": {"path": "/api/v2/flows/clinic/versions/13"}, "fault": {"status": status}})
    patch = edit("nodes: {menu: {prompt: Hello.}}\n")

    async def dies_and_goes_on(place: Any) -> Any:
        assert not await _lived(place, patch, INTENDED, after=True)
        for prompt in ("Desk.", "The desk."):  # two saves of others: version 13 is no more
            flow = box.flows["clinic"]
            desk = {**flow["nodes"]["desk"], "prompt": prompt}
            box.flows["clinic"] = {**flow, "nodes": {**flow["nodes"], "desk": desk}}
        return await place.update(patch)

    run = office(box, dies_and_goes_on)
    assert (run.status, run.version, box.flows["clinic"]["nodes"]["menu"]["prompt"]) == ("saved", 15, "Hello.")


def test_a_version_that_cannot_be_read_now_ends_a_rerun_that_needs_it(clinic: Any, edit: Any, office: Any) -> None:
    """A vendor that is down may show it later: only then it is known whether the edit was saved."""
    box = clinic({"match": {"path": "/api/v2/flows/clinic/versions/13"}, "fault": {"status": 503}})
    patch = edit("nodes: {menu: {prompt: Hello.}}\n")

    async def dies_and_goes_on(place: Any) -> Any:
        assert not await _lived(place, patch, CONCLUDED, after=False)
        flow = box.flows["clinic"]
        box.flows["clinic"] = {**flow, "nodes": {**flow["nodes"], "menu": {**flow["nodes"]["menu"], "prompt": "No."}}}
        return await place.update(patch)

    with pytest.raises(VendorFailed, match="version 13"):
        office(box, dies_and_goes_on)


@pytest.mark.parametrize("others", ["nobody", "somebody", "somebody, unseen", "somebody who takes it back"])
@pytest.mark.parametrize("point", range(INTENDED, CONCLUDED + 4))
def test_a_plan_concludes_and_tells_nothing_of_what_an_earlier_run_left_open(
    clinic: Any, edit: Any, office: Any, point: int, others: str
) -> None:
    unseen = [{"match": {"path": "/api/v2/flows/clinic/versions/13"}, "fault": {"status": 404}}]
    box, patch = clinic(*(unseen if "unseen" in others else ())), edit("nodes: {menu: {prompt: Hello.}}\n")

    async def dies_and_plans(place: Any) -> Any:
        assert not await _lived(place, patch, point, after=point == INTENDED)
        flow, node = box.flows["clinic"], "menu" if "back" in others else "desk"
        if others != "nobody" and (node == "desk" or flow["version"] > 12):
            box.flows["clinic"] = {**flow, "nodes": {**flow["nodes"], node: {**flow["nodes"][node], "prompt": "No."}}}
        before, saves = await _left(place), len(box.truth.saves_of("clinic"))
        plan = await place.update(patch, dry_run=True)
        assert await _left(place) == before, "what is open stays open, and nothing is told"
        assert len(box.truth.saves_of("clinic")) == saves
        run = await place.update(patch)
        assert (run.status, await _ends(place, run)) == ("saved", ["flow.update.saved"])
        return plan

    plan = office(box, dies_and_plans)
    assert plan.status in {"planned", "unchanged"}


async def _left(place: Any) -> tuple[Any, ...]:
    """Every effect as the ledger has it, and every message that waits to be sent."""
    return tuple(
        await place.ledger.read(
            lambda connection: (
                connection.execute(select(effects.c.key, effects.c.state, effects.c.attempts)).all(),
                connection.execute(select(outbox.c.id)).all(),
            )
        )
    )


async def _ends(place: Any, run: Any) -> list[str]:
    rows = await history(place.ledger, run.handle.tenant, run.handle.run_key)
    return [row["kind"] for row in rows if row["kind"] in {"flow.update.saved", "flow.update.unverified"}]


async def _lived(place: Any, patch: Any, point: int, *, after: bool) -> bool:
    with dying_at(point, after=after):
        try:
            await place.update(patch)
        except Dead:
            return False
    return True
