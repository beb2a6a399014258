"""Suites of calls, simulated through the real flow with both engines; the vendor is a real local one."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cordboard.errors import BadCall, InvalidDocument
from cordboard.ivr.dialects.cxone import to_cxone
from cordboard.ivr.reading import load_flow
from cordboard.sandbox.definition import default_definition
from cordboard.sandbox.server import running_sandbox

pytestmark = [pytest.mark.prefect]

EXAMPLES = Path(__file__).parents[2] / "examples"
MAIN, HOSPITAL = EXAMPLES / "main_menu_suite.yaml", EXAMPLES / "hospital_suite.yaml"
DEBUG = {"path": "/api/v2/flows/debug"}


@pytest.fixture
def simulate(prefect_server: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """`simulate(box, suite, engine)`: runs the flow in this process; its document, and its state as `state`."""
    monkeypatch.setenv("CORDBOARD_CALLS_PER_SECOND", "100")

    def start(box: Any, suite: Path, engine: str = "local", **asked: Any) -> dict[str, Any]:
        from blocks.cxone import CXoneCredentials
        from flows.simulate_ivr import SimulateIvr, simulate_ivr

        async def flow() -> dict[str, Any]:
            credentials = CXoneCredentials.from_env(box.env()) if box else None
            request = SimulateIvr(suite=str(suite), engine=engine, **asked)
            state = await simulate_ivr(request, credentials, return_state=True)
            found = await state.aresult(raise_on_failure=False)
            if isinstance(found, BaseException):
                raise found
            run_id = str(state.state_details.flow_run_id)
            return json.loads(json.dumps(found)) | {"state": state.name, "run_id": run_id}

        return asyncio.run(flow())

    return start


@pytest.fixture
def live(vendor: Any) -> Any:
    """`live(fault, …)`: a vendor that has the flows of both suites."""

    def start(*faults: dict[str, Any]) -> Any:
        box = vendor(*faults)
        for name in ("main_menu.yaml", "hospital_menu.yaml"):
            flow = to_cxone(load_flow(EXAMPLES / name))
            box.flows[flow["id"]] = flow
        return box

    return start


def suite(folder: Path, *cases: str, flow: str = str(EXAMPLES / "hospital_menu.yaml")) -> Path:
    path = folder / "suite.yaml"
    path.write_text(
        f"kind: ivr-suite\nname: Nights\nflow: {flow}\ncases:\n" + "".join(f"  - {{{case}}}\n" for case in cases)
    )
    return path


def by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {case["name"]: case for case in document["cases"]}


def test_the_examples_pass_offline_and_their_calls_take_every_transition(simulate: Any) -> None:
    document = simulate(None, HOSPITAL)
    assert (document["status"], document["state"]) == ("passed", "Completed")
    assert document["coverage"]["transitions"] == {"taken": 19, "total": 19, "missing": []}
    assert simulate(None, MAIN)["status"] == "passed"


def test_a_case_that_fails_fails_the_run_and_says_where_the_call_parts(simulate: Any, tmp_path: Path) -> None:
    wrong = suite(tmp_path, 'name: wards, dtmf: "2", expect: {visited: [node_appointments]}', 'name: ok, dtmf: "9"')
    document = simulate(None, wrong)
    assert (document["status"], document["state"]) == ("failed", "Failed")
    found = by_name(document)
    assert found["ok"]["status"] == "passed"
    assert "node_appointments" in found["wards"]["mismatches"][0]


def test_both_engines_agree_on_the_examples(simulate: Any, live: Any) -> None:
    """The vendor's debugger takes keys in a row or one utterance; what needs more is judged here alone, and said."""
    box = live()
    document = simulate(box, MAIN, "both")
    assert document["status"] == "passed", document["cases"]
    assert list(document["only_here"]) == ["the caller hangs up in the menu"]
    hangs_up = by_name(simulate(box, MAIN, "vendor"))["the caller hangs up in the menu"]
    assert hangs_up["status"] == "error" and "with the local engine" in hangs_up["mismatches"][0]


def test_where_the_engines_differ_the_case_fails_and_shows_both_ways(simulate: Any, live: Any, tmp_path: Path) -> None:
    """Somebody edited the live flow: the file says one thing, the vendor does another."""
    box = live()
    ways = box.flows["ivr_hospital_main"]["connections"]
    ways[[way["condition"].startswith("dtmf == '2'") for way in ways].index(True)]["target_node_id"] = "node_operator"
    document = simulate(box, suite(tmp_path, 'name: wards, dtmf: "2"', 'name: emergency, dtmf: "9"'), "both")
    found = by_name(document)
    assert found["emergency"]["status"] == "passed"
    said = " ".join(found["wards"]["mismatches"])
    assert "the engines differ" in said and "node_wards" in said and "node_operator" in said


