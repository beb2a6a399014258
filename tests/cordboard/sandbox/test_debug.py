"""Simulations: who may ask, which script or engine answers, and what a flow that does not compile brings."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.errors import InvalidDocument
from cordboard.ivr.dialects.cxone import from_cxone
from cordboard.ivr.trace import compile_flow, digits, from_vendor, simulate
from cordboard.sandbox import default_definition
from cordboard.sandbox.debug_engine import LocalEngine

DEBUG = "/api/v2/flows/debug"
TUTORIAL = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
EXPECTED = {
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


def script(reply, **more):
    return {"flowId": "main_menu", "reply": reply, **more}


class Recorder:
    """An engine that answers with one result, and keeps what it was given."""

    def __init__(self, **result):
        self.result = {"path": [], "variables": {}, "exitNode": None, "duration": 0, "trace": [], **result}
        self.given = []

    def run(self, flow, request):
        self.given.append((flow, request))
        return self.result


# --- scripted answers -------------------------------------------------------------------------------------------------


def test_the_tutorials_request_gets_the_tutorials_response(start):
    """The sandbox as it comes: what a newcomer tries first."""
    options = {"trace": True, "includeVariables": True, "maxLoops": 50}
    reply = start().simulate(TUTORIAL, "123", options=options)
    assert (reply.status_code, reply.json()) == (200, EXPECTED)


def test_of_the_scripted_answers_that_fit_the_first_is_given(start):
    """What a script leaves out fits everything."""
    answers = [script({"n": 1}, dtmf="1"), script({"n": 2}, speech="sales"), script({"n": 3}), script({"n": 4})]
    api = start(debug={"answers": answers})
    asked = [("1", ""), ("1", "sales"), ("", "sales"), ("12", ""), ("", "")]
    assert [api.simulate("main_menu", *given).json()["n"] for given in asked] == [1, 1, 2, 3, 3]


def test_a_script_for_silence_fits_silence_alone(start):
    """An empty text is a text."""
    api = start(debug={"answers": [script({"n": 1}, dtmf="", speech=""), script({"n": 2})]})
    assert [api.simulate("main_menu", *given).json()["n"] for given in [("", ""), ("1", ""), ("", "a")]] == [1, 2, 2]


def test_a_scripted_error_comes_word_for_word(start):
    """Whatever a client must be able to take."""
    api = start(debug={"answers": [script({"trace": [{"nodeId": "node_a", "exception": "x"}]}, status=500)]})
    reply = api.simulate("main_menu")
    assert (reply.status_code, reply.json()) == (500, {"trace": [{"nodeId": "node_a", "exception": "x"}]})


@pytest.mark.parametrize(
    ("debug", "message"),
    [
        ({"answers": [{"flowId": "main_menu"}]}, "Field required"),
        ({"answers": [{"reply": {}}]}, "Field required"),
        ({"answers": [script({}, status=302)]}, "status is 200, or an error from 400 to 599"),
        ({"answers": [script({}, dtmf=1)]}, "valid string"),
        ({"answers": [script({}, flow="x")]}, "unknown key"),
        ({"foreign": ["../x"]}, "pattern"),
        ({"per_second": 0}, "greater than 0"),
        ({"retry_after_seconds": 2}, "retry_after_seconds goes with per_second"),
    ],
)
def test_mistakes_in_the_section_are_refused(debug, message):
    """Before anything is served."""
    with pytest.raises(InvalidDocument, match=message):
        default_definition().changed(debug=debug)


# --- who may ask ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["flow:read", "flows:read", "flows:write", "dataactions:execute"])
def test_a_simulation_needs_its_own_scope(start, scope):
    """Reading a flow is not running it."""
    reply = start().sign_in(scope=scope).simulate(TUTORIAL, "123")
    assert (reply.status_code, reply.json()["code"]) == (403, "insufficient_scope")
    assert "flow:debug" in reply.json()["message"]


@pytest.mark.parametrize(
    ("scope", "status"), [("flow:read", 200), ("flows:read", 200), ("flow:debug", 403), ("flows:write", 403)]
)
def test_a_flow_can_be_read_with_the_scope_of_either_product(start, menu, scope, status):
    """The look-up after a 403 has only `flow:read`."""
    reply = start(flows={"definitions": {"main_menu": menu}}).sign_in(scope=scope).read("main_menu")
    assert reply.status_code == status
    assert status == 200 or "flows:read or flow:read" in reply.json()["message"]


def test_a_flow_of_another_organisation_may_not_be_simulated_and_cannot_be_seen(start):
    """403 and 404: together they tell it from a scope that is missing."""
    api = start(debug={"foreign": ["night_menu"]})
    simulated, read = api.simulate("night_menu", "1"), api.read("night_menu")
    assert (simulated.status_code, simulated.json()["code"]) == (403, "flow_not_yours")
    assert (read.status_code, read.json()["code"]) == (404, "flow_not_found")


def test_a_flow_that_is_not_there_cannot_be_simulated(start):
    """404, as when it is read."""
    reply = start().simulate("main_menu", "1")
    assert (reply.status_code, reply.json()["code"]) == (404, "flow_not_found")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 400, "must be a JSON object"),
        (b"[]", 400, "must be a JSON object"),
        (b"{}", 422, "flowId: Field required"),
        (b'{"flowId": 7}', 422, "flowId"),
        (b'{"flowId": "../x"}', 422, "flowId"),
        (b'{"flowId": "m", "input": {"dtmf": 123}}', 422, "input.dtmf"),
        (b'{"flowId": "m", "input": {"dtmf": "12x"}}', 422, "input.dtmf"),
        (b'{"flowId": "m", "input": {"voice": "a"}}', 422, "input.voice: unknown key"),
        (b'{"flowId": "m", "variables": []}', 422, "variables"),
        (b'{"flowId": "m", "options": {"maxLoops": 0}}', 422, "options.maxLoops"),
        (b'{"flowId": "m", "options": {"maxLoops": "50"}}', 422, "options.maxLoops"),
        (b'{"flowId": "m", "options": {"trace": 1}}', 422, "options.trace"),
    ],
)
def test_a_body_of_another_shape_is_refused_with_its_place(start, body, status, message):
    """A misspelt option that is ignored would be believed."""
    reply = start().http.post(DEBUG, content=body)
    assert reply.status_code == status
    assert message in reply.json()["message"]


def test_simulations_have_a_rate_of_their_own(start):
    """The vendor runs them on its own machines, so it allows fewer of them than of other calls."""
    now = [1_000_000.0]
    api = start(debug={"per_second": 0.5, "answers": [script({})]}, clock=lambda: now[0])
    first, second = api.simulate("main_menu"), api.simulate("main_menu")
    assert (first.status_code, second.status_code, second.headers["retry-after"]) == (200, 429, "2")
    assert api.notify().status_code == 200
    now[0] += 2
    assert api.simulate("main_menu").status_code == 200


def test_the_wait_that_a_429_asks_for_can_be_stated(start):
    """Some vendors ask for more than is needed."""
    api = start(debug={"per_second": 0.5, "retry_after_seconds": 9, "answers": [script({})]})
    assert [api.simulate("main_menu").headers.get("retry-after") for _ in range(2)] == [None, "9"]


def test_simulations_count_among_all_requests_too(start):
    """The limit of the file is one over everything."""
    api = start(rate_limit={"per_second": 0.01, "burst": 1, "headers": True})
    assert api.simulate(TUTORIAL, "123").headers["x-ratelimit-remaining"] == "0"
    assert api.notify().status_code == 429


# --- the engine -------------------------------------------------------------------------------------------------------


def test_the_engine_is_given_the_stored_flow_and_the_whole_request(start, menu):
    """What a request leaves out is filled in, so that every engine sees the same."""
    engine = Recorder()
    api = start(engine=engine, flows={"definitions": {"main_menu": menu}})
    assert api.http.post(DEBUG, json={"flowId": "main_menu", "variables": {"tier": "gold"}}).json() == engine.result
    ((flow, request),) = engine.given
    assert flow == api.box.flows["main_menu"]
    assert request == {
        "flowId": "main_menu",
        "input": {"dtmf": "", "speech": ""},
        "variables": {"tier": "gold"},
        "options": {"trace": True, "includeVariables": True, "maxLoops": 50},
    }


def test_a_script_stands_before_the_engine(start, menu):
    """The flow is there, and not asked."""
    engine = Recorder()
    answers = [script({"scripted": True}, dtmf="1")]
    api = start(engine=engine, debug={"answers": answers}, flows={"definitions": {"main_menu": menu}})
    assert api.simulate("main_menu", "1").json() == {"scripted": True}
    assert engine.given == []


@pytest.mark.parametrize("mark", [{"status": "Error"}, {"exception": "no such node"}], ids=["status", "exception"])
def test_a_trace_that_stops_at_a_failing_node_is_a_500(start, menu, mark):
    """With the trace so far in its body, beside what every error has."""
    trace = [{"nodeId": "node_start", "type": "start", "timestamp": 0}]
    trace += [{"nodeId": "node_menu", "type": "decision", "timestamp": 45, **mark}]
    reply = start(engine=Recorder(trace=trace), flows={"definitions": {"main_menu": menu}}).simulate("main_menu", "1")
    body = reply.json()
    assert (reply.status_code, body["code"], body["status"], body["trace"]) == (
        500,
        "flow_does_not_compile",
        500,
        trace,
    )
    assert "node_menu" in body["message"]


def test_a_request_can_do_without_trace_and_variables(start, menu):
    """As the vendor's options say."""
    trace = [{"nodeId": "node_start", "variables": {"a": 1}}]
    engine = Recorder(variables={"a": 1}, trace=trace)
    api = start(engine=engine, flows={"definitions": {"main_menu": menu}})
    bare = api.simulate("main_menu", options={"trace": False}).json()
    assert (bare["trace"], bare["variables"]) == ([], {"a": 1})
    blank = api.simulate("main_menu", options={"includeVariables": False}).json()
    assert (blank["trace"], blank["variables"]) == ([{"nodeId": "node_start"}], {})


