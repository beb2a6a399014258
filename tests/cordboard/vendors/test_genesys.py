"""Genesys Cloud's call flows: saved over the version that was read, or not at all; and where credentials may go."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.errors import BadCall
from cordboard.sandbox import Faults, RunningSandbox, default_definition, running_sandbox
from cordboard.settings import Settings
from cordboard.vendors.genesys import DOMAINS, REGIONS, endpoints, read_flow, read_flow_version, save_flow
from cordboard.vendors.login import CXoneLogin, GenesysLogin
from cordboard.vendors.session import Answer
from cordboard.vendors.wire import Outcome, Reply, Request, Verdict, decipher

FLOW: dict[str, Any] = {
    "id": "menu",
    "name": "Menu",
    "version": 12,
    "startNodeId": "ask",
    "nodes": {
        "ask": {
            "id": "ask",
            "type": "menu",
            "transitionConditions": [
                {"condition": "dtmf == '1'", "destinationNodeId": "end"},
                {"condition": "default", "destinationNodeId": "end"},
            ],
        },
        "end": {"id": "end", "type": "disconnect", "transitionConditions": []},
    },
}
HOSTS = {f"{host}.{domain}" for domain in DOMAINS.values() for host in ("api", "login")}
SAVE = save_flow("menu", FLOW, 12)


# --- where it is ------------------------------------------------------------------------------------------------------


def test_a_region_is_a_domain_or_the_aws_region_that_it_lives_in() -> None:
    ireland = endpoints("mypurecloud.ie")
    assert (ireland.base_url, ireland.token_url) == (
        "https://api.mypurecloud.ie",
        "https://login.mypurecloud.ie/oauth/token",
    )
    assert ireland.scopes == ("flow:write",)
    assert endpoints("eu-west-1") == ireland


def test_every_domain_of_the_contract_is_known_once() -> None:
    assert len(set(DOMAINS.values())) == len(DOMAINS) == 17
    assert len(set(REGIONS)) == 34


def test_an_unknown_region_is_refused_with_names_that_look_alike() -> None:
    with pytest.raises(BadCall, match=r"no Genesys Cloud region 'mypurecloud.eu': did you mean .*mypurecloud.de"):
        endpoints("mypurecloud.eu")


@settings(max_examples=500, deadline=None)
@given(
    st.text(max_size=40)
    | st.sampled_from(REGIONS)
    | st.builds(lambda region, tail: region + tail, st.sampled_from(REGIONS), st.sampled_from("./@#?:\\\n。\u00ad "))
)
def test_no_region_string_leads_to_a_host_outside_the_table(region: str) -> None:
    """Client id and secret go to that host."""
    try:
        places = endpoints(region)
    except BadCall:
        return
    assert {urlsplit(url).hostname for url in (places.base_url, places.token_url)} <= HOSTS


def test_a_login_takes_its_own_variables_and_names_those_that_are_missing() -> None:
    """The two vendors' variables have the same ends, and none is taken for the other's."""
    given_ = {"GENESYS_CLIENT_ID": "id", "GENESYS_CLIENT_SECRET": "s", "GENESYS_REGION": "usw2.pure.cloud"}
    login = GenesysLogin.from_env(given_ | {"CXONE_REGION": "eu1", "GENESYS_SCOPES": "a b"})
    assert login == GenesysLogin("id", "s", "usw2.pure.cloud", scopes="a b")
    assert login.tenant() == login.tenant("flows") == "api.usw2.pure.cloud/id"
    assert login.places("flows").scopes == ("a", "b")
    with pytest.raises(BadCall, match="GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET"):
        GenesysLogin.from_env({"CXONE_CLIENT_ID": "id", "CXONE_CLIENT_SECRET": "s"})
    with pytest.raises(BadCall, match="CXONE_CLIENT_ID and CXONE_CLIENT_SECRET"):
        CXoneLogin.from_env(given_)


def test_a_login_shows_no_secret() -> None:
    assert "canary" not in repr(GenesysLogin("id", "canary")) + repr(GenesysLogin("id", "canary").session(Settings()))


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_a_save_is_the_one_in_the_contract() -> None:
    """`PUT` with `If-Match`, so that a repeat cannot take effect twice."""
    request = save_flow("menu", FLOW, 12, "00-1-2-01")
    assert (request.operation.name, request.operation.method, request.operation.safety) == (
        "genesys.flow.save",
        "PUT",
        "keyed",
    )
    assert (request.path, request.body) == ("/api/v2/flows/menu", FLOW)
    assert request.headers == {"if-match": "12", "traceparent": "00-1-2-01"}


def test_readings_are_those_of_the_contract() -> None:
    now, then = read_flow("menu", "00-1-2-01"), read_flow_version("menu", 7)
    assert (now.operation.method, now.path, now.headers) == ("GET", "/api/v2/flows/menu", {"traceparent": "00-1-2-01"})
    assert (then.operation.method, then.path, then.headers) == ("GET", "/api/v2/flows/menu/versions/7", {})


@pytest.mark.parametrize("flow_id", ["", "../admin", "a/b", "a?b", "a#b", "a%2fb", "ä", "x" * 129])
def test_a_flow_id_cannot_lead_to_another_path(flow_id: str) -> None:
    for make in (read_flow, lambda each: read_flow_version(each, 1), lambda each: save_flow(each, {}, 1)):
        with pytest.raises(BadCall, match="flow id"):
            make(flow_id)


@pytest.mark.parametrize("version", [-1, True, 1.0, "1", None])
def test_what_is_no_version_is_not_sent(version: Any) -> None:
    """An `If-Match` that the vendor reads in its own way would save over anything."""
    for make in (lambda: read_flow_version("menu", version), lambda: save_flow("menu", FLOW, version)):
        with pytest.raises(BadCall, match="version"):
            make()


def test_a_flow_is_not_saved_under_the_id_of_another() -> None:
    with pytest.raises(BadCall, match="'menu', and cannot be saved as 'other'"):
        save_flow("other", FLOW, 12)


# --- what comes back --------------------------------------------------------------------------------------------------


def verdict_of(request: Request, status: int, body: Any, **headers: str) -> Verdict:
    return decipher(request.operation, Reply(status, headers, json.dumps(body).encode()), now=0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": "other"}, "the reply is the flow 'other', not 'menu'"),
        ({"id": 7}, "it has no `id`"),
        ({"version": "13"}, "`version` is no whole number"),
        ({"version": True}, "`version` is no whole number"),
        ({"version": None}, "`version` is no whole number"),
        ({"nodes": []}, "`nodes` is no object of objects"),
        ({"nodes": {"ask": None}}, "`nodes` is no object of objects"),
    ],
)
@pytest.mark.parametrize("request_", [SAVE, read_flow("menu")], ids=["save", "read"])
def test_an_answer_that_is_not_the_flow_asked_for_is_no_answer(
    request_: Request, change: dict[str, Any], message: str
) -> None:
    """A proxy's page or another flow's echo says nothing about what is stored."""
    verdict = verdict_of(request_, 200, FLOW | change)
    assert (verdict.outcome, verdict.kind) == ("unknown", "bad_reply")
    assert message in verdict.message


def test_another_version_than_the_one_asked_for_is_no_answer() -> None:
    """A base of the wrong version would make a merge that loses edits."""
    assert verdict_of(read_flow_version("menu", 12), 200, FLOW).outcome is Outcome.ACCEPTED
    other = verdict_of(read_flow_version("menu", 11), 200, FLOW)
    assert (other.kind, "version 12, not 11" in other.message) == ("bad_reply", True)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (409, "", "conflict"),
        (412, "", "conflict"),
        (400, "Version 12 does not match the current version 13.", "conflict"),
        (400, "The request DOES NOT MATCH the draft's VERSION", "conflict"),
        (400, "The draft version doesn't match.", "conflict"),
        (400, "The flow is not valid.", "rejected"),
        (400, "The version is missing.", "rejected"),
        (400, "The condition does not match the grammar.", "rejected"),
        (400, "The version is 12; the condition does not match.", "rejected"),
        (400, "nodes.version_2.type does not match; name is too long", "rejected"),
        (422, "Version 12 does not match the current version 13.", "rejected"),
    ],
)
def test_a_stale_version_is_a_conflict_whichever_way_the_vendor_says_it(status: int, message: str, kind: str) -> None:
    verdict = verdict_of(SAVE, status, {"message": message})
    assert (verdict.outcome, verdict.kind) == ("permanent", kind)


def test_the_vendors_error_body_names_every_fault() -> None:
    """The message alone often says no more than "bad request"."""
    body = {
        "message": "The flow is not valid.",
        "code": "bad.request",
        "status": 400,
        "contextId": "c-1",
        "details": [{"fieldName": "startNodeId", "errorCode": "missing"}],
        "errors": [{"message": "first fault", "code": "x"}, {"message": "second fault"}],
    }
    verdict = verdict_of(SAVE, 400, body)
    assert "The flow is not valid.; first fault; second fault; startNodeId missing" in verdict.message
    assert (verdict.code, verdict.request_id) == ("bad.request", "c-1")
    assert verdict_of(SAVE, 400, body, **{"inin-correlation-id": "i-1"}).request_id == "i-1"


# --- over HTTP --------------------------------------------------------------------------------------------------------

Talk = Callable[..., list[Answer]]


@pytest.fixture
def vendor() -> Iterator[Callable[..., tuple[RunningSandbox, Talk]]]:
    """Starts a vendor that has version 12 of a flow, and gives it and a function that makes calls to it, in order."""
    with ExitStack() as stack:

        def start(*rules: dict[str, Any], **changes: Any) -> tuple[RunningSandbox, Talk]:
            flows = {"definitions": {"menu": FLOW}, **changes.pop("flows", {})}
            clock = changes.pop("clock", time.time)
            definition = default_definition().changed(flows=flows, **changes)
            box = stack.enter_context(running_sandbox(definition, Faults.of(*rules), clock=clock))
            return box, lambda *requests, **given_: asyncio.run(_calls(box, requests, given_))

        yield start


async def _calls(box: RunningSandbox, requests: tuple[Any, ...], given_: dict[str, Any]) -> list[Answer]:
    """Makes calls in order; what is no request is done in between."""
    limits = Settings(retry_attempts=given_.pop("attempts", 4))
    answers = []
    async with GenesysLogin.from_env(box.env()).session(limits, **given_) as session:
        for each in requests:
            if isinstance(each, Request):
                answers.append(await session.call(each, timeout_seconds=5.0))
            else:
                each()
    return answers


class Jump:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now, self.slept = 1_800_000_000.0, [0.0]

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)
        await asyncio.sleep(0)


def put(fault: dict[str, Any], *numbers: int) -> dict[str, Any]:
    return {"match": {"path": "/api/v2/flows/menu", "method": "PUT", "nth": list(numbers)}, "fault": fault}


def renamed(name: str) -> dict[str, Any]:
    return {**copy.deepcopy(FLOW), "name": name}


def test_a_flow_is_read_saved_and_read_back(vendor: Callable[..., tuple[RunningSandbox, Talk]]) -> None:
    """One token, by a Basic header and with the scope for writing alone."""
    box, talk = vendor()
    before, saved, after = (
        answer.verdict for answer in talk(read_flow("menu"), save_flow("menu", renamed("New"), 12), read_flow("menu"))
    )
    assert (before.value["version"], saved.value["version"], saved.reference) == (12, 13, "menu")
    assert (after.value, after.value["name"]) == (saved.value, "New")
    assert after.request_id.startswith("req-")
    (token,) = box.truth.tokens
    assert (token.client, token.status) == ("sandbox-client", 200)
    (effect,) = box.truth.effects_on("menu")
    assert (effect.version, effect.if_match, effect.inputs) == (13, "12", renamed("New"))


def test_id_and_secret_go_into_a_basic_header_and_not_into_the_form() -> None:
    """Genesys Cloud takes them nowhere else."""
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"access_token": "t"} if request.method == "POST" else FLOW)

    async def read() -> Answer:
        async with GenesysLogin("me", "pw").session(Settings(), transport=httpx.MockTransport(answer)) as session:
            return await session.call(read_flow("menu"), timeout_seconds=5.0)

    assert asyncio.run(read()).verdict.kind == "ok"
    token, call = seen
    assert (str(token.url), str(call.url)) == (
        "https://login.mypurecloud.com/oauth/token",
        "https://api.mypurecloud.com/api/v2/flows/menu",
    )
    assert token.headers["authorization"] == httpx.BasicAuth("me", "pw")._auth_header
    assert token.content == b"grant_type=client_credentials&scope=flow%3Awrite"


@pytest.mark.parametrize(("says", "status"), [("conflict", 409), ("bad_request", 400)])
def test_a_save_over_somebody_elses_is_a_conflict_and_is_not_repeated(
    vendor: Callable[..., tuple[RunningSandbox, Talk]], says: str, status: int
) -> None:
    box, talk = vendor(flows={"stale_save": says})
    box.flows["menu"] = renamed("Somebody else's")
    (answer,) = talk(SAVE)
    assert (answer.verdict.outcome, answer.verdict.kind, answer.verdict.status) == ("permanent", "conflict", status)
    assert (answer.attempts, answer.doubt, box.flows["menu"]["name"]) == (1, False, "Somebody else's")
    assert answer.verdict.request_id.startswith("req-")


def test_a_flow_that_breaks_rules_is_refused_with_every_fault(
    vendor: Callable[..., tuple[RunningSandbox, Talk]],
) -> None:
    box, talk = vendor()
    broken = copy.deepcopy(FLOW)
    broken["nodes"]["ask"]["transitionConditions"] = [{"condition": "dtmf == '1'", "destinationNodeId": "gone"}]
    (answer,) = talk(save_flow("menu", broken, 12))
    assert (answer.verdict.outcome, answer.verdict.kind, answer.verdict.code) == (
        "permanent",
        "rejected",
        "bad.request",
    )
    assert "'gone' is none of the nodes" in answer.verdict.message
    assert "nodes.ask does not end the call and has no way out" in answer.verdict.message
    assert (answer.attempts, box.flows["menu"]["version"]) == (1, 12)


@pytest.mark.parametrize(
    "fault",
    [{"lost_reply": "after_commit"}, {"truncate": {}}, {"wrong_type": "html"}, {"wrong_type": "null_output"}],
    ids=["lost", "truncated", "sign-in page", "no nodes"],
)
def test_a_save_whose_reply_is_lost_ends_in_doubt_and_not_as_a_conflict(
    vendor: Callable[..., tuple[RunningSandbox, Talk]], fault: dict[str, Any]
) -> None:
    """The repeat meets our own save: to call that somebody else's would merge an edit with itself."""
    box, talk = vendor(put(fault, 1))
    (answer,) = talk(SAVE, sleep=Jump().sleep)
    assert (answer.verdict.outcome, answer.doubt) == ("unknown", True)
    assert [(sent.if_match, sent.inputs) for sent in box.truth.saves_of("menu")] == [("12", FLOW)] * 2
    assert [effect.version for effect in box.truth.effects_on("menu")] == [13]


