"""What is wrong with a Prefect server as it comes, and what its answers mean."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cordboard.doctor import orchestrator
from cordboard.doctor.asking import Server, answers_at, client_environment, key_in_database
from cordboard.doctor.model import Check, Standing, Surroundings
from cordboard.settings import Settings
from tests.cordboard.doctor.conftest import Examine

API = "http://127.0.0.1:4200/api"
HARDENED: dict[str, Any] = {
    "server": {"concurrency": {"lease_storage": "prefect.server.concurrency.lease_storage.filesystem"}},
    "flows": {"heartbeat_frequency": 30},
    "results": {"default_serializer": "json"},
}
MEMORY = {"server": {"concurrency": {"lease_storage": "prefect.server.concurrency.lease_storage.memory"}}}
GOOD = Server(API, asks_who=True, lets_in=True, csrf=True, settings=HARDENED, workers=("here",), own_key=False)


@pytest.mark.prefect
def test_a_server_as_it_comes(look: Examine, prefect_server: str) -> None:
    """Every default that is not safe is named; the command would end with 1."""
    found = look({"PREFECT_API_URL": prefect_server})
    assert found["prefect"].standing is Standing.OK
    assert {name: check.standing for name, check in found.items() if check.mend and name.startswith("prefect")} == {
        "prefect sign-in": Standing.ERROR,
        "prefect cors": Standing.ERROR,
        "prefect csrf": Standing.WARNING,
        "prefect leases": Standing.WARNING,
        "prefect heartbeat": Standing.WARNING,
        "prefect results": Standing.WARNING,
        **{each: found[each].standing for each in ("prefect encryption", "prefect workers") if found[each].mend},
    }
    for name, mend in (
        ("sign-in", "PREFECT_SERVER_API_AUTH_STRING"),
        ("cors", "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"),
        ("csrf", "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED=true"),
        ("leases", "lease_storage.filesystem"),
        ("heartbeat", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY=30"),
        ("results", "PREFECT_RESULTS_DEFAULT_SERIALIZER=json"),
    ):
        assert mend in found[f"prefect {name}"].mend


def test_a_server_that_is_not_there(look: Examine) -> None:
    found = look({"PREFECT_API_URL": "http://127.0.0.1:9/api"})["prefect"]
    assert (found.standing, "make up" in found.mend) == (Standing.ERROR, True)


def test_prefect_cloud_is_not_asked(look: Examine) -> None:
    found = look({"PREFECT_API_URL": "https://api.prefect.cloud/api/accounts/a/workspaces/w"})
    assert {name for name in found if name.startswith("prefect")} == {"prefect"}
    assert found["prefect"].standing is Standing.SKIPPED


@pytest.fixture
def after_make_up(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    kept = "PREFECT_API_URL='http://127.0.0.1:9/api'\nPREFECT_API_AUTH_STRING='cordboard:theirs'\n"
    (tmp_path / "home" / "prefect.env").write_text(kept)


@pytest.mark.usefixtures("after_make_up")
def test_make_up_that_does_not_run_is_no_error(look: Examine) -> None:
    found = look()["prefect"]
    assert (found.standing, "http://127.0.0.1:9/api" in found.message) == (Standing.SKIPPED, True)


@pytest.mark.usefixtures("after_make_up")
def test_the_password_of_make_up_goes_to_no_other_server(tmp_path: Path) -> None:
    environ = {"PREFECT_API_URL": "https://prefect.example.com/api"}
    place = Surroundings(environ, Settings(home=tmp_path / "home"), lambda: 0.0)
    assert client_environment(place) == environ
    assert client_environment(replace(place, environ={}))["PREFECT_API_AUTH_STRING"] == "cordboard:theirs"


def judged(server: Server, ledger: str = "sqlite:////l.db") -> dict[str, Check]:
    checks = (
        orchestrator.judge_sign_in(server),
        orchestrator.judge_address(server),
        orchestrator.judge_cors(server),
        orchestrator.judge_csrf(server),
        orchestrator.judge_leases(server),
        orchestrator.judge_heartbeat("", server),
        orchestrator.judge_results("", server),
        orchestrator.judge_workers(server, ledger),
    )
    return {check.name.removeprefix("prefect "): check for check in checks}


def test_a_hardened_server_is_all_green() -> None:
    assert {check.standing for check in judged(GOOD).values()} == {Standing.OK}


@pytest.mark.parametrize(
    ("change", "name", "standing", "mend"),
    [
        ({"lets_in": False}, "sign-in", Standing.ERROR, "Set PREFECT_API_AUTH_STRING to the server's"),
        ({"answers_at": ("10.0.0.5",)}, "address", Standing.WARNING, "PREFECT_SERVER_API_HOST=127.0.0.1"),
        ({"answers_at": ("10.0.0.5",), "asks_who": False}, "address", Standing.ERROR, "PREFECT_SERVER_API_HOST"),
        ({"url": "http://prefect.example.com/api"}, "address", Standing.ERROR, "TLS"),
        ({"workers": ("one", "two")}, "workers", Standing.WARNING, "PostgreSQL"),
        ({"settings": MEMORY}, "leases", Standing.WARNING, "lease_storage.filesystem"),
        ({"settings": {"flows": {"heartbeat_frequency": 180}}}, "heartbeat", Standing.WARNING, "FREQUENCY=30"),
        ({"settings": {"results": {"default_serializer": "pickle"}}}, "results", Standing.WARNING, "SERIALIZER=json"),
        ({"cors": "*"}, "cors", Standing.ERROR, "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"),
        ({"csrf": False}, "csrf", Standing.WARNING, "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED=true"),
        ({"asks_who": False}, "sign-in", Standing.ERROR, "PREFECT_SERVER_API_AUTH_STRING"),
        ({"workers": ()}, "workers", Standing.WARNING, "prefect worker start"),
    ],
)
def test_one_thing_that_is_wrong(change: dict[str, Any], name: str, standing: Standing, mend: str) -> None:
    check = judged(replace(GOOD, **change))[name]
    assert (check.standing, mend in check.mend) == (standing, True)


def test_workers_on_postgresql_may_be_many() -> None:
    many = replace(GOOD, workers=("one", "two"), own_key=None)
    assert judged(many, "postgresql://db/ledger")["workers"].standing is Standing.OK


@pytest.mark.parametrize(("host", "seen"), [("0.0.0.0", True), ("127.0.0.1", False)])
def test_a_port_that_is_open_to_all_is_seen(look: Examine, host: str, seen: bool) -> None:
    """A listener on every address answers at 127.0.0.2 too, where one on loopback's own address does not."""
    with socket.create_server((host, 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        assert asyncio.run(answers_at(url, ("127.0.0.2",), 2.0)) == (("127.0.0.2",) if seen else ())


@pytest.mark.parametrize(
    ("own_key", "variables", "standing"),
    [
        (True, {"PREFECT_SERVER_ENCRYPTION_KEY": "k"}, Standing.ERROR),
        (False, {"PREFECT_SERVER_ENCRYPTION_KEY": "k"}, Standing.OK),
        (False, {}, Standing.WARNING),
        (None, {}, Standing.SKIPPED),
    ],
    ids=["kept in the database", "from outside", "not made yet", "elsewhere"],
)
def test_where_the_key_of_the_blocks_is(
    tmp_path: Path, own_key: bool | None, variables: dict[str, str], standing: Standing
) -> None:
    place = Surroundings(variables, Settings(home=tmp_path / "home"), lambda: 0.0)
    check = orchestrator.judge_key(replace(GOOD, own_key=own_key), place)
    assert check.standing is standing
    assert ("PREFECT_SERVER_ENCRYPTION_KEY" in check.mend) == (standing in {Standing.ERROR, Standing.WARNING})


@pytest.mark.parametrize("holds", [True, False])
def test_a_key_beside_what_it_encrypts(tmp_path: Path, holds: bool) -> None:
    with sqlite3.connect(tmp_path / "prefect.db") as database:
        database.execute("CREATE TABLE configuration (key VARCHAR, value JSON)")
        if holds:
            database.execute("INSERT INTO configuration VALUES ('ENCRYPTION_KEY', '{}')")
    assert key_in_database(tmp_path / "prefect.db") is holds
    assert key_in_database(tmp_path / "none.db") is None
