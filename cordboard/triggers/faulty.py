"""The file of faulty rows: the rows as they stood, each with its line and reason, to be mended and given again."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, TextIO

from cordboard.errors import BadCall
from cordboard.files import whole_file
from cordboard.triggers.model import Faulty
from cordboard.triggers.rows import OWN_COLUMNS, Rows


class FaultyRows(Protocol):
    """Where faulty rows go."""

    def add(self, faulty: Faulty) -> None:
        """Writes one row."""


class Nowhere:
    """Keeps no rows."""

    def add(self, faulty: Faulty) -> None:
        """Does nothing."""


class FaultyCsv:
    """A CSV file whose two first columns are our own, so that a row with too many or too few cells stays as it was."""

    def __init__(self, stream: TextIO, columns: tuple[str, ...]) -> None:
        self._writer = csv.writer(stream)
        self._writer.writerow((*OWN_COLUMNS, *columns))

    def add(self, faulty: Faulty) -> None:
        """Writes one row."""
        self._writer.writerow((faulty.row.line, reason_of(faulty), *faulty.row.raw))


class FaultyJsonl:
    """A JSONL file whose objects have our two fields first; a line that is no object stays as it was."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def add(self, faulty: Faulty) -> None:
        """Writes one row."""
        row = faulty.row
        if isinstance(row.raw, bytes) and row.unfit:
            line = row.raw.decode(errors="surrogateescape")
        else:
            own = dict(zip(OWN_COLUMNS, (row.line, reason_of(faulty)), strict=True))
            line = json.dumps({**own, **row.fields}, ensure_ascii=False)
        self._stream.write(f"{line}\n")


def reason_of(faulty: Faulty) -> str:
    """All that is wrong with a row, in one line."""
    return "; ".join(finding.message for finding in faulty.findings)


@contextmanager
def writing_faulty(path: Path | None, rows: Rows) -> Iterator[FaultyRows]:
    """A place for faulty rows: a file that is there, whole, once all rows were read, and that only its owner can read.

    Args:
        path: the file; None where nobody wants it.
        rows: of the batch; their file's format is the format of this one.

    Raises:
        BadCall: it cannot be written.
    """
    if path is None:
        yield Nowhere()
        return
    try:
        with whole_file(path) as out, io.TextIOWrapper(out, "utf-8", "surrogateescape", newline="") as stream:
            yield FaultyJsonl(stream) if rows.columns is None else FaultyCsv(stream, rows.columns)
    except OSError as error:
        raise BadCall(f"{path} cannot be written: {error.strerror}") from None
