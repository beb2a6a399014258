"""The command `cordboard`, run as people and scripts run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cordboard import __version__
from cordboard.cli import main
from cordboard.ivr.canonical import content_hash
from cordboard.ivr.dialects.cxone import to_cxone
from cordboard.ivr.reading import load_flow
from cordboard.registration.saved import load_plan

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


MENU = str(ROOT / "examples" / "main_menu.yaml")
HOSPITAL = str(ROOT / "examples" / "hospital_menu.yaml")
BROKEN_MENU = str(ROOT / "examples" / "broken" / "broken_menu.yaml")


@pytest.fixture
def rerouted(tmp_path: Path) -> str:
    """The hospital's menu, with the wards' digit leading to the operator."""
    text = Path(HOSPITAL).read_text()
    old = "{from: node_menu, to: node_wards, when: \"dtmf == '2' or speech == 'ward'\"}"
    assert old in text
    more = "\n  - {from: node_closed, to: node_wards, when: \"day == 'sunday'\"}"
    path = tmp_path / "menu.yaml"
    path.write_text(text.replace(old, old.replace("to: node_wards", "to: node_operator") + more))
    return str(path)


def test_a_realistic_menu_is_free_of_findings_and_a_broken_one_names_them_all(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", HOSPITAL]) == 0
    assert capsys.readouterr().out.endswith("12 nodes and 19 connections, no findings\n")
    assert main(["check", BROKEN_MENU]) == 1
    out = capsys.readouterr().out
    assert "[ivr/silent-loop]" in out and "way: node_news → node_weather → node_news" in out


def test_findings_go_to_code_scanning_as_sarif(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--format", "sarif", BROKEN_MENU, CYCLE]) == 1
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    rules = {rule["id"]: rule["shortDescription"]["text"] for rule in run["tool"]["driver"]["rules"]}
    assert rules["ivr/silent-loop"] == "No loop goes on without asking the caller"
    for result in run["results"]:
        assert list(rules)[result["ruleIndex"]] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        assert place["region"]["startLine"] > 0 and place["artifactLocation"]["uri"].endswith(".yaml")


def test_findings_go_to_a_pull_request_as_annotations_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--format", "github", BROKEN_MENU]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("::error file=", "::warning file=")) for line in lines)
    (loop,) = [line for line in lines if "title=ivr/silent-loop" in line]
    assert ",line=19," in loop and "%0Away: node_news" in loop


def test_annotations_cannot_be_forged_by_what_a_file_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "menu.yaml"
    path.write_text('kind: ivr-flow\nid: "a\\n::error::forged"\nstart: node_a\nconnections: []\n')
    main(["check", "--format", "github", str(path)])
    assert not any(line.startswith("::error::") for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("form", "begins"), [("mermaid", "flowchart"), ("dot", "digraph"), ("svg", "<svg"), ("html", "<!doctype html>")]
)
def test_a_call_flow_is_drawn_in_every_format(form: str, begins: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "--format", form, BROKEN_MENU]) == 0
    assert capsys.readouterr().out.lower().startswith(begins)


def test_a_chain_has_no_picture_of_a_call_flow(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["graph", "--format", "svg", EXAMPLE]) == 2
    assert "a chain is drawn as mermaid or dot, not as svg" in capsys.readouterr().err


def test_diff_says_in_sentences_what_changed(rerouted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", HOSPITAL, HOSPITAL]) == 0
    assert capsys.readouterr().out == "no difference\n"
    assert main(["diff", HOSPITAL, rerouted]) == 1
    sentence, _ = capsys.readouterr().out.splitlines()
    assert "2 or “ward” said now leads to Operator" in sentence and "it led to Ward switchboard" in sentence
    assert main(["diff", "--json", HOSPITAL, rerouted]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["same"], len(document["changes"])) == (False, 2)


def test_a_plan_against_an_exported_flow_needs_no_vendor(
    tmp_path: Path, rerouted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exported, out = tmp_path / "live.json", tmp_path / "plan.json"
    exported.write_text(json.dumps(to_cxone(load_flow(Path(HOSPITAL)))))
    assert main(["plan", HOSPITAL, "--live", str(exported), "--detailed-exitcode"]) == 0
    assert "nothing would change" in capsys.readouterr().out
    assert main(["plan", rerouted, "--live", str(exported), "--detailed-exitcode", "--out", str(out)]) == 2
    assert "2 changes" in capsys.readouterr().out
    assert load_plan(out).live_hash == content_hash(load_flow(Path(HOSPITAL)))
    assert main(["plan", rerouted, "--live", str(exported)]) == 0


def test_a_plan_without_credentials_says_which_are_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", MENU]) == 2
    assert "CXONE_CLIENT_ID" in capsys.readouterr().err


def test_a_check_imports_nothing_heavy() -> None:
    """A check of a file stands in editors and commit hooks: it must not wait for what it does not use."""
    code = "import sys; from cordboard.cli import main; main(['check', sys.argv[1]]); print(*sorted(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code, HOSPITAL], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in ended.stdout.splitlines()[-1].split()}
    assert loaded.isdisjoint({"prefect", "networkx", "jinja2", "httpx", "sqlalchemy", "hypothesis"})


@pytest.mark.parametrize("file", ["no-such-file.yaml", BROKEN_MENU, EXAMPLE])
def test_with_detailed_exit_codes_every_error_is_one(file: str, tmp_path: Path) -> None:
    """Two means changes: a pipeline must not take a broken file for a change that is wanted."""
    live = tmp_path / "live.json"
    live.write_text(json.dumps(to_cxone(load_flow(Path(HOSPITAL)))))
    assert main(["plan", file, "--live", str(live), "--detailed-exitcode"]) == 1


@pytest.mark.parametrize("text", ["7", "{}", '{"id": "x", "connections": [{"source_node_id": 7}]}'])
def test_an_export_that_is_none_is_refused_in_words(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live = tmp_path / "live.json"
    live.write_text(text)
    assert main(["plan", HOSPITAL, "--live", str(live)]) == 2
    assert "is no exported call flow" in capsys.readouterr().err


def test_a_plan_against_another_flow_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    live = tmp_path / "live.json"
    live.write_text(json.dumps(to_cxone(load_flow(Path(MENU)))))
    assert main(["plan", HOSPITAL, "--live", str(live)]) == 2
    assert "they are two flows" in capsys.readouterr().err


def test_a_second_node_of_type_start_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CXone begins at a node of that type; nobody could say at which."""
    path = tmp_path / "menu.yaml"
    path.write_text(Path(MENU).read_text().replace("nodes:\n", "nodes:\n  node_queue_03: {type: start}\n", 1))
    assert main(["check", str(path)]) == 1
    assert "[ivr/two-starts]" in capsys.readouterr().out