def test_a_flow_that_does_not_compile_is_a_finding_at_the_node_where_it_fails(
    simulate: Any, live: Any, tmp_path: Path
) -> None:
    """The vendor answers 500 with the trace so far; it is asked once."""
    box = live()
    box.flows["ivr_hospital_main"]["connections"][1]["target_node_id"] = "node_nowhere"
    document = simulate(box, suite(tmp_path, 'name: wards, dtmf: "2"'), "vendor")
    (case,) = document["cases"]
    assert case["status"] == "failed" and "node_welcome" in case["mismatches"][0]
    assert len([entry for entry in box.truth.requests if entry.path == DEBUG["path"]]) == 1


def test_a_403_is_explained_by_a_look_at_the_flow(simulate: Any, live: Any, tmp_path: Path) -> None:
    box = live({"match": DEBUG, "fault": {"status": 403}})
    (case,) = simulate(box, suite(tmp_path, 'name: wards, dtmf: "2"'), "vendor")["cases"]
    assert case["status"] == "error" and "the scope flow:debug is missing" in case["mismatches"][0]


def test_every_429_is_waited_out_and_not_only_the_first(simulate: Any, live: Any, tmp_path: Path) -> None:
    box = live({"match": DEBUG | {"nth": [1, 2, 3]}, "fault": {"rate_limited": {"retry_after": "0"}}})
    assert simulate(box, suite(tmp_path, 'name: wards, dtmf: "2"'), "vendor")["status"] == "passed"


def test_a_token_that_is_revoked_in_between_is_renewed(simulate: Any, live: Any, tmp_path: Path) -> None:
    """The tutorial fetches its token once; a night of simulations outlives it."""
    box = live({"match": DEBUG | {"nth": [2]}, "fault": {"status": 401}})
    cases = [f'name: wards {number}, dtmf: "2"' for number in range(3)]
    assert simulate(box, suite(tmp_path, *cases), "vendor")["status"] == "passed"


def test_a_flow_that_only_the_vendor_has_is_simulated_there(simulate: Any, live: Any, tmp_path: Path) -> None:
    calls = suite(tmp_path, 'name: wards, dtmf: "2", expect: {exit: node_end}', flow="ivr_hospital_main")
    assert simulate(live(), calls, "vendor")["status"] == "passed"
    with pytest.raises(BadCall, match="engine `vendor`"):
        simulate(None, calls)


def test_a_suite_with_faults_is_refused_with_all_of_them(simulate: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument) as refusal:
        simulate(None, suite(tmp_path, 'name: a, dtmf: "x"', "name: a, expect: {visited: [node_nowhere]}"))
    assert len(refusal.value.findings) >= 2


def test_reports_lie_where_they_were_asked_for(simulate: Any, tmp_path: Path) -> None:
    document = simulate(None, HOSPITAL, report_dir=str(tmp_path / "out"))
    paths = [Path(path) for path in document["reports"]]
    assert {path.parent for path in paths} == {tmp_path / "out"} and all(path.stat().st_size for path in paths)
    assert {path.suffix for path in paths} == {".html", ".md", ".yaml", ".json", ".xml", ".lcov"}


def test_thousands_of_calls_are_few_task_runs(simulate: Any, prefect_server: str, tmp_path: Path) -> None:
    rows = ", ".join(f'{{n: "{number}", key: "{number % 3 * 2}"}}' for number in range(2_500))
    calls = suite(tmp_path, f'name: call, each: [{rows}], dtmf: "{{{{ each.key }}}}", expect: {{exit: node_end}}')
    document = simulate(None, calls)
    assert (document["status"], len(document["cases"])) == ("passed", 2_500)
    body = {"flow_runs": {"id": {"any_": [document["run_id"]]}}}
    assert httpx.post(f"{prefect_server}/task_runs/count", json=body).json() <= 3


SEED = {"path": ["node_start", "node_welcome", "node_menu", "node_wards", "node_end"], "exitNode": "node_end"}


def scripted(**reply: Any) -> Any:
    """A vendor that answers every simulation of the hospital's menu with this."""
    whole = {**SEED, "variables": {}, "duration": 1, "trace": []} | reply
    answers = [{"flowId": "ivr_hospital_main", "reply": whole}]
    definition = default_definition().changed(debug={"answers": answers})
    return running_sandbox(definition)


@pytest.mark.parametrize("engine", ["vendor", "both"])
def test_a_variable_that_is_wrong_at_the_vendor_fails_the_case(simulate: Any, tmp_path: Path, engine: str) -> None:
    calls = suite(tmp_path, 'name: a, dtmf: "2", variables: {tier: gold}, expect: {variables: {tier: gold}}')
    with scripted(variables={"tier": "bronze"}) as box:
        assert simulate(box, calls, engine)["status"] == "failed"


