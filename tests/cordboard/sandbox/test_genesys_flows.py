"""Call flows of Genesys Cloud: saved over the version that was read, or not at all, and kept version by version."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.ivr.dialects.genesys import from_genesys, to_genesys
from cordboard.sandbox import Faults, Sandbox, default_definition
from cordboard.sandbox.stored_flows import VERSIONS_KEPT, StoredFlows

FLOWS = "/api/v2/flows"
OWN = {"version", "dateCreated", "dateModified"}


@pytest.fixture
def genesys(start, clinic):
    """Starts a sandbox that has version 12 of the clinic's menu."""

    def starter(*rules, flows=None, **more):
        return start(*rules, flows={"definitions": {"clinic": {**clinic, "version": 12}}, **(flows or {})}, **more)

    return starter


def put(fault, **match):
    return {"match": {"path": f"{FLOWS}/clinic", "method": "PUT", **match}, "fault": fault}


def effects(api):
    return [effect.version for effect in api.box.truth.effects_on("clinic")]


def test_a_flow_is_read_as_it_stands_in_the_definition(genesys, clinic):
    """The vendor adds a version and its dates."""
    read = genesys().read("clinic").json()
    assert {name: value for name, value in read.items() if name not in OWN} == clinic
    assert (read["version"], set(read) - set(clinic)) == (12, OWN)


def test_a_save_over_the_current_version_makes_the_next(genesys, clinic):
    """What is stored is what was sent; the version and the dates are the vendor's own, whatever the body says."""
    api = genesys()
    saved = api.save({**clinic, "name": "Night", "version": 99, "owner": {"team": "desk"}}, 12)
    assert (saved.status_code, saved.json()["version"], saved.json()["owner"]) == (200, 13, {"team": "desk"})
    assert api.read("clinic").json() == saved.json()
    assert api.save(clinic, '"13"').json()["version"] == 14
    assert effects(api) == [13, 14]


@pytest.mark.parametrize(
    ("says", "status", "code"), [("conflict", 409, "version.conflict"), ("bad_request", 400, "bad.request")]
)
@pytest.mark.parametrize("version", [11, 13, 0])
def test_a_save_over_another_version_stores_nothing(genesys, clinic, says, status, code, version):
    """The contract has two ways to say so."""
    api = genesys(flows={"stale_save": says})
    reply = api.save(clinic, version)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert f"Version {version} of the flow clinic does not match the current version 12" in reply.json()["message"]
    assert (effects(api), api.box.flows["clinic"]["version"]) == ([], 12)


@pytest.mark.parametrize("stated", [None, "", "*", "twelve", "12.0", "-12", '"12', "12, 13"])
def test_a_save_without_a_version_is_400(genesys, clinic, stated):
    """An `If-Match` that is no version could mean any."""
    api = genesys()
    reply = api.save(clinic, stated)
    assert (reply.status_code, "If-Match" in reply.json()["message"]) == (400, True)
    assert effects(api) == []


