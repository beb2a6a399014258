"""`cordboard doctor` as a person calls it: green where all is well, no secret shown, and it always comes to an end."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from cordboard.cli import main
from cordboard.doctor.command import as_text
from cordboard.doctor.examination import examine
from cordboard.doctor.model import Check, Standing, Surroundings
from cordboard.sandbox.server import RunningSandbox
from cordboard.settings import Settings
from tests.cordboard.doctor.conftest import Examine

SANDBOX_SECRET = "whsec_ZGVtby1kZW1vLWRlbW8tZGVtby1kZW1vLWRlbW8="


def test_a_healthy_setup_is_green(
    sandbox: RunningSandbox, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    webhook = {"CORDBOARD_WEBHOOK_URL": f"{sandbox.base_url}/webhooks/status"}
    secrets = {"CORDBOARD_WEBHOOK_SECRET": SANDBOX_SECRET, "CORDBOARD_COMPLETION_SECRETS": SANDBOX_SECRET}
    for name, value in {**sandbox.env(), **webhook, **secrets}.items():
        monkeypatch.setenv(name, value)
    assert main(["doctor", "--json", "--send-test"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"]
    green = {check["name"] for check in said["checks"] if check["standing"] == "ok"}
    assert green >= {"python", "packages", "credentials CXONE", "scopes CXONE", "credentials GENESYS", "scopes GENESYS"}
    assert green >= {"ledger", "webhook", "receiver secrets"}
    assert {check["standing"] for check in said["checks"]} == {"ok", "skipped"}


def test_an_error_ends_with_1_and_says_how_to_mend_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CORDBOARD_LEDGER_URL", "mysql://host/ledger")
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "error    ledger " in shown
    assert "Correct CORDBOARD_LEDGER_URL." in shown


def test_a_time_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--timeout", "0"]) == 2
    assert "--timeout" in capsys.readouterr().err


def test_no_secret_is_shown(look: Examine, sandbox: RunningSandbox) -> None:
    """Not where a check quotes it, and not in the reply of a vendor that repeats it."""
    canaries = {
        "CXONE_CLIENT_SECRET": "canary-one",
        "GENESYS_CLIENT_SECRET": "canary-two",
        "CORDBOARD_WEBHOOK_SECRET": "canary-three",
        "CORDBOARD_COMPLETION_SECRETS": "canary-four canary-five",
        "CORDBOARD_CHECKPOINT_KEY": "canary-six",
        "CORDBOARD_WEBHOOK_URL": "http://me:canary-seven@127.0.0.1:9/",
        "CORDBOARD_LEDGER_URL": "postgresql://me:canary-eight@127.0.0.1:9/l",
        "PREFECT_API_AUTH_STRING": "me:canary-nine",
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
    }
    found = look({**sandbox.env(), **canaries})
    assert sum(check.standing is Standing.ERROR for check in found.values()) >= 6
    assert "canary" not in repr(found)
    assert "canary" not in as_text(list(found.values()))


async def _quotes(place: Surroundings) -> list[Check]:
    said = " ".join(place.environ.values())
    return [Check("quotes", Standing.ERROR, said, mend=said)]


def test_a_check_that_quotes_a_secret_is_masked(tmp_path: Path) -> None:
    environ = {
        "CXONE_CLIENT_SECRET": "canary-one",
        "PREFECT_API_AUTH_STRING": "me:canary-two",
        "CORDBOARD_COMPLETION_SECRETS": "canary-three canary-four",
        "CORDBOARD_LEDGER_URL": "postgresql://me:canary-five@db/ledger",
        "CORDBOARD_ERP_URL": "https://erp.example.com/take",
    }
    place = Surroundings(environ, Settings(home=tmp_path), time.time)
    (found,) = asyncio.run(examine(place, {"one": _quotes}))
    assert "canary" not in repr(found)
    assert "https://erp.example.com/take" in found.message


async def _hangs(_: Surroundings) -> list[Check]:
    await asyncio.Event().wait()
    return []


async def _breaks(_: Surroundings) -> list[Check]:
    raise RuntimeError("password=hunter2")


def test_a_probe_that_hangs_or_breaks_hides_nothing(tmp_path: Path) -> None:
    place = Surroundings({}, Settings(home=tmp_path), time.time, timeout_seconds=0.05)
    found = asyncio.run(examine(place, {"one": _hangs, "two": _breaks}))
    assert [(check.name, check.standing) for check in found] == [("one", Standing.ERROR), ("two", Standing.ERROR)]
    assert "RuntimeError" in found[1].message
    assert "hunter2" not in repr(found)
