"""`cordboard check FILE --rows ROWS`: what people see, and the file of faulty rows that they mend."""

import csv
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cordboard.cli import main
from cordboard.triggers.checking import Tally, check_batch
from cordboard.triggers.making import starts
from cordboard.triggers.model import Faulty
from cordboard.triggers.reading import load_trigger
from cordboard.triggers.rows import open_rows
from tests.thorough import count

TRIGGER = """kind: trigger
workflow_id: w
key: "{{ row.id }}"
context:
  score: {value: "{{ row.score }}", data_type: integer}
  note: {value: "{{ row.note }}", data_type: string}
"""
HEADER = "id,score,note\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.yaml").write_text(TRIGGER)
    return tmp_path


def check(*arguments: str) -> int:
    return main(["check", "t.yaml", *arguments])


def test_every_faulty_row_is_listed_with_line_column_and_reason(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "r.csv").write_text(f'{HEADER}1,85,"two\nlines"\n2,banana,x\n3,1e3,x,y\n1,7,x\n')
    assert check("--rows", "r.csv", "--faulty", "bad.csv") == 1
    assert capsys.readouterr().out == (
        "t.yaml: trigger of w, a batch over score, note, id\n"
        'r.csv:4: error [row/unfit] row 2: score → context.score: "banana" is no integer\n'
        "    Write the digits alone, such as `1000`.\n"
        "r.csv:5: error [row/unfit] row 3: has 4 cells, and the header has 3\n"
        "    Quote a cell that holds a comma or a line break.\n"
        "r.csv:6: error [row/unfit] row 4: id → key: `1` is the key of line 2 as well\n"
        "    A key is used once.\n"
        "r.csv: 4 rows: 1 fit, 3 do not\n"
    )
    assert list(csv.reader((folder / "bad.csv").open(newline=""))) == [
        ["_line", "_reason", "id", "score", "note"],
        ["4", 'score → context.score: "banana" is no integer', "2", "banana", "x"],
        ["5", "has 4 cells, and the header has 3", "3", "1e3", "x", "y"],
        ["6", "id → key: `1` is the key of line 2 as well", "1", "7", "x"],
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["bad.csv", "r.csv", "t.yaml"]


def test_faulty_objects_get_two_fields_and_what_is_no_object_stays_as_it_is(folder: Path) -> None:
    (folder / "r.jsonl").write_text('{"id":1,"score":85,"note":"x"}\n\n{"id":2,"score":"ü","note":5}\n[1]\n')
    assert check("--rows", "r.jsonl", "--faulty", "bad.jsonl") == 1
    assert (folder / "bad.jsonl").read_text(encoding="utf-8") == (
        '{"_line": 3, "_reason": "score → context.score: \\"ü\\" is no integer; '
        'note → context.note: 5 is no string", "id": 2, "score": "ü", "note": 5}\n'
        "[1]\n"
    )


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_faulty_rows_stay_faulty_until_they_are_mended_and_then_fit(ending: str, folder: Path) -> None:
    texts = {
        "csv": f"{HEADER}1,85,x\n2,banana,x\n3,7\n4,8,M\udcfcller\n",
        "jsonl": '{"id":1,"score":85,"note":"x"}\n{"id":2,"score":"banana","note":"x"}\n'
        '{"id":3,"score":7\n["M\udcfc"]\n',
    }
    (folder / f"r.{ending}").write_bytes(texts[ending].encode(errors="surrogateescape"))
    assert check("--rows", f"r.{ending}", "--faulty", f"bad.{ending}") == 1
    assert check("--rows", f"bad.{ending}", "--faulty", f"still.{ending}") == 1
    bad = (folder / f"bad.{ending}").read_bytes()
    assert tally(folder / f"bad.{ending}").faulty == 3
    assert bad.count(b"\xfc") == 1  # a byte that is not UTF-8 is kept as it was
    mended = bad.replace(b"banana,", b"85,").replace(b'"score": "banana"', b'"score": 85').replace(b"M\xfcller", b"x")
    mended = mended.replace(b"3,7\r\n", b"3,7,x\r\n").replace(b'{"id":3,"score":7', b'{"id":3,"score":7,"note":"x"}')
    mended = mended.replace(b'["M\xfc"]', b'{"id":4,"score":8,"note":"x"}')
    (folder / f"mended.{ending}").write_bytes(mended)
    assert check("--rows", f"mended.{ending}") == 0


def tally(rows: Path, **options: Path) -> Tally:
    return check_batch(load_trigger(rows.parent / "t.yaml"), rows, **options)


CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["\r", "\n", '"', ",", "\0"])


