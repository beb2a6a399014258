"""Where the rows of a batch come from: a file here, or one behind an address, often one of the day."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import httpx

from cordboard.errors import BadCall, Theirs
from cordboard.vendors.urls import vendor_url

MAX_BYTES = 4 * 1024**3
DOWNLOAD_SECONDS = 600.0


async def rows_file(place: str, home: Path, today: date, transport: httpx.AsyncBaseTransport | None = None) -> Path:
    """The file of a batch; what is behind an address is fetched first.

    Args:
        place: a path, or an https address; `{today}` in it is the date.
        home: folder under which a fetched file is kept.
        today: in ISO form, such as 2026-11-21.
        transport: in place of the network, for tests.

    Raises:
        BadCall: the address is not fit, or names no CSV or JSONL file.
        Theirs: it cannot be fetched.
    """
    place = place.replace("{today}", today.isoformat())
    if "://" not in place:
        return Path(place)
    url = vendor_url(place, "address of the rows")
    name = PurePosixPath(urlsplit(url).path).name
    if not name.endswith((".csv", ".jsonl")):
        raise BadCall("the address of the rows must end in .csv or .jsonl")
    folder = home / "incoming"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / name
    try:
        async with asyncio.timeout(DOWNLOAD_SECONDS):
            await _fetch(url, file, transport)
    except (httpx.HTTPError, TimeoutError) as error:
        raise Theirs(f"the rows cannot be fetched: {type(error).__name__}") from None
    return file


async def _fetch(url: str, file: Path, transport: httpx.AsyncBaseTransport | None) -> None:
    partial, size = file.with_name(f".{file.name}.partial"), 0
    client = httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False, timeout=30)
    async with client, client.stream("GET", url) as reply:
        if reply.status_code != 200:
            raise Theirs(f"the rows cannot be fetched: HTTP {reply.status_code}")
        with partial.open("wb") as out:
            partial.chmod(0o600)
            async for some in reply.aiter_bytes():
                size += len(some)
                if size > MAX_BYTES:
                    raise Theirs(f"the rows cannot be fetched: more than {MAX_BYTES} bytes")
                out.write(some)
    partial.replace(file)
