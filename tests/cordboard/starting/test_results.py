"""The file of results says how each row stands by the ledger, and its sums add up."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cordboard.errors import LedgerUnavailable
from cordboard.records.effects import EffectState
from cordboard.records.ledger import Ledger
from cordboard.starting import results as results_module
from cordboard.starting.document import batch_document, exit_code
from cordboard.starting.model import Batch, Progress
from cordboard.starting.orders import effect_of
from cordboard.starting.results import Results, write_results
from cordboard.starting.spool import spool_batch
from tests.cordboard.starting.conftest import TRIGGER

LATER = "9999-01-01T00:00:00.000000+00:00"


def batch_of(folder: Path, *keys: str, customer: str = "C", run_key: str = "sunday") -> Batch:
    rows = folder / "rows.csv"
    with rows.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "customer", "priority"), *((key, customer, 5) for key in keys)])
    return Batch(TRIGGER, spool_batch(TRIGGER, rows, folder), "acme", run_key)


def found(folder: Path, batch: Batch, ends: dict[str, EffectState], since: str = "") -> Results:
    """The results once effects stand so."""

    async def main() -> Results:
        async with await Ledger.open(f"sqlite:///{folder / 'ledger.db'}") as ledger:
            async with await ledger.claim_run("acme", "starts/sunday/05-000000") as run:
                for start in batch.spool.starts():
                    state, effect = ends.get(start.key), effect_of(batch, start)
                    if state is None:
                        continue
                    await run.intend(effect)
                    if state is not EffectState.SENT:
                        result = {"instance_id": f"i-{start.line}"} if state is EffectState.DONE else None
                        why = {"kind": "odd", "message": f"why {start.line}"}
                        await run.conclude(effect, state, result, why)
            return await write_results(batch, ledger, folder / "out" / "sunday.csv", since)

    return asyncio.run(main())


def lines(results: Results) -> list[dict[str, str]]:
    with results.path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_row_has_a_line_and_the_sums_add_up(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, "done", "failed", "unknown", "sent", "ready", "new")
    ends = {state.value: state for state in EffectState}
    results = found(tmp_path, batch, ends)
    assert [(line["key"], line["status"], line["kind"], line["instance_id"]) for line in lines(results)] == [
        ("done", "started", "", "i-2"),
        ("failed", "failed", "odd", ""),
        ("unknown", "unknown", "odd", ""),
        ("sent", "unknown", "interrupted", ""),
        ("ready", "failed", "not_sent_yet", ""),
        ("new", "failed", "not_sent_yet", ""),
    ]
    assert results.counts == Counter(started=1, failed=3, unknown=2)
    assert results.kinds == Counter(odd=2, interrupted=1, not_sent_yet=2)
    document = batch_document(batch, Progress(6, lambda: 0.0), results)
    parts = ("started", "already_started", "failed", "unknown")
    assert sum(document[part] for part in parts) == document["total"] == len(document["instances"]) == 6
    assert sum(document["kinds"].values()) == document["failed"] + document["unknown"]
    assert (document["status"], exit_code(document)) == ("partial", 1)


def test_what_was_started_before_is_told_apart(tmp_path: Path) -> None:
    results = found(tmp_path, batch_of(tmp_path, "done"), {"done": EffectState.DONE}, since=LATER)
    assert results.counts == Counter(already_started=1)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (EffectState.DONE, "other_content"),
        (EffectState.UNKNOWN, "other_content"),
        (EffectState.SENT, "other_content"),
        (EffectState.FAILED, "not_sent_yet"),  # it was mended, and can be sent
        (EffectState.READY, "not_sent_yet"),
    ],
)
def test_a_key_that_stands_for_other_content_is_never_said_to_be_started(
    tmp_path: Path, state: EffectState, kind: str
) -> None:
    found(tmp_path, batch_of(tmp_path, "A1"), {"A1": state})
    results = found(tmp_path, batch_of(tmp_path, "A1", customer="changed"), {})
    assert (results.counts, results.kinds) == (Counter(failed=1), Counter({kind: 1}))


@pytest.mark.parametrize("key", ["=1+1", "+1", "-1", "@SUM(1)", "\uff1d1"])
def test_no_cell_is_a_formula(tmp_path: Path, key: str) -> None:
    (line,) = lines(found(tmp_path, batch_of(tmp_path, key), {}))
    assert line["key"] == f"'{key}"


@pytest.mark.parametrize("key", ["a,b", 'say "hi"', "two\nlines", "ключ", "\U0001f600", "a/b", "1+1", "x" * 200])
def test_other_keys_stand_as_they_are(tmp_path: Path, key: str) -> None:
    (line,) = lines(found(tmp_path, batch_of(tmp_path, key), {}))
    assert line["key"] == key


def test_a_file_that_cannot_be_finished_is_not_there_and_an_older_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_of(tmp_path, "A1")
    before = found(tmp_path, batch, {}).path.read_bytes()

    async def gone(*_: Any) -> Any:
        raise LedgerUnavailable("the ledger is gone")

    monkeypatch.setattr(results_module, "_known", gone)
    with pytest.raises(LedgerUnavailable):
        found(tmp_path, batch, {})
    assert [each.name for each in (tmp_path / "out").iterdir()] == ["sunday.csv"]
    assert (tmp_path / "out" / "sunday.csv").read_bytes() == before


def test_two_runs_in_one_process_may_write_the_same_file(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, *(f"A{number}" for number in range(1200)))

    async def main() -> None:
        async with await Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
            path = tmp_path / "out" / "sunday.csv"
            await asyncio.gather(*(write_results(batch, ledger, path, "") for _ in range(3)))

    asyncio.run(main())
    (file,) = (tmp_path / "out").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [line["key"] for line in lines(Results(file))] == [f"A{number}" for number in range(1200)]


def test_of_many_rows_the_document_names_the_file(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, *(f"A{number}" for number in range(1001)))
    results = found(tmp_path, batch, {})
    assert len(results.instances) == 1000
    document = batch_document(batch, Progress(1001, lambda: 0.0), results)
    assert (document["instances"], document["failed"]) == (str(results.path), 1001)


def document_of(tmp_path: Path, ends: dict[str, EffectState], changes: dict[str, Any]) -> dict[str, Any]:
    batch = batch_of(tmp_path, *ends)
    faulty = changes.get("faulty", 0)
    batch = replace(batch, spool=replace(batch.spool, tally=replace(batch.spool.tally, faulty=faulty)))
    return batch_document(
        batch, Progress(len(ends), lambda: 0.0), found(tmp_path, batch, ends), **_without(changes, "faulty")
    )


def _without(changes: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in changes.items() if each != name}


@pytest.mark.parametrize(
    ("ends", "changes", "status", "code"),
    [
        ({"a": EffectState.DONE}, {}, "completed", 0),
        ({"a": EffectState.DONE}, {"faulty": 3}, "completed", 0),
        ({}, {}, "completed", 0),  # a day without rows
        ({}, {"faulty": 3}, "failed", 1),  # nothing of what was asked for
        ({"a": EffectState.DONE, "b": EffectState.UNKNOWN}, {}, "partial", 1),
        ({"a": EffectState.FAILED}, {}, "failed", 1),
        ({"a": EffectState.FAILED}, {"trouble": "the vendor has started nothing for 600 s"}, "failed", 3),
        ({"a": EffectState.DONE}, {"trouble": "the ledger is gone"}, "completed", 3),
        ({"a": EffectState.DONE}, {"ends": {"completed": 1}}, "completed", 0),
        ({"a": EffectState.DONE}, {"ends": {"failed": 1}}, "completed", 1),
        ({"a": EffectState.DONE}, {"ends": {"running": 1}}, "completed", 1),
        ({"a": EffectState.DONE}, {"ends": {}}, "completed", 0),
    ],
)
def test_status_and_exit_code(
    tmp_path: Path, ends: dict[str, EffectState], changes: dict[str, Any], status: str, code: int
) -> None:
    document = document_of(tmp_path, ends, changes)
    assert (document["status"], exit_code(document)) == (status, code)
    assert 0.0 <= document["success_rate"] <= 1.0


def test_the_results_are_the_owners_alone(tmp_path: Path) -> None:
    results = found(tmp_path, batch_of(tmp_path, "A1"), {})
    assert results.path.stat().st_mode & 0o777 == 0o600