@given(
    rows=st.lists(st.tuples(CELL, CELL | st.just("85"), CELL), max_size=6),
    ending=st.sampled_from(["csv", "jsonl"]),
)
@settings(max_examples=count(100, 2000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_file_of_faulty_rows_holds_exactly_their_fields(
    rows: list[tuple[str, str, str]], ending: str, folder: Path
) -> None:
    """Whatever stands in the cells."""
    names = ("id", "score", "note")
    path, bad = folder / f"r.{ending}", folder / f"bad.{ending}"
    with path.open("w", encoding="utf-8", newline="") as stream:
        if ending == "csv":
            csv.writer(stream).writerows([names, *rows])
        else:
            stream.writelines(f"{json.dumps(dict(zip(names, cells, strict=True)))}\n" for cells in rows)
    assert tally(path, faulty=bad).total == len(rows)
    with open_rows(path) as opened:
        made = list(starts(load_trigger(folder / "t.yaml"), opened.rows, "r"))
    with open_rows(bad) as kept:
        assert [row.fields for row in kept.rows] == [each.row.fields for each in made if isinstance(each, Faulty)]


def test_at_most_twenty_faults_are_shown_to_people_and_the_others_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "r.csv").write_text(HEADER + "".join(f"{number},x,y\n" for number in range(1500)))
    assert check("--rows", "r.csv") == 1
    out = capsys.readouterr().out
    assert out.count("error [row/unfit]") == 20
    assert "1,500 rows: 0 fit, 1,500 do not\n  1,480 more faults" in out
    assert check("--rows", "r.csv", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["rows"]) == (False, {"total": 1500, "fit": 0, "faulty": 1500})
    assert [len(file["findings"]) for file in document["files"]] == [0, 1000]


def test_a_column_that_is_not_there_is_said_once_before_any_row_is_read(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "r.csv").write_text("id,scores,note\n" + "1,x,y\n" * 1000)
    assert check("--rows", "r.csv", "--faulty", "bad.csv") == 1
    assert capsys.readouterr().out == (
        "t.yaml:5: error [trigger/unknown-column] context.score.value: r.csv has no column `score`\n"
        "    Did you mean scores?\n"
        "t.yaml: 1 error\n"
        "r.csv: not read\n"
    )
    assert not (folder / "bad.csv").exists()


def test_columns_with_another_separator_are_recognised(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "r.csv").write_text("id;score;note\n1;85;x\n")
    assert check("--rows", "r.csv") == 1
    assert "separated by ';': save it with commas" in capsys.readouterr().out


def test_a_column_that_is_asked_for_first_may_be_missing(folder: Path) -> None:
    (folder / "t.yaml").write_text(TRIGGER.replace("row.note", "row.note | default('none')"))
    (folder / "r.csv").write_text("id,score\n1,85\n")
    assert check("--rows", "r.csv") == 0


def test_a_file_of_which_the_rest_cannot_be_read_is_no_batch_and_leaves_no_faulty_rows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.csv").write_text("of last week")
    (folder / "r.csv").write_text(f'{HEADER}1,x,y\n2,85,"open\n3,85,x\n')
    assert check("--rows", "r.csv", "--faulty", "bad.csv") == 2
    out = capsys.readouterr().out
    assert "r.csv:3: error [document/syntax] cannot be read from here on" in out
    assert "r.csv:2: error [row/unfit]" in out
    assert (folder / "bad.csv").read_text() == "of last week"
    assert sorted(path.name for path in folder.iterdir()) == ["bad.csv", "r.csv", "t.yaml"]


def test_faulty_rows_of_an_earlier_check_do_not_stay(folder: Path) -> None:
    (folder / "bad.csv").write_text("of last week")
    (folder / "r.csv").write_text(f"{HEADER}1,85,x\n")
    assert check("--rows", "r.csv", "--faulty", "bad.csv") == 0
    assert (folder / "bad.csv").read_bytes() == b"_line,_reason,id,score,note\r\n"
    assert (folder / "bad.csv").stat().st_mode & 0o077 == 0  # customers' data


def test_a_batch_without_rows_is_a_warning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "r.csv").write_text(HEADER)
    assert check("--rows", "r.csv") == 0
    assert "warning [row/none]" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ["t.yaml", "--faulty", "bad.csv"],
        ["t.yaml", "t.yaml", "--rows", "r.csv"],
        ["t.yaml", "--rows", "r.xlsx"],
        ["t.yaml", "--rows", "none.csv"],
        ["t.yaml", "--rows", "r.csv", "--faulty", "bad.jsonl"],
        ["t.yaml", "--rows", "r.csv", "--faulty", "./r.csv"],
        ["t.yaml", "--rows", "r.csv", "--faulty", "no/such/folder/bad.csv"],
        ["chain.yaml", "--rows", "r.csv"],
        ["none.yaml", "--rows", "r.csv"],
        ["one.yaml", "--rows", "r.csv"],
    ],
)
def test_what_is_no_batch_ends_with_2(arguments: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "r.csv").write_text(f"{HEADER}1,85,x\n")
    (folder / "chain.yaml").write_text("kind: chain\nname: c\nactions: {a: {definition_id: d}}\n")
    (folder / "one.yaml").write_text("kind: trigger\nworkflow_id: w\n")
    assert main(["check", *arguments]) == 2
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err and out + err
    assert (folder / "r.csv").read_text() == f"{HEADER}1,85,x\n"


