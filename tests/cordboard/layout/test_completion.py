"""Completion of `cordboard`, asked of real shells."""

from __future__ import annotations

import argparse
import shutil
import subprocess
from pathlib import Path

import pytest

from cordboard import cli

ASK = """
. "$1"; shift
complete -p cordboard > /dev/null || exit 9   # the script has told the shell about the command
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMPREPLY=()
_shtab_cordboard
printf '%s\\n' "${COMPREPLY[@]}"
"""


def script_for(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert cli.main(["completion", shell]) == 0
    file = tmp_path / f"completion.{shell}"
    file.write_text(capsys.readouterr().out)
    return file


def asked(script: Path, *words: str) -> set[str]:
    """What bash offers for the last word."""
    bash = ["bash", "--norc", "-c", ASK, "bash", str(script), "cordboard", *words]
    done = subprocess.run(bash, cwd=script.parent, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    return script_for("bash", tmp_path, capsys)


def test_bash_offers_every_verb(script: Path) -> None:
    (verbs,) = [each for each in cli._parser([])._actions if isinstance(each, argparse._SubParsersAction)]
    assert asked(script, "") == set(verbs.choices)
    assert {"check", "init", "completion"} <= set(verbs.choices)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ch"], {"check"}),
        (["check", "--fo"], {"--format"}),
        (["check", "--format", ""], {"text", "json", "sarif", "github"}),
        (["schema", "ivr-p"], {"ivr-properties", "ivr-patch"}),
        (["audit", ""], {"verify", "checkpoint", "show"}),
        (["completion", ""], {"bash", "zsh", "fish"}),
        (["sandbox", "--env"], {"--env-file"}),  # of a verb whose options come from a part imported late
    ],
    ids=lambda given: " ".join(sorted(given)),
)
def test_bash_offers_what_fits(script: Path, words: list[str], offered: set[str]) -> None:
    assert asked(script, *words) == offered


def test_bash_offers_files_where_a_file_is_asked_for(script: Path) -> None:
    (script.parent / "chains").mkdir()
    (script.parent / "chains" / "customer_sync.yaml").touch()
    assert asked(script, "check", "chains/c") == {"chains/customer_sync.yaml"}
    assert asked(script, "sandbox", "--faults", "chains/c") == {"chains/customer_sync.yaml"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_itself_reads_the_script(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = script_for(shell, tmp_path, capsys)
    assert all(verb in script.read_text() for verb in ("trace", "callback-url", "detailed-exitcode"))
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
