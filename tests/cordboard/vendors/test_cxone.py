"""CXone's data actions and call flows, and where credentials may go."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.errors import BadCall
from cordboard.sandbox import Faults, RunningSandbox, default_definition, running_sandbox
from cordboard.vendors.cxone import (
    FLOW_SCOPES,
    REGIONS,
    data_action_endpoints,
    execute_data_action,
    flow_endpoints,
    read_flow,
    register_flow,
    traceparent,
)
from cordboard.vendors.session import Answer, SessionLimits, VendorSession
from cordboard.vendors.token import TokenSource
from cordboard.vendors.urls import vendor_url
from cordboard.vendors.wire import Conflict, Reply, Request, Safety, decipher

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


# --- call flows -------------------------------------------------------------------------------------------------------

FLOWS = "/api/v2/flows"
FLOW: dict[str, Any] = {
    "id": "main_menu",
    "name": "Main menu",
    "type": "IVR",
    "connections": [
        {
            "id": "conn_000000000001",
            "source_node_id": "node_start",
            "target_node_id": "node_end",
            "condition": "true",
            "type": "default",
        }
    ],
    "nodes": [{"id": "node_start", "type": "start"}, {"id": "node_end", "type": "terminal"}],
}


def test_an_organisation_has_the_documented_hosts_and_scopes() -> None:
    places = flow_endpoints("Acme-7")
    assert places.base_url == "https://acme-7.api.nice.incontact.com"
    assert places.token_url == "https://acme-7.api.nice.incontact.com/oauth/token"
    assert places.scopes == ("flows:write", "flows:read")


@settings(max_examples=5000, deadline=None)
@given(st.text(max_size=70) | st.builds(lambda tail: "acme" + tail, st.sampled_from("./@#?:\\\n\u3002\u00ad-_ %")))
def test_no_organisation_leads_to_a_host_of_somebody_else(org_id: str) -> None:
    """`evil.test/#` as an organisation would send client id and secret there."""
    try:
        places = flow_endpoints(org_id)
    except BadCall as refusal:
        assert str(refusal).isprintable()
        return
    for url in (places.base_url, places.token_url):
        assert vendor_url(url, "base URL") == url
        assert urlsplit(url).hostname == f"{org_id.lower()}.api.nice.incontact.com"


@pytest.mark.parametrize("org_id", ["", "-a", "a-", "a" * 64, "a.b", "acme\n", "äcme", "a_b"])
def test_what_is_no_host_label_is_refused(org_id: str) -> None:
    with pytest.raises(BadCall, match="organisation id"):
        flow_endpoints(org_id)


def test_a_registration_is_the_one_in_the_contract() -> None:
    """Keyed, so that a lost reply is followed by the same request; a 409 says that there is one already."""
    request = register_flow(FLOW, "key-1", traceparent="00-a-b-01")
    assert (request.operation.method, request.path, request.body) == ("POST", "/api/v2/flows", FLOW)
    assert request.headers == {"idempotency-key": "key-1", "traceparent": "00-a-b-01"}
    assert (request.operation.safety, request.operation.conflict) == (Safety.KEYED, Conflict.EXISTS)


def test_a_reading_is_the_one_in_the_contract() -> None:
    request = read_flow("main_menu")
    assert (request.operation.method, request.path, request.body) == ("GET", "/api/v2/flows/main_menu", None)
    assert (request.operation.safety, request.headers) == (Safety.NATURAL, {})


@pytest.mark.parametrize(
    "flow_id",
    [
        "",
        ".",
        "..",
        "../oauth",
        "a/b",
        "a\\b",
        "a%2fb",
        "a?b",
        "a#b",
        "a b",
        "a\n",
        "\ud800",
        "\u00e4",
        "a" * 129,
        "-a",
    ],
)
def test_a_flow_id_cannot_lead_to_another_path(flow_id: str) -> None:
    for make in (lambda: read_flow(flow_id), lambda: register_flow({**FLOW, "id": flow_id}, "key-1")):
        with pytest.raises(BadCall, match="flow id") as refusal:
            make()
        assert str(refusal.value).isprintable()


@pytest.mark.parametrize("body", [{}, {"id": None}, {"id": 7}])
def test_a_flow_without_an_id_could_not_be_read_back_and_is_not_sent(body: dict[str, Any]) -> None:
    with pytest.raises(BadCall, match="flow id"):
        register_flow({**{name: FLOW[name] for name in FLOW if name != "id"}, **body}, "key-1")


@pytest.mark.parametrize("key", ["", " ", "a b", "a\r\nx: y", "\u00e4", "k" * 256])
def test_a_key_that_cannot_be_a_header_is_refused(key: str) -> None:
    with pytest.raises(BadCall, match="idempotency key"):
        register_flow(FLOW, key)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "has no `id`"),
        (b"[]", "has no `id`"),
        (b"{}", "has no `id`"),
        (b'{"id": "main_menu"}', "`connections` is no list"),
        (b'{"id": "main_menu", "connections": null, "nodes": []}', "`connections` is no list"),
        (b'{"id": "main_menu", "connections": [], "nodes": {}}', "`nodes` is no list"),
        (b'{"id": "main_menu", "connections": ["a"], "nodes": []}', "`connections` is no list of objects"),
        (b'{"id": "night_menu", "connections": [], "nodes": []}', "is the flow 'night_menu', not 'main_menu'"),
    ],
)
@pytest.mark.parametrize("request_", [register_flow(FLOW, "k"), read_flow("main_menu")], ids=["register", "read"])
def test_an_answer_that_is_not_the_flow_asked_for_is_no_answer(request_: Request, body: bytes, message: str) -> None:
    """The tutorial takes an empty answer for a verified flow: it compares a list's length with its own."""
    verdict = decipher(request_.operation, Reply(200, {}, body), now=0.0)
    assert (verdict.outcome, verdict.kind, verdict.value) == ("unknown", "bad_reply", None)
    assert message in verdict.message


