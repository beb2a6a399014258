"""Suites of calls, simulated through the real flow with both engines; the vendor is a real local one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from cordboard.errors import BadCall, InvalidDocument
from cordboard.ivr.dialects.cxone import to_cxone
from cordboard.ivr.reading import load_flow

pytestmark = [pytest.mark.prefect, pytest.mark.xdist_group("prefect-flows")]

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
    """The vendor's debugger takes digits or one utterance; the cases that need more are errors that say so."""
    box = live()
    document = simulate(box, MAIN, "both")
    ends = {case["name"]: case["status"] for case in document["cases"]}
    assert ends == {"sales": "passed", "support": "passed", "the caller hangs up in the menu": "error"}
    assert "with the local engine" in by_name(document)["the caller hangs up in the menu"]["mismatches"][0]


def test_where_the_engines_differ_the_case_fails_and_shows_both_ways(simulate: Any, live: Any, tmp_path: Path) -> None:
    """Somebody edited the live flow: the file says one thing, the vendor does another."""
    box = live()
    ways = box.flows["ivr_hospital_main"]["connections"]
    ways[[way["condition"].startswith("dtmf == '2'") for way in ways].index(True)]["target_node_id"] = "node_operator"
    document = simulate(box, suite(tmp_path, 'name: wards, dtmf: "2"', 'name: emergency, dtmf: "9"'), "both")
    found = by_name(document)
    assert found["emergency"]["status"] == "passed"
    (said,) = found["wards"]["mismatches"]
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
