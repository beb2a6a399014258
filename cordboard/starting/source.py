"""Where the rows of a batch come from: a file here, or one behind an address, often one of the day."""

from __future__ import annotations

import asyncio
import time
from datetime import date
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit

import httpx

from cordboard.errors import BadCall, Theirs
from cordboard.files import whole_file
from cordboard.jsontext import digest
from cordboard.starting.keeping import prune
from cordboard.starting.spool import check_is_single
from cordboard.triggers.checking import open_batch
from cordboard.triggers.model import Trigger
from cordboard.vendors.urls import vendor_url

MAX_BYTES = 4 * 1024**3
DOWNLOAD_SECONDS = 600.0


async def rows_file(place: str, home: Path, today: date, transport: httpx.AsyncBaseTransport | None = None) -> Path:
    """The file of a batch; what is behind an address is fetched first.

    Args:
        place: a path, or an https address; `{today}` in it is the date.
        home: folder under which a fetched file is kept, for a week.
        today: in ISO form, such as 2026-11-21.
        transport: in place of the network, for tests.

    Raises:
        BadCall: the address is not fit, or names no CSV or JSONL file, or what it holds cannot be written.
        Theirs: it cannot be fetched.
    """
    place = place.replace("{today}", today.isoformat())
    if "://" not in place:
        return Path(place)
    url = _address(place)
    # Files of one name at two addresses, such as one for each region, are two.
    file = home / "incoming" / digest(url)[:16] / PurePosixPath(urlsplit(url).path).name
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        prune(file.parent.parent, time.time())
        file.parent.mkdir(mode=0o700, exist_ok=True)
        async with asyncio.timeout(DOWNLOAD_SECONDS):
            with whole_file(file) as out:
                await _fetch(url, out, transport)
    except (httpx.HTTPError, TimeoutError) as error:
        raise Theirs(f"the rows cannot be fetched: {type(error).__name__}") from None
    except OSError as error:
        raise BadCall(f"the rows cannot be kept in {file.parent}: {error.strerror}") from None
    return file


def check_source(trigger: Trigger, place: str, today: date) -> None:
    """Says at once what is wrong with where the rows come from; no row is read, and nothing is fetched.

    Args:
        trigger: says how to start the workflow.
        place: as for `rows_file`; empty where there are no rows.
        today: as for `rows_file`.

    Raises:
        InvalidDocument: the trigger needs rows and gets none, or the reverse, or the file cannot be read.
        BadCall: the place names no CSV or JSONL file, or the address is not fit.
    """
    place = place.replace("{today}", today.isoformat())
    if not place:
        check_is_single(trigger)
    elif "://" in place:
        _address(place)
    else:
        with open_batch(trigger, Path(place)):
            pass


def _address(place: str) -> str:
    url = vendor_url(place, "address of the rows")
    if not urlsplit(url).path.endswith((".csv", ".jsonl")):
        raise BadCall("the address of the rows must end in .csv or .jsonl")
    return url


async def _fetch(url: str, out: BinaryIO, transport: httpx.AsyncBaseTransport | None) -> None:
    size = 0
    client = httpx.AsyncClient(transport=transport, follow_redirects=False, trust_env=False, timeout=30)
    async with client, client.stream("GET", url) as reply:
        if reply.status_code != 200:
            raise Theirs(f"the rows cannot be fetched: HTTP {reply.status_code}")
        async for some in reply.aiter_bytes():
            size += len(some)
            if size > MAX_BYTES:
                raise Theirs(f"the rows cannot be fetched: more than {MAX_BYTES} bytes")
            out.write(some)