def faults_of(reply):
    return [error["message"] for error in reply.json()["errors"]]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda f: f.update(nodes=[]), "nodes must be an object, with the nodes under their ids"),
        (lambda f: f.update(name=7), "name must be a text"),
        (lambda f: f.update(startNodeId="gone"), "startNodeId 'gone' is none of the nodes"),
        (lambda f: f["nodes"].update(ask=None), "nodes.ask must be an object"),
        (lambda f: f["nodes"]["bye"].update(id="end"), "nodes.bye.id is not the name under which the node stands"),
        (lambda f: f["nodes"]["bye"].update(type=7), "nodes.bye.type must be a text"),
        (lambda f: f["nodes"]["ask"].update(transitionConditions={}), "nodes.ask.transitionConditions must be a list"),
        (
            lambda f: f["nodes"]["ask"]["transitionConditions"].pop(),
            "nodes.ask does not end the call and has no way out with the condition default or else",
        ),
        (
            lambda f: f["nodes"]["ask"]["transitionConditions"][0].update(destinationNodeId="gone"),
            "nodes.ask.transitionConditions[0].destinationNodeId 'gone' is none of the nodes",
        ),
        (
            lambda f: f["nodes"]["ask"]["transitionConditions"][0].update(condition=" "),
            "nodes.ask.transitionConditions[0].condition must be a text that is not empty",
        ),
        (
            lambda f: f["nodes"]["ask"]["transitionConditions"].insert(0, "x"),
            "nodes.ask.transitionConditions[0] must be an object",
        ),
    ],
)
def test_a_flow_that_breaks_a_rule_is_400_and_stores_nothing(genesys, clinic, change, fault):
    """The fault names the place."""
    api = genesys()
    change(clinic)
    reply = api.save(clinic, 12)
    assert (reply.status_code, reply.json()["code"]) == (400, "bad.request")
    assert fault in faults_of(reply)
    assert effects(api) == []


def test_all_faults_of_a_flow_are_named_at_once(genesys, clinic):
    """One look, one edit."""
    api = genesys()
    clinic["nodes"]["doctor"]["transitionConditions"] = []
    clinic["nodes"]["ask"]["transitionConditions"][1]["destinationNodeId"] = "gone"
    assert len(faults_of(api.save(clinic, 12))) == 2


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"id": "other", "nodes": {}}'])
def test_a_body_that_is_not_this_flow_is_400(genesys, body):
    """Broken JSON, no object, and the flow of another id."""
    reply = genesys().http.put(f"{FLOWS}/clinic", content=body, headers={"if-match": "12"})
    assert reply.status_code == 400


@pytest.mark.parametrize("flow_id", ["nobody", "main_menu"])
def test_a_flow_that_is_not_there_or_is_cxones_cannot_be_saved(start, menu, flow_id):
    """It answers as if there were none."""
    api = start()
    api.register(menu)
    assert api.save({"id": flow_id, "nodes": {}}, 1).status_code == 404
    assert api.read("main_menu").json()["connections"]


def test_errors_have_the_shape_of_genesys_cloud_and_can_be_found_again(genesys, clinic):
    """The header has the same id as the body. CXone's errors stay as they are."""
    api = genesys()
    for reply in (api.save(clinic, 11), api.http.get(f"{FLOWS}/clinic/versions/99"), api.save({"id": "none"}, 1)):
        assert set(reply.json()) == {"message", "code", "status", "contextId", "details", "errors"}
        assert reply.json()["contextId"] == reply.headers["inin-correlation-id"]
    assert "inin-correlation-id" in api.read("clinic").headers
    other = api.read("main_menu")
    assert (set(other.json()), "x-request-id" in other.headers) == ({"message", "code", "status"}, True)


def test_rate_headers_count_what_was_used(genesys):
    """CXone's count what is left."""
    api = genesys(rate_limit={"per_second": 0.01, "burst": 2, "headers": True})
    first = api.read("clinic").headers
    names = ("inin-ratelimit-allowed", "inin-ratelimit-count", "inin-ratelimit-reset", "x-ratelimit-limit")
    assert [first.get(name) for name in names] == ["2", "1", "0", None]
    assert api.read("clinic").headers["inin-ratelimit-count"] == "2"
    refused = api.read("clinic")
    assert (refused.status_code, refused.headers["retry-after"], refused.json()["code"]) == (
        429,
        "100",
        "rate_limit_exceeded",
    )


@pytest.mark.parametrize(
    ("scope", "statuses"), [("flow:write", (200, 200)), ("flow:read", (200, 403)), ("flows:write", (403, 403))]
)
def test_saving_needs_the_scope_which_is_enough_for_reading(genesys, clinic, scope, statuses):
    """The scope of the contract is `flow:write` alone; CXone's `flows:write` is another."""
    api = genesys().sign_in(scope=scope)
    assert (api.read("clinic").status_code, api.save(clinic, 12).status_code) == statuses