# --- the project's own engine -----------------------------------------------------------------------------------------


def flow_of(*ways, **nodes):
    """A flow from ways such as `("start", "menu")` and `("menu", "end", "dtmf == '1'")`, and what nodes have."""
    names = dict.fromkeys(["start", *(name for way in ways for name in way[:2])])
    words = {"start": "start", "end": "exit"}
    return {
        "nodes": [{"id": f"node_{name}", "type": words.get(name, "decision"), **nodes.get(name, {})} for name in names],
        "connections": [
            {
                "id": f"conn_{number}",
                "source_node_id": f"node_{source}",
                "target_node_id": f"node_{target}",
                "condition": condition[0] if condition else "true",
                "type": "conditional" if condition else "default",
            }
            for number, (source, target, *condition) in enumerate(ways)
        ],
    }


MENU = flow_of(
    ("start", "menu"), ("menu", "end", "dtmf == '1'"), ("menu", "end", "speech == 'sales'"), ("menu", "menu")
)


@pytest.fixture
def run(start):
    """Simulates a call through a flow over HTTP."""

    def runner(flow, dtmf="", speech="", **further):
        return start(flows={"definitions": {"flow": flow}}).simulate("flow", dtmf, speech, **further)

    return runner


def test_the_tutorials_response_comes_out_of_a_flow_too(run):
    """All of it but one thing: the tutorial leaves out how the variables came about, which the trace may show."""
    flow = flow_of(
        ("start", "menu_1"),
        ("menu_1", "route_sales", "dtmf == '123'"),
        ("menu_1", "menu_1"),
        ("route_sales", "exit"),
        menu_1={"type": "menu", "set": {"attempt_count": 1}},
        route_sales={"type": "queue", "target": "queue_sales", "set": {"selected_option": "1"}},
        exit={"type": "exit"},
    )
    reply = run(flow, "123", variables={"customer_id": "CUST-998"})
    body = reply.json()
    assert [entry.pop("variables", {}).get("selected_option") for entry in body["trace"]] == [None, None, "1", None]
    assert (reply.status_code, body) == (200, EXPECTED)