Talk = Callable[..., list[Answer]]


@pytest.fixture
def vendor() -> Iterator[Callable[..., tuple[RunningSandbox, Talk]]]:
    """Starts a vendor with faults, and gives it and a function that makes calls to it, one after another."""
    with ExitStack() as stack:

        def start(*rules: dict[str, Any], **flows: Any) -> tuple[RunningSandbox, Talk]:
            definition = default_definition().changed(flows=flows)
            box = stack.enter_context(running_sandbox(definition, Faults.of(*rules)))
            return box, lambda *requests, **given: asyncio.run(_calls(box, requests, given))

        yield start


async def _calls(box: RunningSandbox, requests: tuple[Request, ...], given: dict[str, Any]) -> list[Answer]:
    env = box.env()
    tokens = TokenSource(env["CXONE_TOKEN_URL"], env["CXONE_CLIENT_ID"], env["CXONE_CLIENT_SECRET"], FLOW_SCOPES)
    limits = SessionLimits(backoff_seconds=0.01)
    async with VendorSession(box.base_url, tokens, limits) as session:
        return [await session.call(request, **{"timeout_seconds": 5.0, **given}) for request in requests]


def post(fault: dict[str, Any], *numbers: int) -> dict[str, Any]:
    return {"match": {"path": FLOWS, "method": "POST", "nth": list(numbers)}, "fault": fault}


def test_a_flow_that_is_not_there_can_be_told_from_every_other_trouble(
    vendor: Callable[..., tuple[RunningSandbox, Talk]],
) -> None:
    """`not_found` is the only leave to register anew; a vendor in trouble says nothing about the flow."""
    rule = {"match": {"path": f"{FLOWS}/*", "nth": [2]}, "fault": {"status": 403}}
    _, talk = vendor(rule)
    missing, forbidden = (answer.verdict for answer in talk(read_flow("main_menu"), read_flow("main_menu")))
    assert (missing.outcome, missing.kind, missing.code) == ("permanent", "not_found", "flow_not_found")
    assert (forbidden.outcome, forbidden.kind) == ("permanent", "forbidden")