@pytest.mark.parametrize("fault", [{"lost_reply": "before_commit"}, {"status": 503}], ids=["lost", "503"])
def test_a_save_that_never_arrived_is_sent_again_and_takes_effect_once(
    vendor: Callable[..., tuple[RunningSandbox, Talk]], fault: dict[str, Any]
) -> None:
    box, talk = vendor(put(fault, 1))
    (answer,) = talk(SAVE, sleep=Jump().sleep)
    assert (answer.verdict.outcome, answer.verdict.value["version"], answer.attempts) == ("accepted", 13, 2)
    assert [effect.version for effect in box.truth.effects_on("menu")] == [13]


def test_a_save_that_takes_effect_late_cannot_undo_one_that_came_before_it(
    vendor: Callable[..., tuple[RunningSandbox, Talk]], wait_until: Callable[..., None]
) -> None:
    """The connection is cut, the repeat is saved, and then the first one arrives: it is stale by now."""
    box, talk = vendor(put({"late_commit": {"seconds": 0.1}}, 1))
    (answer,) = talk(SAVE, sleep=Jump().sleep)
    assert (answer.verdict.outcome, answer.verdict.value["version"]) == ("accepted", 13)
    wait_until(lambda: not box.sandbox._background)
    assert (len(box.truth.effects_on("menu")), box.flows["menu"]["version"]) == (1, 13)