@pytest.mark.parametrize(("dtmf", "speech"), [("1", ""), ("", "sales"), ("91", ""), ("9", "sales")])
def test_digits_come_before_words(run, dtmf, speech):
    """The contract has one of each."""
    body = run(MENU, dtmf, speech).json()
    assert (body["exitNode"], body["path"][-1]) == ("node_end", "node_end")


@pytest.mark.parametrize("rounds", [1, 2, 50])
def test_a_call_that_goes_round_for_ever_does_so_as_often_as_it_may(run, rounds):
    """A path that repeats itself, without an exit: all that the vendor tells of a loop, and no error."""
    reply = run(MENU, options={"maxLoops": rounds})
    body = reply.json()
    assert (reply.status_code, body["exitNode"]) == (200, None)
    assert body["path"] == ["node_start", *["node_menu"] * rounds]
    assert [entry["timestamp"] for entry in body["trace"]] == [45 * number for number in range(rounds + 1)]
    assert body["duration"] == 45 * (rounds + 1)
    assert [entry["nodeId"] for entry in body["trace"]] == body["path"]
    assert not {"status", "exception"} & body["trace"][-1].keys()


def test_a_loop_after_some_steps_repeats_its_own_steps_alone(run):
    """Also where the first round differs in what it assigns."""
    ways = [("start", "menu"), ("menu", "a", "dtmf == '1'"), ("menu", "end"), ("a", "b"), ("b", "a")]
    body = run(flow_of(*ways, a={"set": {"n": 1}}, b={"set": {"m": 2}}), "1", options={"maxLoops": 3}).json()
    assert body["path"] == [f"node_{name}" for name in ("start", "menu", "a", *("b", "a") * 3)]
    assert body["variables"] == {"n": 1, "m": 2}
    assert [entry.get("variables") for entry in body["trace"][2:]] == [{"n": 1}, {"n": 1, "m": 2}, *[None] * 5]
    assert [entry["timestamp"] for entry in body["trace"][2:]] == [90 + 55 * number for number in range(7)]


