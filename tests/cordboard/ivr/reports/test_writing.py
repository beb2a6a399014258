"""Report files: always inside their folder, whole or not at all, and for their owner only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cordboard.errors import BadCall
from cordboard.ivr.model import Flow
from cordboard.ivr.reports import FORMATS, Report, write_reports
from cordboard.ivr.reports.names import file_name
from cordboard.ivr.reports.storing import opened, put
from cordboard.ivr.suite import Coverage
from tests.thorough import count

CHECKOUT = Path(__file__).parents[4]
NAMES = (
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a\x00b",
    "CON",
    "nul.txt",
    "x" * 300,
    "\u202egnp.exe",
    'a/b\\c:d*e?f"g<h>i|j',
    "-rf",
    "~root",
    "\ud800",
    "$(reboot)`id`\n",
)
EMPTY = Report("", Flow("f", "", (), ()), "local", "", (), Coverage((), ()))


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_whatever_a_suite_is_called_its_reports_stand_in_the_folder(
    run: Callable[..., Report], tmp_path: Path, name: str
) -> None:
    paths = write_reports(run(suite=name), tmp_path / "reports")
    assert sorted(paths) == sorted((tmp_path / "reports").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["reports"]


@settings(max_examples=count(500, 5_000), deadline=None)
@given(st.text(st.characters(), max_size=60) | st.lists(st.sampled_from(NAMES)).map("/".join))
@example("CON")
def test_a_name_is_one_plain_part_of_a_path(name: str) -> None:
    made = file_name(replace(EMPTY, suite=name), ".html")
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?-[0-9a-f]{12}\.html", made)


def test_suites_of_other_names_flows_and_engines_have_files_of_their_own() -> None:
    others = [EMPTY, *(replace(EMPTY, suite=name) for name in ("a", "A", "a ", "ä", "suite"))]
    others += [replace(EMPTY, engine="vendor"), replace(EMPTY, flow=replace(EMPTY.flow, id="g"))]
    others += [replace(EMPTY, flow=replace(EMPTY.flow, file=file)) for file in ("a.yaml", "b.yaml")]
    assert len({file_name(report, "") for report in others}) == len(others)


def test_every_format_is_written_once_in_the_order_asked_for(run: Callable[..., Report], tmp_path: Path) -> None:
    paths = write_reports(run(), tmp_path, ("lcov", "html", "lcov"))
    assert [path.suffix for path in paths] == [".lcov", ".html"]


def test_of_a_flow_that_is_not_known_no_coverage_is_written_and_none_named(unknown: Report, tmp_path: Path) -> None:
    paths = write_reports(unknown, tmp_path)
    assert sorted(paths) == sorted(tmp_path.iterdir())
    assert [path.name.split(".", 1)[1] for path in paths] == ["html", "md", "yaml", "json", "junit.xml"]


def test_the_json_report_names_the_others(run: Callable[..., Report], tmp_path: Path) -> None:
    paths = write_reports(run(), tmp_path)
    document = next(path for path in paths if path.suffix == ".json")
    assert json.loads(document.read_text())["reports"] == [str(path) for path in paths]


def test_only_the_owner_can_read_them(run: Callable[..., Report], tmp_path: Path) -> None:
    paths = write_reports(run(), tmp_path / "new")
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_was_there_keeps_its_mode(run: Callable[..., Report], tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    write_reports(run(), tmp_path, ["json"])
    assert tmp_path.stat().st_mode & 0o777 == 0o755


def test_what_is_not_text_is_written_all_the_same(hostile: Report, tmp_path: Path) -> None:
    assert len(write_reports(hostile, tmp_path)) == len(FORMATS)


def test_an_unknown_format_is_refused_before_anything_is_written(run: Callable[..., Report], tmp_path: Path) -> None:
    with pytest.raises(BadCall, match=r"no report format 'jnuit'\. Did you mean junit"):
        write_reports(run(), tmp_path / "new", ["json", "jnuit"])
    assert not (tmp_path / "new").exists()


def test_a_link_in_place_of_a_report_is_replaced_not_followed(run: Callable[..., Report], tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    [path] = write_reports(run(), tmp_path / "reports", ["json"])
    path.unlink()
    path.symlink_to(outside)
    write_reports(run(), tmp_path / "reports", ["json"])
    assert outside.read_text() == "mine"
    assert not path.is_symlink()


@pytest.mark.parametrize("below", ["", "nights/today"])
def test_the_folder_is_the_caller_s_choice_and_may_be_a_link(
    run: Callable[..., Report], tmp_path: Path, below: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "reports").symlink_to(tmp_path / "elsewhere")
    [path] = write_reports(run(), tmp_path / "reports" / below, ["json"])
    assert list((tmp_path / "elsewhere" / below).iterdir()) == [path.resolve()]


def test_a_link_to_nothing_is_no_folder(run: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "reports").symlink_to(tmp_path / "gone")
    with pytest.raises(BadCall, match="Name a folder in which files can be written"):
        write_reports(run(), tmp_path / "reports")


def test_a_folder_that_is_exchanged_for_a_link_while_it_is_written_to_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with opened(tmp_path / "reports") as folder:
        (tmp_path / "reports").rename(tmp_path / "moved")
        (tmp_path / "reports").symlink_to(tmp_path / "elsewhere")
        put(folder, "a.txt", ["text"])
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "moved/a.txt").read_text() == "text"


@pytest.mark.parametrize("name", ["file", "file/below", "a\x00b"], ids=ascii)
def test_what_is_no_folder_is_refused_with_advice(run: Callable[..., Report], tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadCall, match=r"cannot be written: .* Name a folder in which files can be written"):
        write_reports(run(), tmp_path / name)


def test_a_folder_in_the_way_of_a_report_is_named(run: Callable[..., Report], tmp_path: Path) -> None:
    [path] = write_reports(run(), tmp_path, ["json"])
    path.unlink()
    path.mkdir()
    with pytest.raises(BadCall, match=re.escape(path.name)):
        write_reports(run(), tmp_path, ["json"])
    assert list(tmp_path.iterdir()) == [path]


def test_a_report_that_breaks_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    def broken() -> object:
        yield "new " * 200_000
        raise RuntimeError("the disk is fine, the report is not")

    with opened(tmp_path) as folder:
        put(folder, "a.txt", ["old"])
        with pytest.raises(RuntimeError):
            put(folder, "a.txt", broken())  # type: ignore[arg-type]
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]


KILLED = """
import os, signal, sys
from pathlib import Path
from cordboard.ivr.reports import storing

