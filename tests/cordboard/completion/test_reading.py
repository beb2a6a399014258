"""What a completion must be, and what the ERP is told of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordboard.completion.model import Completion, NotACompletion, erp_record, read_completion
from cordboard.errors import InvalidJson

WHOLE: dict[str, Any] = {
    "instanceId": "inst-1",
    "workflowId": "wf_12345678",
    "status": "Completed",
    "context": {"customerId": "CUST-99887", "routingDecision": "sales", "callerName": "Ada"},
}


def body(**changes: Any) -> bytes:
    return json.dumps({**WHOLE, **changes}).encode()


def test_a_completion_is_read_and_becomes_the_record_of_the_contract() -> None:
    found = read_completion(body())
    assert found == Completion("inst-1", "wf_12345678", "Completed", WHOLE["context"])
    assert (found.end, found.has_ended) == ("completed", True)
    assert erp_record(found) == {
        "externalId": "inst-1",
        "workflowId": "wf_12345678",
        "finalStatus": "Completed",
        "customerData": "CUST-99887",
        "routingResult": "sales",
    }


@pytest.mark.parametrize("context", [{}, None, {"customerId": None}])
def test_what_the_context_does_not_hold_is_null_in_the_record(context: Any) -> None:
    record = erp_record(read_completion(body(context=context)))
    assert (record["customerData"], record["routingResult"]) == (None, None)


def test_the_context_may_be_missing_and_further_fields_are_left_out() -> None:
    told = {name: WHOLE[name] for name in ("instanceId", "workflowId", "status")} | {"startedBy": "x", "v": 2}
    found = read_completion(json.dumps(told))
    assert json.loads(found.as_text()) == {**{k: told[k] for k in list(told)[:3]}, "context": {}}


@given(st.dictionaries(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8), st.integers()))
def test_what_is_kept_reads_as_what_was_sent(context: dict[str, int]) -> None:
    found = read_completion(body(context=context))
    assert read_completion(found.as_text()) == found


@pytest.mark.parametrize("name", ["instanceId", "workflowId", "status", "context"])
@pytest.mark.parametrize("value", [None, 1, True, [], "", "x" * 201, "a\nb", "\u202e", "a\u0000"])
def test_a_field_that_is_not_what_it_must_be_is_named(name: str, value: Any) -> None:
    if name == "context" and value is None:
        return
    with pytest.raises(NotACompletion, match=f"{name} must be|NUL"):
        read_completion(body(**{name: value}))


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(NotACompletion, match=r"instanceId must.*workflowId must.*status must.*context must"):
        read_completion(b'{"context": []}')


@pytest.mark.parametrize("text", ["[]", "null", '"x"', "1", "true"])
def test_other_json_is_no_completion(text: str) -> None:
    with pytest.raises(NotACompletion, match="must be a JSON object"):
        read_completion(text)


@pytest.mark.parametrize(
    "hostile", [{"a": {"__prefect_kind": "jinja"}}, {"__prefect_kind": 1}, {"a": [["x __prefect_kind y"]]}]
)
def test_what_prefect_would_take_for_a_template_is_refused_wherever_it_stands(hostile: Any) -> None:
    with pytest.raises(NotACompletion, match="__prefect_kind"):
        read_completion(body(context=hostile))
    with pytest.raises(NotACompletion, match="__prefect_kind"):
        read_completion(body(unknown=hostile))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff\xfe",
        body().decode().encode("utf-16"),
        body()[:-1] + b', "status": "failed"}',
        body(context={"a": 1}).replace(b"1", b"NaN"),
        body(context={"a": 1}).replace(b"1}", b"1e999}"),
        body(context={"a": "b"}).replace(b'"b"', b'"\\ud800"'),
        body(context={"a": 1}).replace(b"1}", b"[" * 40 + b"]" * 40 + b"}"),
        body(context={"a": 1}).replace(b"1}", b"9" * 5000 + b"}"),
        body(context={"a": "x" * 65536}),
    ],
    ids=["empty", "cut", "no text", "utf-16", "key twice", "nan", "inf", "surrogate", "deep", "digits", "large"],
)
def test_what_is_no_strict_json_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidJson):
        read_completion(text)


@pytest.mark.parametrize(
    ("status", "ended"), [("RUNNING", False), ("queued", False), ("FAILED", True), ("Timeout", True)]
)
def test_words_for_ends_are_known_in_any_case(status: str, ended: bool) -> None:
    assert read_completion(body(status=status)).has_ended is ended
