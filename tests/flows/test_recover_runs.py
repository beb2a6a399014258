"""Runs that broke off are resumed where they may be, and every other one is left as it is; against a real server."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Cancelling, Crashed, Paused, Pending, Running, Scheduled

from cordboard.records.ledger import Ledger
from cordboard.recovery.judging import Bounds
from cordboard.settings import Settings
from flows.recover_runs import RUN_KEY, TENANT, RecoverRuns, recover_runs
from flows.register_ivr import register_ivr
from flows.sync_completion import sync_completion
from flows.trigger_workflows import trigger_workflows
from flows.update_ivr import update_ivr
from tasks.recovery import silent_seconds
from tasks.recovery_ground import Ground, ground_of
from tests.flows.recovering import broken_off, records, recovered, state_of, with_client

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("prefect_server", "home", "checkout")]


def test_a_crashed_run_is_scheduled_again_under_its_own_id_and_that_is_on_record() -> None:
    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Crashed())
        assert (await recovered(run))["did"] == "resume"
        assert await state_of(client, run) == "AwaitingRetry"
        (record,) = await records(run)
        detail = json.loads(record["detail"])
        assert record["kind"] == "recovery.resumed"
        assert detail["ledger_key"] == f"customer-sync/{run.id}"  # a key that was made for it is its id

    with_client(work)


def test_a_state_that_is_young_is_left_until_it_is_stable() -> None:
    """A crash is reported twice: what is set between the reports is lost."""

    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Crashed())
        young = await recovered(run, stable=60)
        assert (young["did"], await state_of(client, run)) == ("leave", "Crashed")
        assert "another report may come" in young["why"]
        assert (await recovered(run))["did"] == "resume"

    with_client(work)


def test_a_late_second_report_is_seen_and_the_next_search_resumes_again() -> None:
    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Crashed())

        async def second_reporter() -> None:
            while await state_of(client, run) != "AwaitingRetry":
                await asyncio.sleep(0.02)
            await client.set_flow_run_state(run.id, Crashed())

        (row, _) = await asyncio.gather(recovered(run, verify=1.5, most=1), second_reporter())
        assert (row["did"], await state_of(client, run)) == ("lost", "Crashed")
        assert (await recovered(run, most=1))["did"] == "resume"  # what was lost does not count
        assert await state_of(client, run) == "AwaitingRetry"

    with_client(work)


def test_a_run_is_resumed_so_often_and_no_more() -> None:
    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Crashed())
        for _ in range(2):
            assert (await recovered(run, most=2))["did"] == "resume"
            for state in (Pending(), Running(), Crashed()):
                await client.set_flow_run_state(run.id, state, force=True)
        for _ in range(2):
            given_up = await recovered(run, most=2)
            assert given_up["did"] == "leave" and "resumed 2 times" in given_up["why"]
        kinds = [record["kind"] for record in await records(run)]
        assert kinds == ["recovery.resumed", "recovery.resumed", "recovery.left"]  # left is said once

    with_client(work)


def test_a_zombie_is_closed_and_resumed_once_it_has_been_silent_for_long() -> None:
    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Pending(), Running())
        lively = await recovered(run, silent=3600)
        assert (lively["did"], await state_of(client, run)) == ("leave", "Running")
        assert (await recovered(run))["did"] == "resume"
        names = [state.name for state in await client.read_flow_run_states(run.id)]
        assert names[-3:] == ["Running", "Crashed", "AwaitingRetry"]

    with_client(work)


def test_a_run_that_its_worker_took_and_never_began_is_resumed_once_it_has_been_silent_for_long() -> None:
    """Its machine died in between: it stays pending, and no worker takes up what is pending."""

    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Pending())
        beginning = await recovered(run, silent=3600)
        assert (beginning["did"], await state_of(client, run)) == ("leave", "Pending")
        assert (await recovered(run))["did"] == "resume"
        names = [state.name for state in await client.read_flow_run_states(run.id)]
        assert names[-3:] == ["Pending", "Crashed", "AwaitingRetry"]

    with_client(work)


def test_an_event_of_the_run_or_of_its_tasks_is_a_sign_of_life() -> None:
    """A run may stay in one state for hours; heartbeats and its tasks say that it lives."""

    async def work(client: PrefectClient) -> None:
        search = SimpleNamespace(client=client, bounds=Bounds(silent_seconds=600))
        run = SimpleNamespace(id=uuid4())
        assert await silent_seconds(search, run, 5000.0) == 5000
        resource = {"prefect.resource.id": f"prefect.task-run.{uuid4()}"}
        related = [{"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.role": "flow-run"}]
        ago = (datetime.now(UTC) - timedelta(seconds=100)).isoformat()
        event = {"id": str(uuid4()), "event": "prefect.task-run.Completed", "occurred": ago}
        await client.request("POST", "/events", json=[event | {"resource": resource, "related": related}])
        async with asyncio.timeout(30):
            while (silent := await silent_seconds(search, run, 5000.0)) == 5000:
                await asyncio.sleep(0.05)
        assert 100 <= silent < 160

    with_client(work)


def test_the_flow_leaves_a_table_and_says_what_it_did() -> None:
    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Crashed())
        asked = RecoverRuns(stable_seconds=0, silent_minutes=0, verify_seconds=0)
        state = await recover_runs(asked, return_state=True)
        document = await state.aresult()
        assert {row["id"]: row["did"] for row in document["runs"]}[str(run.id)] == "resume"
        resumed = sum(row["did"] == "resume" for row in document["runs"])  # other tests' runs stand on this server too
        assert state.message and f"{resumed} resume" in state.message
        wanted = {"artifacts": {"key": {"any_": ["recovered-runs"]}}, "sort": "CREATED_DESC", "limit": 1}
        (page,) = (await client.request("POST", "/artifacts/filter", json=wanted)).json()
        assert str(run.id) in page["data"]

    with_client(work)


def test_one_search_at_a_time() -> None:
    async def work(_: PrefectClient) -> None:
        async with (
            await Ledger.open(Settings.from_env(os.environ).ledger) as ledger,
            await ledger.claim_run(TENANT, RUN_KEY),
        ):
            assert (await recover_runs(RecoverRuns(), return_state=True)).name == "Busy"

    with_client(work)


@pytest.mark.parametrize(
    "states",
    [
        (Running(), Cancelling(), Cancelled()),
        (Running(), Cancelling()),
        (Running(), Cancelling(), Crashed()),
        (Running(), Paused()),
    ],
    ids=["cancelled", "cancelling", "crashed while it was cancelled", "paused"],
)
def test_what_a_person_ended_or_paused_is_left_alone(states: tuple[State[Any], ...]) -> None:
    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, *(state.model_copy(update={"id": uuid4()}) for state in states))
        before = await state_of(client, run)
        assert (await recovered(run))["did"] in {"leave", "not looked at"}
        assert await state_of(client, run) == before

    with_client(work)


def test_a_run_that_a_live_process_holds_in_the_ledger_is_left() -> None:
    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running())
        async with (
            await Ledger.open(Settings.from_env(os.environ).ledger) as ledger,
            await ledger.claim_run("acme", f"customer-sync/{run.id}"),
        ):
            await client.set_flow_run_state(run.id, Crashed())  # by who no longer hears of it
            held = await recovered(run)
        assert held["did"] == "leave" and "live process holds" in held["why"]
        assert (await recovered(run))["did"] == "resume"

    with_client(work)


def test_a_run_whose_process_is_there_is_left() -> None:
    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Pending(), Running())
        assert "process is alive" in (await recovered(run, alive=frozenset({str(run.id)})))["why"]
        assert await state_of(client, run) == "Running"

    with_client(work)


def test_a_run_that_was_started_anew_with_the_same_parameters_is_left() -> None:
    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Crashed())
        assert run.deployment_id
        other = await client.create_flow_run_from_deployment(run.deployment_id, state=Scheduled())
        assert (await recovered(run, dry_run=True))["did"] == "resume"  # it has not begun
        await client.set_flow_run_state(other.id, Running(), force=True)
        assert f"as {other.name}" in (await recovered(run))["why"]

    with_client(work)


def test_runs_of_other_projects_are_not_even_looked_at() -> None:
    from prefect import flow

    @flow(name="run-chain")
    async def theirs(chain: dict[str, Any]) -> None:
        """Another project's flow of the same name."""

    async def work(client: PrefectClient) -> None:
        theirs._entrypoint = "elsewhere/chains.py:theirs"
        run = await broken_off(client, Running(), Crashed(), flow=theirs)
        assert (await recovered(run))["did"] == "not looked at"
        assert await state_of(client, run) == "Crashed"

    with_client(work)


