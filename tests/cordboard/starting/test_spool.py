"""What is sent is what was checked, also where others write at the same time, the disk is full or the power goes."""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.errors import BadCall, InvalidDocument
from cordboard.starting import spool as spool_module
from cordboard.starting.keeping import KEPT_SECONDS
from cordboard.starting.spool import Spool, spool_batch
from cordboard.triggers.model import Trigger
from tests.cordboard.starting.conftest import TRIGGER

NOW = time.time()


def rows_of(folder: Path, priorities: list[int]) -> Path:
    file = folder / "rows.jsonl"
    lines = (json.dumps({"id": f"A{n}", "customer": "C", "priority": p}) for n, p in enumerate(priorities))
    file.write_text("\n".join(lines) + "\n")
    return file


def kept(folder: Path, priorities: list[int], trigger: Trigger = TRIGGER) -> Spool:
    return spool_batch(trigger, rows_of(folder, priorities), folder, clock=lambda: NOW)


@given(st.lists(st.integers(1, 10), max_size=40))
def test_pieces_hold_every_start_once_the_most_urgent_first(priorities: list[int]) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool_module, "PIECE", 3)
        spool = kept(Path(name), priorities)
        found = [(start.body["priority"], start.line, start.key) for start in spool.starts()]
        assert found == sorted((p, n + 1, f"A{n}") for n, p in enumerate(priorities))
        assert [piece.count for piece in spool.pieces if piece.count > 3] == []
        assert (spool.total, len({piece.name for piece in spool.pieces})) == (len(priorities), len(spool.pieces))


def test_the_same_batch_has_the_same_place_and_another_one_another(tmp_path: Path) -> None:
    one, again = kept(tmp_path, [5, 1, 5]), kept(tmp_path, [5, 1, 5])
    assert (one.digest, one.pieces) == (again.digest, again.pieces)
    assert kept(tmp_path, [5, 1, 4]).digest != one.digest
    assert kept(tmp_path, [5, 1, 5], replace(TRIGGER, workflow_id="wf_other")).digest != one.digest
    assert [each for each in (tmp_path / "batches").iterdir() if each.name.startswith(".")] == []


def test_workers_that_check_the_same_batch_at_once_share_a_place(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, [5] * 200)
    with ThreadPoolExecutor(4) as pool:
        spools = list(pool.map(lambda _: spool_batch(TRIGGER, rows, tmp_path), range(8)))
    assert len({spool.pieces for spool in spools}) == 1
    assert [start.key for start in spools[0].starts()] == [f"A{n}" for n in range(200)]


def test_what_is_kept_is_for_its_owner_only(tmp_path: Path) -> None:
    (piece,) = kept(tmp_path, [5]).pieces
    assert stat.S_IMODE(piece.path.parent.stat().st_mode) == 0o700


def test_a_file_that_changes_after_the_check_changes_nothing(tmp_path: Path) -> None:
    spool = kept(tmp_path, [5, 5])
    rows_of(tmp_path, [1])
    assert [start.key for start in spool.starts()] == ["A0", "A1"]


def test_what_no_run_has_touched_for_a_week_goes_with_the_faulty_rows(tmp_path: Path) -> None:
    old = kept(tmp_path, [1]).pieces[0].path.parent
    faulty = tmp_path / "batches" / "faulty-rows.csv"
    faulty.write_text("_line,_reason\n")
    fresh = kept(tmp_path, [2]).pieces[0].path.parent
    for each in (old, faulty):
        os.utime(each, (0, NOW - KEPT_SECONDS - 1))
    os.utime(fresh, (0, NOW - KEPT_SECONDS + 1))
    kept(tmp_path, [3])
    assert (old.exists(), faulty.exists(), fresh.exists()) == (False, False, True)


def test_a_batch_that_is_run_again_stays(tmp_path: Path) -> None:
    place = kept(tmp_path, [1]).pieces[0].path.parent
    os.utime(place, (0, NOW - KEPT_SECONDS + 1))
    kept(tmp_path, [1])
    spool_batch(TRIGGER, rows_of(tmp_path, [2]), tmp_path, clock=lambda: NOW + 9)
    assert place.exists()


@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_a_place_that_was_cut_off_or_half_deleted_is_made_anew(tmp_path: Path, damage: str) -> None:
    first, second = kept(tmp_path, [1, 2]).pieces
    if damage == "cut":
        first.path.write_bytes(b"")  # as after a power cut
    else:
        second.path.unlink()  # as where whoever deleted it was killed
    again = kept(tmp_path, [1, 2])
    assert [start.key for start in again.starts()] == ["A0", "A1"]


def test_rows_that_do_not_fit_are_kept_for_each_batch_apart(tmp_path: Path) -> None:
    """Two files of one name, such as one for each region: neither takes the other's faulty rows away."""
    kept_there = []
    for region in ("north", "south"):
        (tmp_path / region).mkdir()
        file = rows_of(tmp_path / region, [5, 99])
        file.write_text(file.read_text().replace("A", region))
        kept_there.append(spool_batch(TRIGGER, file, tmp_path, keep_faulty=True).faulty)
    north, south = kept_there
    assert north and south and "north1" in north.read_text() and "south1" in south.read_text()
    assert (north.name.endswith("-rows.jsonl"), stat.S_IMODE(north.stat().st_mode)) == (True, 0o600)
    north.write_text(north.read_text().replace("99", "5"))  # mended, and given itself
    again = spool_batch(TRIGGER, north, tmp_path, keep_faulty=True)
    assert ([start.key for start in again.starts()], again.faulty, north.exists()) == (["north1"], None, True)
    assert [each.name for each in (tmp_path / "batches").iterdir() if each.name.startswith(".")] == []


def test_rows_that_somebody_deleted_are_told_of(tmp_path: Path) -> None:
    (piece,) = kept(tmp_path, [1]).pieces
    piece.path.unlink()
    with pytest.raises(BadCall, match=r"the checked rows are gone.*give the command again"):
        list(piece.read())


def test_a_full_disk_is_told_of_and_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(spool_module._File, "add", full)
    with pytest.raises(BadCall, match=r"checked rows cannot be kept in .*batches: No space left on device; free some"):
        spool_batch(TRIGGER, rows_of(tmp_path, [1]), tmp_path, keep_faulty=True)
    assert list((tmp_path / "batches").iterdir()) == []


def test_a_place_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "batches").write_text("a file where a folder should be")
    with pytest.raises(BadCall, match=r"checked rows cannot be kept in .*: File exists"):
        kept(tmp_path, [1])


@pytest.mark.parametrize(
    "key",
    ["=cmd|' /C calc'!A0", "ключ-№1", "a/b/../c", "x" * 200, "\U0001f600" * 200, "two\nlines", "'quoted'"],
)
def test_any_key_of_up_to_200_characters_can_be_kept(tmp_path: Path, key: str) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"id": key, "customer": "C", "priority": 5}) + "\n")
    (start,) = spool_batch(TRIGGER, file, tmp_path).starts()
    assert start.key == key


def test_a_batch_without_rows_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    """Its values would all be missing: a start without them is nobody's appointment."""
    with pytest.raises(InvalidDocument, match="its templates name `row`, and no rows were given"):
        spool_batch(TRIGGER, None, tmp_path)
    assert not (tmp_path / "batches").exists()
