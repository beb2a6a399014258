"""Workers that are killed at random, a vendor that fails at random, and a judge who shares no code with either."""

from __future__ import annotations

import ast
import json
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from bench import chaos_checker
from bench.chaos import Plan, conduct
from bench.chaos_checker import check
from cordboard.sandbox import Faults, default_definition, running_sandbox
from cordboard.vendors.transport import quiet_http_logs
from tests.cordboard.starting.conftest import WORKFLOW, Place
from tests.thorough import points

POST = {"method": "POST", "path": "/api/v2/workflows/instances"}
ROWS = 24


@pytest.mark.slow
@pytest.mark.parametrize("safety", points(["lookup", "neither"], ["keyed", "lookup", "neither"]))
def test_no_start_is_lost_or_doubled_however_often_workers_are_killed(tmp_path: Path, safety: str) -> None:
    """`make chaos` is the same with 10,000 starts and twenty kills."""
    plan = Plan(safety, 150, workers=2, kills=3, in_flight=40, attempts=2)
    outcome = conduct(replace(plan, timeout_seconds=0.4, late_seconds=0.2, settle_seconds=1.2), tmp_path)
    # Where this machine is busy, so small a batch may end before the last of them is met with a part of it in hand.
    complaints = [each for each in outcome.verdict.complaints if "workers were killed, not" not in each]
    assert (complaints, outcome.troubles) == ([], [])
    assert outcome.kills >= 2
    assert outcome.verdict.figures["starts"] == 150


@dataclass
class Case:
    """What a run left behind, to be changed."""

    folder: Path

    def complaints(self, safety: str = "neither") -> list[str]:
        """What the checker says of it, leaving aside that so small a run has too few faults."""
        found = check(self.folder / "truth.jsonl", self.folder / "ledger.db", self.folder / "rows.csv", safety)
        return [each for each in found.complaints if "void" not in each]

    def ledger(self, statement: str) -> None:
        """Changes the ledger behind everybody's back."""
        with closing(sqlite3.connect(self.folder / "ledger.db")) as database, database:
            assert database.execute(statement).rowcount > 0

    def truth(self, change: Callable[[list[dict[str, Any]]], None]) -> None:
        """Changes the instances that the vendor started; the list goes in their place."""
        file = self.folder / "truth.jsonl"
        entries = [json.loads(line) for line in file.read_text().splitlines()]
        instances = [entry for entry in entries if entry["kind"] == "effect"]
        others = [entry for entry in entries if entry["kind"] != "effect"]
        change(instances)
        file.write_text("".join(json.dumps(entry) + "\n" for entry in [*others, *instances]))


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small batch that went as it should, with lost replies that nobody can ask about."""
    folder = tmp_path_factory.mktemp("left")
    quiet_http_logs()
    lost = {"match": {**POST, "nth": [3, 7]}, "fault": {"lost_reply": "after_commit"}}
    shape = {"context": {"customer": {"type": "string"}}, "idempotency": False}
    definition = default_definition().changed(workflows={WORKFLOW: shape})
    with running_sandbox(definition, faults=Faults.of(lost), truth_file=folder / "truth.jsonl") as box:
        place = Place(box, folder)
        # Patient: on a busy machine a slow reply is none that is lost.
        ended = place.start(place.batch(ROWS, safety="neither", timeout_seconds=30.0))
    assert (ended.started, ended.unknown) == (ROWS - 2, 2), dict(ended.kinds)
    return folder


@pytest.fixture
def case(left_behind: Path, tmp_path: Path) -> Case:
    """A copy of what the small batch left behind."""
    shutil.copytree(left_behind, tmp_path / "case")
    return Case(tmp_path / "case")


def test_the_checker_has_nothing_to_say_of_a_run_that_went_well(case: Case) -> None:
    assert case.complaints() == []


def test_the_checker_shares_no_code_with_what_it_judges() -> None:
    tree = ast.parse(Path(chaos_checker.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda some: some.append(some[0]), "1 references with two instances"),
        (lambda some: some.pop(0), "1 done without an instance"),
        (lambda some: some.append({**some[0], "reference": "f" * 64}), "1 instances that nobody asked for"),
        (lambda some: some[0]["inputs"]["context"].update(customer="C5000"), "1 instances with the content of another"),
        (lambda some: some[0].update(instance_id="inst_other"), "1 done with the id of another instance"),
        (lambda some: some[0].update(at=0.0), "1 effects before their intent"),
    ],
)
def test_the_checker_believes_the_vendor(case: Case, change: Callable[[Any], None], complaint: str) -> None:
    case.truth(change)
    assert [each for each in case.complaints() if each.startswith(complaint)]


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("DELETE FROM effects WHERE subject = 'A5'", "1 rows that the ledger does not know"),
        ("UPDATE effects SET subject = 'A5000' WHERE subject = 'A5'", "1 effects of no row"),
        ("UPDATE effects SET state = 'sent' WHERE subject = 'A5'", "1 left open"),
        ("UPDATE effects SET state = 'ready' WHERE subject = 'A5'", "1 left open"),
        ("UPDATE effects SET state = 'failed' WHERE state = 'unknown'", "2 instances that are neither done nor"),
        ("UPDATE effects SET evidence = NULL WHERE state = 'unknown'", "2 unknown without evidence"),
        ("DELETE FROM instances", f"{ROWS - 2} instances not on record"),
        ("UPDATE runs SET state = 'held'", "1 runs that are still held"),
        ("UPDATE audit SET detail = replace(detail, 'A5', 'A6') WHERE subject = 'A5'", "2 breaks of the audit record"),
        ("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)", "1 breaks of the audit record"),
        (
            "UPDATE audit SET kind = 'note' WHERE kind = 'effect.intended' AND subject = 'A5'",
            "1 sent without an intent",
        ),
    ],
)
def test_the_checker_does_not_believe_the_ledger(case: Case, statement: str, complaint: str) -> None:
    case.ledger(statement)
    assert [each for each in case.complaints() if each.startswith(complaint)]


def test_what_may_stay_unknown_depends_on_what_the_vendor_can_be_asked(case: Case) -> None:
    assert [each for each in case.complaints("lookup") if each.startswith("2 left open")]


def test_a_run_with_few_faults_is_void(case: Case) -> None:
    found = check(case.folder / "truth.jsonl", case.folder / "ledger.db", case.folder / "rows.csv", "lookup", 20)
    assert sum("the run is void" in each for each in found.complaints) == 4
