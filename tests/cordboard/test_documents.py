"""Files as people write them, read without trust."""

import gc
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard import kinds
from cordboard.chains.model import load_chain
from cordboard.documents import MAX_BYTES, MAX_JSON_BYTES, WHAT, parse_document, read_document
from cordboard.errors import InvalidDocument
from cordboard.ivr.merge import load_patch
from cordboard.ivr.paths.reading import load_claims
from cordboard.ivr.reading import load_flow
from cordboard.ivr.suite import load_suite
from cordboard.jsontext import dump_json
from cordboard.outline import MAX_JSON_NODES, MAX_NODES, UNPRINTABLE, join_path
from cordboard.sandbox.definition import load_definition
from cordboard.sandbox.faults import load_faults
from cordboard.triggers.reading import load_trigger

LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE: dict[str, str | bytes] = {
    "billion laughs": LAUGHS,
    "merge chain": "a: &a {k: 1}\n" + "".join(f"b{n}: &b{n}\n  <<: [*a, *a]\n" for n in range(2000)),
    "cycle": "&a [*a]",
    "flow depth": "[" * 100_000,
    "object depth": '{"a":' * 100_000,
    "block depth": "- " * 100_000,
    "indented depth": "\n".join(" " * n + "a:" for n in range(1500)),
    "complex keys": "? " * 100_000,
    "python tag": "!!python/object/apply:os.system [id]",
    "many anchors": "".join(f"- &a{n} x\n" for n in range(100_000)),
    "many values": "- a\n" * 500_000,
    "many empty lists": "[" + "[]," * 600_000 + "]",
    "many duplicate keys": "a: 1\n" * 100_000,
    "many documents": "--- a\n" * 100_000,
    "large": b"x" * (MAX_BYTES + 1),
    "large for JSON": b"x" * (MAX_JSON_BYTES + 1),
    "many small objects": "[" + '{"a":1},' * 400_000 + "0]",
    "many escaped quotes": '["' + '\\"' * 4_000_000,
    "long number": "a: " + "9" * 1_000_000,
    "long plain text with colons": "a:b" * 600_000 + ": c: d",
    "unclosed quote": '"' + "a" * 2_000_000,
    "unclosed flow": "{a: [b, " * 40 + "c, " * 600_000,
    "deep JSON": "[" * 1_000_000 + "]" * 1_000_000,
    "random bytes": bytes(range(256)) * 4000,
    "utf-16": "kind: chain".encode("utf-16"),
}


def _limited(sender: Connection, text: str | bytes, json: bool) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 96 * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (5, 5))
    gc.freeze()  # what the parent has would be walked, and copied, with every collection
    started = time.process_time()
    try:
        parse_document(text, "hostile", json=json)
        sender.send(("accepted", time.process_time() - started))
    except InvalidDocument as error:
        assert error.findings
        sender.send(("refused", time.process_time() - started))
    os._exit(0)  # what else the parent has imported must not end here, too


@pytest.mark.parametrize("json", [False, True], ids=["yaml", "json"])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_at_once(name: str, json: bool) -> None:
    """Each in a process of its own, under limits of memory and time: no crash of the C parser, no explosion later."""
    processes = multiprocessing.get_context("fork")
    receiver, sender = processes.Pipe(duplex=False)
    child = processes.Process(target=_limited, args=(sender, HOSTILE[name], json))
    child.start()
    sender.close()
    child.join(20)
    assert child.exitcode == 0
    verdict, seconds = receiver.recv()
    assert verdict == "refused"
    assert seconds <= 0.5


SAME_TEXT = [
    "no", "on", "yes", "off", "y", "n", "No", "TRUE", "True", "False", "Null", "NULL", "~", "00123", "0o17", "0x1F",
    "0b1",
    "+15551234567", "+1", "1:30", "190:20:30", "2024-01-02", "2001-12-14t21:59:43.10-05:00", ".nan", ".inf",
    "-.inf",
    "NaN", "Infinity", "1e3", "1E3", "1.", ".5", "1_000", "1,000", "--1", "=", "<<", "1.2.3", "é", "=1+1",
]  # fmt: skip


@pytest.mark.parametrize("text", SAME_TEXT)
def test_what_is_no_json_literal_stays_the_text_it_looks_like(text: str) -> None:
    """YAML 1.1 would make a boolean of `no`, 83 of `00123`, a number of a telephone number and a date of a date."""
    assert parse_document(f"a: {text}\nb: [{text if ',' not in text else 'x'}]\n", "f").value["a"] == text
    assert parse_document(f"{text}: a", "f").value == {text: "a"}


