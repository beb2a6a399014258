"""The command `cordboard`, run as people and scripts run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cordboard import __version__
from cordboard.cli import main

ROOT = Path(__file__).parents[2]
EXAMPLE = str(ROOT / "examples" / "customer_sync.yaml")
BROKEN = str(ROOT / "examples" / "broken" / "many_faults.yaml")
CYCLE = str(ROOT / "examples" / "broken" / "cycle.yaml")
DUPLICATE = str(ROOT / "examples" / "broken" / "duplicate_key.yaml")


def test_check_sums_a_good_file_up_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", EXAMPLE]) == 0
    expected = "customer_sync.yaml: chain customer-sync, 4 actions in 3 layers, no findings\n"
    assert capsys.readouterr() == (expected, "")


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([EXAMPLE], 0),
        ([EXAMPLE, CYCLE], 1),
        ([BROKEN], 1),
        ([DUPLICATE], 2),
        ([CYCLE, "no-such-file.yaml", EXAMPLE], 2),
        ([str(ROOT)], 2),
        ([str(ROOT / "pyproject.toml")], 2),
    ],
)
def test_the_exit_code_of_check_tells_a_bad_chain_from_a_bad_file(
    files: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 nothing wrong, 1 the chain has errors, 2 it is no chain that could be read."""
    assert main(["check", *files]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    assert sum(line.startswith(tuple(Path(file).name for file in files)) for line in out.splitlines()) >= len(files)


def test_check_prints_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", EXAMPLE, CYCLE]) == 1
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert err == ""
    assert document["ok"] is False
    assert [file["file"] for file in document["files"]] == [EXAMPLE, CYCLE]
    (finding,) = document["files"][1]["findings"]
    assert (finding["rule"], finding["line"], finding["severity"]) == ("chain/cycle", 5, "error")


def test_a_warning_does_not_fail_the_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "w.yaml"
    path.write_text("kind: chain\nname: w\nparams: {p: {}}\nactions: {a: {definition_id: d}}", encoding="utf-8")
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out.endswith("w.yaml: chain w, 1 action in 1 layer, 1 warning\n")


@pytest.mark.parametrize("text", ["kind: ivr-flw", "name: x", "[]", "kind: [chain]", "5"])
def test_a_file_of_an_unknown_kind_is_not_a_chain_with_faults(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text, encoding="utf-8")
    assert main(["check", str(path)]) == 2


@pytest.mark.parametrize(("form", "first"), [("mermaid", "flowchart LR"), ("dot", 'digraph "customer-sync" {')])
def test_graph_draws_the_chain(form: str, first: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", EXAMPLE, "--format", form]) == 0
    assert capsys.readouterr().out.startswith(first)


def test_graph_of_a_broken_chain_lists_its_faults_and_draws_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", CYCLE]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "a → c → b → a" in err


def test_schema_prints_the_json_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "chain"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Cordboard chain"


@pytest.mark.parametrize(
    "arguments",
    [[], ["check"], ["chek", "x"], ["graph", EXAMPLE, "--format", "png"], ["schema", "x"], ["audit"], ["--what"]],
)
def test_a_wrong_call_shows_the_usage_and_ends_with_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: cordboard" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--help"], ["check", "--help"], ["audit", "verify", "--help"], ["sandbox", "--help"]]
)
def test_every_command_explains_itself(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    assert "usage: cordboard" in capsys.readouterr().out


def test_audit_verify_of_a_ledger_that_is_not_there_is_a_wrong_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORDBOARD_HOME", str(tmp_path / "none"))
    assert main(["audit", "verify"]) == 2
    assert main(["audit", "verify", "--json", "--ledger", f"sqlite+aiosqlite:///{tmp_path}/no.db"]) == 2
    assert main(["audit", "show", "some-run"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_is_a_message_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CORDBOARD_IN_FLIGHT", "many")
    assert main(["audit", "verify"]) == 2
    assert "CORDBOARD_IN_FLIGHT" in capsys.readouterr().err


def run(arguments: list[str], **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cordboard", *arguments]
    env = {**os.environ, **environ}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_module_runs_as_a_program() -> None:
    done = run(["--version"])
    assert (done.returncode, done.stdout, done.stderr) == (0, f"cordboard {__version__}\n", "")


def test_a_terminal_without_unicode_gets_escapes_and_no_traceback() -> None:
    done = run(["check", CYCLE], PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 1
    assert r"a \u2192 c" in done.stdout
    assert done.stderr == ""


def test_a_reader_that_goes_away_is_no_error() -> None:
    """As in `cordboard schema chain | head -1`."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "cordboard", "schema", "chain"],
        cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["sandbox", "faults"])
def test_the_sandboxs_own_files_are_checked_too(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(Path("examples") / f"{kind}.yaml")]) == 0
    assert capsys.readouterr().out == f"{kind}.yaml: {kind}, no findings\n"
    bad = tmp_path / "bad.yaml"
    bad.write_text(f"kind: {kind}\nrulez: []\nclients: 7\n")
    assert main(["check", str(bad)]) == 1
    assert "rulez" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["sandbox", "faults"])
def test_the_sandboxs_own_files_have_a_schema(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", kind]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["kind"]["const"] == kind
