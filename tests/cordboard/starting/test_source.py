"""Rows behind an address: fetched whole, over https, from nowhere else, and never mixed up with others."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from cordboard.errors import BadCall, CordboardError, Ours, Theirs
from cordboard.starting import source
from cordboard.starting.keeping import KEPT_SECONDS
from tests.cordboard.starting.conftest import TRIGGER

TODAY = date(2026, 11, 21)
SECRET = "s3cr3t-in-the-address"


def fetch(home: Path, place: str, answer: Callable[[httpx.Request], httpx.Response] | None = None) -> Path:
    transport = httpx.MockTransport(answer or (lambda request: httpx.Response(200, text=f"of {request.url.path}\n")))
    return asyncio.run(source.rows_file(place, home, TODAY, transport))


def left(home: Path) -> list[str]:
    return [each.name for each in home.rglob("*") if each.is_file()]


def test_a_path_is_taken_as_it_is_but_for_the_date(tmp_path: Path) -> None:
    assert fetch(tmp_path, "in/rows-{today}.csv") == Path("in/rows-2026-11-21.csv")
    assert left(tmp_path) == []


def test_what_is_behind_an_address_is_kept_for_its_owner(tmp_path: Path) -> None:
    file = fetch(tmp_path, "https://files.example.org/day/{today}.csv")
    assert (file.name, file.read_text()) == ("2026-11-21.csv", "of /day/2026-11-21.csv\n")
    assert file.stat().st_mode & 0o777 == 0o600
    assert left(tmp_path) == [file.name]


def test_files_of_one_name_at_two_addresses_are_two(tmp_path: Path) -> None:
    east, west = (fetch(tmp_path, f"https://files.example.org/{each}/rows.csv") for each in ("east", "west"))
    assert (east.read_text(), west.read_text()) == ("of /east/rows.csv\n", "of /west/rows.csv\n")


def test_workers_may_fetch_the_same_file_at_once(tmp_path: Path) -> None:
    async def main() -> list[Path]:
        together = asyncio.Barrier(5)

        async def slowly(request: httpx.Request) -> httpx.Response:
            await together.wait()
            return httpx.Response(200, text="id\n1\n")

        transport = httpx.MockTransport(slowly)
        asked = (source.rows_file("https://f.example.org/a.csv", tmp_path, TODAY, transport) for _ in range(5))
        return list(await asyncio.gather(*asked))

    assert {file.read_text() for file in asyncio.run(main())} == {"id\n1\n"}
    assert left(tmp_path) == ["a.csv"]


@pytest.mark.parametrize(
    "place",
    [
        f"https://user:{SECRET}@files.example.org/rows.csv",
        f"https://files.example.org/rows.csv?sig={SECRET}",
        f"https://files.example.org/rows.csv#{SECRET}",
        f"http://files.example.org/{SECRET}/rows.csv",
        f"file:///etc/{SECRET}.csv",
        f"https://files.example.org/{SECRET}/rows.xlsx",
        f"https:///{SECRET}.csv",
    ],
)
def test_an_address_that_is_not_fit_is_refused_and_not_repeated(tmp_path: Path, place: str) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError("it was asked for")

    with pytest.raises(BadCall) as caught:
        fetch(tmp_path, place, never)
    assert SECRET not in str(caught.value)
    assert left(tmp_path) == []


def _cut(request: httpx.Request) -> httpx.Response:
    raise httpx.RemoteProtocolError(f"peer closed {request.url}")


def _slow(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadTimeout(f"{request.url}")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: httpx.Response(404), "HTTP 404"),
        (lambda _: httpx.Response(302, headers={"location": "https://elsewhere.example.org/x.csv"}), "HTTP 302"),
        (lambda _: httpx.Response(206, text="id\n"), "HTTP 206"),
        (_cut, "RemoteProtocolError"),
        (_slow, "ReadTimeout"),
        (lambda _: httpx.Response(200, content=b"no gzip", headers={"content-encoding": "gzip"}), "DecodingError"),
        (lambda _: httpx.Response(200, text="x" * 11), "more than 10 bytes"),
    ],
)
def test_what_cannot_be_fetched_whole_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, said: str
) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 10)
    with pytest.raises(Theirs, match=said) as caught:
        fetch(tmp_path, f"https://files.example.org/{SECRET}/rows.csv", answer)
    assert SECRET not in str(caught.value)
    assert left(tmp_path) == []


def test_a_failed_fetch_leaves_what_was_fetched_before(tmp_path: Path) -> None:
    file = fetch(tmp_path, "https://files.example.org/rows.csv")
    with pytest.raises(CordboardError):
        fetch(tmp_path, "https://files.example.org/rows.csv", lambda _: httpx.Response(500))
    assert file.read_text() == "of /rows.csv\n"


def test_what_was_fetched_goes_after_a_week(tmp_path: Path) -> None:
    old = fetch(tmp_path, "https://files.example.org/rows-1.csv")
    before = time.time() - KEPT_SECONDS - 1
    os.utime(old.parent, (before, before))
    fetch(tmp_path, "https://files.example.org/rows-2.csv")
    assert left(tmp_path) == ["rows-2.csv"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none-{today}.csv", "none-2026-11-21.csv.*cannot be read"),
        ("rows.xlsx", "ends in .csv or .jsonl"),
        ("other.csv", "no column `id`"),
        ("", "no rows were given"),
        ("http://elsewhere.example.org/rows.csv", "must start with https"),
        ("https://files.example.org/rows.xlsx", "must end in .csv"),
    ],
)
def test_what_is_wrong_with_the_place_is_told_before_a_row_is_read(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "other.csv").write_text("customer,priority\nC,5\n")
    place = name if not name or "://" in name else str(tmp_path / name)
    with pytest.raises(Ours, match=said):
        source.check_source(TRIGGER, place, TODAY)


def test_a_place_that_can_be_read_is_not_read_further(tmp_path: Path) -> None:
    (tmp_path / "rows-2026-11-21.csv").write_text('id,customer,priority\n"never closed')
    source.check_source(TRIGGER, str(tmp_path / "rows-{today}.csv"), TODAY)


def test_a_place_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "incoming").write_text("a file where a folder should be")
    with pytest.raises(BadCall, match="the rows cannot be kept in "):
        fetch(tmp_path, "https://files.example.org/rows.csv")
