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
