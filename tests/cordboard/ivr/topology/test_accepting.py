"""Findings that somebody has looked at: what is hidden by that, until when, and what never is."""

from __future__ import annotations

from datetime import date

import pytest

from cordboard.ivr.model import Place, Suppression

TODAY = date(2026, 5, 1)
TWO_LOOPS = """
    node_start -> node_a
    node_a -> node_end: done
    node_a -> node_b
    node_b -> node_a: again
    node_b -> node_c
    node_c -> node_b
"""


def _accept(rule: str, node: str = "", until: date = TODAY) -> Suppression:
    return Suppression(f"ivr/{rule}", "looked at in May", until, node, Place("suppress[0]", 99))


def _rules(findings) -> list[str]:
    return [finding.rule for finding in findings]


def test_an_accepted_finding_is_not_reported(found) -> None:
    text = "node_start -> node_end\nnode_old -> node_end"
    assert not found(text, suppressions=(_accept("unreachable", "node_old"),))


def test_an_acceptance_without_a_node_holds_everywhere(found) -> None:
    text = "node_start -> node_end\nnode_old -> node_end\nnode_older -> node_end"
    assert not found(text, suppressions=(_accept("unreachable"),))


def test_an_acceptance_for_one_node_leaves_the_others(found) -> None:
    text = "node_start -> node_end\nnode_old -> node_end\nnode_older -> node_end"
    (finding,) = found(text, suppressions=(_accept("unreachable", "node_old"),))
    assert "`node_older`" in finding.message


def test_the_last_day_counts_and_the_next_does_not(found) -> None:
    text, accepted = "node_start -> node_end\nnode_old -> node_end", (_accept("unreachable", "node_old"),)
    assert not found(text, suppressions=accepted, today=TODAY)
    later = found(text, suppressions=accepted, today=date(2026, 5, 2))
    assert _rules(later) == ["ivr/unreachable", "ivr/suppression-expired"]
    assert (later[1].line, later[1].path) == (99, "suppress[0]")


def test_what_accepts_nothing_is_named(found) -> None:
    (finding,) = found("node_start -> node_end", suppressions=(_accept("unreachable", "node_old"),))
    assert finding.rule == "ivr/suppression-unused"
    assert finding.message == "`ivr/unreachable` at `node_old` is accepted, and nothing of the kind is found"


def test_a_rule_that_is_misspelt_is_named(found) -> None:
    (finding,) = found("node_start -> node_end", suppressions=(_accept("unreachabel"),))
    assert finding.rule == "ivr/suppression-unused"
    assert "ivr/unreachable" in finding.hint


@pytest.mark.parametrize("node", ["", "node_start"])
def test_what_the_vendor_could_not_read_cannot_be_accepted(found, node: str) -> None:
    findings = found("node_start -> node_end: dtmf = '1'", suppressions=(_accept("condition", node),))
    assert _rules(findings) == ["ivr/condition", "ivr/suppression-unused"]
    assert findings[1].message == "`ivr/condition` cannot be accepted"


def test_warnings_about_acceptances_cannot_be_accepted(found) -> None:
    accepted = (_accept("unreachable"), _accept("suppression-unused"))
    assert _rules(found("node_start -> node_end", suppressions=accepted)) == ["ivr/suppression-unused"] * 2


def test_a_loop_that_is_accepted_does_not_hide_the_loop_behind_it(found) -> None:
    """Both loops pass through `node_b`; accepted is only what passes through `node_a`."""
    (finding,) = found(TWO_LOOPS, suppressions=(_accept("silent-loop", "node_a"),))
    assert (finding.rule, finding.proof) == ("ivr/silent-loop", ("node_b", "node_c", "node_b"))


def test_a_node_that_all_loops_share_accepts_them_all(found) -> None:
    assert not found(TWO_LOOPS, suppressions=(_accept("silent-loop", "node_b"),))


def test_an_expired_acceptance_of_a_loop_hides_nothing(found) -> None:
    accepted = (_accept("silent-loop", "node_b", date(2026, 4, 1)),)
    assert set(_rules(found(TWO_LOOPS, suppressions=accepted))) == {"ivr/silent-loop", "ivr/suppression-expired"}


def test_a_menu_that_may_be_repeated_does_not_excuse_another(found) -> None:
    text = """
        node_start -> node_a: vip
        node_start -> node_b
        node_a -> node_end: dtmf == '1'
        node_a -> node_a: no_input
        node_a -> node_b
        node_b -> node_end: dtmf == '1'
        node_b -> node_b: no_input
        node_b -> node_a
    """
    (finding,) = found(text, suppressions=(_accept("unbounded-retry", "node_a"),))
    assert (finding.rule, finding.proof) == ("ivr/unbounded-retry", ("node_b", "node_b"))
