"""Live call flows against their files, through the real flow and a real local vendor."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cordboard.errors import BadCall, InvalidDocument
from cordboard.ivr.dialects.cxone import to_cxone
from cordboard.ivr.reading import load_flow
from cordboard.registration.drift import exit_code

pytestmark = [pytest.mark.prefect]

EXAMPLES = Path(__file__).parents[2] / "examples"
MAIN, HOSPITAL = EXAMPLES / "main_menu.yaml", EXAMPLES / "hospital_menu.yaml"


@pytest.fixture
def detect(prefect_server: str, home: Path) -> Callable[..., dict[str, Any]]:
    """`detect(box, file, …)`: runs the flow in this process and gives back its document."""

    def start(box: Any, *files: Path | str) -> dict[str, Any]:
        from blocks.cxone import CXoneCredentials
        from flows.detect_drift import DetectDrift, detect_drift

        async def flow() -> dict[str, Any]:
            asked, credentials = DetectDrift(files=[str(file) for file in files]), CXoneCredentials.from_env(box.env())
            state = await detect_drift(asked, credentials, return_state=True)
            found = await state.aresult(raise_on_failure=False)
            if isinstance(found, BaseException):
                raise found
            return json.loads(json.dumps(found))

        return asyncio.run(flow())

    return start


@pytest.fixture
def live(vendor: Any) -> Any:
    """A vendor that has both examples as their files say."""
    box = vendor()
    for file in (MAIN, HOSPITAL):
        flow = to_cxone(load_flow(file))
        box.flows[flow["id"]] = flow
    return box


def statuses(document: dict[str, Any]) -> list[str]:
    return [each["status"] for each in document["flows"]]


def test_flows_that_are_as_their_files_say_are_the_same(live: Any, detect: Any) -> None:
    document = detect(live, MAIN, HOSPITAL)
    assert (document["status"], statuses(document), exit_code(document)) == ("same", ["same", "same"], 0)


def test_an_edit_in_the_console_is_found_and_said_in_a_sentence(live: Any, detect: Any) -> None:
    live.flows["ivr_main_menu_v2"]["connections"][1]["target_node_id"] = "node_transfer_04"
    document = detect(live, MAIN, HOSPITAL)
    assert (document["status"], statuses(document), exit_code(document)) == ("drifted", ["drifted", "same"], 1)
    assert any("1 now leads to" in change for change in document["flows"][0]["changes"])


def test_a_flow_that_was_only_moved_about_is_the_same(live: Any, detect: Any) -> None:
    stored = live.flows["ivr_hospital_main"]
    stored["nodes"].reverse()
    for number, node in enumerate(stored["nodes"]):
        node["x"] = number
    assert detect(live, HOSPITAL)["status"] == "same"


def test_a_flow_that_is_gone_has_drifted(live: Any, detect: Any) -> None:
    del live.flows["ivr_main_menu_v2"]
    document = detect(live, MAIN, HOSPITAL)
    assert (document["status"], statuses(document), exit_code(document)) == ("drifted", ["missing", "same"], 1)


def test_a_flow_that_cannot_be_read_is_no_drift_and_hides_no_other(vendor: Any, detect: Any, live: Any) -> None:
    box = vendor({"match": {"path": "/api/v2/flows/ivr_main_menu_v2"}, "fault": {"status": 403}})
    box.flows["ivr_hospital_main"] = live.flows["ivr_hospital_main"]
    document = detect(box, MAIN, HOSPITAL)
    assert (statuses(document), exit_code(document)) == (["unreadable", "same"], 3)


def test_patterns_name_files_and_one_that_names_none_is_refused(live: Any, detect: Any) -> None:
    assert statuses(detect(live, EXAMPLES / "*_menu.yaml")) == ["same", "same"]
    with pytest.raises(BadCall, match="no file fits"):
        detect(live, EXAMPLES / "*_nothing.yaml")


def test_a_file_that_cannot_be_read_is_refused_before_anything_is_asked_for(live: Any, detect: Any) -> None:
    with pytest.raises(InvalidDocument):
        detect(live, MAIN, EXAMPLES / "customer_sync.yaml")
    assert live.truth.entries == ()
