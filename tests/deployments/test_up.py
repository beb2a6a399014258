"""What `make up` deploys where, and where it takes a tenant's credentials from; all of it together runs elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

from cordboard.errors import BadCall
from cordboard.sandbox.server import RunningSandbox, running_sandbox
from deployments.deploying import Standing, arrange, as_in_the_file, blocks_for
from deployments.tenant import NAME, RECEIVER_SECRET, find_tenant
from tests.deployments.upping import DEPLOYMENTS

SLUGS = {"cxone-credentials", "genesys-cloud-credentials", "cordboard-webhook"}
SIMULATION = next(each for each in DEPLOYMENTS if each["name"] == "simulate-ivr")
HOSPITAL, CLINIC = (trigger["name"] for trigger in SIMULATION["triggers"])


def arranged(before: Standing | None, place: str = "tenant") -> dict[str, Any]:
    """The deployment of simulations as it would be deployed."""
    deployment = deepcopy(SIMULATION)
    arrange(deployment, place, {"credentials": "cxone-credentials"}, [], before)
    return deployment


def standing(place: str) -> Standing:
    """Somebody paused the deployment, resumed its schedule, added one, and switched a trigger on."""
    own = {"cron": "0 12 * * *", "timezone": "UTC", "active": True, "parameters": {}}
    return Standing(place, True, {"nightly": True, "gone": True}, (own,), {HOSPITAL: True, "gone": True})


def test_each_deployment_gets_the_blocks_of_its_place_and_its_tag() -> None:
    deployment = arranged(None)
    block = {"$ref": {"block_document_slug": "cxone-credentials/tenant"}}
    assert deployment["parameters"] == {"credentials": block, **SIMULATION["parameters"]}
    assert deployment["tags"] == ["call-flow", "tenant"]


@pytest.mark.parametrize(
    ("flow", "blocks"),
    [
        ("run_chain", {"credentials": "cxone-credentials", "webhook": "cordboard-webhook"}),
        ("update_ivr", {"credentials": "genesys-cloud-credentials", "webhook": "cordboard-webhook"}),
        ("simulate_ivr", {"credentials": "cxone-credentials"}),
        ("notify_failure", {"webhook": "cordboard-webhook"}),
        ("recover_runs", {}),
    ],
)
def test_a_flow_gets_the_types_of_block_that_it_takes_and_that_there_are(flow: str, blocks: dict[str, str]) -> None:
    assert blocks_for(f"flows.{flow}.{flow}", SLUGS) == blocks
    there = {name: slug for name, slug in blocks.items() if slug != "cordboard-webhook"}
    assert blocks_for(f"flows.{flow}.{flow}", SLUGS - {"cordboard-webhook"}) == there


def test_what_a_person_switched_stays_switched() -> None:
    deployment = arranged(standing("tenant"))
    assert deployment["paused"] is True
    assert [(each.get("slug"), each["active"]) for each in deployment["schedules"]] == [("nightly", True), (None, True)]
    assert {each["name"]: each["enabled"] for each in deployment["triggers"]} == {HOSPITAL: True, CLINIC: False}


def test_schedules_and_triggers_without_a_name_get_one_and_are_not_doubled() -> None:
    """One without a slug would be taken for one that somebody added, and kept beside itself at the next start."""
    deployment: dict[str, Any] = {"name": "mine", "schedules": [{"interval": 60}], "triggers": [{"enabled": False}]}
    before = Standing("tenant", False, {"schedule-1": True}, (), {"mine__automation_1": True})
    arrange(deployment, "tenant", {}, [], before)
    assert deployment["schedules"] == [{"slug": "schedule-1", "interval": 60, "active": True}]
    assert deployment["triggers"] == [{"name": "mine__automation_1", "enabled": True}]


@pytest.mark.parametrize("before", [None, standing("sandbox"), standing("")])
def test_what_was_switched_on_elsewhere_is_off_at_a_tenant(before: Standing | None) -> None:
    deployment = arranged(before)
    assert "paused" not in deployment
    assert [(each["slug"], each["active"]) for each in deployment["schedules"]] == [("nightly", False)]
    assert not any(each["enabled"] for each in deployment["triggers"])


@pytest.mark.parametrize(
    ("schedule", "written"),
    [
        (
            CronSchedule(cron="0 4 * * 1", timezone="Europe/Berlin"),
            {"cron": "0 4 * * 1", "day_or": True, "timezone": "Europe/Berlin"},
        ),
        (RRuleSchedule(rrule="FREQ=DAILY", timezone="UTC"), {"rrule": "FREQ=DAILY", "timezone": "UTC"}),
        (
            IntervalSchedule(interval=timedelta(hours=1), anchor_date=datetime(2026, 1, 1, tzinfo=UTC), timezone="UTC"),
            {"interval": 3600.0, "anchor_date": "2026-01-01T00:00:00Z", "timezone": "UTC"},
        ),
    ],
)
def test_a_schedule_that_somebody_added_is_written_as_the_file_has_schedules(
    schedule: Any, written: dict[str, Any]
) -> None:
    added = SimpleNamespace(schedule=schedule, active=True, parameters={"note": "mine"})
    assert as_in_the_file(added) == {**written, "active": True, "parameters": {"note": "mine"}}


# --- where credentials come from; there is no terminal ----------------------------------------------------------------


@pytest.fixture
def tenant() -> Iterator[RunningSandbox]:
    """A tenant, played by a sandbox."""
    with running_sandbox() as box:
        yield box


@pytest.fixture
def find(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Looks for credentials, where nobody can be asked; blocks that it made are deleted."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    yield lambda environ, renew=False: asyncio.run(find_tenant(environ, renew=renew))
    asyncio.run(forget())


async def forget() -> None:
    from prefect.blocks.system import Secret

    from blocks.cxone import CXoneCredentials
    from blocks.genesys import GenesysCloudCredentials

    for block, name in ((CXoneCredentials, NAME), (GenesysCloudCredentials, NAME), (Secret, RECEIVER_SECRET)):
        with contextlib.suppress(ValueError):
            await block.adelete(name)


@pytest.mark.prefect
def test_without_any_it_is_said_how_to_give_them(find: Callable[..., Any]) -> None:
    with pytest.raises(BadCall) as refused:
        find({})
    for words in ("CXONE_CLIENT_ID", "GENESYS_CLIENT_SECRET", "make up TENANT=1", "a block named `tenant`"):
        assert words in str(refused.value)


@pytest.mark.prefect
def test_variables_become_a_block_that_the_next_start_finds(find: Callable[..., Any], tenant: RunningSandbox) -> None:
    given = {name: value for name, value in tenant.env().items() if name.startswith("CXONE_")}
    first, second = find(given), find({})
    assert [block.client_id for block in second.credentials] == [given["CXONE_CLIENT_ID"]]
    assert second.receiver == first.receiver
    assert first.receiver["CORDBOARD_COMPLETION_SECRETS"].startswith("whsec_")
    assert (first.is_secret_new, second.is_secret_new) == (True, False)


@pytest.mark.prefect
def test_who_has_one_vendor_is_not_asked_for_the_other_each_time(
    find: Callable[..., Any], tenant: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    find({name: value for name, value in tenant.env().items() if name.startswith("CXONE_")})
    with pytest.raises(BadCall, match="the questions were not answered"):
        at_a_terminal(monkeypatch)
        find({}, renew=True)
    assert len(find({}).credentials) == 1


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One at which nobody sits: every question ends with the end of the input."""
    stdin = io.StringIO()
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)


@pytest.mark.prefect
def test_without_cxone_there_is_nothing_to_receive(find: Callable[..., Any], tenant: RunningSandbox) -> None:
    found = find({name: value for name, value in tenant.env().items() if name.startswith("GENESYS_")})
    assert (len(found.credentials), found.receiver) == (1, {})


@pytest.mark.prefect
def test_variables_that_are_refused_are_not_kept(find: Callable[..., Any], tenant: RunningSandbox) -> None:
    with pytest.raises(BadCall, match=r"CXONE_\* variables are not accepted: no access token"):
        find(tenant.env() | {"CXONE_CLIENT_SECRET": "wrong-canary"})
    with pytest.raises(BadCall, match="no credentials of a tenant"):
        find({})


@pytest.mark.prefect
def test_credentials_that_no_longer_work_are_told_with_the_way_to_enter_them_again(
    find: Callable[..., Any], tenant: RunningSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    from blocks.cxone import CXoneCredentials

    old = CXoneCredentials.from_env(tenant.env() | {"CXONE_CLIENT_SECRET": "replaced-since"})
    asyncio.run(old.asave(NAME))
    find({})
    said = capsys.readouterr().err
    assert "not accepted: no access token" in said
    assert "make up TENANT=1 RENEW=1" in said
