"""The run is killed outright at every step; a rerun under the same run key goes on, and the vendor's log is the judge.

What the kill leaves behind depends on two things only: whether the vendor had done the work, and whether the chain's
author says that a repeat is harmless.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from cordboard.chains.results import exit_code
from cordboard.records.command import audit_verify
from cordboard.sandbox.faults import Faults
from cordboard.settings import Settings
from tests.thorough import points

pytestmark = [pytest.mark.prefect]

CHAIN = """
    kind: chain
    name: crash
    defaults: {on_failure: continue}
    actions:
      look_up: {definition_id: def-echo, inputs: {step: look_up}, idempotent: true}
      open_case: {definition_id: def-echo, inputs: {step: open_case}, depends_on: [look_up]}
      set_tier: {definition_id: def-echo, inputs: {step: set_tier}, depends_on: [open_case], idempotent: true}
      send_text: {definition_id: def-echo, inputs: {step: send_text}, depends_on: [open_case]}
      log_call: {definition_id: def-echo, inputs: {step: log_call}, depends_on: [set_tier, send_text]}
      close: {definition_id: def-echo, inputs: {step: close}, depends_on: [log_call], idempotent: true}
    """
STEPS = ("look_up", "open_case", "set_tier", "send_text", "log_call", "close")
HARMLESS = {"look_up", "set_tier", "close"}
STAGES = ("before_commit", "after_commit")
TELLING = [  # first and last, idempotent or not, alone or beside another; what differs is in no other point
    *(("look_up", stage) for stage in STAGES),
    *(("open_case", stage) for stage in STAGES),
    ("set_tier", "after_commit"),
    ("send_text", "before_commit"),
    ("close", "after_commit"),
]
BESIDE = {"set_tier": "send_text", "send_text": "set_tier"}  # these two run at the same time


def standing(home: Path) -> dict[str, str]:
    """What the ledger says of each effect, read from its file beside the process that writes it."""
    with closing(sqlite3.connect(f"file:{home}/ledger.db?mode=ro", uri=True)) as database:
        return dict(database.execute("SELECT subject, state FROM effects"))


def count(entries: tuple[Any, ...]) -> Counter[str]:
    """How often the vendor saw each step."""
    return Counter(entry.inputs["step"] for entry in entries)


def hang(step: str, stage: str) -> dict[str, Any]:
    return {"match": {"inputs": {"step": step}}, "fault": {"hang": {"at": stage}}}


def statuses(document: dict[str, Any]) -> dict[str, str]:
    return {name: action["status"] for name, action in document["actions"].items()}


@pytest.fixture
def killed(vendor: Any, start: Any, home: Path, chain_file: Any, wait_until: Any) -> Callable[[str, str], Any]:
    """Runs the chain as a process until it waits for a step's reply, kills it, and gives back the healed vendor."""

    def kill(step: str, stage: str) -> Any:
        box = vendor(hang(step, stage))
        process = start(box, "run-chain", chain_file(CHAIN), "--run-key", "test", "--json")
        before = dict.fromkeys([*STEPS[: STEPS.index(step)], *filter(None, [BESIDE.get(step)])], "done")
        wait_until(lambda: box.truth.in_flight == 1 and standing(home) == before | {step: "sent"})
        wait_until(lambda: stage == "before_commit" or count(box.truth.effects)[step] == 1)
        process.kill()
        process.wait()
        wait_until(lambda: box.truth.in_flight == 0)
        box.sandbox.use_faults(Faults())
        return box

    return kill


@pytest.mark.parametrize(("step", "stage"), points(TELLING, list(product(STEPS, STAGES))))
def test_a_killed_run_goes_on_and_nothing_is_lost_or_done_twice(killed: Any, run: Any, step: str, stage: str) -> None:
    """Idempotent: sent again and completed. Not idempotent: never sent again, and said to be unknown."""
    box = killed(step, stage)
    document = run(box, CHAIN)
    ends = dict.fromkeys(STEPS, "completed") | ({} if step in HARMLESS else {step: "unknown"})
    assert statuses(document) == ends
    assert exit_code(document) == (0 if step in HARMLESS else 1)
    repeats = {step: 2} if step in HARMLESS else {}
    assert count(box.truth.requests) == dict.fromkeys(STEPS, 1) | repeats
    lost = {step: int(stage == "after_commit") + int(step in HARMLESS)}
    assert count(box.truth.effects) == +Counter(dict.fromkeys(STEPS, 1) | lost)
    assert audit_verify(Settings.from_env(os.environ).ledger) == 0


def test_what_cannot_be_known_says_so_and_names_when_it_was_sent(killed: Any, start: Any, chain_file: Any) -> None:
    """As its user sees it: a second process, its exit code, its document."""
    box = killed("open_case", "after_commit")
    again = start(box, "run-chain", chain_file(CHAIN), "--run-key", "test", "--json")
    printed, _ = again.communicate(timeout=60)
    document = json.loads(printed)
    (failure,) = document["failures"]
    assert (again.returncode, document["status"]) == (1, "partial")
    assert (failure["action"], failure["status"], failure["kind"]) == ("open_case", "unknown", "interrupted")
    assert "may have taken effect" in failure["message"] and failure["sent_at"]


def test_items_that_were_open_at_the_kill_are_unknown_and_the_others_are_sent_once(
    vendor: Any, start: Any, run: Any, home: Path, chain_file: Any, wait_until: Any
) -> None:
    """A fan-out is resumed item by item."""
    chain = """
        kind: chain
        name: items
        actions:
          each: {definition_id: def-echo, for_each: "{{ params.steps }}", inputs: {step: "{{ item }}"}}
        params: {steps: {type: array, default: [a, b, c, d, e, f]}}
        """
    box = vendor(hang("c", "after_commit"), hang("e", "before_commit"))
    process = start(box, "run-chain", chain_file(chain), "--run-key", "test", CORDBOARD_IN_FLIGHT="2")
    wait_until(lambda: box.truth.in_flight == 2 and Counter(standing(home).values()) == {"done": 3, "sent": 2})
    process.kill()
    process.wait()
    wait_until(lambda: box.truth.in_flight == 0)
    box.sandbox.use_faults(Faults())
    each = run(box, chain)["actions"]["each"]
    assert each["items"] == {"completed": 4, "unknown": 2}
    assert [error["item"] for error in each["error"]["items"]] == [2, 4]
    assert count(box.truth.requests) == dict.fromkeys("abcdef", 1)
    assert count(box.truth.effects) == dict.fromkeys("abcdf", 1)


def test_a_run_key_that_a_live_process_holds_is_refused(
    vendor: Any, start: Any, chain_file: Any, wait_until: Any
) -> None:
    """Two processes on one run would each send what the other has not recorded yet."""
    box = vendor(hang("look_up", "after_commit"))
    command = ("run-chain", chain_file(CHAIN), "--run-key", "test", "--json")
    holder = start(box, *command)
    wait_until(lambda: len(box.truth.effects) == 1)
    second = start(box, *command)
    printed, said = second.communicate(timeout=60)
    assert second.returncode == 2
    assert json.loads(printed)["status"] == "invalid"
    assert f"held by process {holder.pid}" in said
    assert len(box.truth.requests) == 1
    assert holder.poll() is None
