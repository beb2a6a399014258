"""One fault is one finding, with the way that proves it, in its place; and what looks odd but is right is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from cordboard.ivr.model import Flow, Node, Transition
from cordboard.ivr.topology import check_flow

TODAY = date(2026, 5, 1)


def _rules(findings) -> list[str]:
    return [finding.rule for finding in findings]


def test_findings_stand_in_the_order_of_lines(found) -> None:
    findings = found("""node_start -> node_x: dtmf = '1'
        node_start -> node_y
        node_x -> node_x
        node_y -> node_z""")
    lines = [finding.line or 0 for finding in findings]
    assert lines == sorted(lines)
    assert len(findings) >= 3


def test_a_dead_end_is_proven_by_the_way_from_the_start(found) -> None:
    findings = found("node_start -> node_a: vip\nnode_start -> node_end\nnode_a -> node_b")
    assert [(it.rule, it.proof) for it in findings] == [("ivr/dead-end", ("node_start", "node_a", "node_b"))]


def test_a_group_without_an_exit_is_one_finding_with_the_way_into_it(found) -> None:
    findings = found("""
        node_a -> node_b
        node_b -> node_a
        node_before -> node_b
        node_start -> node_end: vip
        node_start -> node_before
    """)
    (exit_,) = (it for it in findings if it.rule == "ivr/no-exit")
    assert exit_.proof == ("node_start", "node_before", "node_b")
    assert "`node_a`" in exit_.message and "`node_b`" in exit_.message


def test_a_terminal_that_no_caller_gets_to_is_found(found) -> None:
    """A flow whose exits cannot be reached passes a tutorial's check; it must not pass ours."""
    findings = found("node_start -> node_x\nnode_x -> node_start\nnode_other -> node_end")
    assert sorted(_rules(findings)) == ["ivr/no-exit", "ivr/silent-loop", "ivr/unreachable"]


def test_what_lies_behind_an_unreachable_node_is_counted_and_not_listed(found) -> None:
    (finding,) = found("node_start -> node_end\nnode_a -> node_b\nnode_b -> node_c\nnode_c -> node_end")
    assert finding.rule == "ivr/unreachable"
    assert finding.message == "no way leads from the start to `node_a`, nor to the 2 nodes behind"


def test_an_unreachable_loop_is_unreachable_and_nothing_else(found) -> None:
    (finding,) = found("node_start -> node_end\nnode_a -> node_b\nnode_b -> node_a")
    assert finding.message == "no way leads from the start to `node_a` and `node_b`"


def test_a_misspelt_target_does_not_make_what_is_meant_unreachable(found) -> None:
    text = "node_start -> node_biling\nnode_billing -> node_end"
    (finding,) = found(text, known=["node_start", "node_billing", "node_end"])
    assert finding.rule == "ivr/unknown-target"
    assert "node_billing" in finding.hint


def test_a_target_that_resembles_nothing_explains_one_unreachable_group(found) -> None:
    text = "node_start -> QQ\nnode_menu -> node_a\nnode_a -> node_end"
    known = ["node_start", "node_menu", "node_a", "node_end"]
    assert _rules(found(text, known=known)) == ["ivr/unknown-target"]
    more = f"{text}\nnode_x -> node_end"
    rules = _rules(found(more, known=[*known, "node_x"]))
    assert sorted(rules) == ["ivr/unknown-target", "ivr/unreachable", "ivr/unreachable"]


def test_a_misspelt_source_makes_neither_a_dead_end_nor_something_unreachable(found) -> None:
    text = "node_start -> node_menu\nnode_meun -> node_bye\nnode_bye -> node_end"
    findings = found(text, known=["node_start", "node_menu", "node_bye", "node_end"])
    assert _rules(findings) == ["ivr/unknown-source"]


def test_a_connection_between_two_names_that_are_not_there_is_two_findings(found) -> None:
    findings = found("node_start -> node_end\nQQ -> ZZ", known=["node_start", "node_end"])
    assert sorted(_rules(findings)) == ["ivr/unknown-source", "ivr/unknown-target"]


def test_a_group_that_a_misspelt_source_may_lead_out_of_is_no_trap(found) -> None:
    text = """
        node_start -> node_menu
        node_menu -> node_menu: dtmf == '9'
        node_menu -> node_menu: true
        node_meun -> node_end: dtmf == '1'
    """
    rules = _rules(found(text, {"node_menu": {"max_visits": 2}}, known=["node_start", "node_menu", "node_end"]))
    assert rules == ["ivr/silent-loop", "ivr/unknown-source"]


def test_an_end_that_is_misspelt_is_no_flow_without_an_end(found) -> None:
    assert _rules(found("node_start -> node_ende", known=["node_start"])) == ["ivr/unknown-target"]


def test_without_a_start_nothing_is_said_about_reaching(found) -> None:
    findings = found("node_a -> node_end\nnode_b -> node_end", start="", known=["node_a", "node_b", "node_end"])
    assert _rules(findings) == ["ivr/unknown-start"]


def test_a_flow_of_nothing_lacks_a_start() -> None:
    assert _rules(check_flow(Flow("ivr_empty", "", (), ()), today=TODAY)) == ["ivr/unknown-start"]


def test_a_default_that_stands_first_hides_nothing(found) -> None:
    assert not found("node_start -> node_x\nnode_start -> node_end: dtmf == '1'\nnode_x -> node_end")


