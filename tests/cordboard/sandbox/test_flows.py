"""The registry of call flows: what a registration needs, what it leaves, and what its key remembers."""

from __future__ import annotations

import threading

import httpx
import pytest

FLOWS = "/api/v2/flows"
OWN = {"version", "createdAt", "updatedAt"}


def sent_part(flow):
    return {name: value for name, value in flow.items() if name not in OWN}


def rule(fault, **match):
    return {"match": {"path": FLOWS, "method": "POST", **match}, "fault": fault}


def effects(api):
    return len(api.box.truth.effects_on("main_menu"))


def test_a_registered_flow_comes_back_whole_and_can_be_read(start, menu):
    """The vendor adds a version and its dates, and keeps what it was sent."""
    api = start()
    reply = api.register(menu)
    assert reply.status_code == 201
    assert set(reply.json()) - set(menu) == OWN
    assert (sent_part(reply.json()), reply.json()["version"]) == (menu, 1)
    assert api.read("main_menu").json() == reply.json()


def test_fields_that_the_vendor_does_not_know_are_stored_and_given_back(start, menu):
    """What another tool wrote into a flow must not be lost on the way."""
    menu["owner"] = {"team": "front desk"}
    menu["nodes"][0]["x"] = menu["connections"][0]["colour"] = 7
    api = start()
    assert sent_part(api.register(menu).json()) == sent_part(api.read("main_menu").json()) == menu


def test_a_condition_and_a_type_that_were_left_out_are_filled_in(start, menu):
    """The contract's defaults: `true`, and `conditional`."""
    del menu["connections"][0]["condition"], menu["connections"][0]["type"]
    stored = start().register(menu).json()["connections"][0]
    assert (stored["condition"], stored["type"]) == ("true", "conditional")


def test_a_flow_that_is_not_there_is_404(start):
    """And its code tells it from a path that is wrong."""
    reply = start().read("main_menu")
    assert (reply.status_code, reply.json()["code"]) == (404, "flow_not_found")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop("id"), "id must have 1 to 128 letters"),
        (lambda f: f.update(id="../x"), "id must have 1 to 128 letters"),
        (lambda f: f.update(name=7), "name must be a text"),
        (lambda f: f.pop("connections"), "connections must be a list of objects"),
        (lambda f: f.update(connections=["a"]), "connections must be a list of objects"),
        (lambda f: f.update(nodes={}), "nodes must be a list of objects"),
        (lambda f: f["nodes"][1].update(id="menu"), "nodes[1].id 'menu' does not start with node_"),
        (lambda f: f["nodes"][1].pop("type"), "nodes[1].type must be a text"),
        (lambda f: f["nodes"][1].update(id="node_start"), "nodes: the id 'node_start' stands 2 times"),
        (lambda f: f["connections"][1].update(source_node_id="menu"), "source_node_id 'menu' does not start with"),
        (lambda f: f["connections"][1].update(source_node_id="node_x"), "source_node_id 'node_x' is none of the nodes"),
        (lambda f: f["connections"][1].update(target_node_id="node_x"), "target_node_id 'node_x' is none of the nodes"),
        (lambda f: f["connections"][1].update(target_node_id=None), "connections[1].target_node_id must be a text"),
        (lambda f: f["connections"][1].update(condition=" "), "connections[1].condition must be a text"),
        (lambda f: f["connections"][1].update(type="loop"), "type must be one of default, conditional, fallback"),
        (lambda f: f["connections"][1].pop("id"), "connections[1].id must be a text"),
        (
            lambda f: f["connections"][1].update(id=f["connections"][0]["id"]),
            "connections: the id 'conn_000000000000' stands 2 times",
        ),
    ],
)
def test_a_payload_that_breaks_a_rule_is_422_and_stores_nothing(start, menu, change, message):
    """The message names the place."""
    api = start()
    change(menu)
    reply = api.register(menu)
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_flow")
    assert message in reply.json()["message"]
    assert "main_menu" not in api.box.flows
    assert not api.box.truth.effects


