"""Large flows: nothing recursive, nothing quadratic."""

from __future__ import annotations

from datetime import date

from cordboard.ivr.model import Flow, Limits, Node, Transition
from cordboard.ivr.topology import check_flow
from tests.thorough import count

SIZE = count(50_000, 200_000)
TODAY = date(2026, 5, 1)


def _row(last: str, *more: Transition) -> Flow:
    """A row of nodes, each of which leads to the next."""
    nodes = (*(Node(f"node_{number}") for number in range(SIZE)), Node("node_end", "terminal"))
    ways = (Transition(f"node_{number}", f"node_{number + 1}", type="default") for number in range(SIZE - 1))
    limits = Limits(max_connections=2 * SIZE)
    end = Transition(f"node_{SIZE - 1}", last, type="default")
    return Flow("ivr_row", "node_0", nodes, (*ways, end, *more), limits=limits)


def test_a_very_long_row_is_checked() -> None:
    assert check_flow(_row("node_end"), today=TODAY) == ()


def test_a_very_long_loop_is_spelled_out() -> None:
    findings = check_flow(_row("node_0", Transition("node_0", "node_end", "vip")), today=TODAY)
    assert [finding.rule for finding in findings] == ["ivr/silent-loop"]
    assert len(findings[0].proof) == SIZE + 1
    assert len(findings[0].message) < 500


def test_many_dead_ends_far_from_the_start_are_proven_only_as_far_as_is_bearable() -> None:
    """Each way is half as long as the row, and there are a thousand of them."""
    half = SIZE // 2
    stubs = tuple(Node(f"node_stub_{number}") for number in range(1_000))
    ways = tuple(Transition(f"node_{half}", stub.id, f"choice == {number}") for number, stub in enumerate(stubs))
    flow = _row("node_end", *ways)
    limits = Limits(max_connections_per_node=2_000, max_connections=2 * SIZE)
    wide = Flow("ivr_wide", "node_0", (*flow.nodes, *stubs), flow.transitions, limits=limits)
    dead = [finding for finding in check_flow(wide, today=TODAY) if finding.rule == "ivr/dead-end"]
    assert len(dead) == 1_000
    assert len(dead[0].proof) == half + 2
    assert dead[-1].proof == (stubs[-1].id,)
    assert {len(finding.proof) for finding in dead} == {1, half + 2}
    assert sum(len(finding.proof) for finding in dead) < 3_000_000


def test_unknown_targets_without_number_are_reported_without_guessing_at_each() -> None:
    ways = tuple(Transition("node_start", f"node_end_{number}", f"choice == {number}") for number in range(20_000))
    nodes = (Node("node_start"), Node("node_end", "terminal"))
    limits = Limits(max_connections_per_node=20_000, max_connections=20_000)
    findings = check_flow(Flow("ivr_lost", "node_start", nodes, ways, limits=limits), today=TODAY)
    assert [finding.rule for finding in findings].count("ivr/unknown-target") == 20_000
    assert sum(bool(finding.hint) for finding in findings if finding.rule == "ivr/unknown-target") == 50