def test_a_hidden_branch_names_the_line_that_hides_it(found) -> None:
    (finding,) = found("""node_start -> node_x: dtmf == '1' or dtmf == '2'
        node_start -> node_y: dtmf == '2'
        node_start -> node_end
        node_x -> node_end
        node_y -> node_end""")
    assert (finding.rule, finding.line) == ("ivr/shadowed", 2)
    assert "`dtmf == '1' or dtmf == '2'` on line 1 takes every such call first" in finding.message


def test_a_branch_that_several_hide_together_names_the_last_of_them(found) -> None:
    (finding,) = found("""node_start -> node_x: vip
        node_start -> node_y: not vip
        node_start -> node_z: tier == 'gold'
        node_x -> node_end
        node_y -> node_end
        node_z -> node_end""")
    assert (finding.rule, finding.line) == ("ivr/shadowed", 3)
    assert "the last of them `not vip` on line 2" in finding.message


def test_a_default_behind_conditions_that_leave_nothing_over_is_a_precaution(found) -> None:
    assert not found(
        "node_start -> node_x: vip\nnode_start -> node_end: not vip\nnode_start -> node_x\nnode_x -> node_end"
    )


def test_a_default_behind_a_true_that_leads_elsewhere_is_hidden(found) -> None:
    (finding,) = found("node_start -> node_end: true\nnode_start -> node_x\nnode_x -> node_end")
    assert (finding.rule, finding.line) == ("ivr/shadowed", 2)


def test_of_two_nodes_alike_only_the_one_that_leads_astray_is_named(found) -> None:
    (finding,) = found("""
        node_start -> node_a
        node_a -> node_b: true
        node_a -> node_b
        node_b -> node_c: true
        node_b -> node_end
        node_c -> node_end
    """)
    assert (finding.rule, finding.line) == ("ivr/shadowed", 5)


def test_genesys_asks_for_a_default_beside_a_true_and_gets_it(found) -> None:
    assert not found("node_start -> node_end: true\nnode_start -> node_end: default", platform="genesys")
    alone = found("node_start -> node_end: true", platform="genesys")
    assert [(it.rule, it.severity) for it in alone] == [("ivr/missing-default", "error")]


def test_unanswered_keys_are_named(found) -> None:
    (finding,) = found("""
        node_start -> node_end: dtmf == '1' or dtmf == '2' or dtmf == '5'
        node_start -> node_end: no_input or no_match
    """)
    assert finding.message == "0, 3 to 4, 6 to 9, * and # lead nowhere from `node_start`"


def test_a_number_that_is_not_the_expected_one_must_be_answered(found) -> None:
    (finding,) = found("node_start -> node_end: dtmf == '4711' or no_input or no_match")
    assert finding.message == "any other number leads nowhere from `node_start`"


def test_a_condition_on_a_variable_makes_no_menu_of_a_question_for_a_number(found) -> None:
    (finding,) = found("node_start -> node_end: vip\nnode_start -> node_end: dtmf == '4711' or no_input or no_match")
    assert finding.message == "any other number leads nowhere from `node_start`"


def test_words_that_are_not_the_expected_ones_must_be_answered(found) -> None:
    (finding,) = found("node_start -> node_end: speech == 'yes' or no_input or no_match")
    assert finding.message == "anything else that is said leads nowhere from `node_start`"


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("dtmf != '' or speech != ''", "silence and what is not understood lead nowhere"),
        ("dtmf != '' or speech != '' or no_match", "silence leads nowhere"),
        ("dtmf != '' or speech != '' or no_input", "what is not understood leads nowhere"),
    ],
)
def test_silence_and_misunderstandings_are_told_apart(found, condition: str, words: str) -> None:
    (finding,) = found(f"node_start -> node_end: {condition}")
    assert finding.message == f"{words} from `node_start`"


def test_a_condition_that_cannot_be_read_says_where_and_how_to_mend_it(found) -> None:
    (finding,) = found("node_start -> node_end: dtmf = '1'\nnode_start -> node_end")
    assert finding.message == "`dtmf = '1'`, column 6: `=` is not a comparison"
    assert finding.hint == "Write `==`."


def test_a_default_without_a_condition_is_nothing_to_read() -> None:
    nodes = (Node("node_start"), Node("node_end", "terminal"))
    flow = Flow("ivr_test", "node_start", nodes, (Transition("node_start", "node_end", "", "default"),))
    assert check_flow(flow, today=TODAY) == ()
    (finding,) = check_flow(replace(flow, transitions=(Transition("node_start", "node_end", ""),)), today=TODAY)
    assert finding.rule == "ivr/condition"


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">="])
def test_keys_have_no_size(found, sign: str) -> None:
    (finding,) = found(f"node_start -> node_x: dtmf {sign} '5'\nnode_start -> node_end\nnode_x -> node_end")
    assert finding.rule == "ivr/text-comparison"


def test_what_a_vendor_sent_is_shown_without_control_characters(found) -> None:
    (finding,) = found("node_start -> node_end", start="\x1b[2Jnode\u202e")
    assert finding.message == "there is no node `\\x1b[2Jnode\\u202e` to start at"


def test_of_nodes_with_the_same_id_one_that_ends_the_call_is_enough() -> None:
    nodes = (Node("node_start"), Node("node_end"), Node("node_end", "terminal"))
    flow = Flow("ivr_test", "node_start", nodes, (Transition("node_start", "node_end", type="default"),))
    assert _rules(check_flow(flow, today=TODAY)) == ["ivr/duplicate-node"]