def test_retry_after_is_obeyed(vendor: Callable[..., tuple[RunningSandbox, Talk]]) -> None:
    _, talk = vendor(put({"rate_limited": {"retry_after": "7"}}, 1))
    clock = Jump()
    (answer,) = talk(SAVE, sleep=clock.sleep, clock=clock)
    assert (answer.verdict.outcome, answer.attempts, answer.doubt) == ("accepted", 2, False)
    assert sum(clock.slept) >= 7


def test_a_token_that_was_revoked_is_renewed_once(vendor: Callable[..., tuple[RunningSandbox, Talk]]) -> None:
    box, talk = vendor()
    _, saved = talk(read_flow("menu"), box.sandbox.revoke_tokens, SAVE)
    assert (saved.verdict.outcome, saved.attempts) == ("accepted", 2)
    assert len(box.truth.tokens) == 2


def other_editor(**match: Any) -> dict[str, Any]:
    edit = {"nodes": {"end": {"properties": {"note": "edit {n}"}}}}
    return {"match": {"path": "/api/v2/flows/menu", "method": "PUT", **match}, "fault": {"other_editor": edit}}


@pytest.mark.parametrize(
    ("match", "kinds"),
    [
        ({"nth": [1]}, ["conflict", "ok", "ok", "ok"]),
        ({"every": 2}, ["ok", "conflict", "ok", "conflict"]),
        ({}, ["conflict", "conflict", "conflict", "conflict"]),
    ],
    ids=["once", "often", "always"],
)
def test_another_editor_comes_in_between_once_often_or_always(
    vendor: Callable[..., tuple[RunningSandbox, Talk]], match: dict[str, Any], kinds: list[str]
) -> None:
    """Every edit differs, and is there whenever the flow is read again."""
    box, talk = vendor(other_editor(**match))
    seen, version = [], 12
    for _ in kinds:
        saved, now = talk(save_flow("menu", FLOW, version), read_flow("menu"))
        seen.append(saved.verdict.kind)
        version = now.verdict.value["version"]
    assert seen == kinds
    assert [edit.inputs["nodes"]["end"]["properties"]["note"] for edit in box.truth.edits] == [
        f"edit {number}" for number in range(1, kinds.count("conflict") + 1)
    ]
    assert (version, len(box.truth.effects_on("menu"))) == (16, kinds.count("ok"))