def test_a_call_that_finds_no_way_out_has_no_exit(run):
    """The flow compiles; this caller is merely left where the trace stops."""
    reply = run(flow_of(("start", "menu"), ("menu", "end", "dtmf == '1'")), "2")
    body = reply.json()
    assert (reply.status_code, body["exitNode"], body["path"]) == (200, None, ["node_start", "node_menu"])
    assert not {"status", "exception"} & body["trace"][-1].keys()


BREAKS = {
    "condition": (lambda flow: flow["connections"][1].update(condition="dtmf = '1'"), ["node_start", "node_menu"]),
    "target": (
        lambda flow: flow["connections"][3].update(target_node_id="node_gone"),
        ["node_start", "node_menu", "node_sales"],
    ),
    "source": (lambda flow: flow["connections"][3].update(source_node_id="node_gone"), ["node_gone"]),
    "node twice": (lambda flow: flow["nodes"].append(dict(flow["nodes"][1])), ["node_start", "node_menu"]),
    "no start": (lambda flow: flow["nodes"][0].update(type="decision"), [""]),
    "no flow": (lambda flow: flow.pop("connections"), [""]),
}


@pytest.mark.parametrize("dtmf", ["", "1", "9"])
@pytest.mark.parametrize("name", BREAKS)
def test_a_flow_that_does_not_compile_is_a_500_whoever_calls(start, name, dtmf):
    """The trace is the shortest way to the failing node; a compiler does not care what a caller presses."""
    ways = [("start", "menu"), ("menu", "sales", "dtmf == '1'"), ("menu", "menu"), ("sales", "end")]
    api = start(flows={"definitions": {"flow": flow_of(*ways)}})
    spoil, way = BREAKS[name]
    spoil(api.box.flows["flow"])
    reply = api.simulate("flow", dtmf)
    assert (reply.status_code, reply.json()["code"]) == (500, "flow_does_not_compile")
    *before, last = reply.json()["trace"]
    assert [entry["nodeId"] for entry in (*before, last)] == way
    assert all("status" not in entry for entry in before)
    assert last["status"] == "Error"
    assert last["exception"]


