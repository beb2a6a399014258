"""The vendor's reply to a simulation, in our form: whatever it sends, a trace comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.ivr.trace import digits, from_vendor, simulate

#: The example of the vendor's own page.
REPLY: dict[str, Any] = {
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
MENU = "start -> menu\nmenu -> end: dtmf == '1'\nmenu -> sorry: default\nmenu -> end: fallback\nsorry -> menu"


def test_the_vendor_s_own_example_comes_back_as_it_was() -> None:
    trace = from_vendor(REPLY)
    assert trace.as_json() == REPLY
    assert (trace.end.kind, trace.exit, trace.inputs_used) == ("completed", "node_exit", 1)


def test_a_flow_that_does_not_compile_fails_at_the_node_where_the_trace_stops() -> None:
    trace = [{"nodeId": "node_start"}, {"nodeId": "node_menu", "status": "Error", "exception": "Unknown node node_x"}]
    end = from_vendor({"trace": trace}, failed=True).end
    assert (end.kind, end.node, end.message) == ("error", "node_menu", "Unknown node node_x")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"status": "ERROR"}, "the vendor could not go on at `node_a`"),
        ({"exception": {"message": "broken script"}}, "broken script"),
        ({"exception": {"code": 7}}, "code: 7"),
    ],
    ids=["status", "exception with a message", "exception without"],
)
def test_a_failure_is_seen_however_it_is_written(entry: Any, message: str) -> None:
    end = from_vendor({"trace": [{"nodeId": "node_a", **entry}]}).end
    assert (end.kind, end.message) == ("error", message)


def test_a_failed_call_of_which_no_step_says_so_failed_at_the_last() -> None:
    end = from_vendor({"path": ["node_start", "node_a"]}, failed=True).end
    assert (end.kind, end.node) == ("error", "node_a")


def test_without_an_exit_a_path_that_repeats_itself_is_a_loop() -> None:
    trace = from_vendor({"path": ["start", *["menu", "sorry"] * 25]})
    assert trace.end.kind == "loop"
    assert [loop.nodes for loop in trace.loops] == [("menu", "sorry")]


def test_a_call_that_came_to_its_end_is_in_no_loop() -> None:
    assert from_vendor({"path": ["menu"] * 9 + ["end"], "exitNode": "end"}).loops == ()


def test_a_menu_that_may_still_be_tried_is_in_no_loop(compiled) -> None:
    program, path = compiled(MENU, {"menu": {"max_visits": 9}}), ["start", *["menu", "sorry"] * 9]
    assert from_vendor({"path": path}).loops != ()
    assert from_vendor({"path": path}, program).loops == ()
    assert from_vendor({"path": ["start", *["menu", "sorry"] * 11]}, program).loops != ()


def test_rounds_in_which_the_caller_presses_a_key_are_no_loop() -> None:
    steps = [{"nodeId": "menu", "input": "9"}] * 8
    assert from_vendor({"trace": steps}, inputs=[digits("9" * 8)]).loops == ()
    assert from_vendor({"trace": steps}, inputs=[digits("9")]).loops != ()


def test_rounds_that_count_something_are_no_loop() -> None:
    steps = [{"nodeId": "menu", "variables": {"attempt": attempt}} for attempt in range(8)]
    assert from_vendor({"trace": steps}).loops == ()


def test_a_known_end_needs_no_exit_node(compiled) -> None:
    program = compiled(MENU)
    assert from_vendor({"path": ["start", "menu", "end"]}, program).exit == "end"
    assert from_vendor({"path": ["start", "menu", "end"]}).end.kind == "no_way_out"


def test_variables_are_told_from_step_to_step() -> None:
    steps = [{"nodeId": "a", "variables": {"x": 1}}, {"nodeId": "b"}, {"nodeId": "c", "variables": {"y": 2}}]
    trace = from_vendor({"trace": steps, "exitNode": "c"})
    assert [(entry.before, entry.after) for entry in trace.entries] == [
        ({}, {"x": 1}),
        ({"x": 1}, {"x": 1}),
        ({"x": 1}, {"x": 1, "y": 2}),
    ]
    assert trace.variables == {"x": 1, "y": 2}


def test_the_transitions_that_a_vendor_took_are_known(compiled) -> None:
    program = compiled("start -> menu\nmenu -> end: dtmf == '1'\nmenu -> end: dtmf == '2'")
    ours = simulate(program, [digits("2")])
    assert from_vendor(ours.as_json(), program).edges == ours.edges == (0, 2)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["nodeId", "x"]), inner, max_size=2),
    max_leaves=5,
)
steps = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(["nodeId", "type", "timestamp", "input", "variables", "status", "exception"], json_values),
)
replies = st.fixed_dictionaries(
    {},
    optional={
        "path": json_values | st.lists(st.sampled_from(["start", "menu", "end"])),
        "variables": json_values,
        "exitNode": json_values,
        "duration": json_values,
        "trace": st.lists(steps | json_values, max_size=4) | json_values,
    },
)


@given(replies | json_values, st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_reply_is_too_odd(reply: Any, failed: bool) -> None:
    trace = from_vendor(reply, failed=failed)
    assert trace.end.message
    assert trace.as_json()["path"] == list(trace.path)


def test_an_exit_that_is_stated_to_be_none_is_none(compiled) -> None:
    reply = {"path": ["start", "menu", "end"], "exitNode": None}
    assert from_vendor(reply, compiled(MENU)).end.kind == "no_way_out"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"exitNode": "node_menu_1"}, "its exit is `node_menu_1`, and its path ends at `node_exit`"),
        ({"path": ["node_x", *REPLY["path"][1:]]}, "step 1 is `node_x` in its path, and `node_start` in its trace"),
        ({"trace": REPLY["trace"][:3]}, "its path has 4 steps, and its trace 3"),
        ({"status": "Error"}, "it is a simulated call, and has the status `Error`"),
        ({"error": {"message": "out of\nmemory"}}, "it is a simulated call, and has the error `out of\\nmemory`"),
    ],
    ids=["exit", "step", "length", "status", "error"],
)
def test_a_reply_that_says_two_things_of_one_call_is_an_error(changed: Any, said: str) -> None:
    end = from_vendor({**REPLY, **changed}).end
    assert (end.kind, end.message) == ("error", f"the reply contradicts itself: {said}")


@pytest.mark.parametrize("status", ["", "COMPLETED", "Success", "ok", "Exited"])
def test_a_call_may_be_done_in_several_words(status: str) -> None:
    assert from_vendor({"trace": [{"nodeId": "a", "status": status}], "exitNode": "a"}).exit == "a"


def test_a_last_status_that_is_not_known_is_an_error_that_names_it() -> None:
    end = from_vendor({"trace": [{"nodeId": "a", "status": "Time\x1bout"}], "exitNode": "a"}).end
    assert (end.kind, end.message) == ("error", "the vendor ends the call at `a` with the status `Time\\x1bout`")


@pytest.mark.parametrize("nothing", [False, None, ""])
def test_an_exception_that_says_nothing_is_none(nothing: Any) -> None:
    assert from_vendor({"trace": [{"nodeId": "a", "exception": nothing}], "exitNode": "a"}).exit == "a"


def test_what_a_vendor_says_cannot_steer_a_terminal() -> None:
    assert from_vendor({"trace": [{"nodeId": "a", "exception": "no\x1b[2J\r way"}]}).end.message == "no\\x1b[2J\\r way"


@pytest.mark.parametrize("entry", [{}, {"input": ""}], ids=["no input", "an empty one"])
def test_of_two_ways_to_one_node_none_is_counted_where_nobody_knows_which(compiled, entry: Any) -> None:
    program = compiled("start -> menu\nmenu -> end: dtmf == '1'\nmenu -> end: default")
    steps = [{"nodeId": "start"}, {"nodeId": "menu", **entry}, {"nodeId": "end"}]
    assert from_vendor({"trace": steps}, program).edges == (0,)
    assert from_vendor({"path": ["start", "menu", "end"]}, program).edges == (0,)


def test_of_two_ways_that_a_variable_decides_none_is_counted_where_nobody_knows_it(compiled) -> None:
    program = compiled("start -> shop\nshop -> end: tier == 'gold'\nshop -> end: default")
    steps = [{"nodeId": "start"}, {"nodeId": "shop"}, {"nodeId": "end"}]
    assert from_vendor({"trace": steps}, program).edges == (0,)
    assert from_vendor({"trace": steps}, program, variables={"tier": "gold"}).edges == (0, 1)
    steps[1] = {"nodeId": "shop", "variables": {"tier": "tin"}}  # type: ignore[dict-item]
    assert from_vendor({"trace": steps}, program, variables={"tier": "gold"}).edges == (0, 2)