def test_every_version_can_be_read_as_it_was(genesys, clinic):
    """Saves over HTTP, in the console and by the other editor alike."""
    api = genesys(put({"other_editor": {"name": "Other"}}, nth=[2]))
    api.save({**clinic, "name": "Saved"}, 12)
    api.box.flows["clinic"] = {**clinic, "name": "Console"}
    api.save(clinic, 14)
    names = {number: api.http.get(f"{FLOWS}/clinic/versions/{number}").json().get("name") for number in range(11, 17)}
    assert names == {11: None, 12: "Clinic", 13: "Saved", 14: "Console", 15: "Other", 16: None}


@pytest.mark.parametrize("asked", ["x", "-1", "1.5", "٣", "9" * 30])
def test_what_is_no_version_is_not_found(genesys, asked):
    """Nor does a version of a flow that is not there."""
    api = genesys()
    assert api.http.get(f"{FLOWS}/clinic/versions/{asked}").status_code == 404
    assert api.http.get(f"{FLOWS}/nobody/versions/1").status_code == 404


def test_a_thousand_versions_are_kept(clinic):
    """More would fill the memory of a long test."""
    stored = StoredFlows({"clinic": clinic}, 0, lambda: 0.0)
    for _ in range(VERSIONS_KEPT):
        stored["clinic"] = clinic
    assert stored.version("clinic", 1) is None
    assert stored.version("clinic", 2)["version"] == 2
    assert stored.version("clinic", VERSIONS_KEPT + 1) is stored["clinic"]
    del stored["clinic"]
    assert stored.version("clinic", 2) is None


def test_the_other_editor_comes_first_and_each_edit_differs(genesys, clinic):
    """A merge patch: objects are merged, null removes; `{n}` counts up, in names too."""
    patch = {"name": None, "nodes": {"bye": {"properties": {"note": "edit {n}"}}, "promo_{n}": {"type": "disconnect"}}}
    api = genesys(put({"other_editor": patch}))
    assert [api.save(clinic, version).status_code for version in (12, 13)] == [409, 409]
    live = api.read("clinic").json()
    assert (live["version"], live["nodes"]["bye"]["properties"]) == (14, {"note": "edit 2"})
    assert {"promo_1", "promo_2"} <= set(live["nodes"])
    assert "name" not in live
    assert api.save(clinic, 14).status_code == 409


def test_the_truth_tells_our_saves_from_those_of_others(genesys, clinic):
    """An edit is no effect of a request; it stands before the request that it was made for."""
    api = genesys(put({"other_editor": {"name": "Other {n}"}}, nth=[2]))
    api.save(clinic, 12)
    api.save(clinic, 13)
    (edit,), truth = api.box.truth.edits, api.box.truth
    assert (edit.inputs, edit.version, edit.client) == ({"name": "Other 1"}, 14, None)
    assert effects(api) == [13]
    saves = truth.saves_of("clinic")
    assert [(save.if_match, save.status, save.fault) for save in saves] == [
        ("12", 200, None),
        ("13", 409, "other_editor"),
    ]
    assert (edit.request_id, json.loads(saves[1].body), saves[1].inputs) == (saves[1].request_id, clinic, clinic)


def test_nobody_edits_a_flow_that_is_not_there(genesys):
    """The request is answered as ever."""
    api = genesys({"match": {"path": f"{FLOWS}/*"}, "fault": {"other_editor": {"name": "x"}}})
    assert api.read("nobody").status_code == 404
    assert not api.box.truth.edits


