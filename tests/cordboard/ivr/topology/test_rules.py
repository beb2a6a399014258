"""Each rule has a flow that breaks it, and nearly the same flow that does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pytest

from cordboard.findings import Severity
from cordboard.ivr.model import Limits, Suppression
from cordboard.ivr.topology import RULES


@dataclass(frozen=True)
class Case:
    """A rule, a flow with exactly this finding, and a flow without any."""

    rule: str
    wrong: str
    right: str
    wrong_with: dict[str, Any] = field(default_factory=dict)
    right_with: dict[str, Any] = field(default_factory=dict)


MENU = {"node_menu": {"type": "menu"}}
LIMITED = {"node_menu": {"type": "menu", "max_visits": 3}}
STRAIGHT = "node_start -> node_end"
ASKED = """
node_start -> node_menu
node_menu -> node_end: dtmf == '1'
node_menu -> node_end: dtmf == '2'
node_menu -> node_end
"""
RETRY = """
node_start -> node_menu
node_menu -> node_end: dtmf == '1'
node_menu -> node_sorry
node_sorry -> node_menu
"""


def _accepts(rule: str, until: date = date(2026, 5, 1)) -> dict[str, Any]:
    return {"suppressions": (Suppression(rule, "seen and accepted", until),)}


CASES = (
    Case(
        "misspelt-name",
        ASKED.replace("dtmf == '1'", "dtfm == '1'"),
        ASKED.replace("dtmf == '1'", "dtmf_2 == '1'"),
        right_with={"nodes": {"node_menu": {"type": "menu", "set": {"dtmf_2": ""}}}},
    ),
    Case("unknown-start", STRAIGHT, STRAIGHT, {"start": "node_stort"}),
    Case(
        "two-starts",
        f"{STRAIGHT}: vip\nnode_start -> node_x\nnode_x -> node_end",
        f"{STRAIGHT}: vip\nnode_start -> node_x\nnode_x -> node_end",
        {"nodes": {"node_x": {"type": "start"}}},
    ),
    Case(
        "unknown-target",
        f"{STRAIGHT}: vip\nnode_start -> node_bye",
        f"{STRAIGHT}: vip\nnode_start -> node_bye\nnode_bye -> node_end",
        {"known": ["node_start", "node_end"]},
    ),
    Case(
        "unknown-source",
        f"{STRAIGHT}\nnode_other -> node_end",
        STRAIGHT,
        {"known": ["node_start", "node_end"]},
    ),
    Case(
        "duplicate-node",
        STRAIGHT,
        STRAIGHT,
        {"known": ["node_start", "node_end", "node_end"]},
    ),
    Case(
        "duplicate-transition",
        f"{ASKED}node_menu -> node_end: dtmf == '1'",
        ASKED,
    ),
    Case(
        "ambiguous",
        f"{ASKED}node_menu -> node_start: '2'  ==  dtmf",
        f"{ASKED}node_menu -> node_start: '3' == dtmf",
    ),
    Case("two-defaults", f"{ASKED}node_menu -> node_x\nnode_x -> node_end", ASKED),
    Case("node-prefix", "node_start -> menu\nmenu -> node_end", "node_start -> node_menu\nnode_menu -> node_end"),
    Case(
        "node-limit",
        ASKED,
        ASKED,
        {"limits": Limits(max_connections_per_node=2)},
        {"limits": Limits(max_connections_per_node=3)},
    ),
    Case("batch-limit", ASKED, ASKED, {"limits": Limits(max_connections=3)}, {"limits": Limits(max_connections=4)}),
    Case("condition", f"{ASKED}node_menu -> node_end: dtmf = '3'", f"{ASKED}node_menu -> node_end: dtmf == '3'"),
    Case(
        "shadowed",
        "node_start -> node_end: true\nnode_start -> node_x: vip\nnode_x -> node_end",
        "node_start -> node_x: vip\nnode_start -> node_end: true\nnode_x -> node_end",
    ),
    Case(
        "never-holds",
        f"{ASKED}node_menu -> node_end: no_input and no_match",
        f"{ASKED}node_menu -> node_end: no_input or no_match",
    ),
    Case("text-comparison", f"{ASKED}node_menu -> node_end: dtmf == 3", f"{ASKED}node_menu -> node_end: dtmf == '3'"),
    Case(
        "unreachable", f"{STRAIGHT}\nnode_x -> node_end", f"{STRAIGHT}: vip\nnode_start -> node_x\nnode_x -> node_end"
    ),
    Case("dead-end", f"{STRAIGHT}: vip\nnode_start -> node_x", f"{STRAIGHT}: vip\nnode_start -> node_end"),
    Case("no-terminal", "node_start -> node_x", "node_start -> node_x", {}, {"terminals": ("node_x",)}),
    Case(
        "no-exit",
        "node_start -> node_end: vip\nnode_start -> node_menu\n"
        "node_menu -> node_menu: dtmf != ''\nnode_menu -> node_menu",
        ASKED,
        {"nodes": LIMITED},
    ),
    Case(
        "silent-loop",
        "node_start -> node_x\nnode_x -> node_end: vip\nnode_x -> node_start",
        "node_start -> node_x\nnode_x -> node_end: vip\nnode_x -> node_end",
    ),
    Case(
        "unbounded-retry",
        RETRY,
        f"{RETRY}node_menu -> node_end: fallback",
        {"nodes": MENU},
        {"nodes": LIMITED},
    ),
    Case(
        "unhandled-silence",
        "node_start -> node_menu\nnode_menu -> node_end: dtmf != '' or speech != ''",
        "node_start -> node_menu\nnode_menu -> node_end: dtmf != '' or speech != '' or no_input or no_match",
    ),
    Case(
        "unhandled-input",
        "node_start -> node_menu\nnode_menu -> node_end: dtmf == '1' or no_input or no_match",
        "node_start -> node_menu\nnode_menu -> node_end: dtmf == '1' or no_input or no_match\n"
        "node_menu -> node_menu: true",
    ),
    Case("open-decision", "node_start -> node_end: tier == 'gold'", "node_start -> node_end: true"),
    Case(
        "missing-default",
        "node_start -> node_end: dtmf == '1'",
        "node_start -> node_end: dtmf == '1'\nnode_start -> node_end: else",
        {"platform": "genesys"},
        {"platform": "genesys"},
    ),
    Case(
        "no-give-up",
        "node_start -> node_menu\nnode_menu -> node_end: dtmf != '' or speech != '' or no_input or no_match",
        ASKED,
        {"nodes": LIMITED},
        {"nodes": LIMITED},
    ),
    Case(
        "terminal-ways",
        f"{STRAIGHT}\nnode_end -> node_start",
        f"{STRAIGHT}\nnode_start -> node_bye: vip",
        {},
        {"terminals": ("node_bye",)},
    ),
    Case(
        "unused-fallback",
        f"{ASKED}node_menu -> node_end: fallback",
        f"{ASKED}node_menu -> node_end: fallback",
        {"nodes": MENU},
        {"nodes": LIMITED},
    ),
    Case(
        "suppression-unused",
        STRAIGHT,
        f"{STRAIGHT}\nnode_x -> node_end",
        _accepts("ivr/unreachable"),
        _accepts("ivr/unreachable"),
    ),
    Case(
        "suppression-expired",
        STRAIGHT,
        STRAIGHT,
        _accepts("ivr/unreachable", date(2026, 4, 30)),
    ),
)
#: What comes along because it is another fault of its own.
BESIDE = {"no-exit": {"ivr/silent-loop"}, "no-terminal": {"ivr/dead-end"}}


def test_every_rule_has_a_case() -> None:
    assert sorted(f"ivr/{case.rule}" for case in CASES) == sorted(RULES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_flow_that_breaks_a_rule_has_exactly_this_finding(found, case: Case) -> None:
    findings = found(case.wrong, **case.wrong_with)
    rules = [finding.rule for finding in findings]
    assert rules.count(f"ivr/{case.rule}") == 1
    assert set(rules) - {f"ivr/{case.rule}"} == BESIDE.get(case.rule, set[str]())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_nearly_the_same_flow_without_the_fault_has_no_finding(found, case: Case) -> None:
    assert found(case.right, **case.right_with) == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.rule)
def test_a_finding_says_what_is_wrong_and_how_bad_it_is(found, case: Case) -> None:
    finding = next(it for it in found(case.wrong, **case.wrong_with) if it.rule == f"ivr/{case.rule}")
    assert finding.severity is RULES[finding.rule].severity
    assert finding.message.strip()
    assert not finding.message.endswith(".")
    assert not finding.hint or finding.hint[-1] in ".?"


def test_what_a_vendor_could_not_read_is_an_error_that_nobody_can_accept() -> None:
    named = {
        "unknown-start",
        "unknown-target",
        "unknown-source",
        "duplicate-node",
        "node-limit",
        "batch-limit",
        "condition",
        "node-prefix",
        "two-starts",
        "missing-default",
    }
    assert {f"ivr/{name}" for name in named} == {
        rule.id for rule in RULES.values() if not rule.acceptable and rule.severity is Severity.ERROR
    }


def test_rules_are_described_for_people() -> None:
    for name, rule in RULES.items():
        assert name == rule.id
        assert rule.title and not rule.title.endswith(".")
        assert rule.help.endswith(".")


def test_genesys_knows_neither_the_prefix_nor_the_limits_of_cxone(found) -> None:
    ways = "\n".join(f"menu -> end: dtmf == '{key}'" for key in "0123456789*#")
    nodes = {"end": {"type": "disconnect"}}
    text = f"node_start -> menu\n{ways}\nmenu -> end"
    assert found(text, nodes, platform="genesys", limits=Limits(max_connections=50)) == ()
    rules = {finding.rule for finding in found(text, nodes, platform="genesys", limits=Limits(12, 13))}
    assert rules == {"ivr/node-limit", "ivr/batch-limit"}


def test_of_nodes_with_one_id_each_further_one_is_named(found) -> None:
    findings = found(STRAIGHT, known=["node_start", "node_end", "node_end", "node_end"])
    assert [finding.rule for finding in findings] == ["ivr/duplicate-node"] * 2
