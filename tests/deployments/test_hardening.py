"""What `make up` makes for its server: password and key once, both for their owner alone, and a watch for dead runs."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from dotenv import dotenv_values

from cordboard.errors import BadCall
from deployments.hardening import ZOMBIES, hardened, watch_for_zombies


def made(home: Path, **environ: str) -> dict[str, str]:
    return hardened(environ, home, home / "prefect", 4200)


def test_every_setting_is_one_that_prefect_knows(tmp_path: Path) -> None:
    """A misspelt one would be ignored without a word; the key is no setting, but read from the environment."""
    from prefect.settings import get_current_settings

    known = set(get_current_settings().to_environment_variables(include_aliases=True))
    known |= {"PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"}  # no defaults, so not listed
    assert set(made(tmp_path / "home")) - known == {"PREFECT_SERVER_ENCRYPTION_KEY"}


def test_password_and_key_are_made_once_for_their_owner(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = made(home)
    assert made(home) == first
    assert {path.name: path.stat().st_mode & 0o777 for path in home.iterdir()} == {
        "prefect.env": 0o600,
        "prefect.key": 0o600,
    }
    assert home.stat().st_mode & 0o777 == 0o700
    assert dotenv_values(home / "prefect.env") == {
        "PREFECT_API_URL": "http://127.0.0.1:4200/api",
        "PREFECT_API_AUTH_STRING": first["PREFECT_API_AUTH_STRING"],
    }
    assert made(tmp_path / "other")["PREFECT_API_AUTH_STRING"] != first["PREFECT_API_AUTH_STRING"]
    Fernet(first["PREFECT_SERVER_ENCRYPTION_KEY"])  # raises where Prefect could not use it


def test_what_the_environment_states_stays(tmp_path: Path) -> None:
    stated = {
        "PREFECT_SERVER_API_AUTH_STRING": "me:mine",
        "PREFECT_SERVER_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    }
    found = made(tmp_path / "home", **stated)
    assert found["PREFECT_API_AUTH_STRING"] == "me:mine"
    assert found["PREFECT_SERVER_ENCRYPTION_KEY"] == stated["PREFECT_SERVER_ENCRYPTION_KEY"]
    assert not (tmp_path / "home" / "prefect.key").exists()


@pytest.mark.parametrize("password", ["me:it's", "me:a\nid", "me:\\"])
def test_a_password_that_a_shell_would_run_or_read_wrong_is_refused(password: str, tmp_path: Path) -> None:
    with pytest.raises(BadCall, match="which no shell could load again") as refused:
        made(tmp_path / "home", PREFECT_API_AUTH_STRING=password)
    assert password not in str(refused.value)


def test_the_key_of_an_older_database_is_taken_out_of_it(tmp_path: Path) -> None:
    """So blocks that were saved before stay readable, and a copy of the database holds no key any more."""
    key = Fernet.generate_key().decode()
    database = tmp_path / "home" / "prefect" / "prefect.db"
    database.parent.mkdir(parents=True)
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE configuration (key VARCHAR, value JSON)")
        connection.execute("INSERT INTO configuration VALUES ('ENCRYPTION_KEY', ?)", [json.dumps({"fernet_key": key})])
    assert made(tmp_path / "home")["PREFECT_SERVER_ENCRYPTION_KEY"] == key
    assert key.encode() not in database.read_bytes()
    assert database.stat().st_mode & 0o777 == 0o600
    assert made(tmp_path / "home")["PREFECT_SERVER_ENCRYPTION_KEY"] == key


def test_a_database_elsewhere_is_given_no_new_key(tmp_path: Path) -> None:
    """It may hold one already, and its blocks would not be readable with another."""
    elsewhere = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql+asyncpg://db/prefect"}
    assert "PREFECT_SERVER_ENCRYPTION_KEY" not in made(tmp_path / "home", **elsewhere)


@pytest.mark.prefect
def test_the_watch_for_dead_runs_is_created_once(prefect_server: str) -> None:
    from prefect.client.orchestration import get_client

    async def twice() -> int:
        async with get_client() as client:
            await watch_for_zombies(client)
            await watch_for_zombies(client)
            automations = await client.read_automations_by_name(ZOMBIES)
            for each in automations:
                await client.delete_automation(each.id)
        return len(automations)

    assert asyncio.run(twice()) == 1
