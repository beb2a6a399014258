"""CXone's data actions and call flows, and where credentials may go."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.errors import BadCall
from cordboard.redaction import Redactor
from cordboard.sandbox import Faults, RunningSandbox, default_definition, running_sandbox
from cordboard.settings import Settings
from cordboard.vendors.cxone import (
    DEBUG_SCOPES,
    FLOW_SCOPES,
    REGIONS,
    data_action_endpoints,
    debug_endpoints,
    execute_data_action,
    flow_endpoints,
    read_flow,
    register_flow,
)
from cordboard.vendors.cxone_debug import debug_flow, why_forbidden
from cordboard.vendors.login import CXoneLogin
from cordboard.vendors.session import Answer, SessionLimits, VendorSession
from cordboard.vendors.token import TokenSource
from cordboard.vendors.trace_context import traceparent
from cordboard.vendors.urls import vendor_url
from cordboard.vendors.wire import Conflict, Outcome, Reply, Request, Safety, Verdict, decipher
from tests.thorough import count

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


@settings(max_examples=count(1_000, 5_000), deadline=None)
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


@settings(max_examples=count(1_000, 5_000), deadline=None)
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

        def start(
            *rules: dict[str, Any], debug: dict[str, Any] | None = None, **flows: Any
        ) -> tuple[RunningSandbox, Talk]:
            definition = default_definition().changed(flows=flows, **({"debug": debug} if debug else {}))
            box = stack.enter_context(running_sandbox(definition, Faults.of(*rules)))
            return box, lambda *requests, **given: asyncio.run(_calls(box, requests, given))

        yield start


async def _calls(box: RunningSandbox, requests: tuple[Request, ...], given: dict[str, Any]) -> list[Answer]:
    env, redactor, scopes = box.env(), given.pop("redactor", None), given.pop("scopes", FLOW_SCOPES)
    tokens = TokenSource(env["CXONE_TOKEN_URL"], env["CXONE_CLIENT_ID"], env["CXONE_CLIENT_SECRET"], scopes)
    limits = SessionLimits(backoff_seconds=0.01)
    async with VendorSession(box.base_url, tokens, limits, redactor=redactor) as session:
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


# --- simulations ------------------------------------------------------------------------------------------------------

DEBUG = "/api/v2/flows/debug"
TUTORIAL = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
SIMULATED: dict[str, Any] = {
    "path": ["node_start", "node_menu_1", "node_route_sales", "node_exit"],
    "variables": {"customer_id": "CUST-998", "selected_option": "1", "attempt_count": 1},
    "exitNode": "node_exit",
    "duration": 145,
    "trace": [
        {"nodeId": "node_start", "type": "Start", "timestamp": 0},
        {"nodeId": "node_menu_1", "type": "GatherInput", "timestamp": 45, "input": "123"},
        {"nodeId": "node_route_sales", "type": "Route", "timestamp": 90, "target": "queue_sales"},
        {"nodeId": "node_exit", "type": "Exit", "timestamp": 145, "status": "Completed"},
    ],
}
STOPPED: dict[str, Any] = {
    "message": "Compilation failed.",
    "trace": [
        {"nodeId": "node_start", "type": "Start", "timestamp": 0},
        {"nodeId": "node_menu_1", "type": "GatherInput", "timestamp": 45, "status": "Error", "exception": "bad target"},
    ],
}
BROKEN = {"answers": [{"flowId": "menu", "reply": STOPPED, "status": 500}]}


def test_simulations_have_the_documented_hosts_and_scopes() -> None:
    places = debug_endpoints()
    assert places.base_url == "https://api-us-1.cxone.com"
    assert places.token_url == "https://api-us-1.cxone.com/oauth2/token"
    assert places.scopes == ("flow:debug", "flow:read")


def test_a_login_needs_neither_region_nor_organisation_for_simulations() -> None:
    assert CXoneLogin("id", "secret").places("debug") == debug_endpoints()
    moved = CXoneLogin("id", "secret", base_url="https://api-eu-1.cxone.com").places("debug")
    assert (moved.base_url, moved.scopes) == ("https://api-eu-1.cxone.com", ("flow:debug", "flow:read"))


@pytest.mark.parametrize(("asked", "seconds"), [(0.0, 2.0), (10.0, 0.1)])
def test_simulations_are_spaced_as_the_vendor_advises_unless_settings_ask_for_a_pace(
    virtual: Callable[..., Any], asked: float, seconds: float
) -> None:
    starts: list[float] = []

    def vendor(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth2/token":
            return httpx.Response(200, json={"access_token": "token", "expires_in": 3600})
        starts.append(asyncio.get_running_loop().time())
        return httpx.Response(200, json=SIMULATED)

    async def main() -> None:
        given = {"transport": httpx.MockTransport(vendor), "clock": asyncio.get_running_loop().time}
        settings = Settings(calls_per_second=asked)
        async with CXoneLogin("id", "secret").session(settings, api="debug", **given) as session:
            await asyncio.gather(*(session.call(debug_flow(TUTORIAL, "1"), timeout_seconds=5.0) for _ in range(5)))

    virtual(main())
    assert starts[-1] - starts[0] == pytest.approx(4 * seconds, abs=0.11)


def test_a_simulation_is_the_one_in_the_tutorial() -> None:
    request = debug_flow(TUTORIAL, "123", traceparent="00-a-b-01")
    assert (request.operation.method, request.path) == ("POST", DEBUG)
    assert request.body == {
        "flowId": TUTORIAL,
        "input": {"dtmf": "123", "speech": ""},
        "options": {"trace": True, "includeVariables": True, "maxLoops": 50},
    }
    assert request.headers == {"traceparent": "00-a-b-01"}
    assert request.operation.safety is Safety.NATURAL


def test_variables_and_the_bound_on_loops_go_along() -> None:
    body = debug_flow("menu", "", "billing", {"tier": "gold"}, 7).body
    assert (body["input"]["speech"], body["variables"], body["options"]["maxLoops"]) == ("billing", {"tier": "gold"}, 7)


@pytest.mark.parametrize("bound", [0, -1, True, 1.5, "5"])
def test_a_bound_on_loops_that_is_none_is_refused(bound: Any) -> None:
    with pytest.raises(BadCall, match="max_loops"):
        debug_flow("menu", max_loops=bound)


def test_a_flow_that_could_not_be_looked_up_is_not_simulated() -> None:
    with pytest.raises(BadCall, match="flow id"):
        debug_flow("../oauth")


def test_the_tutorials_simulation_returns_what_the_tutorial_expects(
    vendor: Callable[..., tuple[RunningSandbox, Talk]],
) -> None:
    box, talk = vendor()
    (answer,) = talk(debug_flow(TUTORIAL, "123"), scopes=DEBUG_SCOPES)
    assert (answer.verdict.outcome, answer.verdict.value) == ("accepted", SIMULATED)
    assert (box.truth.posts(DEBUG)[0].flow_id, box.truth.effects) == (TUTORIAL, ())


def test_a_call_that_did_not_end_has_no_exit() -> None:
    body = json.dumps({**SIMULATED, "exitNode": None, "duration": 1.5, "trace": []}).encode()
    assert decipher(debug_flow("menu").operation, Reply(200, {}, body), now=0.0).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": None}, "`path` is no list of texts"),
        ({"path": "node_start"}, "`path` is no list of texts"),
        ({"path": ["node_start", None]}, "`path` is no list of texts"),
        ({"variables": []}, "`variables` is no object"),
        ({"exitNode": 7}, "`exitNode` is neither text nor null"),
        ({"duration": "145"}, "`duration` is no number"),
        ({"duration": True}, "`duration` is no number"),
        ({"trace": {}}, "`trace` is no list of objects"),
        ({"trace": ["node_start"]}, "`trace` is no list of objects"),
    ],
)
def test_a_reply_of_another_shape_is_no_simulation(change: dict[str, Any], message: str) -> None:
    """The tutorial reads whatever comes with `get(…, [])`: an empty reply is then a call that went nowhere."""
    verdict = decipher(debug_flow("menu").operation, Reply(200, {}, json.dumps(SIMULATED | change).encode()), now=0.0)
    assert (verdict.outcome, verdict.kind, verdict.value) == ("unknown", "bad_reply", None)
    assert message in verdict.message


@pytest.mark.parametrize("name", SIMULATED)
def test_a_reply_without_one_of_its_parts_is_no_simulation(name: str) -> None:
    body = json.dumps({key: value for key, value in SIMULATED.items() if key != name}).encode()
    verdict = decipher(debug_flow("menu").operation, Reply(200, {}, body), now=0.0)
    assert (verdict.kind, f"`{name}` is" in verdict.message) == ("bad_reply", True)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"text"'])
def test_a_reply_that_is_no_object_is_no_simulation(body: bytes) -> None:
    assert decipher(debug_flow("menu").operation, Reply(200, {}, body), now=0.0).kind == "bad_reply"


def test_a_flow_that_does_not_compile_brings_its_trace_and_is_not_asked_again(
    vendor: Callable[..., tuple[RunningSandbox, Talk]],
) -> None:
    """The tutorial's `raise_for_status` throws the trace away, which says where the flow is broken."""
    box, talk = vendor(debug=BROKEN)
    (answer,) = talk(debug_flow("menu", "1"), scopes=DEBUG_SCOPES)
    verdict = answer.verdict
    assert (verdict.outcome, verdict.kind, verdict.status, verdict.value) == ("permanent", "incomplete", 500, STOPPED)
    assert "stopped half-way and says where (HTTP 500): Compilation failed." in verdict.message
    assert (answer.attempts, answer.doubt, len(box.truth.posts(DEBUG))) == (1, False, 1)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Bad gateway</html>",
        b'{"message": "Internal error"}',
        b'{"trace": []}',
        b'{"trace": "node_start"}',
        b'{"trace": ["node_start"]}',
        b'{"trace": [{"nodeId": "a"}], "path": "a"}',
        b'[{"trace": [{"nodeId": "a"}]}]',
    ],
)
def test_a_500_without_a_trace_is_a_server_error_like_any_other(body: bytes) -> None:
    verdict = decipher(debug_flow("menu").operation, Reply(500, {}, body), now=0.0)
    assert (verdict.outcome, verdict.kind, verdict.value) == ("unknown", "server_error", None)