def test_a_trigger_can_be_checked_without_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "one.yaml").write_text("kind: trigger\nworkflow_id: w\n")
    assert main(["check", "t.yaml", "one.yaml"]) == 0
    assert capsys.readouterr().out == (
        "t.yaml: trigger of w, a batch over score, note, id, no findings\n"
        "one.yaml: trigger of w, one start, no findings\n"
    )
    assert main(["graph", "t.yaml"]) == 2
    assert main(["schema", "trigger"]) == 0


def test_a_batch_without_a_key_is_told_of_and_is_no_fault(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A corrected file would start everything again."""
    (folder / "t.yaml").write_text(TRIGGER.replace('key: "{{ row.id }}"\n', ""))
    (folder / "r.csv").write_text(f"{HEADER}1,85,x\n")
    told = "t.yaml:1: warning [trigger/no-key] a batch without `key`: where one line of its file is changed, all its"
    for arguments in ((), ("--rows", "r.csv")):
        assert check(*arguments) == 0
        assert told in capsys.readouterr().out


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_memory_does_not_grow_with_the_file(ending: str, folder: Path) -> None:
    """Rows are read one by one."""
    rows = count(20_000, 200_000)
    path = folder / f"r.{ending}"
    with path.open("w") as stream:
        stream.write("id,score\n" if ending == "csv" else "\n")
        line = "%d,85\n" if ending == "csv" else '{"id": %d}\n'
        stream.writelines(line % number for number in range(rows))
    tracemalloc.start()
    try:
        with open_rows(path) as opened:
            assert sum(1 for _ in opened.rows) == rows
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000