def test_runs_of_another_checkout_are_not_looked_at() -> None:
    """Two checkouts on one server have deployments with the same entry points."""

    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Crashed())
        assert run.deployment_id
        mine = await client.read_deployment(run.deployment_id)
        steps = [{"prefect.deployments.steps.set_working_directory": {"directory": "/elsewhere"}}]
        other = mine.model_copy(update={"pull_steps": steps})
        assert (await recovered(run, ours=other, dry_run=True))["did"] == "not looked at"
        assert (await recovered(run, ours=mine, dry_run=True))["did"] == "resume"

    with_client(work)


def test_files_are_read_only_for_a_run_that_would_be_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Pending(), Running())
        read: list[str] = []

        async def noted(*asked: Any) -> Ground:
            read.append(asked[2])
            return Ground()

        monkeypatch.setattr("tasks.recovery.ground_of", noted)
        assert "sign of life" in (await recovered(run, silent=3600, dry_run=True))["why"]
        assert str(run.id) not in read
        assert (await recovered(run, dry_run=True))["did"] == "resume"
        assert str(run.id) in read

    with_client(work)


def test_a_job_that_the_next_run_of_it_takes_up_is_closed_and_not_resumed() -> None:
    """Else its zombie would keep the deployment's only place."""

    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Pending(), Running(), flow=sync_completion, inbox_id="")
        assert (await recovered(run))["did"] == "close"
        assert await state_of(client, run) == "Crashed"

    with_client(work)


