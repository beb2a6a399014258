"""Rows out of CSV and JSONL: what is read, on which line, and what is refused."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cordboard.errors import BadCall, InvalidDocument
from cordboard.findings import Finding
from cordboard.triggers.model import Row
from cordboard.triggers.rows import MAX_LINE, OWN_COLUMNS, open_rows
from tests.thorough import count

CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ['"', ",", "\n", "\r", "\r\n", '","', "\ufeff", "=1+1", " x ", "\u2028", "\x85", "\x0b\x1c"]
)
#: A byte order mark at the start of a file is none of its text, and NULs are those of UTF-16.
NAME = CELL.map(lambda name: name.lstrip("\ufeff").replace("\0", "")).filter(
    lambda name: name.strip() and name not in OWN_COLUMNS
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | CELL,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(CELL, inner, max_size=3),
    max_leaves=8,
)
MANY = settings(
    max_examples=count(100, 3000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def rows_of(path: Path) -> list[Row]:
    with open_rows(path) as opened:
        return list(opened.rows)


def write(folder: Path, text: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refused(path: Path) -> tuple[Finding, ...]:
    with pytest.raises(InvalidDocument) as error:
        rows_of(path)
    return error.value.findings


@MANY
@given(data=st.data(), columns=st.lists(NAME, min_size=1, max_size=4, unique=True), bom=st.booleans())
def test_csv_that_anybody_writes_comes_back(data: Any, columns: list[str], bom: bool, tmp_path: Path) -> None:
    """Whatever texts Python's `csv` writes: quotes, commas and line breaks in cells, spaces, empty cells."""
    written = data.draw(st.lists(st.lists(CELL, min_size=len(columns), max_size=len(columns)), max_size=5))
    with (path := tmp_path / "rows.csv").open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as stream:
        csv.writer(stream).writerows([columns, *written])
    read = rows_of(path)
    fit = [row.fields if row.unfit is None else dict(zip(columns, row.raw, strict=True)) for row in read]
    assert fit == [dict(zip(columns, cells, strict=True)) for cells in written]
    assert [row.number for row in read] == list(range(1, len(written) + 1))


@MANY
@given(written=st.lists(st.dictionaries(NAME, JSON, max_size=4), max_size=5), ascii_only=st.booleans())
def test_jsonl_that_anybody_writes_comes_back(written: list[dict[str, Any]], ascii_only: bool, tmp_path: Path) -> None:
    text = "".join(f"{json.dumps(each, ensure_ascii=ascii_only)}\n" for each in written)
    read = rows_of(write(tmp_path, text, "rows.jsonl"))
    assert [(row.fields, row.line) for row in read] == [(each, number) for number, each in enumerate(written, 1)]


def test_lines_are_those_of_the_file_also_behind_a_cell_of_several(tmp_path: Path) -> None:
    path = write(tmp_path, 'id,note\r\n1,"two\r\nlines"\r\n\r\n2,x\n3,"a\n\nb"\n4,y\n')
    assert [(row.number, row.line, row.fields["id"]) for row in rows_of(path)] == [
        (1, 2, "1"),
        (2, 5, "2"),
        (3, 6, "3"),
        (4, 9, "4"),
    ]


@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("hidden", [1, 3])
def test_rows_that_two_stray_quotes_hide_are_not_left_out_in_silence(tmp_path: Path, column: int, hidden: int) -> None:
    """What is left has as many cells as the header, and would be sent; the others would never be missed."""
    cells = [[f"A{row}", f"B{row}", f"C{row}", f"D{row}"] for row in range(hidden + 2)]
    cells[0][column], cells[hidden][column] = f'"{cells[0][column]}', f'{cells[hidden][column]}"'
    read = rows_of(write(tmp_path, "\n".join(["a,b,c,d", *map(",".join, cells)]) + "\n"))
    told = f"{hidden} more row{'' if hidden == 1 else 's'} may stand inside a quoted cell"
    assert [bool(row.unfit) for row in read] == [True, False]
    assert read[0].unfit is not None and told in read[0].unfit.reason