def test_a_simulation_leaves_the_stored_flow_as_it_is(start):
    """Engines are handed the document itself."""
    api = start(flows={"definitions": {"flow": MENU}})
    before = copy.deepcopy(api.box.flows["flow"])
    api.simulate("flow", "1")
    assert api.box.flows["flow"] == before


NAMES = st.sampled_from(["a", "b", "c", "end"])
CONDITIONS = st.sampled_from([("dtmf == '1'",), ("dtmf == '2'",), ("no_input",), ("n == 1",), ()])
WAYS = st.lists(st.tuples(st.sampled_from("abc"), NAMES, CONDITIONS).map(lambda way: (*way[:2], *way[2])), max_size=10)
SETS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2).map(lambda n: {"set": {"n": n}}))


@settings(max_examples=300, deadline=None)
@given(WAYS, SETS, st.text("129", max_size=4))
def test_what_the_vendor_says_of_a_call_is_what_happens_in_it(ways, sets, pressed):
    """Read back from the vendor's form, a simulation comes to the same end as the engine that made it."""
    flow = {"id": "flow", **flow_of(("start", "a"), *ways, **sets)}
    request = {
        "input": {"dtmf": pressed, "speech": ""},
        "variables": {"n": 0},
        "options": {"trace": True, "includeVariables": True, "maxLoops": 50},
    }
    program, inputs = compile_flow(from_cxone(flow)), [digits(pressed)] if pressed else []
    local = simulate(program, inputs, {"n": 0})
    told = from_vendor(LocalEngine().run(flow, request), program, inputs)
    assert (told.exit, told.end.kind, dict(told.variables)) == (local.exit, local.end.kind, dict(local.variables))
    assert told.path[: len(local.path)] == local.path
    assert bool(told.loops) == bool(local.loops)


# --- the rest of the sandbox ------------------------------------------------------------------------------------------


def test_the_truth_shows_a_simulation_and_no_effect(start):
    """A simulation changes nothing."""
    api = start()
    api.simulate(TUTORIAL, "123")
    seen = api.box.truth.posts(DEBUG)[0]
    assert (seen.flow_id, seen.inputs["input"]["dtmf"], seen.status) == (TUTORIAL, "123", 200)
    assert api.box.truth.effects == ()


def test_a_fault_can_befall_one_simulation_among_others(start):
    """A rule holds the body against its `inputs`."""
    match = {"path": DEBUG, "inputs": {"input": {"dtmf": "123"}}}
    api = start({"match": match, "fault": {"status": 500}}, debug={"answers": [{"flowId": TUTORIAL, "reply": {}}]})
    assert [api.simulate(TUTORIAL, dtmf).status_code for dtmf in ("1", "123")] == [200, 500]


def test_a_null_where_the_trace_should_be_is_no_simulation(start):
    """`wrong_type: null_output` blanks what the reply is about."""
    api = start({"match": {"path": DEBUG}, "fault": {"wrong_type": "null_output"}})
    assert api.simulate(TUTORIAL, "123").json() == {**EXPECTED, "trace": None}


def test_a_flow_may_be_called_debug(start, menu):
    """Only a POST to that path is a simulation."""
    api = start()
    assert api.register({**menu, "id": "debug"}).status_code == 201
    assert api.read("debug").json()["id"] == "debug"
    assert api.box.truth.requests[-1].flow_id == "debug"
