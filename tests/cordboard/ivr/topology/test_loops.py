"""Which loops are a fault: those that go on without the caller, and those that a silent caller never gets out of."""

from __future__ import annotations

import pytest

MENU = {"node_menu": {"type": "menu"}}
LIMITED = {"node_menu": {"type": "menu", "max_visits": 3}}
SILENT, RETRY = "ivr/silent-loop", "ivr/unbounded-retry"


def _rules(findings) -> list[str]:
    return [finding.rule for finding in findings]


def test_a_loop_that_never_asks_is_spelled_out_from_where_the_call_enters_it(found) -> None:
    """A tutorial's report of a cycle crashes; here it is named, closed, in the order of the call."""
    (finding,) = found("""
        node_a -> node_b
        node_start -> node_b
        node_c -> node_a
        node_b -> node_end: vip
        node_b -> node_c
    """)
    assert finding.rule == SILENT
    assert finding.proof == ("node_b", "node_c", "node_a", "node_b")
    assert "`node_b` → `node_c` → `node_a` → `node_b`" in finding.message
    assert finding.line == 1  # the connection that closes it, counted in the text above


def test_a_node_that_leads_to_itself_is_a_loop(found) -> None:
    (finding,) = found("node_start -> node_end: vip\nnode_start -> node_start")
    assert (finding.rule, finding.proof) == (SILENT, ("node_start", "node_start"))


def test_a_menu_that_says_sorry_and_gives_up_is_fine(found) -> None:
    assert not found(
        """
        node_start -> node_menu
        node_menu -> node_end: dtmf == '1'
        node_menu -> node_sorry
        node_menu -> node_agent: fallback
        node_sorry -> node_menu
        node_agent -> node_end
        """,
        LIMITED,
    )


def test_a_default_that_leads_back_to_the_menu_is_no_error_but_never_ends(found) -> None:
    (finding,) = found("node_start -> node_menu\nnode_menu -> node_end: dtmf == '1'\nnode_menu -> node_menu")
    assert (finding.rule, finding.severity) == (RETRY, "warning")
    assert finding.proof == ("node_menu", "node_menu")
    assert "`node_menu` never gives up" in finding.message
    assert "max_visits" in finding.hint


def test_pressing_nine_to_hear_it_again_is_fine(found) -> None:
    assert not found("""
        node_start -> node_menu
        node_menu -> node_menu: dtmf == '9'
        node_menu -> node_end
    """)


def test_a_node_that_is_merely_joined_twice_is_no_loop(found) -> None:
    assert not found("""
        node_start -> node_a: vip
        node_start -> node_b
        node_a -> node_c
        node_b -> node_c
        node_c -> node_end
    """)


def test_a_menu_that_gives_up_by_its_default_back_to_itself_hangs(found) -> None:
    """After three visits it does not ask any more, and its default is all that is left."""
    (finding,) = found("node_start -> node_menu\nnode_menu -> node_end: dtmf == '1'\nnode_menu -> node_menu", LIMITED)
    assert (finding.rule, finding.proof) == (SILENT, ("node_menu", "node_menu"))
    assert "let its `fallback` lead out" in finding.hint


def test_two_menus_that_hand_over_to_each_other_both_have_to_give_up(found) -> None:
    text = """
        node_start -> node_menu
        node_menu -> node_end: dtmf == '1'
        node_menu -> node_other
        node_menu -> node_other: fallback
        node_other -> node_end: dtmf == '1'
        node_other -> node_menu
        node_other -> node_menu: fallback
    """
    limited = {"node_menu": {"max_visits": 2}, "node_other": {"max_visits": 2}}
    (finding,) = found(text, limited)
    assert (finding.rule, finding.proof) == (SILENT, ("node_menu", "node_other", "node_menu"))
    one = {"node_menu": {"max_visits": 2}}
    assert RETRY in _rules(found(text, one))


def test_a_count_of_visits_in_a_condition_bounds_a_loop(found) -> None:
    assert not found("""
        node_start -> node_menu
        node_menu -> node_end: visits > 3
        node_menu -> node_end: dtmf == '1'
        node_menu -> node_menu
    """)


def test_a_variable_limit_of_visits_bounds_a_loop_too(found) -> None:
    assert not found("node_start -> node_start: visits < tries\nnode_start -> node_end")


