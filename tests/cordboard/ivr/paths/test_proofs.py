"""Proofs: what must be true of every call, and the shortest call that shows where it is not."""

from __future__ import annotations

from typing import Any

import pytest

from cordboard.errors import BadCall, InvalidDocument
from cordboard.ivr.paths import Verdict, behaviour_changes, properties_of, prove, written
from cordboard.ivr.suite import run_case
from cordboard.ivr.trace import Program

ENDS = {"kind": "every-call-ends"}
UNGUARDED = """
    start -> menu
    menu -> identify: dtmf == '1'
    menu -> payment: dtmf == '2'
    menu -> end
    identify -> payment
    payment -> end
"""
TRIES = """
    start -> menu
    menu -> agent: dtmf == '0'
    menu -> sorry
    menu -> agent: fallback
    sorry -> menu
    agent -> end
"""


def proven(program: Program, claim: dict[str, Any], **known: Any) -> Verdict:
    (verdict,) = prove(program, properties_of([claim]), **known)
    return verdict


def test_a_property_of_every_call_holds(compiled) -> None:
    verdict = proven(compiled(TRIES, {"menu": {"type": "menu", "max_visits": 3}}), ENDS)
    assert (verdict.status, verdict.message, verdict.case) == ("holds", "every call ends: true of every call", None)


def test_payment_without_identification_is_found_with_the_shortest_call(compiled) -> None:
    program = compiled(UNGUARDED)
    verdict = proven(program, {"kind": "never-before", "node": "payment", "before": "identify"})
    assert verdict.message == "never payment before identify: not of every call: press 2, and the call gets to payment"
    assert (verdict.inputs, verdict.steps) == (1, ("at menu: press 2 → payment",))


def test_the_call_that_breaks_a_property_is_a_case_ready_to_paste(compiled) -> None:
    program = compiled(UNGUARDED)
    case = proven(program, {"kind": "never-before", "node": "payment", "before": "identify"}).case
    assert case is not None
    assert run_case(program, case).status == "passed"
    assert written(case) == {
        "name": "press 2",
        "dtmf": ["2"],
        "expect": {"path": ["start", "menu", "payment", "end"], "end": "completed"},
    }


def test_a_call_that_goes_round_without_asking_is_found(compiled) -> None:
    verdict = proven(compiled("start -> menu\nmenu -> a: dtmf == '1'\nmenu -> end\na -> b\nb -> a"), ENDS)
    assert verdict.inputs == 1
    assert verdict.message.endswith("press 1, and the call goes round without asking for ever: `a` → `b` → `a`")


def test_a_caller_who_stays_silent_for_ever_is_found(compiled) -> None:
    """Nobody has to be kept in a loop to be kept on the line: it is enough that silence leads back to the question."""
    verdict = proven(compiled("start -> menu\nmenu -> end: dtmf == '1'\nmenu -> sorry\nsorry -> menu"), ENDS)
    assert (verdict.status, verdict.inputs) == ("violated", 0)
    assert "a caller who then says nothing goes round for ever: `menu` → `sorry` → `menu`" in verdict.message
    assert verdict.case is not None
    assert (verdict.case.inputs, verdict.case.then, verdict.case.expect.end) == ((), "silence", "loop")


def test_a_caller_who_is_left_without_a_way_out_is_found(compiled) -> None:
    verdict = proven(compiled("start -> menu\nmenu -> end: dtmf == '1' or no_input"), ENDS)
    assert verdict.inputs == 1
    assert verdict.message.endswith("press 0, and no way out of `menu` fits 0")


@pytest.mark.parametrize(("tries", "status"), [(8, "holds"), (9, "violated")])
def test_a_menu_that_asks_too_often_is_found(compiled, tries, status) -> None:
    program = compiled(TRIES, {"menu": {"type": "menu", "max_visits": tries}})
    verdict = proven(program, {"kind": "reaches-within", "inputs": 8, "nodes": "agent"})
    assert verdict.status == status
    if status == "violated":
        assert verdict.message.endswith("press 1 8 times, and the caller is asked once more at menu")


def test_a_call_that_is_over_without_an_agent_has_not_reached_one(compiled) -> None:
    verdict = proven(compiled(UNGUARDED), {"kind": "reaches-within", "inputs": 5, "nodes": "payment"})
    assert (verdict.status, verdict.inputs) == ("violated", 1)


def test_a_key_that_does_not_lead_to_a_person_from_one_menu_is_found(compiled) -> None:
    program = compiled(
        "start -> menu\nmenu -> agent: dtmf == '0'\nmenu -> second: dtmf == '1'\nmenu -> agent\n"
        "second -> end: dtmf == '0'\nsecond -> agent\nagent -> end"
    )
    verdict = proven(program, {"kind": "digit-reaches", "digit": "0", "target": "agent"})
    assert verdict.inputs == 2
    assert verdict.message.endswith("press 1, press 0, and the call is only at end")
    there = {"kind": "digit-reaches", "digit": "0", "target": "agent", "from": "menu"}
    assert proven(program, there).status == "holds"


def test_what_nobody_knows_may_be_anything_and_what_is_known_is_not(compiled) -> None:
    program = compiled("start -> desk\ndesk -> closed: not is_open\ndesk -> end\nclosed -> end")
    claim = {"kind": "never", "node": "closed"}
    verdict = proven(program, claim)
    assert verdict.case is not None
    assert (verdict.status, verdict.steps) == ("violated", ("at desk: is_open missing → closed",))
    assert proven(program, claim, variables={"is_open": True}).status == "holds"