def test_a_trace_that_broke_off_is_no_result() -> None:
    whole = json.dumps(STOPPED).encode()
    verdict = decipher(debug_flow("menu").operation, Reply(500, {}, whole, "the body broke off"), now=0.0)
    assert (verdict.outcome, verdict.kind, verdict.value) == ("unknown", "server_error", None)


@pytest.mark.parametrize("status", [400, 403, 404, 429, 502, 503])
def test_a_trace_is_a_result_only_where_the_operation_says_so(status: int) -> None:
    body = json.dumps(STOPPED).encode()
    assert decipher(debug_flow("menu").operation, Reply(status, {}, body), now=0.0).kind != "incomplete"
    assert decipher(read_flow("menu").operation, Reply(500, {}, body), now=0.0).kind == "server_error"


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"lost_reply": "after_commit"}, {"rate_limited": {"retry_after": "0"}}, {"truncate": {}}]
)
def test_a_simulation_is_asked_for_again_as_it_has_no_effect(
    vendor: Callable[..., tuple[RunningSandbox, Talk]], fault: dict[str, Any]
) -> None:
    _, talk = vendor({"match": {"path": DEBUG, "nth": [1]}, "fault": fault})
    (answer,) = talk(debug_flow(TUTORIAL, "123"), scopes=DEBUG_SCOPES)
    assert (answer.verdict.value, answer.attempts) == (SIMULATED, 2)


