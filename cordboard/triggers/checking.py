"""A whole batch, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cordboard.errors import InvalidDocument
from cordboard.findings import Finding
from cordboard.triggers.faulty import writing_faulty
from cordboard.triggers.making import starts
from cordboard.triggers.model import Faulty, Start, Trigger
from cordboard.triggers.rows import Rows, open_rows
from cordboard.triggers.templates import is_batch, unknown_columns


@dataclass(slots=True)
class Tally:
    """What was found in a batch.

    Attributes:
        total: rows that were read.
        faulty: rows that do not fit.
        faults: everything that is wrong with them; a row may have several.
        shown: the first faults, as many as were asked for; before them what made the rest of the file unreadable.
        is_whole: whether the file was read to its end.
    """

    total: int = 0
    faulty: int = 0
    faults: int = 0
    shown: tuple[Finding, ...] = ()
    is_whole: bool = True


def check_batch(
    trigger: Trigger,
    rows: Path,
    *,
    faulty: Path | None = None,
    most: int = 20,
    keep: Callable[[Start], None] = lambda _: None,
) -> Tally:
    """Makes every start of a batch, and sends none.

    Args:
        trigger: says how to start the workflow.
        rows: the CSV or JSONL file.
        faulty: where to write the rows that do not fit; None for nowhere.
        most: how many faults are kept; all of them are counted.
        keep: takes the starts that fit.

    Raises:
        InvalidDocument: the trigger is for no batch, or for none with these columns, or the file cannot be read.
        BadCall: the file is neither CSV nor JSONL, or the faulty rows cannot be written.
    """
    with open_batch(trigger, rows) as opened:
        tally = Tally()
        try:
            with writing_faulty(faulty, opened) as file:
                for made in starts(trigger, opened.rows, opened.file):
                    tally.total += 1
                    if isinstance(made, Faulty):
                        file.add(made)
                        _count(tally, made, most)
                    else:
                        keep(made)
        except InvalidDocument as error:
            tally.shown, tally.is_whole = (*error.findings, *tally.shown), False
        return tally


@contextmanager
def open_batch(trigger: Trigger, rows: Path) -> Iterator[Rows]:
    """Opens the file of a batch, with all said that can be said before its rows are read.

    Args:
        trigger: says how to start the workflow.
        rows: the CSV or JSONL file.

    Raises:
        InvalidDocument: the trigger is for no batch, or for none with these columns, or the file cannot be read.
        BadCall: the file is neither CSV nor JSONL.
    """
    _check_is_batch(trigger)
    with open_rows(rows) as opened:
        found = unknown_columns(trigger, opened.columns, rows.name) if opened.columns is not None else ()
        if found:
            raise InvalidDocument(found)
        yield opened


def _check_is_batch(trigger: Trigger) -> None:
    if not is_batch(trigger):
        document, hint = trigger.document, "Name columns where rows differ: `{{ row.customer }}`."
        message = "no template names `row`, so that every row would start the same"
        raise InvalidDocument((Finding("kind/no-batch", message, "", document.file, 1, hint),))


def _count(tally: Tally, made: Faulty, most: int) -> None:
    tally.faulty += 1
    tally.faults += len(made.findings)
    tally.shown += made.findings[: most - len(tally.shown)]