folder, old, new = Path(sys.argv[1]), "old" * 50_000, "new" * 200_000

def parts():
    for start in range(0, len(new), 60_000):
        yield new[start : start + 60_000]

def write_until(lines):
    seen = 0
    def count(frame, event, argument):
        nonlocal seen
        if frame.f_code.co_filename == storing.__file__ or frame.f_code.co_name == "parts":
            seen += event == "line"
            if seen == lines:
                os.kill(os.getpid(), signal.SIGKILL)
            return count
    with storing.opened(folder) as place:
        sys.settrace(count)
        storing.put(place, "a.txt", parts())
        sys.settrace(None)
    os._exit(0)

for lines in range(1, 400):
    with storing.opened(folder) as place:
        storing.put(place, "a.txt", [old])
    child = os.fork()
    if not child:
        write_until(lines)
    status = os.waitpid(child, 0)[1]
    found = (folder / "a.txt").read_text()
    print("old" if found == old else "new" if found == new else "torn", flush=True)
    if status == 0:
        break
"""


def test_a_process_killed_at_any_line_of_the_writing_leaves_the_old_report_or_the_new_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
    found = done.stdout.split()
    first_new = found.index("new")
    assert first_new > 20
    assert set(found[:first_new]) == {"old"}
    assert set(found[first_new:]) == {"new"}
    assert len(found) < 399  # the last one was not killed