def test_a_flow_is_registered_and_read_back(vendor: Callable[..., tuple[RunningSandbox, Talk]]) -> None:
    box, talk = vendor()
    registered, read = talk(register_flow(FLOW, "key-1"), read_flow("main_menu"))
    assert (registered.verdict.outcome, registered.verdict.status) == ("accepted", 201)
    assert registered.verdict.reference == "main_menu"
    assert registered.verdict.value == read.verdict.value == box.flows["main_menu"]
    assert {name: read.verdict.value[name] for name in FLOW} == FLOW


@pytest.mark.parametrize(
    "fault",
    [{"lost_reply": "after_commit"}, {"truncate": {}}, {"wrong_type": "html"}, {"status": 503, "after_commit": True}],
    ids=["lost", "truncated", "sign-in page", "503"],
)
def test_a_registration_in_doubt_is_sent_again_under_its_key_and_takes_effect_once(
    vendor: Callable[..., tuple[RunningSandbox, Talk]], fault: dict[str, Any]
) -> None:
    box, talk = vendor(post(fault, 1))
    (answer,) = talk(register_flow(FLOW, "key-1"))
    assert (answer.verdict.outcome, answer.attempts) == ("accepted", 2)
    assert [(sent.idempotency_key, sent.inputs) for sent in box.truth.posts(FLOWS)] == [("key-1", FLOW)] * 2
    assert len(box.truth.effects_on("main_menu")) == 1


def test_a_flow_that_exists_is_not_sent_again(vendor: Callable[..., tuple[RunningSandbox, Talk]]) -> None:
    """One POST, and the order to look: only the stored flow can say whether it is ours."""
    box, talk = vendor(on_existing="conflict", definitions={"main_menu": FLOW})
    (answer,) = talk(register_flow(FLOW, "key-1"))
    assert (answer.verdict.outcome, answer.verdict.kind, answer.verdict.code) == ("unknown", "conflict", "flow_exists")
    assert (answer.verdict.look_up, answer.attempts, len(box.truth.posts(FLOWS))) == (True, 1, 1)


def test_a_repeat_that_meets_its_own_first_attempt_ends_with_the_order_to_look(
    vendor: Callable[..., tuple[RunningSandbox, Talk]],
) -> None:
    """The first attempt timed out and is still at work: a look finds nothing yet, and the flow may still come."""
    box, talk = vendor(delay_ms=60_000)
    (answer,) = talk(register_flow(FLOW, "key-1"), timeout_seconds=0.7)
    assert (answer.verdict.look_up, answer.verdict.code) == (True, "idempotency_key_in_flight")
    assert (answer.attempts, len(box.flows)) == (2, 0)


def test_a_payload_that_breaks_rules_is_refused_for_good_with_the_vendors_words(
    vendor: Callable[..., tuple[RunningSandbox, Talk]],
) -> None:
    box, talk = vendor()
    (answer,) = talk(register_flow({**FLOW, "nodes": []}, "key-1"))
    assert (answer.verdict.outcome, answer.verdict.status, answer.attempts) == ("permanent", 422, 1)
    assert "connections[0].target_node_id 'node_end' is none of the nodes" in answer.verdict.message
    assert not box.flows


def test_only_a_look_finds_what_the_vendor_stored_in_place_of_the_flow(
    vendor: Callable[..., tuple[RunningSandbox, Talk]],
) -> None:
    """The reply is the echo of the request."""
    _, talk = vendor(post({"stores": "reroute"}, 1))
    registered, read = (answer.verdict.value for answer in talk(register_flow(FLOW, "key-1"), read_flow("main_menu")))
    assert registered["connections"] == FLOW["connections"]
    assert read["connections"] != FLOW["connections"]


# --- where credentials may go -----------------------------------------------------------------------------------------


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
