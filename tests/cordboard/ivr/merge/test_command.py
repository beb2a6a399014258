"""`cordboard patch` and `cordboard merge`, and a merge that git asks for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cordboard.cli import main
from cordboard.ivr.merge import load_patch

CLINIC, HOLIDAY = "examples/clinic_menu.json", "examples/clinic_holiday.yaml"


@pytest.fixture
def other(checkout: Path, tmp_path: Path) -> Path:
    """Version 13, by another team: silence is answered, and billing is greeted otherwise."""
    body = json.loads(Path(CLINIC).read_text())
    body["version"] = 13
    ways = body["nodes"]["welcome"]["transitionConditions"]
    ways.insert(0, {"condition": "no_input", "destinationNodeId": "agent"})
    path = tmp_path / "v13.json"
    path.write_text(json.dumps(body))
    return path


def change(path: Path, node: str, **fields: Any) -> None:
    body = json.loads(path.read_text())
    body["nodes"][node] |= fields
    path.write_text(json.dumps(body))


def test_a_patch_and_a_newer_version_are_joined(other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", CLINIC, HOLIDAY, str(other)]) == 0
    printed = capsys.readouterr()
    made = json.loads(printed.out)
    conditions = [way["condition"] for way in made["nodes"]["welcome"]["transitionConditions"]]
    assert conditions == ["no_input", "dtmf == '1'", "dtmf == '9'", "dtmf == '0'", "default"]
    assert (made["version"], printed.err) == (13, "")


def test_a_conflict_ends_with_one_and_prints_no_flow(other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(other, "billing", prompt="Bills")
    assert main(["merge", CLINIC, HOLIDAY, str(other)]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("conflict: billing was {")
    assert "ours removes it, theirs makes it" in printed.err


def test_with_json_everything_is_one_document(other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(other, "billing", prompt="Bills")
    assert main(["merge", CLINIC, HOLIDAY, str(other), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["flow"], document["findings"]) == (None, [])
    assert [(each["node"], each["ours"]) for each in document["conflicts"]] == [("billing", None)]


def test_the_merged_flow_is_checked(other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is written all the same, so that the finding has a line; the exit code says that it is not sound."""
    ways = [{"condition": "default", "destinationNodeId": "billing"}]
    change(other, "appointments", transitionConditions=ways)
    out = tmp_path / "merged.json"
    assert main(["merge", CLINIC, HOLIDAY, str(other), "--out", str(out)]) == 1
    printed = capsys.readouterr().err
    assert f"{out}:" in printed
    assert "[ivr/unknown-target]" in printed
    assert json.loads(out.read_text())["version"] == 13


def test_a_patch_is_written_from_two_files(other: Path, tmp_path: Path) -> None:
    out = tmp_path / "patch.yaml"
    assert main(["patch", CLINIC, str(other), "--reason", "Silence", "--out", str(out)]) == 0
    patch = load_patch(out)
    assert (patch.base_version, patch.reason, list(patch.nodes)) == (12, "Silence", ["welcome"])
    assert main(["check", str(out)]) == 0


def test_a_patch_between_equal_flows_is_told(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["patch", CLINIC, CLINIC]) == 0
    assert capsys.readouterr().err == f"{CLINIC} changes nothing of {CLINIC}\n"


def test_where_no_file_states_a_version_it_must_be_said(
    other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = tmp_path / "old.json"
    old.write_text(Path(CLINIC).read_text().replace('"version": 12,', ""))
    assert main(["patch", str(old), str(other)]) == 2
    assert "--base-version N" in capsys.readouterr().err
    assert main(["patch", str(old), str(other), "--base-version", "11"]) == 0
    assert "base_version: 11" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["merge", CLINIC, "nowhere.json", CLINIC], ["graph", HOLIDAY]])
def test_what_cannot_be_done_ends_with_two(arguments: list[str], checkout: Path) -> None:
    assert main(arguments) == 2


def test_it_is_a_merge_driver_for_git(other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git hands over files without an ending, and takes the result where ours stood."""
    repository = tmp_path / "repository"
    repository.mkdir()
    home = {"GIT_CONFIG_GLOBAL": str(tmp_path / "none"), "GIT_CONFIG_NOSYSTEM": "1"}
    for name, value in home.items():
        monkeypatch.setenv(name, value)

    def git(*words: str) -> None:
        author = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *author, *words], cwd=repository, check=True, capture_output=True)

    git("init", "-b", "main")
    driver = f"{sys.executable} -m cordboard merge %O %A %B --out %A"
    git("config", "merge.cordboard.driver", driver)
    (repository / ".gitattributes").write_text("*.json merge=cordboard\n")
    flow = repository / "clinic.json"
    shutil.copy(CLINIC, flow)
    git("add", ".")
    git("commit", "-m", "Version 12")
    git("checkout", "-b", "theirs")
    shutil.copy(other, flow)
    git("commit", "-am", "Version 13")
    git("checkout", "main")
    change(flow, "welcome", prompt="Hello")
    git("commit", "-am", "Greet")
    git("merge", "theirs")
    merged = json.loads(flow.read_text())
    assert merged["nodes"]["welcome"]["prompt"] == "Hello"
    assert merged["nodes"]["welcome"]["transitionConditions"][0]["condition"] == "no_input"