def test_all_faults_of_a_payload_are_named_at_once(start, menu):
    """One look, one edit."""
    menu["connections"][0]["type"] = "loop"
    menu["connections"][2]["target_node_id"] = "node_gone"
    menu["nodes"][1]["id"] = "menu"
    message = start().register(menu).json()["message"]
    assert all(place in message for place in ("connections[0].type", "connections[2].target_node_id", "nodes[1].id"))


@pytest.mark.parametrize(("count", "status"), [(50, 201), (51, 422)])
def test_a_flow_has_at_most_fifty_connections(start, menu, count, status):
    """Spread over enough nodes that only the total counts."""
    menu["nodes"] = [{"id": f"node_{number}", "type": "decision"} for number in range(10)]
    menu["connections"] = [
        {"id": f"conn_{number}", "source_node_id": f"node_{number % 10}", "target_node_id": "node_0"}
        for number in range(count)
    ]
    assert start().register(menu).status_code == status


@pytest.mark.parametrize(("count", "limit", "status"), [(10, 10, 201), (11, 10, 422), (11, 11, 201)])
def test_ten_connections_leave_a_node_unless_the_file_says_otherwise(start, menu, count, limit, status):
    """Tenants differ."""
    way = {"source_node_id": "node_menu", "target_node_id": "node_sales"}
    menu["connections"] = [{"id": f"conn_{number}", **way} for number in range(count)]
    assert start(flows={"max_connections_per_node": limit}).register(menu).status_code == status