def test_a_variable_that_a_node_sets_is_not_there_before(compiled) -> None:
    text = "start -> menu\nmenu -> identify: dtmf == '1'\nmenu -> door\nidentify -> menu\ndoor -> payment: known\n"
    program = compiled(text + "door -> end\npayment -> end", {"identify": {"set": {"known": True}}})
    assert proven(program, {"kind": "never-before", "node": "payment", "before": "identify"}).status == "holds"
    assert proven(program, {"kind": "never", "node": "payment"}).inputs == 2


LOOKUP = "start -> lookup\nlookup -> ask: not found\nlookup -> payment\nask -> lookup\npayment -> end"


def test_an_action_may_return_anything_and_another_time_something_else(compiled) -> None:
    nodes = {"lookup": {"type": "data_action"}, "ask": {"type": "menu"}}
    verdict = proven(compiled(LOOKUP, nodes), {"kind": "never-before", "node": "payment", "before": "ask"})
    assert verdict.case is not None
    assert (verdict.inputs, verdict.case.mocks) == (0, {"lookup": [{"found": True}]})
    second = proven(
        compiled(LOOKUP, nodes), {"kind": "never", "node": "payment"}, outcomes={"lookup": {"found": [False]}}
    )
    assert second.status == "holds"


def test_an_action_that_may_fail_for_ever_keeps_a_silent_caller(compiled) -> None:
    nodes = {"lookup": {"type": "data_action"}, "ask": {"type": "menu"}}
    program = compiled(LOOKUP, nodes)
    verdict = proven(program, ENDS)
    assert verdict.status == "violated"
    assert verdict.case is not None
    assert verdict.case.expect.end == "loop"
    assert run_case(program, verdict.case).status == "passed"


def test_a_pin_is_proven_with_few_numbers(compiled) -> None:
    """A number of four keys is one input; that no other one opens the door is proven without trying ten thousand."""
    program = compiled(
        "start -> pin\npin -> vault: dtmf == '4711'\npin -> end\nvault -> end", {"pin": {"type": "collect"}}
    )
    verdict = proven(program, {"kind": "never", "node": "vault"})
    assert verdict.message.endswith("press 4711, and the call gets to vault")


def test_where_the_bound_is_met_nothing_is_said_to_hold(compiled) -> None:
    program = compiled(TRIES, {"menu": {"type": "menu", "max_visits": 3}})
    verdict = proven(program, {"kind": "reaches-within", "inputs": 8, "nodes": "agent"}, most_states=4)
    assert verdict.status == "undecided"
    finding = verdict.finding("flow.yaml")
    assert finding is not None
    assert (finding.severity, finding.rule) == ("warning", "prove/reaches-within")


def test_many_menus_that_lead_back_are_decided_without_counting_all_their_visits(compiled) -> None:
    """Four visits of each of forty menus that all lead back to the first are 4^40 combinations."""
    lines, nodes = ["start -> m0"], {}
    for number in range(40):
        menu = f"m{number}"
        nodes[menu] = {"type": "menu", "max_visits": 3}
        lines += [f"{menu} -> agent: fallback", f"{menu} -> {menu}: no_input", f"{menu} -> agent: dtmf == '0'"]
        lines += [f"{menu} -> m{2 * number + key}: dtmf == '{key}'" for key in (1, 2) if 2 * number + key < 40]
        lines += [f"{menu} -> m0"]
    program = compiled("\n".join([*lines, "agent -> end", "lost -> end"]), nodes)
    claims = [ENDS, {"kind": "never", "node": "lost"}, {"kind": "digit-reaches", "digit": "0", "target": "agent"}]
    verdicts = prove(program, properties_of(claims), most_states=60_000)
    assert [verdict.status for verdict in verdicts] == ["holds"] * 3
    late = proven(program, {"kind": "reaches-within", "inputs": 5, "nodes": "agent"}, most_states=60_000)
    assert (late.status, late.inputs) == ("violated", 5)
    assert late.case is not None
    assert run_case(program, late.case).status == "passed"


def test_a_name_that_the_flow_does_not_have_is_refused(compiled) -> None:
    with pytest.raises(InvalidDocument) as caught:
        proven(compiled(UNGUARDED), {"kind": "never-before", "node": "paymnt", "before": "identify"})
    (finding,) = caught.value.findings
    assert (finding.path, finding.message) == ("properties[0].node", "there is no node `paymnt`")
    assert finding.hint == "Did you mean payment?"


def test_an_outcome_of_a_node_that_is_not_there_is_refused(compiled) -> None:
    with pytest.raises(BadCall, match="Did you mean identify"):
        proven(compiled(UNGUARDED), ENDS, outcomes={"identfy": {"x": [1]}})


def test_variables_that_are_compared_with_each_other_take_no_time_for_ever(compiled) -> None:
    """Three have hundreds of thousands of combinations: what some call does is found, what none does is open."""
    ways = ["start -> one: a == b", "start -> end: b > c", "start -> end", "one -> end: dtmf == a", "one -> end"]
    program = compiled("\n".join([*ways, "lost -> end"]))
    claims = properties_of([{"kind": "never", "node": "one"}, {"kind": "never", "node": "lost"}])
    assert [verdict.status for verdict in prove(program, claims, most_states=100)] == ["violated", "undecided"]
    assert [change.kind for change in behaviour_changes(program, program, most_pairs=10)] == ["unfinished"]
