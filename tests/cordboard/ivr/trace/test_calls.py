"""What happens in a call: the table in the package's docstring, row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cordboard.errors import BadCall, InvalidDocument
from cordboard.ivr.dialects.cxone import from_cxone
from cordboard.ivr.reading import load_flow
from cordboard.ivr.trace import HANGUP, NO_INPUT, NO_MATCH, compile_flow, digits, keys, simulate, speech

EXAMPLES = Path(__file__).parents[4] / "examples"
MENU = """
start -> menu
menu -> sales: dtmf == '1'
menu -> support: dtmf == '2' or speech == 'support'
menu -> sorry: default
menu -> agent: fallback
sorry -> menu
sales -> end
support -> end
agent -> end
"""


def test_a_digit_takes_the_way_that_names_it(compiled) -> None:
    trace = simulate(compiled(MENU), [digits("2")])
    assert trace.path == ("start", "menu", "support", "end")
    assert (trace.exit, trace.end.kind, trace.inputs_used) == ("end", "completed", 1)


def test_getting_to_an_end_is_no_missing_transition(compiled) -> None:
    trace = simulate(compiled(MENU), [digits("1")])
    assert trace.end.message == "the call ends at `end`"
    assert not trace.end.faulty


def test_a_default_that_is_listed_first_hides_no_digit(compiled) -> None:
    program = compiled("start -> menu\nmenu -> menu: default\nmenu -> end: dtmf == '1'")
    assert simulate(program, [digits("1")]).path == ("start", "menu", "end")


def test_of_two_conditions_that_hold_the_first_is_taken(compiled) -> None:
    program = compiled("start -> menu\nmenu -> a: dtmf != '2'\nmenu -> b: dtmf == '1'\na -> end\nb -> end")
    assert simulate(program, [digits("1")]).path == ("start", "menu", "a", "end")


def test_speech_and_silence_and_what_is_not_understood_are_inputs(compiled) -> None:
    program = compiled(MENU)
    trace = simulate(program, [NO_MATCH, NO_INPUT, speech("support")])
    assert trace.path == ("start", "menu", "sorry", "menu", "sorry", "menu", "support", "end")
    assert [entry.input for entry in trace.entries if entry.node == "menu"] == ["no_match", "no_input", "support"]


def test_what_is_said_is_not_taken_for_what_is_pressed(compiled) -> None:
    trace = simulate(compiled(MENU), [speech("1"), digits("1")])
    assert trace.path == ("start", "menu", "sorry", "menu", "sales", "end")


def test_a_hang_up_ends_the_call_where_it_is_noticed(compiled) -> None:
    trace = simulate(compiled(MENU), [digits("9"), HANGUP, digits("1")])
    assert (trace.end.kind, trace.end.node, trace.exit) == ("hung_up", "menu", None)
    assert trace.unused == (digits("1"),)


def test_digits_in_a_row_go_to_one_menu_after_another(compiled) -> None:
    program = compiled("start -> a\na -> b: dtmf == '1'\nb -> end: dtmf == '2'", {"a": {}, "b": {}})
    trace = simulate(program, [digits("123")])
    assert (trace.path, trace.unused, trace.inputs_used) == (("start", "a", "b", "end"), (digits("3"),), 2)


def test_a_node_collects_as_many_digits_as_its_longest_number(compiled) -> None:
    program = compiled("start -> menu\nmenu -> end: dtmf == '4711' or dtmf == '0'\nmenu -> menu: default")
    assert simulate(program, [digits("4711")]).inputs_used == 1


def test_keys_can_be_compared_by_order(compiled) -> None:
    program = compiled("start -> menu\nmenu -> low: dtmf < '5'\nmenu -> end: default\nlow -> end")
    assert [len(simulate(program, [digits(key)]).path) for key in "0459"] == [4, 4, 3, 3]


def test_a_node_that_wants_any_number_takes_all_digits_that_are_left(compiled) -> None:
    program = compiled("start -> menu\nmenu -> end: dtmf == account\nmenu -> menu: default", {"menu": {}})
    assert simulate(program, [digits("00123")], {"account": "00123"}).path == ("start", "menu", "end")


def test_keys_are_taken_as_a_whole(compiled) -> None:
    trace = simulate(compiled(MENU), [keys("12"), keys("1")])
    assert trace.path == ("start", "menu", "sorry", "menu", "sales", "end")


def test_fewer_digits_than_a_node_collects_are_what_it_gets(compiled) -> None:
    program = compiled("start -> menu\nmenu -> end: dtmf == '4711'\nmenu -> menu: default")
    assert [entry.input for entry in simulate(program, [digits("47"), digits("11")], then="stop").entries][1:3] == [
        "47",
        "11",
    ]


def test_after_the_last_input_the_caller_is_silent(compiled) -> None:
    program = compiled("start -> menu\nmenu -> end: no_input")
    assert simulate(program).path == ("start", "menu", "end")
    assert simulate(program).inputs_used == 0


def test_a_caller_can_hang_up_after_the_last_input(compiled) -> None:
    assert simulate(compiled(MENU), then="hangup").end.kind == "hung_up"


def test_a_call_can_stop_where_an_input_is_missing(compiled) -> None:
    end = simulate(compiled(MENU), [digits("8")], then="stop").end
    assert (end.kind, end.message) == ("input_missing", "`menu` asks the caller, and no input is left")


def test_a_menu_gives_up_after_so_many_visits_without_asking_again(compiled) -> None:
    trace = simulate(compiled(MENU, {"menu": {"max_visits": 2}}), [digits("777")])
    assert trace.path == ("start", "menu", "sorry", "menu", "sorry", "menu", "agent", "end")
    assert (trace.inputs_used, trace.unused) == (2, (digits("7"),))


def test_without_a_fallback_giving_up_takes_the_default(compiled) -> None:
    program = compiled("start -> menu\nmenu -> menu: dtmf == '1'\nmenu -> end: default", {"menu": {"max_visits": 1}})
    assert simulate(program, [digits("1")]).path == ("start", "menu", "menu", "end")


def test_visits_can_be_read_in_conditions(compiled) -> None:
    program = compiled("start -> menu\nmenu -> end: visits > 2\nmenu -> menu: default")
    assert simulate(program, [digits("11")]).path == ("start", "menu", "menu", "menu", "end")


def test_where_no_way_fits_the_sentence_says_what_was_heard(compiled) -> None:
    program = compiled("start -> menu\nmenu -> end: dtmf == '1'")
    end = simulate(program, [digits("7")]).end
    assert (end.kind, end.message) == ("no_way_out", "no way out of `menu` fits 7")
    assert simulate(program, [speech("billing")]).end.message == 'no way out of `menu` fits "billing"'


@pytest.mark.parametrize(
    ("text", "nodes", "message"),
    [
        ("start -> a", {}, "no way leads out of `a`, and calls do not end there"),
        ("start -> a\na -> end: vip", {}, "no condition of `a` holds, and it has no default"),
        (
            "start -> menu\nmenu -> menu: no_input",
            {"menu": {"max_visits": 2}},
            "`menu` gives up at visit 3, and has neither a fallback nor a default",
        ),
    ],
    ids=["dead end", "open decision", "no give-up"],
)
def test_a_call_that_gets_stuck_says_why(compiled, text: str, nodes: Any, message: str) -> None:
    end = simulate(compiled(text, nodes)).end
    assert (end.kind, end.message) == ("no_way_out", message)


def test_a_node_assigns_before_its_ways_are_tried(compiled) -> None:
    program = compiled(
        "start -> a\na -> end: tier == 'gold'\na -> b: default\nb -> end", {"a": {"set": {"tier": "gold"}}}
    )
    trace = simulate(program)
    assert (trace.path, trace.variables) == (("start", "a", "end"), {"tier": "gold"})


def test_an_end_assigns_too(compiled) -> None:
    assert simulate(compiled("start -> end", {"end": {"set": {"done": True}}})).variables == {"done": True}


def test_actions_return_one_outcome_after_another_and_the_last_repeats(compiled) -> None:
    text = "start -> ask\nask -> end: tries == 3\nask -> ask: default"
    outcomes = [{"tries": 1}, {"tries": 2}, {"tries": 3}]
    assert len(simulate(compiled(text), mocks={"ask": outcomes}).path) == 5
    again = simulate(compiled(text), mocks={"ask": outcomes[:2]})
    assert (again.end.kind, len(again.path)) == ("loop", 4)


def test_an_outcome_comes_after_what_the_node_sets(compiled) -> None:
    program = compiled("start -> a\na -> end", {"a": {"set": {"found": False, "asked": True}}})
    assert simulate(program, mocks={"a": [{"found": True}]}).variables == {"found": True, "asked": True}


def test_a_mock_of_a_node_that_is_not_there_is_refused(compiled) -> None:
    with pytest.raises(BadCall, match=r"no node `slaes`.*Did you mean sales\?"):
        simulate(compiled(MENU), mocks={"slaes": [{}]})


def test_variables_of_the_caller_are_not_changed(compiled) -> None:
    given = {"tier": "none"}
    simulate(compiled("start -> a\na -> end", {"a": {"set": {"tier": "gold"}}}), variables=given)
    assert given == {"tier": "none"}


def test_each_step_knows_the_variables_before_and_after(compiled) -> None:
    program = compiled("start -> a\na -> b\nb -> end", {"a": {"set": {"x": 1}}})
    assert [(entry.before, entry.after) for entry in simulate(program, variables={"y": 2}).entries] == [
        ({"y": 2}, {"y": 2}),
        ({"y": 2}, {"y": 2, "x": 1}),
        ({"y": 2, "x": 1}, {"y": 2, "x": 1}),
        ({"y": 2, "x": 1}, {"y": 2, "x": 1}),
    ]


def test_a_program_can_be_used_for_many_calls(compiled) -> None:
    program = compiled(MENU, {"menu": {"max_visits": 2}})
    first = simulate(program, [digits("77")])
    assert simulate(program, [digits("77")]).as_json() == first.as_json()


def test_the_transitions_that_were_taken_are_known(compiled) -> None:
    program = compiled(MENU)
    trace = simulate(program, [digits("71")])
    taken = [program.flow.transitions[edge] for edge in trace.edges]
    assert [(way.source, way.target) for way in taken] == list(zip(trace.path, trace.path[1:], strict=False))
    assert [way.place.line for way in taken] == [1, 4, 6, 2, 7]


def test_of_two_ways_to_one_node_the_one_that_was_taken_is_known(compiled) -> None:
    program = compiled("start -> menu\nmenu -> end: dtmf == '1'\nmenu -> end: dtmf == '2'")
    assert simulate(program, [digits("2")]).edges == (0, 2)


@pytest.mark.parametrize(
    ("text", "nodes", "fields", "rules"),
    [
        ("start -> menu\nmenu -> end: dtmf = '1'", {}, {}, ["ivr/condition"]),
        ("start -> menu\nmenu -> end", {}, {"known": ["start", "menu"]}, ["ivr/unknown-target"]),
        ("start -> end", {}, {"start": "begin"}, ["ivr/unknown-start"]),
        ("start -> menu\nmenu -> end: &\nstart -> end: |", {}, {}, ["ivr/condition", "ivr/condition"]),
    ],
    ids=["condition", "target", "start", "several"],
)
def test_a_flow_that_means_nothing_is_refused_with_every_fault(drawn, text, nodes, fields, rules) -> None:
    with pytest.raises(InvalidDocument) as refused:
        compile_flow(drawn(text, nodes, **fields))
    assert [finding.rule for finding in refused.value.findings] == rules


def test_a_telephone_has_no_other_keys() -> None:
    with pytest.raises(BadCall, match="no telephone has the key 'x'"):
        digits("1x")


def test_the_hospital_puts_whoever_does_not_cope_through_to_a_person() -> None:
    program = compile_flow(load_flow(EXAMPLES / "hospital_menu.yaml"))
    assert simulate(program).path[-3:] == ("node_menu", "node_operator", "node_end")
    assert simulate(program, [digits("1")], {"desk_is_open": True}).path[-2] == "node_appointments"


def test_the_reply_of_the_vendor_s_documentation_is_reproduced() -> None:
    """The example of the vendor's own page, byte for byte."""
    flow = from_cxone(
        {
            "id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
            "nodes": [
                {"id": "node_start", "type": "start", "set": {"customer_id": "CUST-998"}},
                {"id": "node_menu_1", "type": "menu", "set": {"attempt_count": 1}},
                {
                    "id": "node_route_sales",
                    "type": "route",
                    "target": "queue_sales",
                    "set": {"selected_option": "1"},
                },
                {"id": "node_exit", "type": "exit"},
            ],
            "connections": [
                {"source_node_id": "node_start", "target_node_id": "node_menu_1", "type": "default"},
                {"source_node_id": "node_menu_1", "target_node_id": "node_route_sales", "condition": "dtmf == '123'"},
                {"source_node_id": "node_route_sales", "target_node_id": "node_exit", "type": "default"},
            ],
        }
    )
    reply = simulate(compile_flow(flow), [digits("123")]).as_json()
    assert {**reply, "trace": [{**entry, "variables": None} for entry in reply["trace"]]} == {
        "path": ["node_start", "node_menu_1", "node_route_sales", "node_exit"],
        "variables": {"customer_id": "CUST-998", "selected_option": "1", "attempt_count": 1},
        "exitNode": "node_exit",
        "duration": 145,
        "trace": [
            {"nodeId": "node_start", "type": "Start", "timestamp": 0, "variables": None},
            {"nodeId": "node_menu_1", "type": "GatherInput", "timestamp": 45, "input": "123", "variables": None},
            {
                "nodeId": "node_route_sales",
                "type": "Route",
                "timestamp": 90,
                "target": "queue_sales",
                "variables": None,
            },
            {"nodeId": "node_exit", "type": "Exit", "timestamp": 145, "status": "Completed", "variables": None},
        ],
    }