@pytest.mark.parametrize(
    ("text", "value"),
    [("null", None), ("", None), ("true", True), ("false", False), ("0", 0), ("-0", 0), ("12", 12), ("-7", -7),
     ("1.50", 1.5), ("-0.5", -0.5), ("'12'", "12"), ('"true"', "true"), ("|-\n  12", "12"), ("9" * 40, int("9" * 40)),
     ("{}", {}),
     ("[]", [])],
)  # fmt: skip
def test_literals_of_json_have_the_type_that_json_gives_them(text: str, value: object) -> None:
    found = parse_document(f"a: {text}\n", "f").value["a"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text_as_it_is_written() -> None:
    assert parse_document("1: a\nno: b\ntrue: c\nnull: d\n1.0: e", "f").value == {
        "1": "a", "no": "b", "true": "c", "null": "d", "1.0": "e",
    }  # fmt: skip


TREE = """\
kind: chain
actions:
  enrich:
    inputs: {id: 1,
      name: x}
    list:
      - a
      - k: b

      - [c,
         d]
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [("", 1), ("kind", 1), ("actions", 2), ("actions.enrich", 3), ("actions.enrich.inputs.id", 4),
     ("actions.enrich.list", 6), ("actions.enrich.inputs.name", 5), ("actions.enrich.list[0]", 7),
     ("actions.enrich.list[1].k", 8),
     ("actions.enrich.list[2][1]", 11), ("actions.enrich.list[2][9].x", 10), ("actions.enrich.timeout", 3),
     ("nope", 1)],
)  # fmt: skip
def test_every_place_has_its_line_or_that_of_the_nearest_place_around_it(path: str, line: int) -> None:
    assert parse_document(TREE, "f").line(path) == line


def test_json_has_lines_too() -> None:
    document = parse_document('{\n "a": [1,\n  {"b\\n": "x, {y}"}],\n\n "c.d": "\\ud83d\\ude00"}', "f.json", json=True)
    assert document.value == {"a": [1, {"b\n": "x, {y}"}], "c.d": "😀"}
    assert document.lines == {"": 1, "a": 2, "a[0]": 2, "a[1]": 3, "a[1].b\n": 3, "c.d": 5}


def test_every_duplicate_key_is_reported_with_both_lines() -> None:
    with pytest.raises(InvalidDocument) as caught:
        parse_document("a: 1\nb: {x: 1, x: 2}\na: 3\nc: [{y: 1,\n y: 2}]\na: 4\n", "f")
    assert [(finding.path, finding.line) for finding in caught.value.findings] == [
        ("b.x", 2), ("a", 3), ("c[0].y", 5), ("a", 6),
    ]  # fmt: skip
    assert "first on line 1" in caught.value.findings[1].message
    assert "first on line 4" in caught.value.findings[2].message


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("a: 1\nb: &x 2\n", "anchor", 2),
        ("a: 1\nb: *x\n", "anchor", 2),
        ("a: !secret x\n", "tag", 1),
        ("a: !!int '5'\n", "tag", 1),
        ("a: 1\n---\nb: 2\n", "second-document", 2),
        ("? [a]\n: b\n", "key", 1),
        ("a: [1\nb: 2\n", "syntax", 2),
        ("a:\n\t- x\n", "syntax", 2),
        ('a: 1\nb: "\\0"\n', "control-character", 2),
        ('a: 1\n"\\x1b": 2\n', "control-character", 2),
        ('a: "\\uD800"\n', "syntax", 1),
        ("a: \x00\n", "syntax", 1),
        ("\ud800", "encoding", 1),
        (b"a: 1\nb: \xff\n", "encoding", 2),
        ("", "empty", 1),
        ("# only a comment\n", "empty", 1),
        ("a: " + "1" * 301, "number", 1),
    ],
)
def test_each_refusal_names_its_rule_and_line(text: str | bytes, rule: str, line: int) -> None:
    with pytest.raises(InvalidDocument) as caught:
        parse_document(text, "f.yaml")
    finding = caught.value.findings[0]
    assert (finding.rule, finding.line, finding.file) == (f"document/{rule}", line, "f.yaml")


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "a": 2}', "{a: 1}", '{"a": NaN}', '{"a": 1e400}', '{"a": "\\ud800"}', '{"a": 1,}', '{"a": "\\u0000"}',
     "// x\n{}", "", "{'a': 1}"],
)  # fmt: skip
def test_json_files_are_strict(text: str) -> None:
    with pytest.raises(InvalidDocument):
        parse_document(text, "f.json", json=True)


TEXT = st.text().filter(lambda text: not UNPRINTABLE.search(text))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | TEXT | st.sampled_from(SAME_TEXT),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=400, deadline=None)
@given(JSON)
def test_what_is_written_as_json_is_read_back(value: object) -> None:
    assert parse_document(dump_json(value), "f", json=True).value == value


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_findings(text: str | bytes) -> None:
    for json in (False, True):
        try:
            document = parse_document(text, "f", json=json)
        except InvalidDocument as error:
            assert all(finding.rule.startswith("document/") for finding in error.findings)
        else:
            dump_json(document.value)


def test_a_file_as_large_as_allowed_is_read() -> None:
    count = MAX_NODES // 2 - 10
    assert len(parse_document("\n".join(f"k{n}: v" for n in range(count)), "f").value) == count


def test_a_suite_of_ten_thousand_cases_is_read_from_json() -> None:
    case = {"name": "c", "inputs": ["1", "2", "3"], "variables": {f"v{number}": number for number in range(5)}}
    text = dump_json({"kind": "ivr-suite", "cases": [case | {"expect": {"exit": "node_end"}}] * 10_000})
    assert len(parse_document(text, "f", json=True).value["cases"]) == 10_000


@pytest.mark.parametrize(("json", "most"), [(False, MAX_NODES), (True, MAX_JSON_NODES)], ids=["yaml", "json"])
def test_one_value_more_than_allowed_is_refused_with_the_limit(json: bool, most: int) -> None:
    text = "[" + "0," * (most - 2) + "0"
    assert len(parse_document(text + "]", "f", json=json).value) == most - 1
    with pytest.raises(InvalidDocument, match=f"holds more than {most} values"):
        parse_document(text + ",0]", "f", json=json)


@pytest.mark.parametrize(("json", "most"), [(False, MAX_BYTES), (True, MAX_JSON_BYTES)], ids=["yaml", "json"])
def test_one_byte_more_than_allowed_is_refused_with_the_limit(tmp_path: Path, json: bool, most: int) -> None:
    path = tmp_path / ("a.json" if json else "a.yaml")
    path.write_bytes(b'"' + b"x" * (most - 2) + b'"')
    assert len(read_document(path).value) == most - 2
    path.write_bytes(b'"' + b"x" * (most - 1) + b'"')
    with pytest.raises(InvalidDocument, match=f"larger than {most} bytes"):
        read_document(path)


def test_what_looks_like_many_values_inside_of_a_text_is_one() -> None:
    text = ",:[{" * MAX_JSON_NODES
    assert parse_document(dump_json([text]), "f", json=True).value == [text]


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [(lambda path: None, "No such file"), (lambda path: path.mkdir(), "Is a directory")],
    ids=["missing", "folder"],
)
def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path, prepare: Callable[[Path], None], reason: str) -> None:
    path = tmp_path / "chain.yaml"
    prepare(path)
    with pytest.raises(InvalidDocument, match=reason) as caught:
        read_document(path)
    assert caught.value.findings[0].file == str(path)


def test_the_name_decides_between_yaml_and_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1e3}', encoding="utf-8")
    (tmp_path / "a.yml").write_text("\ufeffa: 1e3", encoding="utf-8")
    assert read_document(tmp_path / "a.json").value == {"a": 1000.0}
    assert read_document(tmp_path / "a.yml").value == {"a": "1e3"}


def test_paths_join_as_people_read_them() -> None:
    assert join_path(join_path(join_path("", "contacts"), 0), "id") == "contacts[0].id"


@pytest.mark.parametrize(
    "load", [load_chain, load_flow, load_suite, load_claims, load_patch, load_trigger, load_definition]
)
def test_a_file_of_another_kind_is_refused_in_one_sentence(tmp_path: Path, load: Callable[[Path], Any]) -> None:
    """What it lacks to be of the kind that is needed would be a list that mends nothing."""
    (tmp_path / "file.yaml").write_text("\nkind: faults\nrules: []\n")
    with pytest.raises(InvalidDocument) as refused:
        load(tmp_path / "file.yaml")
    (finding,) = refused.value.findings
    assert (finding.rule, finding.line) == ("kind/other", 2)
    assert finding.message.startswith("the file is a list of a sandbox's faults, and ")
    assert finding.hint == "`cordboard sandbox --faults` takes it."


def test_faults_are_refused_where_something_else_is_given_for_them(tmp_path: Path) -> None:
    (tmp_path / "file.yaml").write_text("kind: chain\n")
    with pytest.raises(InvalidDocument, match="the file is a chain, and a list of a sandbox's faults is needed here"):
        load_faults(tmp_path / "file.yaml")


def test_every_kind_is_named_and_says_what_takes_it() -> None:
    assert list(WHAT) == list(kinds._PARTS) == list(kinds.KINDS)
