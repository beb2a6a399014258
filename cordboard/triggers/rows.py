"""Rows of a batch, out of CSV (RFC 4180, with a header) or JSONL (one object a line), one at a time.

What is wrong with one row is noted at that row, and reading goes on; what makes the rest unreadable ends it. Files are
UTF-8, with or without a byte order mark. Lines are those of the file, also where a quoted cell goes over several.
"""

from __future__ import annotations

import csv
import io
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cordboard.errors import BadCall, InvalidDocument, InvalidJson
from cordboard.findings import Finding
from cordboard.jsontext import parse_json
from cordboard.triggers.model import Row
from cordboard.triggers.values import Unfit

MAX_LINE = 1024 * 1024
OWN_COLUMNS = ("_line", "_reason")
"""What the file of faulty rows has more than its batch; both are ignored where it is read."""

_TELLING = 4  # columns, from which on a line with as many commas is hardly text
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_PLACE_IN_LINE = re.compile(r"line 1 (column \d+) \(char \d+\)")
_NOT_UTF8 = Unfit("holds a byte that is not UTF-8", "Save the file as UTF-8.")


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a file.

    Attributes:
        file: its name.
        columns: those of a CSV file's header; None for JSONL, where each object has its own.
        rows: to be read once. Reading raises `InvalidDocument` where the rest of the file is unreadable.
    """

    file: str
    columns: tuple[str, ...] | None
    rows: Iterator[Row]


@contextmanager
def open_rows(path: Path) -> Iterator[Rows]:
    """Opens a batch's file.

    Raises:
        BadCall: the name ends in neither `.csv` nor `.jsonl`.
        InvalidDocument: the file or its header cannot be read.
    """
    is_csv = format_of(path) == ".csv"
    try:
        stream = path.open("rb")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _unreadable("unreadable", f"cannot be read: {reason}", str(path), None) from None
    with stream:
        yield _csv(stream, str(path)) if is_csv else Rows(str(path), None, _objects(stream, str(path)))


def format_of(path: Path) -> str:
    """The ending that says what a batch's file is: `.csv` or `.jsonl`.

    Raises:
        BadCall: it is another one.
    """
    ending = path.suffix.lower()
    if ending not in {".csv", ".jsonl"}:
        raise BadCall(f"{path}: rows stand in a file whose name ends in .csv or .jsonl")
    return ending


def _csv(stream: BinaryIO, file: str) -> Rows:
    lines = _Lines(stream, file)
    reader = csv.reader(lines, strict=True)
    cells = next(_records(reader, file), None)
    if cells is None:
        raise _unreadable("empty", "has no header", file, 1, "The first line names the columns.")
    kept = [index for index, name in enumerate(cells[1]) if name not in OWN_COLUMNS]
    columns = tuple(cells[1][index] for index in kept)
    if lines.bad or "\0" in "".join(columns):
        raise _unreadable("encoding", "is not UTF-8 text", file, 1, _NOT_UTF8.hint)
    _check_header(columns, file)
    return Rows(file, columns, _rows(_records(reader, file), lines, len(cells[1]), kept, columns))


def _check_header(columns: tuple[str, ...], file: str) -> None:
    faults = [f"column {number} has no name" for number, name in enumerate(columns, 1) if not name.strip()]
    faults += [
        f"column {name!r} stands {count} times" for name, count in Counter(columns).items() if count > 1 and name
    ]
    if faults or not columns:
        found = (Finding("document/header", fault, "header", file, 1) for fault in faults or ("has no columns",))
        raise InvalidDocument(tuple(found))


class _Lines:
    """The lines of a text file, bounded; notes those with bytes that are not UTF-8, and keeps the bytes."""

    def __init__(self, stream: BinaryIO, file: str) -> None:
        self._text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        self._file, self._number = file, 0
        self.bad: list[int] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_LINE + 1)
        if not line:
            raise StopIteration
        self._number += 1
        if len(line) > MAX_LINE:
            raise _too_long(self._file, self._number)
        if not line.isascii() and _SURROGATE.search(line):
            self.bad.append(self._number)
        return line


def _records(reader: Any, file: str) -> Iterator[tuple[int, list[str]]]:
    """The records of a CSV file, each with the line on which it starts; empty lines are none."""
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            hint = "A quote inside a quoted cell is written twice, and a quoted cell ends with one."
            raise _unreadable("syntax", f"cannot be read from here on: {error}", file, line, hint) from None
        if cells is None:
            return
        if cells:
            yield line, cells


def _rows(
    records: Iterator[tuple[int, list[str]]], lines: _Lines, width: int, kept: list[int], columns: tuple[str, ...]
) -> Iterator[Row]:
    for number, (line, cells) in enumerate(records, 1):
        raw = tuple(cells) if len(kept) == width else tuple(_without_own(cells, width, kept))
        if lines.bad:
            yield Row(number, line, {}, raw, _NOT_UTF8, lines.bad[0])
            lines.bad.clear()
        elif len(cells) != width:
            message = f"has {len(cells)} cell{'' if len(cells) == 1 else 's'}, and the header has {width}"
            yield Row(number, line, {}, raw, Unfit(message, "Quote a cell that holds a comma or a line break."), line)
        elif swallowed := _rows_inside(cells, width):
            yield Row(number, line, {}, raw, _inside(swallowed), line)
        else:
            yield Row(number, line, dict(zip(columns, raw, strict=True)), raw)


def _rows_inside(cells: list[str], width: int) -> int:
    """How many rows may stand inside one cell of a row, behind a quote that is one too many.

    Two such quotes, one before and one after the same column, hide every row between them: what is left has as many
    cells as the header, and nobody would miss the others. Each line of that cell is then a part of a row of its own.
    Where rows are short, a line of ordinary text is too, so that nothing can be told.
    """
    for column, cell in enumerate(cells if width >= _TELLING else ()):
        if "\n" in cell:
            first, *inner, last = cell.split("\n")
            commas = [width - 1 - column, *[width - 1] * len(inner), column]
            if [line.count(",") for line in (first, *inner, last)] == commas:
                return len(inner) + 1
    return 0


def _inside(rows: int) -> Unfit:
    message = f"{rows} more row{'' if rows == 1 else 's'} may stand inside a quoted cell of it"
    hint = (
        "Look for a quote that is one too many. Where it is as meant, give the rows as JSONL; where the batch was begun"
        " already, with its `--run-key`."
    )
    return Unfit(message, hint)


def _without_own(cells: list[str], width: int, kept: list[int]) -> Iterator[str]:
    """The cells without those of our own columns; what is too many stays, and what is too few is missing still."""
    own = set(range(width)) - set(kept)
    return (cell for index, cell in enumerate(cells) if index not in own)


def _objects(stream: BinaryIO, file: str) -> Iterator[Row]:
    line = number = 0
    while data := stream.readline(MAX_LINE + 1):
        line += 1
        if len(data) > MAX_LINE:
            raise _too_long(file, line)
        data = data.removeprefix(BOM_UTF8) if line == 1 else data
        if data.strip():
            number += 1
            fields, unfit = _object(data)
            yield Row(number, line, fields, data.rstrip(b"\r\n"), unfit, line)


def _object(data: bytes) -> tuple[Mapping[str, Any], Unfit | None]:
    try:
        value = parse_json(data, max_bytes=MAX_LINE)
    except InvalidJson as error:
        return {}, Unfit(_PLACE_IN_LINE.sub(r"\1", str(error)), "Write one JSON object a line.")
    if not isinstance(value, dict):
        return {}, Unfit("is no object", 'Write one JSON object a line, such as `{"id": 1}`.')
    return {name: item for name, item in value.items() if name not in OWN_COLUMNS}, None


def _too_long(file: str, line: int) -> InvalidDocument:
    return _unreadable("size", f"a line has more than {MAX_LINE} characters", file, line)


def _unreadable(rule: str, message: str, file: str, line: int | None, hint: str = "") -> InvalidDocument:
    return InvalidDocument((Finding(f"document/{rule}", message, file=file, line=line, hint=hint),))