def test_a_dry_run_changes_nothing() -> None:
    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Crashed())
        assert (await recovered(run, dry_run=True))["did"] == "resume"
        assert (await state_of(client, run), await records(run)) == ("Crashed", [])

    with_client(work)


def test_a_batch_goes_on_only_where_the_ledger_knows_what_its_files_say_now(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(Path("examples/reminders.csv").read_text())
    asked = {"start": {"trigger": "examples/reminders.yaml", "rows": str(rows)}}

    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Crashed(), flow=trigger_workflows, **asked)
        assert "knows no run of what" in (await recovered(run))["why"]
        key = (await ground_of("flows.trigger_workflows.trigger_workflows", asked, str(run.id), tmp_path)).key
        async with await Ledger.open(Settings.from_env(os.environ).ledger) as ledger:
            await (await ledger.claim_run("acme", f"{key}worker-1")).release()
        assert (await recovered(run, dry_run=True))["did"] == "resume"
        rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:-1]))
        assert "knows no run of what" in (await recovered(run))["why"]

    with_client(work)


@pytest.mark.parametrize("begun", [True, False])
def test_a_batch_under_a_run_key_goes_on_only_with_the_rows_with_which_it_began(tmp_path: Path, begun: bool) -> None:
    """A person who gives the same command again means the file of today; nobody asked for it in the night."""
    rows = tmp_path / "rows.csv"
    rows.write_text(Path("examples/reminders.csv").read_text())
    key = f"night-{uuid4().hex[:8]}"
    asked = {"start": {"trigger": "examples/reminders.yaml", "rows": str(rows), "run_key": key}}

    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Crashed(), flow=trigger_workflows, **asked)
        content = (await ground_of("flows.trigger_workflows.trigger_workflows", asked, str(run.id), tmp_path)).content
        if begun:
            async with (
                await Ledger.open(Settings.from_env(os.environ).ledger) as ledger,
                await ledger.claim_run("acme", f"starts/{key}/worker-1") as handle,
            ):
                await handle.record("batch.began", key, {"content": content})
        assert (await recovered(run, dry_run=True))["did"] == "resume"
        rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:-1]))
        changed = await recovered(run, dry_run=True)
        assert changed["did"] == ("leave" if begun else "resume")
        assert ("its files say something else" in changed["why"]) is begun

    with_client(work)


def test_an_edit_of_a_live_flow_goes_on_only_where_the_ledger_knows_this_very_edit(tmp_path: Path) -> None:
    patch = tmp_path / "patch.yaml"
    patch.write_text(Path("examples/clinic_holiday.yaml").read_text())
    asked = {"update": {"patch": str(patch)}}

    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), flow=update_ivr, **asked)
        key = (await ground_of("flows.update_ivr.update_ivr", asked, str(run.id), tmp_path)).key
        async with await Ledger.open(Settings.from_env(os.environ).ledger) as ledger:
            await (await ledger.claim_run("acme", key)).release()
        await client.set_flow_run_state(run.id, Crashed())
        assert (await recovered(run, dry_run=True))["did"] == "resume"
        patch.write_text(patch.read_text().replace("base_version: ", "base_version: 1"))
        assert "no run of what its files say now" in (await recovered(run, dry_run=True))["why"]

    with_client(work)


def test_a_run_that_somebody_took_up_by_hand_since_is_left() -> None:
    """Else a call flow that a person has put live meanwhile would be replaced by the one that broke off."""
    asked = {"registration": {"file": "examples/hospital_menu.yaml"}}

    async def work(client: PrefectClient) -> None:
        run = await broken_off(client, Running(), Crashed(), flow=register_ivr, **asked)
        assert (await recovered(run, dry_run=True))["did"] == "resume"
        async with await Ledger.open(Settings.from_env(os.environ).ledger) as ledger:
            await (await ledger.claim_run("acme", "ivr/ivr_hospital_main")).release()
        left = await recovered(run)
        assert left["did"] == "leave" and "gone on with its run in the ledger" in left["why"]

    with_client(work)


def test_a_restore_is_left_to_a_person() -> None:
    async def work(client: PrefectClient) -> None:
        asked = {"registration": {"restore": "ivr_hospital_main"}}
        run = await broken_off(client, Running(), Crashed(), flow=register_ivr, **asked)
        assert "must say anew" in (await recovered(run))["why"]

    with_client(work)