def test_earlier_versions_can_be_read_and_others_are_not_found(
    vendor: Callable[..., tuple[RunningSandbox, Talk]],
) -> None:
    """The base of a patch that was written some versions ago."""
    _, talk = vendor()
    requests = [read_flow_version("menu", version) for version in (12, 13, 14)]
    first, second, none = (answer.verdict for answer in talk(save_flow("menu", renamed("New"), 12), *requests)[1:])
    assert [(each.value["version"], each.value["name"]) for each in (first, second)] == [(12, "Menu"), (13, "New")]
    assert (none.outcome, none.kind) == ("permanent", "not_found")


def test_a_vendor_can_store_something_else_than_it_shows(vendor: Callable[..., tuple[RunningSandbox, Talk]]) -> None:
    """Only reading back finds it."""
    _, talk = vendor(put({"stores": "drop_connection"}, 1))
    saved, read = (answer.verdict.value for answer in talk(SAVE, read_flow("menu")))
    assert len(saved["nodes"]["ask"]["transitionConditions"]) == 2
    assert len(read["nodes"]["ask"]["transitionConditions"]) == 1


def test_a_flow_that_is_not_there_can_be_told_from_every_other_trouble(
    vendor: Callable[..., tuple[RunningSandbox, Talk]],
) -> None:
    _, talk = vendor()
    read, saved = (answer.verdict for answer in talk(read_flow("none"), save_flow("none", {}, 1)))
    assert (read.outcome, read.kind) == (saved.outcome, saved.kind) == ("permanent", "not_found")


def test_rate_headers_of_genesys_are_heeded(vendor: Callable[..., tuple[RunningSandbox, Talk]]) -> None:
    """Four requests where the vendor takes two at once: the third waits until there is room, and no 429 is met."""
    clock = Jump()
    box, talk = vendor(rate_limit={"per_second": 0.1, "burst": 2, "headers": True}, clock=clock)
    answers = talk(*[read_flow("menu")] * 4, clock=clock, wall=clock, sleep=clock.sleep)
    assert [answer.verdict.kind for answer in answers] == ["ok"] * 4
    assert max(clock.slept) >= 1
    assert {request.status for request in box.truth.requests} == {200}
    headers = httpx.get(f"{box.base_url}/api/v2/flows/menu").headers
    assert (headers["inin-correlation-id"][:4], "x-request-id" in headers) == ("req-", False)
