"""From rows to what the vendor is sent, or to everything that is wrong with them."""

import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.documents import Document, parse_document
from cordboard.jsontext import dump_json
from cordboard.triggers.making import starts
from cordboard.triggers.model import Faulty, Row, Start, Trigger, Variable
from cordboard.triggers.reading import read_trigger
from tests.thorough import count

HEAD = ["kind: trigger", "workflow_id: w", 'priority: "{{ row.priority | default(5) }}"', 'key: "{{ row.id }}"']
VARIABLES = [
    '  customerId: {value: "{{ row.customer }}", data_type: string}',
    '  score: {data_type: integer, value: "{{ row.score }}"}',
    '  route: {value: {queue: "{{ row.queue }}", channel: voice}, data_type: object}',
]
METADATA = 'metadata: {batch: "BATCH {{ row.id }}"}'
BATCH = "\n".join([*HEAD, "context:", *VARIABLES, METADATA])
GOOD: dict[str, Any] = {"id": "A-1", "customer": "C-1", "score": "85", "queue": "sales"}


def trigger_of(text: str) -> Trigger:
    trigger, findings = read_trigger(parse_document(text, "t.yaml"))
    assert trigger is not None, findings
    return trigger


def made(rows: Iterable[dict[str, Any]], text: str = BATCH) -> list[Start | Faulty]:
    lines = (Row(number, number + 1, fields, ()) for number, fields in enumerate(rows, 1))
    return list(starts(trigger_of(text), lines, "rows.csv"))


def wrong(*rows: dict[str, Any], text: str = BATCH) -> list[tuple[int | None, str]]:
    """The line and the words of every fault."""
    faulty = [each for each in made(rows, text) if isinstance(each, Faulty)]
    found = [finding for each in faulty for finding in each.findings]
    return [(each.line, f"{each.path}: {each.message}") for each in found]


def test_a_row_becomes_the_body_that_the_vendor_takes() -> None:
    (start,) = made([GOOD])
    assert start == Start(
        line=2,
        key="A-1",
        body={
            "workflowId": "w",
            "priority": 5,
            "context": {"customerId": "C-1", "score": 85, "route": {"queue": "sales", "channel": "voice"}},
            "metadata": {"batch": "BATCH A-1"},
        },
    )


def test_everything_that_is_wrong_with_a_row_is_said_at_once_with_its_column() -> None:
    assert wrong({**GOOD, "score": "banana", "priority": "11", "id": "", "customer": 5}) == [
        (2, "row 1: priority → priority: 11 is no priority from 1 (highest) to 10"),
        (2, "row 1: customer → context.customerId: 5 is no string"),
        (2, 'row 1: score → context.score: "banana" is no integer'),
        (2, "row 1: id → key: must have 1 to 200 characters, and it has 0"),
    ]


def test_a_field_that_is_not_there_is_a_fault_of_its_row_with_near_names() -> None:
    (faulty,) = made([{"id": "1", "custmer": "C", "score": 1, "queue": "q"}])
    assert isinstance(faulty, Faulty)
    assert [finding.hint for finding in faulty.findings] == ["Did you mean custmer?"]


def test_a_key_is_used_once_and_both_lines_are_named() -> None:
    """Also where the first row is faulty itself: once mended, it would meet the second."""
    rows = [{**GOOD, "score": "banana"}, {**GOOD, "id": "A-2"}, {**GOOD, "customer": "other"}]
    assert wrong(*rows)[1:] == [(4, "row 3: id → key: `A-1` is the key of line 2 as well")]


def test_the_number_17_and_the_text_17_are_the_same_key() -> None:
    assert wrong({**GOOD, "id": 17}, {**GOOD, "id": "17"}) == [
        (3, "row 2: id → key: `17` is the key of line 2 as well")
    ]


def test_without_a_key_the_content_tells_rows_apart() -> None:
    text = "\n".join(line for line in BATCH.splitlines() if not line.startswith("key"))
    rows = [GOOD, {**GOOD, "customer": "C-2"}, dict(reversed(GOOD.items()))]
    assert wrong(*rows, text=text) == [(4, "row 3: key: would start the same as line 2")]
    assert len({start.key for start in made(rows, text) if isinstance(start, Start)}) == 2


def test_what_a_row_holds_is_never_read_as_a_template() -> None:
    (start,) = made([{**GOOD, "customer": "{{ row.id }}"}])
    assert isinstance(start, Start) and start.body["context"]["customerId"] == "{{ row.id }}"


def test_values_have_sizes() -> None:
    large = {**GOOD, "customer": "x" * 32_800, "id": "k" * 250}
    assert [text.rpartition(": ")[0] for _, text in wrong(large)] == [
        "row 1: customer → context.customerId",
        "row 1: id → key",
    ]
    assert [text.rpartition(": ")[0] for _, text in wrong({**GOOD, "id": "k" * 254})] == [
        "row 1: id → metadata.batch",
        "row 1: id → key",
    ]


@pytest.mark.parametrize("key", [" A1", "A1 ", "A1\t", "\u00a0A1"])
def test_a_key_with_spaces_around_it_is_no_other_start(key: str) -> None:
    (text,) = [said for _, said in wrong({**GOOD, "id": key})]
    assert "has spaces around it" in text


@given(st.permutations(list(GOOD.items())), st.permutations(HEAD), st.permutations(VARIABLES))
@settings(max_examples=count(50, 500), deadline=None)
def test_the_order_of_fields_makes_no_difference(
    row: list[tuple[str, str]], head: list[str], variables: list[str]
) -> None:
    (start,) = made([dict(row)], "\n".join([METADATA, "context:", *variables, *head]))
    (expected,) = made([GOOD])
    assert isinstance(start, Start) and isinstance(expected, Start)
    assert (start.key, dump_json(start.body)) == (expected.key, dump_json(expected.body))


def test_memory_does_not_grow_with_the_rows() -> None:
    """Keys are remembered, too: as digests, in a database that goes to disk."""
    rows = (Row(number, number, {"id": f"key {number}"}, ()) for number in range(count(20_000, 500_000)))
    variable = Variable("{{ row.id }}", "string")
    trigger = Trigger("w", context={"id": variable}, key="{{ row.id }}", document=Document("t.yaml", {}, {}))
    tracemalloc.start()
    try:
        assert all(isinstance(each, Start) for each in starts(trigger, rows, "rows.csv"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000  # 25 bytes a row, where a key alone has 60


@pytest.mark.parametrize("score", [85.0, True, None, [85], "85.0"])
def test_nothing_is_coerced_on_the_way_through_a_template(score: Any) -> None:
    assert [text.rpartition(": ")[0] for _, text in wrong({**GOOD, "score": score})] == ["row 1: score → context.score"]