def test_what_fails_here_stays_failed_where_the_vendor_makes_no_call(simulate: Any, live: Any, tmp_path: Path) -> None:
    """Else a red case would look like a vendor that is down."""
    box = live({"match": DEBUG, "fault": {"status": 403}})
    calls = suite(tmp_path, 'name: a, dtmf: "2", expect: {visited: [node_emergency]}', 'name: b, dtmf: "2"')
    document = simulate(box, calls, "both")
    found = by_name(document)
    assert (found["a"]["status"], found["b"]["status"]) == ("failed", "error")
    assert "node_emergency" in found["a"]["mismatches"][0] and "flow:debug" in found["a"]["mismatches"][-1]


@pytest.mark.parametrize(
    "case",
    ["then: hangup", 'dtmf: ["22"]', "mocks: {node_wards: [{a: 1}]}", "dtmf: [no_input]", "max_loops: 1001"],
)
def test_a_call_that_the_debugger_cannot_make_is_not_made_otherwise(
    simulate: Any, live: Any, tmp_path: Path, case: str
) -> None:
    box = live()
    (found,) = simulate(box, suite(tmp_path, f"name: a, {case}"), "vendor")["cases"]
    assert found["status"] == "error" and "with the local engine" in found["mismatches"][0]
    assert [entry for entry in box.truth.requests if entry.path == DEBUG["path"]] == []


def test_prompts_are_not_judged_by_a_file_that_is_not_live(simulate: Any, live: Any, tmp_path: Path) -> None:
    box = live()
    calls = suite(tmp_path, 'name: a, dtmf: "2", expect: {prompts: [Welcome to the Riverside Hospital]}')
    assert simulate(box, calls, "vendor")["status"] == "passed"
    box.flows["ivr_hospital_main"]["nodes"][0]["prompt"] = "Good night"
    (found,) = simulate(box, calls, "vendor")["cases"]
    assert found["status"] == "failed" and "not as the file says" in found["mismatches"][-1]


def test_a_folder_that_cannot_be_written_is_told_before_the_first_call(
    simulate: Any, live: Any, tmp_path: Path
) -> None:
    box, taken = live(), tmp_path / "taken"
    taken.write_text("a file")
    with pytest.raises(BadCall):
        simulate(box, suite(tmp_path, 'name: a, dtmf: "2"'), "vendor", report_dir=str(taken))
    assert box.truth.entries == ()


def test_a_refusal_of_the_whole_flow_is_heard_once(
    simulate: Any, live: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORDBOARD_IN_FLIGHT", "1")
    box = live({"match": DEBUG, "fault": {"status": 403}})
    document = simulate(box, suite(tmp_path, *(f'name: c{n}, dtmf: "2"' for n in range(6))), "vendor")
    assert {case["status"] for case in document["cases"]} == {"error"}
    assert len([entry for entry in box.truth.requests if entry.path == DEBUG["path"]]) == 1


def test_a_secret_that_the_vendor_repeats_is_masked(simulate: Any, tmp_path: Path) -> None:
    secret = default_definition().clients[0].secret.get_secret_value()
    last = {
        "nodeId": "node_welcome",
        "type": "x",
        "timestamp": 1,
        "status": "Error",
        "exception": f"key {secret}\x1b[2J",
    }
    with scripted(exitNode=None, path=["node_start", "node_welcome"], trace=[last]) as box:
        document = simulate(box, suite(tmp_path, 'name: a, dtmf: "2"'), "vendor", report_dir=str(tmp_path / "out"))
    text = json.dumps(document) + "".join(Path(path).read_text() for path in document["reports"])
    assert secret not in text and "\x1b" not in text


@pytest.mark.parametrize(("signal_", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_run_and_what_was_made_is_reported(
    live: Any, start: Any, wait_until: Any, tmp_path: Path, signal_: signal.Signals, code: int
) -> None:
    """Within seconds, while the vendor still thinks about a call."""
    box = live({"match": {**DEBUG, "nth": [2]}, "fault": {"hang": {"at": "after_commit"}}})
    calls = suite(tmp_path, *(f'name: c{n}, dtmf: "2"' for n in range(3)))
    out = tmp_path / "out"
    one_at_a_time = {"CORDBOARD_IN_FLIGHT": "1", "CORDBOARD_CALLS_PER_SECOND": "100"}
    process = start(box, "simulate-ivr", calls, "--engine", "vendor", "--report-dir", out, "--json", **one_at_a_time)
    wait_until(lambda: len(box.truth.posts(DEBUG["path"])) == 2)
    process.send_signal(signal_)
    printed, said = process.communicate(timeout=20)
    assert (process.returncode, printed) == (code, "")
    assert "Traceback" not in said
    (report,) = out.rglob("*.json")
    cases = by_name(json.loads(report.read_text()))
    assert {name: case["mismatches"] for name, case in cases.items()} == {
        "c0": [],
        "c1": ["the call was not made"],
        "c2": ["the call was not made"],
    }
