"""What the command does with files of `kind: trigger`, alone and with the rows of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cordboard.documents import Document
from cordboard.errors import BadCall, InvalidDocument
from cordboard.findings import Finding, Severity
from cordboard.triggers.checking import Tally, check_batch
from cordboard.triggers.model import Trigger
from cordboard.triggers.reading import load_trigger, read_trigger
from cordboard.triggers.rows import format_of
from cordboard.triggers.shape import json_schema
from cordboard.triggers.templates import columns_of, is_batch, placed_values

MOST_SHOWN, MOST_REPORTED = 20, 1_000
Examined = tuple[Path, tuple[Finding, ...], str]
"""A file, what is wrong with it, and a line that sums it up."""


@dataclass(frozen=True, slots=True)
class BatchCheck:
    """What `cordboard check FILE --rows ROWS` has to say.

    Attributes:
        results: of the trigger, and of the rows.
        counts: of the rows: `total`, `fit`, `faulty`; None where they were not read.
        exit_code: 0 every row fits, 1 something does not, 2 there is no batch that could be read.
    """

    results: tuple[Examined, ...]
    counts: dict[str, int] | None
    exit_code: int


def examine(_kind: str, document: Document) -> tuple[tuple[Finding, ...], str]:
    """The findings about a trigger, and what it starts in words."""
    trigger, findings = read_trigger(document)
    return (findings, "") if trigger is None else ((*findings, *_notes(trigger)), _in_words(trigger))


def graph(document: Document, _form: str) -> str:
    """Nothing that could be drawn.

    Raises:
        BadCall: always.
    """
    raise BadCall(f"{document.file} is a trigger: there is nothing to draw")


def schema(_kind: str) -> dict[str, Any]:
    """The JSON Schema of a trigger."""
    return json_schema()


def check_rows(files: Sequence[Path], rows: Path | None, faulty: Path | None, *, as_text: bool) -> BatchCheck:
    """Checks a trigger and the rows of a batch.

    Args:
        files: the one file of the trigger.
        rows: the CSV or JSONL file.
        faulty: where to write the rows that do not fit; None for nowhere.
        as_text: whether people read it, who are shown fewer faults.

    Raises:
        BadCall: the options do not go together, or the faulty rows cannot be written.
    """
    file, rows = _checked_call(files, rows, faulty)
    try:
        trigger = load_trigger(file)
        tally = check_batch(trigger, rows, faulty=faulty, most=MOST_SHOWN if as_text else MOST_REPORTED)
    except InvalidDocument as error:
        return _without_rows(file, rows, error.findings)
    counts = {"total": tally.total, "fit": tally.total - tally.faulty, "faulty": tally.faulty}
    found = tally.shown if tally.total or not tally.is_whole else (_no_rows(rows),)
    code = (1 if tally.faulty else 0) if tally.is_whole else 2
    return BatchCheck(((file, _notes(trigger), _in_words(trigger)), (rows, found, _totals(tally))), counts, code)


def _without_rows(file: Path, rows: Path, findings: tuple[Finding, ...]) -> BatchCheck:
    """The trigger is none for these rows, or they cannot be read."""
    about = tuple(finding for finding in findings if finding.file == str(rows))
    others = tuple(finding for finding in findings if finding.file != str(rows))
    count = f"{len(findings)} error{'' if len(findings) == 1 else 's'}"
    results = (file, others, count if others else "no findings"), (rows, about, count if about else "not read")
    return BatchCheck(results, None, 2 if findings[0].rule.startswith(("document/", "kind/")) else 1)


def _notes(trigger: Trigger) -> tuple[Finding, ...]:
    """What is no fault and may be a surprise."""
    if trigger.key is not None or not is_batch(trigger):
        return ()
    message = "a batch without `key`: where one line of its file is changed, all its rows are started again"
    hint = 'Name the column that identifies a start: `key: "{{ row.id }}"`.'
    return (Finding("trigger/no-key", message, "", trigger.document.file, 1, hint, Severity.WARNING),)


def _no_rows(rows: Path) -> Finding:
    return Finding("row/none", "there are no rows", "", str(rows), severity=Severity.WARNING)


def _checked_call(files: Sequence[Path], rows: Path | None, faulty: Path | None) -> tuple[Path, Path]:
    if rows is None:
        raise BadCall("--faulty goes with --rows")
    if len(files) != 1:
        raise BadCall("--rows goes with one file of `kind: trigger`")
    if faulty is not None:
        if format_of(faulty) != format_of(rows):
            raise BadCall(f"{faulty} gets rows in the format of {rows}: let its name end in {format_of(rows)}")
        if faulty.resolve() in {rows.resolve(), files[0].resolve()}:
            raise BadCall(f"{faulty} is read: choose another file for the faulty rows")
    return files[0], rows


def _in_words(trigger: Trigger) -> str:
    if not is_batch(trigger):
        return f"trigger of {trigger.workflow_id}, one start"
    columns = dict.fromkeys(column for _, value in placed_values(trigger) for column in columns_of(value))
    return f"trigger of {trigger.workflow_id}, a batch over {', '.join(columns) or 'row'}"


def _totals(tally: Tally) -> str:
    number = f"{tally.total:,} row{'' if tally.total == 1 else 's'}"
    fit = (
        f"{number}: {tally.total - tally.faulty:,} fit, {tally.faulty:,} do not"
        if tally.faulty
        else f"{number}, all fit"
    )
    parts = [fit if tally.total else "no rows"]
    hidden = tally.faults - sum(finding.rule == "row/unfit" for finding in tally.shown)
    if hidden:
        parts.append(
            f"{hidden:,} more fault{'' if hidden == 1 else 's'}; `--faulty` writes every row that does not fit"
        )
    if not tally.is_whole:
        parts.append("the rest cannot be read, no faulty rows written")
    return "\n  ".join(parts)
