"""Parameters of a run, and real outputs against declared schemas."""

from typing import Any

import pytest

from cordboard.chains.model import Action, Chain, Param
from cordboard.chains.params import bind_params, read_params, secrets_from_env
from cordboard.chains.schema import check_output
from cordboard.errors import InvalidDocument

CHAIN = Chain(
    "test",
    {"a": Action("a", "def-a")},
    {
        "account_id": Param("string", required=True),
        "limit": Param("integer", default=10),
        "ratio": Param("number"),
        "dry": Param("boolean", default=False),
        "options": Param("object"),
        "tags": Param("array"),
        "token": Param("string", secret=True),
    },
    file="chain.yaml",
)


def faults(given: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidDocument) as caught:
        bind_params(CHAIN, given)
    return {
        finding.path.removeprefix("params."): f"{finding.message} {finding.hint}" for finding in caught.value.findings
    }


def test_defaults_are_filled_in_and_the_rest_is_null() -> None:
    assert bind_params(CHAIN, {"account_id": "A"}) == {
        "account_id": "A", "limit": 10, "ratio": None, "dry": False, "options": None, "tags": None, "token": None,
    }  # fmt: skip


def test_all_faults_are_reported_at_once_and_no_value_is_repeated() -> None:
    """A value may be a secret: findings name the parameter and the type, never what was given."""
    found = faults({"limit": "hunter2", "tags": "hunter2", "acount_id": "hunter2", "token": 5})
    assert set(found) == {"limit", "tags", "acount_id", "token", "account_id"}
    assert "account_id" in found["acount_id"]
    assert "required" in found["account_id"]
    assert "hunter2" not in str(found)


TABLE: list[tuple[Any, str]] = [
    ("text", "string"), ("5", "string"), ("true", "string"), ("", "string"), (5, "integer number"),
    (-1, "integer number"), (0, "integer number"), (10**30, "integer number"), (5.0, "integer number"),
    (5.5, "number"), (True, "boolean"),
    (False, "boolean"), ({}, "object"), ({"a": 1}, "object"), ([], "array"), (["a"], "array"), (None, ""),
]  # fmt: skip


@pytest.mark.parametrize(("value", "kinds"), TABLE, ids=repr)
@pytest.mark.parametrize(
    ("name", "kind"),
    [("account_id", "string"), ("limit", "integer"), ("ratio", "number"), ("dry", "boolean"), ("options", "object"),
     ("tags", "array")],
)  # fmt: skip
def test_types_are_checked_and_never_converted(name: str, kind: str, value: Any, kinds: str) -> None:
    """A boolean is no integer, the text `5` is no number, `false` is not a truthy text."""
    given = {"account_id": "A", name: value}
    if kind in kinds.split():
        assert bind_params(CHAIN, given)[name] is value
    else:
        assert set(faults(given)) == {name}


def test_values_of_a_command_line_are_read_as_the_chain_declares() -> None:
    """Text stays text, also when it looks like a number; everything else is written as JSON."""
    pairs = ["account_id=007", "limit=5", "dry=true", 'options={"a": "b=c"}', "tags=[1]", "token=a=b", "ratio=0.5"]
    assert read_params(CHAIN, pairs) == {
        "account_id": "007", "limit": 5, "dry": True, "options": {"a": "b=c"}, "tags": [1], "token": "a=b",
        "ratio": 0.5,
    }  # fmt: skip
    with pytest.raises(InvalidDocument) as caught:
        read_params(CHAIN, ["limit=five", "dry=yes", "account_id"])
    assert [finding.path for finding in caught.value.findings] == ["params.limit", "params.dry", "params.account_id"]


SCHEMA = {
    "type": "object",
    "required": ["id", "list"],
    "properties": {
        "id": {"type": "string"},
        "score": {"type": ["number", "null"]},
        "list": {"type": "array", "items": {"type": "object", "required": ["k"], "additionalProperties": False,
                                            "properties": {"k": {"type": "integer"}}}},
        "kind": {"enum": ["a", "b"]},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"id": "x", "list": []}, []),
        ({"id": "x", "list": [{"k": 1}, {"k": 2.0}], "score": None, "kind": "a", "more": 1}, []),
        ({"id": "x", "list": [], "score": 5}, []),
        (None, ["output must be object, and it is null"]),
        ({"id": 5}, ["output lacks `list`", "output.id must be string, and it is integer"]),
        ({"id": "", "list": {}}, ["output.list must be array, and it is object"]),
        ({"id": "", "list": [{}, {"k": True}, {"k": 1, "j": 2}]},
         ["output.list[0] lacks `k`", "output.list[1].k must be integer, and it is boolean",
          "output.list[2] has `j`, which the schema does not allow"]),
        ({"id": "", "list": [], "kind": "c"}, ["output.kind is none of the values that the schema lists"]),
    ],
)  # fmt: skip
def test_an_output_is_held_against_its_schema(value: Any, expected: list[str]) -> None:
    assert check_output(SCHEMA, value) == expected


def test_a_secret_is_never_taken_from_the_parameters_of_a_run() -> None:
    """Prefect stores those in clear and shows them in its UI."""
    with pytest.raises(InvalidDocument) as caught:
        bind_params(SECRETIVE, {"pin": "4711-canary"})
    assert "CORDBOARD_SECRET_PIN" in caught.value.findings[0].hint
    assert "4711-canary" not in str(caught.value)


def test_a_secret_comes_from_the_environment() -> None:
    secrets = secrets_from_env(SECRETIVE, {"CORDBOARD_SECRET_PIN": "4711-canary", "CORDBOARD_SECRET_OTHER": "x"})
    assert bind_params(SECRETIVE, {}, secrets) == {"pin": "4711-canary"}


@pytest.mark.parametrize(
    ("secrets", "said"), [({}, "required"), ({"pin": "123"}, "4 characters"), ({"pim": "12345"}, "pin")]
)
def test_a_secret_that_is_missing_too_short_to_be_masked_or_unknown_is_refused(
    secrets: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidDocument, match=said):
        bind_params(SECRETIVE, {}, secrets)


SECRETIVE = Chain("secretive", {}, {"pin": Param("string", required=True, secret=True)})
