"""Signed checkpoints: what a line says, who may have written it, and what becomes of the file when things go wrong."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.cli import main
from cordboard.errors import BadCall
from cordboard.records import checkpoints
from cordboard.records.audit import AuditReport, verify
from cordboard.records.checkpointing import ChainDiffers, checkpoint
from cordboard.records.checkpoints import Checkpoint, CheckpointFile, CheckpointsUnavailable, keys_of
from cordboard.records.ledger import Ledger
from cordboard.settings import Settings
from tests.cordboard.records import independent

KEY, OLD_KEY = b"k" * 32, b"o" * 32
SAID = Checkpoint(1, "a" * 64, 7, "b" * 64, "2026-01-01T00:00:00.000000+00:00")
APPEND = """
import sys
from pathlib import Path
from cordboard.records.checkpoints import Checkpoint, CheckpointFile
keep = CheckpointFile(Path(sys.argv[1]), (b"k" * 32,))
for seq in range(int(sys.argv[2]), 200, 2):
    keep.add(Checkpoint(1, "a" * 64, seq, "b" * 64, "2026"))
"""


@pytest.fixture
def keep(tmp_path: Path) -> CheckpointFile:
    return CheckpointFile(tmp_path / "apart", (KEY,))


def text_of(*keys: bytes) -> str:
    return ",".join(base64.b64encode(key).decode() for key in keys)


async def record(ledger: Ledger, many: int, run_key: str = "r1") -> None:
    """Claims a run, writes so many notes and gives the run back: two records more than that."""
    async with await ledger.claim_run("acme", run_key) as run:
        await asyncio.gather(*(run.record("note", f"n{number}", {}) for number in range(many)))


def grown(url: str, keep: CheckpointFile, many: int = 8, times: int = 1, now: float = 1.8e9) -> list[Checkpoint | None]:
    """Writes records, makes a checkpoint, and so on."""

    async def run_it() -> list[Checkpoint | None]:
        async with await Ledger.open(url, clock=lambda: now) as ledger:
            made = []
            for _ in range(times):
                await record(ledger, many)
                made.append(await checkpoint(ledger, keep))
            return made

    return asyncio.run(run_it())


def verified(url: str, keep: CheckpointFile) -> AuditReport:
    async def run_it() -> AuditReport:
        async with await Ledger.open(url) as ledger:
            return await verify(ledger, keep)

    return asyncio.run(run_it())


def change(url: str, *statements: str) -> None:
    async def run_it() -> None:
        async with await Ledger.open(url) as ledger:
            for each in statements:
                await ledger.write(lambda connection, _, each=each: connection.exec_driver_sql(each))

    asyncio.run(run_it())


def lines_of(keep: CheckpointFile) -> list[checkpoints.Line]:
    return list(keep.lines(keep.size() or 0))


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["x", "c2hvcnQ=", f"#{text_of(KEY)}", f"{text_of(KEY)},ä", f"{text_of(KEY)},{text_of(b'k' * 31)}"]
)
def test_a_key_that_is_none_is_refused_with_how_to_make_one_and_is_not_repeated(text: str) -> None:
    with pytest.raises(BadCall, match=r"CORDBOARD_CHECKPOINT_KEY .* `openssl rand -base64 32`") as caught:
        keys_of(text)
    assert not any(word in str(caught.value) for word in text.split(",") if len(word) > 1)


def test_keys_come_from_the_settings_and_show_in_no_repr(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, checkpoint_key=f"{text_of(KEY)} , {text_of(OLD_KEY)}")
    keep = CheckpointFile.of(settings)
    assert keep
    assert keep.path == tmp_path / "checkpoints" / "checkpoints.jsonl"
    assert CheckpointFile.of(replace(settings, checkpoint_dir="/far")).path.parent == Path("/far")  # type: ignore[union-attr]
    assert text_of(KEY) not in repr(settings) + repr(keep)
    assert CheckpointFile.of(Settings()) is None
    with pytest.raises(BadCall, match="CORDBOARD_CHECKPOINT_KEY is not set"):
        CheckpointFile(tmp_path, ())


def test_an_old_key_still_checks_and_the_new_one_signs(sqlite_url: str, keep: CheckpointFile) -> None:
    """Rotation: put the new key before the old one; take the old one away when its checkpoints are put away."""
    grown(sqlite_url, CheckpointFile(keep.path.parent, (OLD_KEY,)))
    both = CheckpointFile(keep.path.parent, (KEY, OLD_KEY))
    grown(sqlite_url, both)
    assert verified(sqlite_url, both).ok
    fault = verified(sqlite_url, keep).checkpoints
    assert fault
    assert (fault.faults, fault.first_fault and fault.first_fault.line) == (1, 1)


# --- the file ---------------------------------------------------------------------------------------------------------


def test_a_line_says_what_it_vouches_for_and_is_nobody_elses_to_read(keep: CheckpointFile) -> None:
    assert keep.size() is None
    assert keep.last() is None
    assert keep.add(SAID)
    said = json.loads(keep.path.read_text())
    assert {name: said[name] for name in Checkpoint.__slots__} == {
        "version": 1, "ledger": "a" * 64, "seq": 7, "hash": "b" * 64, "at": SAID.at,
    }  # fmt: skip
    assert stat.S_IMODE(keep.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(keep.path.parent.stat().st_mode) == 0o700
    assert keep.last() == SAID


def test_numbers_only_rise(keep: CheckpointFile) -> None:
    assert keep.add(SAID)
    assert not keep.add(SAID)
    assert not keep.add(replace(SAID, seq=6))
    assert keep.add(replace(SAID, seq=8))
    assert [line.checkpoint and line.checkpoint.seq for line in lines_of(keep)] == [7, 8]


def test_two_processes_append_at_once(keep: CheckpointFile) -> None:
    """Whole lines, in rising order, none doubled."""
    command = [sys.executable, "-c", APPEND, str(keep.path.parent)]
    writers = [subprocess.Popen([*command, str(first)]) for first in (1, 2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    seqs = [line.checkpoint.seq if line.checkpoint else -1 for line in lines_of(keep)]
    assert seqs == sorted(set(seqs))
    assert seqs[-1] == 199
    assert min(seqs) > 0


def test_a_writer_waits_for_the_one_before_it(keep: CheckpointFile) -> None:
    """It looks at the last line only when that can change no more."""
    keep.add(SAID)
    added: list[bool] = []
    with keep.path.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        waiting = threading.Thread(target=lambda: added.append(keep.add(replace(SAID, seq=8))))
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        other.write(replace(SAID, seq=9).sealed(KEY))
    waiting.join(10)
    assert added == [False]
    assert [line.checkpoint and line.checkpoint.seq for line in lines_of(keep)] == [7, 9]


def test_a_line_without_an_end_is_read_a_part_at_a_time(keep: CheckpointFile) -> None:
    keep.add(SAID)
    keep.path.write_bytes(b"x" * 10_000)
    assert len(lines_of(keep)) == 3


@given(st.data())
def test_no_changed_bit_of_a_line_passes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    keep = CheckpointFile(tmp_path_factory.mktemp("keep"), (KEY,))
    keep.add(SAID)
    raw = bytearray(keep.path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    keep.path.write_bytes(raw)
    assert all(line.checkpoint is None for line in lines_of(keep))
    assert keep.last() is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\n", "no checkpoint"),
        (b"7\n", "no checkpoint"),
        (b"[" * 3000 + b"\n", "no checkpoint"),
        (b"\xff\n", "no checkpoint"),
        (b'{"version":1}\n', "no checkpoint"),
        (b"x" * 10_000 + b"\n", "no checkpoint"),
        (SAID.sealed(KEY)[:-1], "fits none"),  # cut off just before its end
        (SAID.sealed(OLD_KEY), "fits none"),
        (SAID.sealed(KEY).replace(b'"seq":7', b'"seq": 7'), "fits none"),
        (replace(SAID, version=2).sealed(KEY), "upgrade"),
        (b'{"version":1,"ledger":"a","seq":true,"hash":"b","at":"c","signature":"d"}\n', "no checkpoint"),
    ],
)
def test_a_line_that_is_no_checkpoint_of_ours_says_why(keep: CheckpointFile, line: bytes, reason: str) -> None:
    keep.add(SAID)
    keep.path.write_bytes(SAID.sealed(KEY) + line)
    assert lines_of(keep)[0].checkpoint == SAID
    assert all(each.checkpoint is None for each in lines_of(keep)[1:])
    assert reason in lines_of(keep)[1].reason
    assert keep.last() == SAID


def test_a_line_that_a_power_cut_left_half_spoils_no_other(keep: CheckpointFile) -> None:
    keep.add(SAID)
    with keep.path.open("ab") as file:
        file.write(replace(SAID, seq=8).sealed(KEY)[:50])
    assert keep.add(replace(SAID, seq=9))
    assert [line.checkpoint and line.checkpoint.seq for line in lines_of(keep)] == [7, None, 9]


def test_a_full_disk_leaves_no_half_line(keep: CheckpointFile, monkeypatch: pytest.MonkeyPatch) -> None:
    keep.add(SAID)
    monkeypatch.setattr(os, "write", lambda file, line, write=os.write: write(file, line[:50]))
    with pytest.raises(CheckpointsUnavailable, match=r"checkpoints\.jsonl cannot be written: its disk is full"):
        keep.add(replace(SAID, seq=8))
    assert keep.path.read_bytes() == SAID.sealed(KEY)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for job in (CheckpointFile.last, CheckpointFile.size, lambda keep: keep.add(SAID)):
        with pytest.raises(
            CheckpointsUnavailable, match=r"file/checkpoints\.jsonl cannot be .*CORDBOARD_CHECKPOINT_DIR"
        ):
            job(CheckpointFile(tmp_path / "file", (KEY,)))


# --- against the chain ------------------------------------------------------------------------------------------------


def test_a_checkpoint_is_made_where_there_are_new_records(ledger_url: str, keep: CheckpointFile) -> None:
    first, second = grown(ledger_url, keep, many=8, times=2)
    assert first
    assert second
    assert (first.seq, second.seq, first.ledger) == (10, 20, second.ledger)
    assert first.at.startswith("2027-01-15")
    report = verified(ledger_url, keep)
    assert report.ok
    assert report.checkpoints
    assert (report.checkpoints.checked, report.checkpoints.last_seq, report.checkpoints.after_last) == (2, 20, 0)
    assert second.hash == report.head

    async def again() -> Checkpoint | None:
        async with await Ledger.open(ledger_url) as ledger:
            return await checkpoint(ledger, keep)

    assert asyncio.run(again()) is None


def test_an_empty_ledger_needs_no_checkpoint(sqlite_url: str, keep: CheckpointFile) -> None:
    async def run_it() -> Checkpoint | None:
        async with await Ledger.open(sqlite_url) as ledger:
            return await checkpoint(ledger, keep)

    assert asyncio.run(run_it()) is None
    assert keep.size() is None


CUT = (
    "DELETE FROM audit WHERE seq > 15",
    "UPDATE audit_head SET seq = 15, hash = (SELECT max(hash) FROM audit WHERE seq = 15)",
)


def test_a_cut_chain_is_a_fault_that_names_record_and_time(ledger_url: str, keep: CheckpointFile) -> None:
    grown(ledger_url, keep, times=2)
    change(ledger_url, *CUT)
    report = verified(ledger_url, keep)
    assert report.first_fault is None
    assert report.checkpoints
    fault = report.checkpoints.first_fault
    assert fault
    assert (fault.line, fault.seq, (fault.at or "")[:10]) == (2, 20, "2027-01-15")
    assert "record 20, for which it vouches, is missing: the chain ends at 15" in fault.reason
    assert (report.checkpoints.last_seq, report.checkpoints.after_last) == (10, 5)


def test_nothing_vouches_for_a_chain_that_the_last_checkpoint_contradicts(
    sqlite_url: str, keep: CheckpointFile
) -> None:
    """Also when the cut chain has grown beyond it again: a new checkpoint would hide what was done."""
    grown(sqlite_url, keep, times=2)
    change(sqlite_url, *CUT)
    before = keep.path.read_bytes()
    for _ in range(2):
        with pytest.raises(
            ChainDiffers, match=r"checkpoint of 2027-.* record 20 is missing or another one.*audit verify"
        ):
            grown(sqlite_url, keep)
    assert keep.path.read_bytes() == before


def test_nothing_vouches_for_a_chain_whose_end_is_not_its_heads(sqlite_url: str, keep: CheckpointFile) -> None:
    async def run_it() -> None:
        async with await Ledger.open(sqlite_url) as ledger:
            await record(ledger, 1)
            await ledger.write(lambda connection, _: connection.exec_driver_sql("UPDATE audit_head SET hash = 'x'"))
            with pytest.raises(ChainDiffers, match="the audit record is broken"):
                await checkpoint(ledger, keep)

    asyncio.run(run_it())
    assert keep.size() is None


def test_another_ledger_in_the_same_folder_is_told_from_a_chain_that_was_cut(
    tmp_path: Path, keep: CheckpointFile
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    grown(f"sqlite:///{tmp_path}/one/ledger.db", keep)
    with pytest.raises(ChainDiffers, match="set CORDBOARD_CHECKPOINT_DIR to this ledger's own folder"):
        grown(f"sqlite:///{tmp_path}/two/ledger.db", keep, many=20, now=1.9e9)
    report = verified(f"sqlite:///{tmp_path}/two/ledger.db", keep)
    assert report.checkpoints
    assert report.checkpoints.first_fault
    assert "begins with another record" in report.checkpoints.first_fault.reason


def test_lines_that_were_moved_or_repeated_are_faults(sqlite_url: str, keep: CheckpointFile) -> None:
    grown(sqlite_url, keep, times=3)
    one, two, three = keep.path.read_bytes().splitlines(keepends=True)
    keep.path.write_bytes(one + three + two + three)
    report = verified(sqlite_url, keep)
    assert report.checkpoints
    assert (report.checkpoints.faults, report.checkpoints.first_fault and report.checkpoints.first_fault.line) == (1, 3)
    assert independent.fault(sqlite_url.removeprefix("sqlite:///"), keep.path, [KEY]) == "line 3 was moved"


def test_a_checkpoint_made_while_a_verification_goes_on_is_no_fault(
    sqlite_url: str, keep: CheckpointFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record is not in the view that is being read."""
    grown(sqlite_url, keep)
    lines = CheckpointFile.lines

    def more_meanwhile(self: CheckpointFile, end: int) -> object:
        keep.add(replace(SAID, seq=10**6))
        return lines(self, end)

    monkeypatch.setattr(CheckpointFile, "lines", more_meanwhile)
    assert verified(sqlite_url, keep).ok