@pytest.mark.parametrize("headers", [{}, {"idempotency-key": ""}], ids=["none", "empty"])
def test_a_registration_without_a_key_is_400(start, menu, headers):
    """Even one that would be taken."""
    api = start()
    reply = api.http.post(FLOWS, json=menu, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (400, "idempotency_key_missing")
    assert "main_menu" not in api.box.flows


@pytest.mark.parametrize("body", [b"{", b"[]", b"", b'{"id": "a", "id": "b"}'])
def test_what_is_no_json_object_is_400(start, body):
    """A key that stands twice is no JSON as we read it."""
    reply = start().http.post(FLOWS, content=body, headers={"idempotency-key": "k"})
    assert (reply.status_code, reply.json()["code"]) == (400, "malformed_body")


def test_the_same_key_and_body_give_the_first_answer_and_no_second_effect(start, menu):
    """Also when the body's keys stand in another order, and when somebody has replaced the flow since."""
    api = start()
    first = api.register(menu)
    api.register({**menu, "name": "Night menu"}, "key-2")
    again = api.register(dict(reversed(menu.items())))
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert effects(api) == 2
    assert api.read("main_menu").json()["name"] == "Night menu"


def test_the_same_key_with_another_body_is_422(start, menu):
    """It stands for one content."""
    api = start()
    api.register(menu)
    reply = api.register({**menu, "name": "Night menu"})
    assert (reply.status_code, reply.json()["code"]) == (422, "idempotency_key_reused")
    assert api.read("main_menu").json()["name"] == "Main menu"


def test_a_key_belongs_to_one_client(start, menu):
    """Two tenants may mint the same."""
    clients = [{"id": name, "secret": name} for name in ("sandbox-client", "other")]
    api = start(clients=clients)
    api.register(menu)
    api.sign_in(client_id="other", client_secret="other")
    assert api.register({**menu, "name": "Night menu"}).status_code == 200


def test_the_same_key_while_the_first_is_in_flight_is_409(start, menu):
    """The second learns nothing of the flow: it has to be looked up."""
    api = start(flows={"delay_ms": 500})
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(api.register(menu))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused, done = replies
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_key_in_flight")
    assert (done.status_code, api.register(menu).json(), effects(api)) == (201, done.json(), 1)


def test_a_key_is_forgotten_after_a_day_and_not_before(start, menu):
    """Whoever comes back later with the same key registers again."""
    now = [1_000_000.0]
    api = start(clock=lambda: now[0])
    api.register(menu)
    versions = []
    for later in (86_399, 86_400):
        now[0] = 1_000_000.0 + later
        versions.append(api.sign_in().register(menu).json()["version"])
    assert (versions, effects(api)) == ([1, 2], 2)


def test_a_key_whose_registration_was_refused_may_be_used_again(start, menu):
    """Nothing happened under it, so a mended body may have it."""
    api = start()
    assert api.register({**menu, "nodes": []}).status_code == 422
    assert api.register(menu).status_code == 201


def test_a_registration_under_another_key_replaces_the_flow(start, menu):
    """200 and the next version; the date of its making stays."""
    now = [1_000_000.0]
    api = start(clock=lambda: now[0])
    first = api.register(menu).json()
    now[0] += 60
    reply = api.register({**menu, "name": "Night menu", "version": 40, "createdAt": "never"}, "key-2")
    second = reply.json()
    assert (reply.status_code, second["version"], second["name"]) == (200, 2, "Night menu")
    assert second["createdAt"] == first["createdAt"] == "1970-01-12T13:46:40.000Z"
    assert second["updatedAt"] == "1970-01-12T13:47:40.000Z"
    assert api.read("main_menu").json() == second


def test_a_sandbox_can_refuse_a_flow_that_exists(start, menu):
    """409 to another key, while the first key still gets the first answer."""
    api = start(flows={"on_existing": "conflict"})
    first = api.register(menu)
    other = api.register({**menu, "name": "Night menu"}, "key-2")
    assert (other.status_code, other.json()["code"]) == (409, "flow_exists")
    assert (api.register(menu).json(), api.read("main_menu").json()) == (first.json(), first.json())


def test_flows_can_exist_from_the_start(start, menu):
    """A live flow to plan against; the file's version is where it begins."""
    definition = {name: value for name, value in menu.items() if name != "id"}
    api = start(flows={"definitions": {"main_menu": {**definition, "version": 12}}})
    assert sent_part(api.read("main_menu").json()) == menu
    assert api.read("main_menu").json()["version"] == 12
    assert api.register(menu).json()["version"] == 13


def test_somebody_can_save_a_flow_in_the_vendors_console(start, menu):
    """A save is a copy with the next version."""
    api = start()
    api.register(menu)
    edited = dict(menu, name="Night menu")
    api.box.flows["main_menu"] = edited
    edited["nodes"][0]["type"] = edited["name"] = "no part of it any more"
    read = api.read("main_menu").json()
    assert (read["name"], read["nodes"][0]["type"], read["version"]) == ("Night menu", "start", 2)


def test_a_stored_flow_can_be_changed_behind_everybodys_back(start, menu):
    """In place, nothing but what was changed differs; what was answered before stays as it was."""
    api = start()
    first = api.register(menu).json()
    api.box.flows["main_menu"]["connections"][1]["target_node_id"] = "node_start"
    api.box.flows["main_menu"]["nodes"].pop()
    read = api.read("main_menu").json()
    assert (read["connections"][1]["target_node_id"], len(read["nodes"]), read["version"]) == ("node_start", 2, 1)
    assert api.box.truth.posts(FLOWS)[0].inputs == menu
    assert api.register(menu).json() == first
    del api.box.flows["main_menu"]
    assert api.read("main_menu").status_code == 404


def test_the_truth_shows_key_and_body_of_every_registration(start, menu):
    """Attempts and effects are told apart: two requests, one effect."""
    api = start(rule({"lost_reply": "after_commit"}, nth=[1]))
    with pytest.raises(httpx.RemoteProtocolError):
        api.register(menu, traceparent="00-1-2-01")
    api.register(menu)
    api.read("main_menu")
    posts, (effect,) = api.box.truth.posts(FLOWS), api.box.truth.effects_on("main_menu")
    assert [(post.idempotency_key, post.inputs, post.flow_id, post.status) for post in posts] == [
        ("key-1", menu, "main_menu", None),
        ("key-1", menu, "main_menu", 201),
    ]
    assert posts[0].body == posts[1].body == api.http.build_request("POST", FLOWS, json=menu).content.decode()
    assert (effect.idempotency_key, effect.inputs, effect.version) == ("key-1", menu, 1)
    assert (effect.client, effect.traceparent, effect.request_id) == (
        "sandbox-client",
        "00-1-2-01",
        posts[0].request_id,
    )
    assert api.box.truth.requests[-1].flow_id == "main_menu"


@pytest.mark.parametrize(("scope", "statuses"), [("flows:read", (403, 404)), ("flows:write", (201, 403))])
def test_writing_and_reading_need_a_scope_each(start, menu, scope, statuses):
    """The scope that is missing is named."""
    api = start().sign_in(scope=scope)
    written, read = api.register(menu), api.read("main_menu")
    assert (written.status_code, read.status_code) == statuses
    lacking = "flows:write" if scope == "flows:read" else "flows:read"
    assert lacking in (written if written.status_code == 403 else read).json()["message"]


def test_flows_and_data_actions_share_one_rate_limit(start, menu):
    """A 429 stores nothing."""
    api = start(rate_limit={"per_second": 0.01, "burst": 2, "headers": True})
    assert api.notify().status_code == 200
    assert api.register(menu).headers["x-ratelimit-remaining"] == "0"
    assert api.register({**menu, "name": "Night menu"}, "key-2").status_code == 429
    assert api.box.flows["main_menu"]["name"] == "Main menu"


@pytest.mark.parametrize(
    ("fault", "status", "count"),
    [
        ({"status": 503}, 503, 0),
        ({"status": 503, "after_commit": True}, 503, 1),
        ({"rate_limited": {}}, 429, 0),
        ({"wrong_type": "array"}, 201, 1),
        ({"wrong_type": "null_output"}, 201, 1),
        ({"hang": {"at": "after_commit", "seconds": 0.05}}, 201, 1),
        ({"drip": {"bytes_per_second": 20_000}}, 201, 1),
    ],
    ids=["status", "status after commit", "429", "array", "null", "hang", "drip"],
)
def test_faults_befall_registrations_too(start, menu, fault, status, count):
    """The reply says one thing, the truth another."""
    api = start(rule(fault))
    assert (api.register(menu).status_code, effects(api)) == (status, count)


@pytest.mark.parametrize(
    ("fault", "count"),
    [
        ({"lost_reply": "before_commit"}, 0),
        ({"lost_reply": "after_commit"}, 1),
        ({"truncate": {}}, 1),
        ({"late_commit": {"seconds": 0.05}}, 1),
    ],
    ids=["lost before", "lost after", "truncated", "late"],
)
def test_a_registration_whose_reply_never_came_has_one_effect_at_most(start, menu, eventually, fault, count):
    """Sent again under the same key it has one effect, whatever became of the first."""
    api = start(rule(fault, nth=[1]))
    with pytest.raises(httpx.RemoteProtocolError):
        api.register(menu)
    eventually(lambda: effects(api) == count)
    assert (api.register(menu).status_code, effects(api)) == (201, 1)


def test_a_late_registration_after_its_repeat_changes_nothing(start, menu, eventually):
    """The vendor takes its time; the repeat is there first."""
    api = start(rule({"late_commit": {"seconds": 0.3}}, nth=[1]))
    with pytest.raises(httpx.RemoteProtocolError):
        api.register(menu)
    first = api.register(menu).json()
    eventually(lambda: not api.box.sandbox._background)
    assert (api.read("main_menu").json(), effects(api)) == (first, 1)


def test_a_null_where_the_connections_should_be_is_no_flow(start, menu):
    """`wrong_type: null_output` blanks what the reply is about."""
    assert start(rule({"wrong_type": "null_output"})).register(menu).json()["connections"] is None