def test_what_is_true_of_every_call_is_proven_and_what_is_not_comes_with_a_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prove", str(ROOT / "examples" / "hospital_properties.yaml")]) == 0
    assert capsys.readouterr().out.count("holds: ") == 5
    assert main(["prove", MENU]) == 1
    out = capsys.readouterr().out
    assert "no way out of `node_dtmf_02` fits 0" in out and "- name: press 0" in out


def test_properties_of_nodes_that_are_not_there_are_findings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "properties.yaml"
    path.write_text(f"kind: ivr-properties\nflow: {HOSPITAL}\nproperties:\n  - {{kind: never, node: [node_clozed]}}\n")
    assert main(["check", str(path)]) == 1
    out = capsys.readouterr().out
    assert f"{path}:4: error [prove/unknown-node]" in out and "Did you mean node_closed" in out


def test_a_suite_that_takes_every_connection_passes_and_leaves_nothing_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cover", HOSPITAL]) == 0
    written = capsys.readouterr()
    assert "19 connections can be taken" in written.err
    suite = tmp_path / "suite.yaml"
    suite.write_text(written.out.replace("flow: hospital_menu.yaml", f"flow: {HOSPITAL}"))
    assert main(["check", str(suite)]) == 0
    capsys.readouterr()
    assert main(["cover", HOSPITAL, "--suite", str(suite)]) == 0
    again = capsys.readouterr()
    assert again.out == "" and "19 were; 0 new cases" in again.err


def test_a_behaviour_diff_says_with_the_keys_what_changes_for_callers(
    rerouted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", "--behaviour", HOSPITAL, HOSPITAL]) == 0
    assert capsys.readouterr().out == "no caller notices a difference\n"
    assert main(["diff", "--behaviour", HOSPITAL, rerouted]) == 1
    said = capsys.readouterr().out
    assert "2" in said and "Ward switchboard" in said and "Operator" in said


@pytest.mark.parametrize(
    "command", [["prove"], ["cover"], ["plan"], ["trace"], ["diff", HOSPITAL], ["merge", HOSPITAL, HOSPITAL]]
)
def test_what_is_no_call_flow_is_named_as_what_it_is(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    suite = str(ROOT / "examples" / "hospital_suite.yaml")
    assert main([*command, suite]) == 2
    said, hint = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{suite}:2: error [kind/other] kind: the file is a suite of calls, and ")
    assert "a call flow" in said and hint == "    `python -m flows simulate-ivr` takes it."


def test_rows_are_checked_with_their_trigger(capsys: pytest.CaptureFixture[str]) -> None:
    rows = str(ROOT / "examples" / "reminders.csv")
    assert main(["check", rows]) == 2
    assert f"{rows}:1: error [kind/rows] the file holds rows" in (said := capsys.readouterr().out)
    assert "`cordboard check TRIGGER --rows FILE`" in said


def test_a_suite_of_another_flow_is_not_completed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cover", HOSPITAL, "--suite", str(ROOT / "examples" / "main_menu_suite.yaml")]) == 2
    said = capsys.readouterr().err
    assert "the suite is of the flow `ivr_main_menu_v2`" in said and "no node" not in said


def test_a_connection_that_nobody_takes_is_named_with_what_leads_along_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cover", HOSPITAL, "--pairs"]) == 0
    assert "node_welcome → node_menu (default), then node_menu → node_operator (fallback)" in capsys.readouterr().err
