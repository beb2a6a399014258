"""`cordboard init`: a repository in which everything is right from the first minute, and nobody's file is lost."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.cli import main
from cordboard.ivr.suite.reading import load_suite
from cordboard.ivr.suite.running import run_suite
from cordboard.ivr.trace import compile_flow
from cordboard.kinds import KINDS
from cordboard.layout.repository import repository_files
from cordboard.layout.writing import lay

CHECKOUT = Path(__file__).parents[3]
FILES = repository_files()
FOLDERS = ("chains", "flows", "patches", "starts", "suites")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def documents(folder: Path) -> list[Path]:
    return sorted(path for name in FOLDERS for path in (folder / name).rglob("*") if path.suffix in {".yaml", ".json"})


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new repository, and the working directory."""
    folder = tmp_path / "our contact centre"
    assert main(["init", str(folder)]) == 0
    monkeypatch.chdir(folder)
    return folder


# --- what is written is right -----------------------------------------------------------------------------------------


def test_everything_passes_the_check_without_a_finding(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    found = documents(repository)
    assert len(found) >= 7
    assert main(["check", *map(str, found)]) == 0
    assert all(line.endswith("no findings") for line in capsys.readouterr().out.splitlines())


def test_every_row_of_a_batch_fits_its_trigger(repository: Path) -> None:
    assert main(["check", "starts/reminders.yaml", "--rows", "starts/reminders.csv"]) == 0


def test_every_suite_passes_offline(repository: Path) -> None:
    suites = [path for path in documents(repository) if "kind: ivr-suite" in path.read_text()]
    assert len(suites) == 2
    for path in suites:
        suite = load_suite(path)
        results = run_suite(compile_flow(suite.flow), suite)
        assert [(path.name, each.name, each.mismatches) for each in results if each.status != "passed"] == []


def test_schemas_are_those_of_the_code(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in KINDS:
        capsys.readouterr()
        assert main(["schema", kind]) == 0
        assert (repository / ".schemas" / f"{kind}.json").read_text() == capsys.readouterr().out


def test_an_editor_finds_one_schema_for_each_file_and_it_fits(repository: Path) -> None:
    known = json.loads((repository / ".vscode" / "settings.json").read_text())["yaml.schemas"]
    for path in (each for each in documents(repository) if each.suffix == ".yaml"):
        name, value = str(path.relative_to(repository)), yaml.safe_load(path.read_text())
        (schema,) = [where for where, patterns in known.items() if any(fnmatch(name, each) for each in patterns)]
        check = jsonschema.Draft202012Validator(json.loads((repository / schema).read_text()))
        assert (name, [error.message for error in check.iter_errors(value)]) == (name, [])
        assert list(check.iter_errors(value | {"a key that nobody knows": 1})) != [], name


def test_the_variables_of_the_environment_are_those_that_we_read(repository: Path) -> None:
    ours, known = ((folder / ".env.example").read_text() for folder in (repository, CHECKOUT))
    names = re.findall(r"(?m)^(?:# )?([A-Z_]+)=", ours)
    assert len(names) == 9
    assert [name for name in names if not re.search(rf"\b{name}=", known)] == []
    assert re.findall(r"(?m)^[A-Z_]*(?:ID|SECRET)=(.+)$", ours) == []


def test_the_readme_names_every_folder_and_no_file_that_is_not_there(repository: Path) -> None:
    text = (repository / "README.md").read_text()
    assert [folder for folder in FOLDERS if f"| `{folder}/` |" not in text] == []
    named = re.findall(r"[\w./-]+\.(?:yaml|yml|csv|json)\b", text)
    assert [name for name in named if not (repository / name).exists()] == []


def test_five_commands_stand_in_the_readme_and_the_quick_ones_do_what_they_say(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"```bash\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)
    commands = [shlex.split(line) for line in block.splitlines()]
    assert len(commands) == 5
    quick = [words for words in commands if words[0] == "cordboard"]
    assert len(quick) == 2
    for words in quick:
        expanded = [str(path) for word in words[1:] for path in (sorted(Path().glob(word)) if "*" in word else [word])]
        assert main(expanded) == 0
    assert "node_appointments" in capsys.readouterr().out


# --- nobody's file is lost --------------------------------------------------------------------------------------------


def test_a_second_call_writes_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(repository)
    capsys.readouterr()
    assert main(["init"]) == 0
    assert capsys.readouterr().out == f".: all {len(FILES)} files are there already, nothing to write\n"
    assert snapshot(repository) == before


def test_another_file_in_the_way_is_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text("ours")
    (tmp_path / "chains").write_text("a file, where a folder must be")
    (tmp_path / ".gitignore").symlink_to("nowhere")
    (tmp_path / ".env.example").mkdir()
    assert main(["init", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.strip() for line in printed.err.splitlines() if line.startswith("  ")] == [
        str(tmp_path / name) for name in (".env.example", ".gitignore", "README.md", "chains")
    ]
    assert snapshot(tmp_path) == {"README.md": b"ours", "chains": b"a file, where a folder must be"}


def test_with_json_one_document_says_what_became_of_each_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_bytes(FILES["README.md"])
    assert main(["init", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["unchanged"], document["in_the_way"]) == (True, ["README.md"], [])
    assert sorted(["README.md", *document["written"]]) == list(FILES)
    (tmp_path / "README.md").write_text("ours")
    assert main(["init", str(tmp_path), "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["written"], document["in_the_way"]) == (False, [], ["README.md"])


@pytest.mark.parametrize("folder", ["/proc/cordboard", "file", "file/below"])
def test_a_folder_that_cannot_be_one_ends_with_2(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("a file")
    assert main(["init", folder]) == 2
    assert folder in capsys.readouterr().err
    assert Path("file").read_text() == "a file"


SMALL = {"a": b"1", "b/c": b"2", "b/d/e": b"3", "f/g": b""}


@settings(max_examples=60, deadline=None)
@given(there=st.dictionaries(st.sampled_from([*SMALL, "b/own", "own"]), st.sampled_from([b"1", b"2", b"3", b"", b"x"])))
def test_all_is_there_in_the_end_or_nothing_has_changed(
    there: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    for path, content in there.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    laying = lay(folder, SMALL)
    in_the_way = {path for path, content in SMALL.items() if there.get(path, content) != content}
    assert set(laying.in_the_way) == in_the_way
    assert snapshot(folder) == (there if in_the_way else there | SMALL)


# --- it ships ---------------------------------------------------------------------------------------------------------


def test_the_wheel_holds_every_file(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        shipped = set(archive.namelist())
    root = CHECKOUT / "cordboard" / "layout" / "files"
    files = [path.relative_to(CHECKOUT).as_posix() for path in root.rglob("*") if path.is_file()]
    assert len(files) == len(FILES) - len(KINDS) - 1
    assert [name for name in files if name not in shipped] == []
