"""CXone's data actions, and where credentials may go."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.errors import BadCall
from cordboard.vendors.cxone import REGIONS, data_action_endpoints, execute_data_action, traceparent
from cordboard.vendors.urls import vendor_url
from cordboard.vendors.wire import Reply, Safety, decipher

HOSTS = {f"{region}.api.nice-incontact.com" for region in REGIONS}
TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_region_has_the_documented_hosts_and_scopes() -> None:
    places = data_action_endpoints("us-east-1")
    assert places.base_url == "https://us-east-1.api.nice-incontact.com"
    assert places.token_url == "https://us-east-1.api.nice-incontact.com/oauth/token"
    assert places.scopes == ("dataactions:execute", "dataactions:read")


def test_an_unknown_region_is_refused_with_names_that_look_alike() -> None:
    with pytest.raises(BadCall, match="us-east-1"):
        data_action_endpoints("us-eats-1")


@settings(max_examples=5000, deadline=None)
@given(
    st.text(max_size=40)
    | st.sampled_from(REGIONS)
    | st.builds(lambda region, tail: region + tail, st.sampled_from(REGIONS), st.sampled_from("./@#?:\\\n\u3002 "))
)
def test_no_region_string_leads_to_a_host_outside_the_table(region: str) -> None:
    """`evil.test/#` as a region would send client id and secret to somebody else."""
    try:
        places = data_action_endpoints(region)
    except BadCall as refusal:
        assert region not in REGIONS
        assert str(refusal).isprintable()
        return
    assert {urlsplit(places.base_url).hostname, urlsplit(places.token_url).hostname} <= HOSTS


def test_the_request_is_the_one_in_the_contract() -> None:
    request = execute_data_action("def-1", {"id": 7}, idempotent=False, traceparent="00-a-b-01")
    assert (request.operation.method, request.path) == ("POST", "/api/v2/dataactions/executions")
    assert request.body == {"definition_id": "def-1", "inputs": {"id": 7}}
    assert request.headers == {"traceparent": "00-a-b-01"}


def test_an_action_may_be_repeated_only_where_its_author_says_so() -> None:
    assert execute_data_action("def", {}, idempotent=True).operation.safety is Safety.NATURAL
    assert execute_data_action("def", {}, idempotent=False).operation.safety is Safety.NEITHER


@pytest.mark.parametrize(
    ("body", "kind", "value"),
    [
        (b'{"id": "exec_1", "output": {"a": [1]}}', "ok", {"a": [1]}),
        (b'{"id": {"odd": 1}, "output": {}}', "ok", {}),
        (b'{"output": null}', "bad_reply", None),
        (b'{"output": "text"}', "bad_reply", None),
        (b'{"id": "exec_1"}', "bad_reply", None),
        (b"[]", "bad_reply", None),
        (b"null", "bad_reply", None),
        (b"", "bad_reply", None),
    ],
)
def test_only_an_output_object_is_a_result(body: bytes, kind: str, value: Any) -> None:
    operation = execute_data_action("def", {}, idempotent=False).operation
    verdict = decipher(operation, Reply(200, {}, body), now=0.0)
    assert (verdict.kind, verdict.value) == (kind, value)


def test_the_trace_context_has_the_w3c_form_and_follows_from_its_seed() -> None:
    text = traceparent(TRACE, "enrich")
    assert re.fullmatch(r"00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01", text)
    assert text == traceparent("0AF76519-16CD-43DD-8448-EB211C80319C", "enrich")
    assert text != traceparent(TRACE, "notify")


@pytest.mark.parametrize("trace", ["", "0" * 32, "xyz", TRACE[:-1], f"{TRACE}\r\nx: y"])
def test_what_is_no_trace_id_is_refused(trace: str) -> None:
    with pytest.raises(BadCall):
        traceparent(trace, "enrich")


@pytest.mark.parametrize(
    "url",
    ["https://na1.api.nice-incontact.com", "https://h:8443/base/", "http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:80"],
)  # fmt: skip
def test_https_and_this_machine_are_fit_for_credentials(url: str) -> None:
    assert vendor_url(url, "base URL") == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "", "na1", "ftp://h", "http://vendor.test", "http://10.0.0.1", "http://127.0.0.1.evil.test", "http://localhost.test",
        "https://user:canary@h", "https://canary@h", "https://h?token=canary", "https://h#canary", "https://h/?", "https://h#",
        "https://", "https://:443", "https://h:99999", "https://h:x", " https://h", "https://h\n", "https://h\\@evil.test",
        "https://h\u3002test", "//h", "https:h",
    ],
)  # fmt: skip
def test_any_other_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(BadCall) as refusal:
        vendor_url(url, "base URL")
    assert "canary" not in str(refusal.value)
