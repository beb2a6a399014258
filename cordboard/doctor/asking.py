"""What a Prefect API answers, as values to judge. Only its HTTP interface is used; Prefect is not imported."""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
from dotenv import dotenv_values

from cordboard.doctor.model import Surroundings

STRANGER = "https://stranger.invalid"
_ASK = {"Origin": STRANGER, "Access-Control-Request-Method": "POST"}


@dataclass(frozen=True, slots=True)
class Server:
    """What a Prefect server said.

    Attributes:
        url: of its API.
        trouble: why it cannot be asked; empty where it answers.
        asks_who: whether it refuses who does not sign in.
        lets_in: whether it takes our own way to sign in.
        cors: the origin that a stranger's page is allowed as; empty where it is not.
        csrf: whether it hands out tokens against forged requests.
        settings: its own settings, secrets masked; empty where it does not tell.
        workers: names of the workers that are online.
        answers_at: addresses, beside its own, at which its port answers.
        own_key: whether its database holds the key that encrypts its blocks; None where that cannot be seen.
    """

    url: str
    trouble: str = ""
    asks_who: bool = False
    lets_in: bool = False
    cors: str = ""
    csrf: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    workers: tuple[str, ...] = ()
    answers_at: tuple[str, ...] = ()
    own_key: bool | None = None

    def setting(self, *path: str) -> Any:
        """One of its settings, by its path; None where it does not tell."""
        value: Any = self.settings
        for name in path:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value


def client_environment(place: Surroundings) -> dict[str, str]:
    """The environment; where it names no server, with what `make up` left in the home for clients of its own.

    Its password goes to its own server only: where the environment names a server, nothing is added.
    """
    if place.environ.get("PREFECT_API_URL") or not place.home.is_dir():
        kept = {}
    else:
        kept = {
            name: value for name, value in dotenv_values(place.home / "prefect.env", interpolate=False).items() if value
        }
    return {**kept, **{name: value for name, value in place.environ.items() if value}}


async def ask(place: Surroundings) -> Server | None:
    """Asks the server of `PREFECT_API_URL`; None where there is none."""
    environ = client_environment(place)
    url = environ.get("PREFECT_API_URL", "").rstrip("/")
    if not url:
        return None
    sign_in = environ.get("PREFECT_API_AUTH_STRING", "")
    place.redactor.learn(sign_in, sign_in.partition(":")[2], base64.b64encode(sign_in.encode()).decode())
    try:
        async with httpx.AsyncClient(timeout=place.timeout_seconds, trust_env=False) as http:
            (await http.get(f"{url}/health")).raise_for_status()
            return await _asked(http, url, sign_in, place)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as fault:
        return Server(url, f"it does not answer ({type(fault).__name__})")


async def _asked(http: httpx.AsyncClient, url: str, sign_in: str, place: Surroundings) -> Server:
    signed = {"Authorization": f"Basic {base64.b64encode(sign_in.encode()).decode()}"} if sign_in else {}
    stranger, ours, preflight, token, reached = await asyncio.gather(
        http.get(f"{url}/admin/version"),
        http.get(f"{url}/admin/settings", headers=signed),
        http.options(f"{url}/flows/count", headers=_ASK),
        http.get(f"{url}/csrf-token", params={"client": "cordboard-doctor"}, headers=signed),
        answers_at(url, place.addresses, place.timeout_seconds),
    )
    lets_in = ours.status_code == 200
    settings = ours.json() if lets_in else {}
    if token.status_code == 200:
        signed |= {"Prefect-Csrf-Token": token.json()["token"], "Prefect-Csrf-Client": "cordboard-doctor"}
    return Server(
        url,
        asks_who=stranger.status_code == 401,
        lets_in=lets_in,
        cors=preflight.headers.get("access-control-allow-origin", ""),
        csrf=token.status_code == 200,
        settings=settings,
        workers=await _workers(http, url, signed) if lets_in else (),
        answers_at=reached,
        own_key=key_in_database(Path(str(settings.get("home") or "")) / "prefect.db") if lets_in else None,
    )


async def _workers(http: httpx.AsyncClient, url: str, signed: Mapping[str, str]) -> tuple[str, ...]:
    async def found(path: str) -> list[dict[str, Any]]:
        reply = await http.post(f"{url}/work_pools/{path}", json={}, headers=signed)
        rows: list[dict[str, Any]] = reply.raise_for_status().json()
        return rows

    pools = await found("filter")
    online = await asyncio.gather(*(found(f"{quote(pool['name'], safe='')}/workers/filter") for pool in pools))
    return tuple(str(each["name"]) for workers in online for each in workers if each["status"] == "ONLINE")


async def answers_at(url: str, addresses: Sequence[str], seconds: float) -> tuple[str, ...]:
    """Where the port answers beside loopback: a server on this machine that listens on every address."""
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        return ()
    port = parts.port or 80
    answers = await asyncio.gather(*(_connects(each, port, seconds) for each in addresses))
    return tuple(address for address, yes in zip(addresses, answers, strict=True) if yes)


async def _connects(address: str, port: int, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(address, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def key_in_database(file: Path) -> bool | None:
    """Whether a server's SQLite database holds the key of its own blocks; None where there is no such file here."""
    if not file.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=1)) as database:
            return bool(database.execute("SELECT 1 FROM configuration WHERE key = 'ENCRYPTION_KEY'").fetchone())
    except sqlite3.Error:
        return None