# --- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a ledger of ten records, and a key."""
    monkeypatch.setenv("CORDBOARD_CHECKPOINT_KEY", text_of(KEY))
    grown(f"sqlite:///{home}/ledger.db", CheckpointFile(home / "elsewhere", (KEY,)))
    return home


def test_the_commands_make_and_check_a_checkpoint(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "verify"]) == 0
    assert (
        f"Only the chain itself was checked, which whoever can write the database can write anew: there is no {home}"
        in (capsys.readouterr().out)
    )
    assert main(["audit", "checkpoint"]) == 0
    assert "vouches for 10 records" in capsys.readouterr().out
    assert main(["audit", "checkpoint", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoint"] is None
    assert main(["audit", "verify"]) == 0
    shown = capsys.readouterr().out
    assert "1 checkpoint vouches for it, up to record 10" in shown
    assert "only the chain itself speaks: 0" in shown


def test_the_command_names_the_checkpoint_that_does_not_fit(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "checkpoint"]) == 0
    url = f"sqlite:///{home}/ledger.db"
    change(
        url,
        "DELETE FROM audit WHERE seq > 5",
        "UPDATE audit_head SET seq = 5, hash = (SELECT hash FROM audit WHERE seq = 5)",
    )
    capsys.readouterr()
    assert main(["audit", "verify"]) == 1
    shown = capsys.readouterr().out
    assert "The audit chain is whole: 5 records" in shown
    assert "checkpoints.jsonl:1: the checkpoint made at 20" in shown
    assert "record 10, for which it vouches, is missing" in shown
    assert main(["audit", "verify", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["ok"], report["first_fault"], report["checkpoints"]["first_fault"]["seq"]) == (False, None, 10)
    assert main(["audit", "checkpoint"]) == 1
    assert "Run `cordboard audit verify`" in capsys.readouterr().err


def test_without_a_key_it_says_what_was_not_checked(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CORDBOARD_CHECKPOINT_KEY")
    assert main(["audit", "verify"]) == 0
    assert "Only the chain itself was checked" in capsys.readouterr().out
    assert main(["audit", "verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checkpoints"] is None
    assert main(["audit", "checkpoint"]) == 2
    assert "openssl rand -base64 32" in capsys.readouterr().err
    monkeypatch.setenv("CORDBOARD_CHECKPOINT_KEY", "short")
    assert main(["audit", "verify"]) == 2


def test_checkpoints_that_cannot_be_read_end_with_a_code_of_their_own(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CORDBOARD_CHECKPOINT_DIR", str(home / "ledger.db"))
    assert main(["audit", "verify"]) == 3
    assert main(["audit", "checkpoint"]) == 3
    assert "CORDBOARD_CHECKPOINT_DIR" in capsys.readouterr().err
