"""Which run in the ledger a flow run goes on with, by its parameters and by files as they are now."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml

from cordboard.records.ledger import Ledger
from tasks.recovery import alive_here
from tasks.recovery_ground import JOBS, ground_of, in_hand

pytestmark = [pytest.mark.usefixtures("checkout")]

REMINDERS = {"trigger": "examples/reminders.yaml", "rows": "examples/reminders.csv"}
CHAIN = {"file": "examples/customer_sync.yaml", "params": {"account_id": "ACC-1"}}


@pytest.mark.parametrize(
    ("job", "asked", "key"),
    [
        ("run_chain", {"chain": CHAIN}, "customer-sync/RUN"),
        ("run_chain", {"chain": {**CHAIN, "run_key": "k1"}}, "customer-sync/k1"),
        ("register_ivr", {"registration": {"file": "examples/hospital_menu.yaml"}}, "ivr/ivr_hospital_main"),
        ("trigger_workflows", {"start": {**REMINDERS, "run_key": "b1"}}, "starts/b1/"),
        ("update_ivr", {"update": {"undo": "update/clinic-menu/687092896445610e"}}, "update/clinic-menu/"),
    ],
)
def test_a_run_is_known_in_the_ledger_by(job: str, asked: dict[str, Any], key: str, tmp_path: Path) -> None:
    found = asyncio.run(ground_of(f"flows.{job}.{job}", asked, "RUN", tmp_path))
    assert (found.key, found.hindrance) == (key, "")


def test_every_deployment_says_how_it_recovers() -> None:
    deployments = yaml.safe_load(Path("prefect.yaml").read_text())["deployments"]
    assert {each["entrypoint"] for each in deployments} <= set(JOBS)


def test_processes_of_flow_runs_are_known_by_their_environment(tmp_path: Path) -> None:
    for pid, text in (("1", b"A=1\0PREFECT__FLOW_RUN_ID=r-1\0B=2"), ("2", b"NO=PREFECT__FLOW_RUN_ID=r-2"), ("x", b"")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "environ").write_bytes(text)
    assert alive_here(tmp_path) == {"r-1"}


@pytest.mark.parametrize(
    ("job", "asked", "why"),
    [
        ("run_chain", {"chain": {"file": "no/such.yaml"}}, "cannot be read as they are now"),
        ("run_chain", {"chain": "text"}, "parameters cannot be read"),
        ("run_chain", {}, "cannot be read"),
        ("register_ivr", {"registration": {"restore": "ivr_hospital_main"}}, "a person must say anew"),
        ("reap_instances", {}, "the next one does"),
    ],
)
def test_a_run_does_not_go_on_where(job: str, asked: dict[str, Any], why: str, tmp_path: Path) -> None:
    assert why in asyncio.run(ground_of(f"flows.{job}.{job}", asked, "RUN", tmp_path)).hindrance


@pytest.mark.parametrize(
    ("key", "claimed", "taken_up"),
    [
        ("ivr/menu", "ivr/menu", True),
        ("ivr/menu", "ivr/menu_2", False),
        ("update/menu/", "update/menu/1", True),  # an undo: who saved the edit again does not want it taken back
        ("update/menu/", "update/menu_2/1", False),
        ("starts/b1/", "starts/b1/05-000000", False),  # workers of a batch do so all the time
    ],
)
def test_a_run_that_somebody_has_gone_on_with_is_taken_up(
    key: str, claimed: str, taken_up: bool, tmp_path: Path
) -> None:
    async def found() -> list[bool]:
        async with await Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
            began = ledger.clock()
            async with await ledger.claim_run("acme", claimed):
                pass
            return [(await in_hand(ledger, key, since))[1] for since in (began - 1, began + 60)]

    assert asyncio.run(found()) == [taken_up, False]


def test_a_batch_that_is_only_checked_has_no_run_in_the_ledger(tmp_path: Path) -> None:
    asked = {"start": {"trigger": "no/such.yaml", "rows": "none.csv", "dry_run": True}}
    found = asyncio.run(ground_of("flows.trigger_workflows.trigger_workflows", asked, "RUN", tmp_path))
    assert (found.key, found.hindrance) == ("", "")