@pytest.mark.parametrize("note", ["two\nlines", "a, b\nc, d", "1, Main St\nSpringfield, IL, 62701", "\n", ",,,\n,,"])
def test_a_cell_of_several_lines_is_text(tmp_path: Path, note: str) -> None:
    rows = rows_of(write(tmp_path, f'a,b,c,note\n1,2,3,"{note}"\n'))
    assert [(row.unfit, row.fields["note"]) for row in rows] == [(None, note)]


def test_a_byte_that_is_not_utf8_spoils_its_row_alone_and_its_line_is_said(tmp_path: Path) -> None:
    rows = rows_of(
        write(
            tmp_path,
            'id,note\n1,ok\n2,"first\nM\xfcller"\n3,Müller\n'.encode("latin-1").replace(b"3,M\xfc", "3,Mü".encode()),
        )
    )
    assert [row.unfit_line for row in rows if row.unfit] == [4]
    assert rows[2].fields == {"id": "3", "note": "Müller"}
    lines = rows_of(write(tmp_path, b'{"a": 1}\n{"a": "\xfc"}\n{"a": 2}\n', "rows.jsonl"))
    assert [(row.line, bool(row.unfit)) for row in lines] == [(1, False), (2, True), (3, False)]


def test_a_row_with_too_many_or_too_few_cells_is_noted_and_the_next_one_read(tmp_path: Path) -> None:
    rows = rows_of(write(tmp_path, "a,b\n1\n1,2,3\n1,2\n"))
    assert [row.unfit.reason if row.unfit else "" for row in rows] == [
        "has 1 cell, and the header has 2",
        "has 3 cells, and the header has 2",
        "",
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"a": 1', "not JSON"),
        ("[1]", "is no object"),
        ("5", "is no object"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": "\\ud800"}', "lone surrogate"),
        ('{"a": 1} {"a": 2}', "Extra data"),
    ],
)
def test_a_line_that_is_no_object_is_noted_and_the_next_one_read(line: str, reason: str, tmp_path: Path) -> None:
    rows = rows_of(write(tmp_path, f'\ufeff{{"a": 0}}\r\n\r\n{line}\n{{"a": 9}}', "rows.jsonl"))
    assert [(row.line, row.fields.get("a")) for row in rows] == [(1, 0), (3, None), (4, 9)]
    assert rows[1].unfit is not None and reason in rows[1].unfit.reason
    assert "line 1" not in rows[1].unfit.reason  # which is a line of the line


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        (b"", "document/empty", 1),
        (b"a,b,a\n1,2,3\n", "document/header", 1),
        (b"a,,c\n1,2,3\n", "document/header", 1),
        (b"_line,_reason\n1,2\n", "document/header", 1),
        ("a,b\n1,2\n".encode("utf-16"), "document/encoding", 1),
        ("a,b\n1,2\n".encode("utf-16-le"), "document/encoding", 1),
        (b'a,b\n1,2\n3,"open\n4,5\n', "document/syntax", 3),
        (b'a,b\n1,2\n3,"x"y\n4,5\n', "document/syntax", 3),
        (b"a,b\n1," + b"x" * (MAX_LINE + 1), "document/size", 2),
    ],
)
def test_what_makes_the_rest_unreadable_ends_the_reading(text: bytes, rule: str, line: int, tmp_path: Path) -> None:
    assert {(finding.rule, finding.line) for finding in refused(write(tmp_path, text))} == {(rule, line)}


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    (finding,) = refused(write(tmp_path, b'{"a": "' + b"x" * (2 * MAX_LINE), "rows.jsonl"))
    assert finding.rule == "document/size"


def test_our_own_columns_are_no_columns(tmp_path: Path) -> None:
    (row,) = rows_of(write(tmp_path, "_line,_reason,a\n7,bad,1\n"))
    assert (row.fields, row.raw) == ({"a": "1"}, ("1",))
    (line,) = rows_of(write(tmp_path, '{"_line": 7, "_reason": "bad", "a": 1}', "rows.jsonl"))
    assert line.fields == {"a": 1}


def test_rows_stand_in_files_that_exist_and_are_named_for_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(BadCall, match=r"\.csv or \.jsonl"):
        rows_of(write(tmp_path, "a\n1\n", "rows.xlsx"))
    assert refused(tmp_path / "none.csv")[0].rule == "document/unreadable"
    (tmp_path / "folder.csv").mkdir()
    assert refused(tmp_path / "folder.csv")[0].rule == "document/unreadable"