@pytest.mark.parametrize(
    ("fault", "versions"),
    [
        ({"lost_reply": "before_commit"}, []),
        ({"lost_reply": "after_commit"}, [13]),
        ({"late_commit": {"seconds": 0.05}}, [13]),
    ],
)
def test_a_lost_reply_leaves_the_effect_that_it_says(genesys, clinic, eventually, fault, versions):
    """Dropped before, after, and long before the effect."""
    api = genesys(put(fault, nth=[1]))
    with pytest.raises(httpx.RemoteProtocolError):
        api.save(clinic, 12)
    eventually(lambda: effects(api) == versions)
    assert api.save(clinic, 12).status_code == (409 if versions else 200)


@pytest.mark.parametrize("how", ["drop_connection", "add_connection", "reroute", "drop_field", "reorder"])
def test_the_reply_shows_what_was_sent_and_a_look_shows_what_is_stored(genesys, clinic, how):
    """An echo proves nothing."""
    api = genesys(put({"stores": how}))
    echo = api.save(clinic, 12).json()
    assert {name: echo[name] for name in clinic} == clinic
    assert json.dumps(api.read("clinic").json()["nodes"]) != json.dumps(clinic["nodes"])


def test_the_menu_that_comes_with_the_sandbox_can_be_read_and_saved(start):
    """Nothing of it breaks the vendor's rules, and what our dialect makes of it is the same."""
    api = start()
    live = api.read("clinic-menu").json()
    assert (live["version"], live["startNodeId"]) == (12, "welcome")
    assert api.save(to_genesys(from_genesys(live)), 12).json()["nodes"] == live["nodes"]


saves = st.lists(
    st.tuples(st.integers(-2, 2), st.sampled_from(["client", "client", "other editor", "console"])),
    min_size=1,
    max_size=8,
)


@settings(max_examples=50, deadline=None)
@given(saves=saves, delay_ms=st.sampled_from([0, 0.01, 1]))
def test_no_two_saves_make_the_same_version(saves, delay_ms):
    """However they meet: of all that hold the same version, one is saved, and versions have no gap."""
    asyncio.run(_save_at_once(saves, delay_ms))


async def _save_at_once(saves, delay_ms):
    flow = default_definition().flows.definitions["clinic-menu"]
    definition = default_definition().changed(
        flows={"definitions": {"f": {**flow, "version": 5}}, "delay_ms": delay_ms}
    )
    others = [number for number, (_, who) in enumerate(saves, 1) if who == "other editor"]
    edit = {"match": {"method": "PUT", "nth": others or [99]}, "fault": {"other_editor": {"name": "Edit {n}"}}}
    sandbox = Sandbox(definition, Faults.of(edit))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox), base_url="http://vendor") as http:
        client = definition.clients[0]
        form = {"client_id": client.id, "client_secret": client.secret.get_secret_value()}
        token = (await http.post("/oauth/token", data={"grant_type": "client_credentials", **form})).json()
        http.headers["authorization"] = f"Bearer {token['access_token']}"

        async def save(number, ahead, who):
            if who == "console":
                sandbox.flows["f"] = {**flow, "name": f"Console {number}"}
            body = {**flow, "name": f"Save {number}"}
            version = str(max(0, 5 + ahead))
            return await http.put(f"{FLOWS}/f", json=body, headers={"if-match": version})

        replies = await asyncio.gather(*(save(number, *each) for number, each in enumerate(saves)))
    await sandbox.aclose()
    saved = [reply.json() for reply in replies if reply.status_code == 200]
    made = [reply["version"] for reply in saved] + [edit.version for edit in sandbox.truth.edits]
    consoles = sum(who == "console" for _, who in saves)
    assert len(set(made)) == len(made)
    assert sandbox.flows["f"]["version"] == 5 + len(made) + consoles
    assert {effect.version for effect in sandbox.truth.effects_on("f")} == {reply["version"] for reply in saved}
    for reply in replies:
        if reply.status_code == 200:
            assert reply.json()["version"] == int(reply.request.headers["if-match"]) + 1
            assert sandbox.flows.version("f", reply.json()["version"])["name"] == reply.json()["name"]