def test_a_broken_flow_does_not_look_like_a_vendor_that_is_down(
    vendor: Callable[..., tuple[RunningSandbox, Talk]],
) -> None:
    """A suite asks many times for one flow: each case learns where the flow is broken."""
    _, talk = vendor(debug=BROKEN)
    answers = talk(*[debug_flow("menu", str(number)) for number in range(25)], scopes=DEBUG_SCOPES, attempts=1)
    assert [answer.verdict.kind for answer in answers] == ["incomplete"] * 25


def test_a_trace_that_repeats_a_secret_is_masked(vendor: Callable[..., tuple[RunningSandbox, Talk]]) -> None:
    trace = [{"nodeId": "node_a", "status": "Error", "exception": "canary-secret was refused"}]
    _, talk = vendor(debug={"answers": [{"flowId": "menu", "reply": {"trace": trace}, "status": 500}]})
    (answer,) = talk(debug_flow("menu"), scopes=DEBUG_SCOPES, redactor=Redactor(["canary-secret"]))
    assert answer.verdict.value["trace"][0]["exception"] == "******** was refused"


def test_a_403_for_somebody_elses_flow_is_explained(vendor: Callable[..., tuple[RunningSandbox, Talk]]) -> None:
    _, talk = vendor(debug={"foreign": ["night_menu"]})
    refused, looked_up = talk(debug_flow("night_menu"), read_flow("night_menu"), scopes=DEBUG_SCOPES)
    assert (refused.verdict.kind, refused.attempts) == ("forbidden", 1)
    assert "belongs to another organisation or is not published" in why_forbidden("night_menu", looked_up.verdict)


def test_a_403_for_want_of_the_scope_is_explained(vendor: Callable[..., tuple[RunningSandbox, Talk]]) -> None:
    _, talk = vendor(definitions={"main_menu": FLOW})
    refused, looked_up = talk(debug_flow("main_menu"), read_flow("main_menu"), scopes=("flow:read",))
    assert (refused.verdict.kind, looked_up.verdict.outcome) == ("forbidden", "accepted")
    assert "the scope flow:debug is missing" in why_forbidden("main_menu", looked_up.verdict)


def test_a_403_that_the_look_up_gets_too_is_explained(vendor: Callable[..., tuple[RunningSandbox, Talk]]) -> None:
    _, talk = vendor(definitions={"main_menu": FLOW})
    _, looked_up = talk(debug_flow("main_menu"), read_flow("main_menu"), scopes=("dataactions:read",))
    assert "neither flow:debug nor flow:read" in why_forbidden("main_menu", looked_up.verdict)


def test_a_403_that_could_not_be_looked_into_says_so() -> None:
    lost = Verdict(Outcome.UNKNOWN, "timeout", message="the vendor gave up waiting")
    words = why_forbidden("main_menu", lost)
    assert "why could not be found out: the vendor gave up waiting" in words


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