@pytest.mark.parametrize("condition", ["visits > 0", "visits != 3", "visits >= 1 or vip"])
def test_a_condition_on_visits_that_always_holds_in_the_end_bounds_nothing(found, condition: str) -> None:
    assert SILENT in _rules(found(f"node_start -> node_start: {condition}\nnode_start -> node_end"))


def test_a_number_of_visits_alone_is_no_condition_that_holds(found) -> None:
    assert _rules(found("node_start -> node_start: visits\nnode_start -> node_end")) == ["ivr/never-holds"]


def test_nodes_that_differ_only_in_their_prompt_are_told_apart(found) -> None:
    findings = found(
        """
        node_start -> node_x: vip
        node_start -> node_y
        node_x -> node_end: choice == '1'
        node_x -> node_x
        node_y -> node_end: choice == '1'
        node_y -> node_y
        """,
        {"node_y": {"prompt": "One or two?"}},
    )
    assert [(it.rule, it.proof[0]) for it in findings] == [(RETRY, "node_y"), (SILENT, "node_x")]


def test_a_loop_through_a_branch_that_is_never_taken_is_none(found) -> None:
    findings = found("node_start -> node_end: true\nnode_start -> node_start: vip")
    assert _rules(findings) == ["ivr/shadowed"]


def test_a_fallback_beside_a_default_is_no_way_round(found) -> None:
    findings = found("node_start -> node_end\nnode_start -> node_start: fallback")
    assert _rules(findings) == ["ivr/unused-fallback"]


def test_only_what_silence_takes_counts_for_a_silent_caller(found) -> None:
    text = """
        node_start -> node_menu
        node_menu -> node_end: no_input or no_match
        node_menu -> node_menu
    """
    assert not found(text)
    assert _rules(found(text.replace(" or no_match", ""))) == [RETRY]


def test_a_loop_behind_an_end_is_none(found) -> None:
    findings = found("node_start -> node_end\nnode_end -> node_start")
    assert _rules(findings) == ["ivr/terminal-ways"]


def test_two_loops_that_share_no_node_are_two_findings(found) -> None:
    findings = found("""
        node_start -> node_a: vip
        node_start -> node_b
        node_a -> node_end: done
        node_a -> node_a
        node_b -> node_end: done
        node_b -> node_b
    """)
    assert [(it.rule, it.proof) for it in findings] == [
        (SILENT, ("node_a", "node_a")),
        (SILENT, ("node_b", "node_b")),
    ]


@pytest.mark.parametrize(("first", "second"), [("node_b", "node_d"), ("node_d", "node_b")])
def test_loops_that_share_a_node_are_one_finding_with_the_shortest_as_proof(found, first: str, second: str) -> None:
    (finding,) = found(f"""
        node_start -> node_a
        node_a -> {first}: one
        node_a -> {second}: other
        node_a -> node_end
        node_b -> node_c
        node_c -> node_a
        node_d -> node_a
    """)
    assert finding.proof == ("node_a", "node_d", "node_a")


def test_a_decision_that_plays_a_prompt_and_chooses_asks_the_caller(found) -> None:
    text = "node_start -> node_x\nnode_x -> node_end: choice == '1'\nnode_x -> node_x"
    assert _rules(found(text)) == [SILENT]
    assert _rules(found(text, {"node_x": {"prompt": "One or two?"}})) == [RETRY]


def test_a_decision_that_plays_a_prompt_and_goes_on_asks_nobody(found) -> None:
    text = "node_start -> node_x\nnode_x -> node_y\nnode_y -> node_x: again\nnode_y -> node_end"
    assert _rules(found(text, {"node_x": {"prompt": "Here is the news."}})) == [SILENT]


@pytest.mark.parametrize("kind", ["menu", "collect", "input", "dtmf", "speech"])
def test_the_type_of_a_node_can_say_that_it_asks(found, kind: str) -> None:
    text = "node_start -> node_x\nnode_x -> node_end: choice == '1'\nnode_x -> node_x"
    assert _rules(found(text, {"node_x": {"type": kind}})) == [RETRY]


def test_of_a_node_whose_condition_cannot_be_read_no_loop_is_claimed(found) -> None:
    findings = found("node_start -> node_end: dtmf = '1'\nnode_start -> node_start")
    assert _rules(findings) == ["ivr/condition"]
