"""What makes the server of `make up` safe: who may use it, where its secrets are, and how dead runs are noticed."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dotenv import dotenv_values

from cordboard.errors import BadCall
from cordboard.files import whole_file

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.events.schemas.automations import AutomationCore

HEARTBEAT_SECONDS = 30  # the least that Prefect takes
SILENT_SECONDS = 3 * HEARTBEAT_SECONDS
ZOMBIES = "mark runs that fell silent as crashed"


def hardened(environ: Mapping[str, str], home: Path, prefect_home: Path, port: int) -> dict[str, str]:
    """The variables of server, worker and clients; what the environment states already stays.

    Makes password and key the first time and keeps both in `home`, readable by their owner only: `prefect.env`, which
    a shell can load to reach the server, and `prefect.key`, which encrypts the blocks in the server's database.

    Args:
        environ: of this process.
        home: folder of everything that runs write.
        prefect_home: folder of the server's database.
        port: of the server.

    Raises:
        BadCall: the password cannot stand in a file that shells load.
    """
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    if prefect_home.is_relative_to(home):
        for each in prefect_home.glob("prefect.db*"):  # as an earlier version may have left it
            each.chmod(0o600)
    url = f"http://127.0.0.1:{port}/api"
    sign_in = _sign_in(environ, home)
    _keep(home / "prefect.env", f"PREFECT_API_URL='{url}'\nPREFECT_API_AUTH_STRING='{sign_in}'\n")
    key = environ.get("PREFECT_SERVER_ENCRYPTION_KEY") or _key(environ, home, prefect_home)
    stated = {
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": f"http://127.0.0.1:{port},http://localhost:{port}",
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    }
    return {
        **{name: environ.get(name) or value for name, value in stated.items()},
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_AUTH_STRING": sign_in,
        "PREFECT_API_AUTH_STRING": sign_in,
        **({"PREFECT_SERVER_ENCRYPTION_KEY": key} if key else {}),
    }


def _sign_in(environ: Mapping[str, str], home: Path) -> str:
    kept = dotenv_values(home / "prefect.env", interpolate=False).get("PREFECT_API_AUTH_STRING")
    stated = environ.get("PREFECT_SERVER_API_AUTH_STRING") or environ.get("PREFECT_API_AUTH_STRING")
    if stated and set(stated) & set("'\\\r\n"):
        raise BadCall(
            "PREFECT_API_AUTH_STRING holds a ', a \\ or a line break, which no shell could load again: change it"
        )
    return stated or kept or f"cordboard:{secrets.token_urlsafe(24)}"


def _key(environ: Mapping[str, str], home: Path, prefect_home: Path) -> str:
    """The kept key; else the one that an older database holds, taken out of it; else a new one.

    A database elsewhere may hold a key that cannot be seen from here, and another one would make its blocks
    unreadable: it gets none, and `cordboard doctor` says so.
    """
    file = home / "prefect.key"
    if file.exists():
        return file.read_text(encoding="ascii").strip()
    if environ.get("PREFECT_SERVER_DATABASE_CONNECTION_URL"):
        return ""
    database = prefect_home / "prefect.db"
    held = _held_by(database)
    key = held or base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()  # as Fernet wants it
    _keep(file, f"{key}\n")
    if held:
        _take_out_of(database)
    return key


def _held_by(database: Path) -> str:
    if not database.is_file():
        return ""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        try:
            found = connection.execute("SELECT value FROM configuration WHERE key = 'ENCRYPTION_KEY'").fetchone()
        except sqlite3.OperationalError:  # a server that never got as far as its tables
            return ""
    return str(json.loads(found[0])["fernet_key"]) if found else ""


def _take_out_of(database: Path) -> None:
    """Deletes the key; what the file still holds of it in free pages is overwritten."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        with connection:
            connection.execute("DELETE FROM configuration WHERE key = 'ENCRYPTION_KEY'")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _keep(file: Path, text: str) -> None:
    """Writes a file that only its owner may read, all of it or nothing."""
    with whole_file(file) as output:
        output.write(text.encode())


async def watch_for_zombies(client: PrefectClient) -> None:
    """Creates the automation that marks silent runs as crashed; again changes nothing."""
    if not await client.read_automations_by_name(ZOMBIES):
        await client.create_automation(zombies())


def zombies() -> AutomationCore:
    """A run whose heartbeat is followed by nothing for a while is dead: its process cannot say so itself."""
    from prefect.client.schemas.objects import StateType  # noqa: PLC0415  Prefect reads its settings at import
    from prefect.events.actions import ChangeFlowRunState  # noqa: PLC0415
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture  # noqa: PLC0415
    from prefect.events.schemas.events import ResourceSpecification  # noqa: PLC0415

    return AutomationCore(
        name=ZOMBIES,
        description=f"No sign of life for {SILENT_SECONDS} seconds. A run that has ended meanwhile stays as it ended.",
        trigger=EventTrigger(
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            match=ResourceSpecification({"prefect.resource.id": "prefect.flow-run.*"}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENT_SECONDS),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, message=f"No sign of life for {SILENT_SECONDS} seconds: its process is gone."
            )
        ],
    )
