"""Call flows as Mermaid and DOT, and which parts of a flow the findings mark."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.findings import Finding, Severity
from cordboard.ivr.draw import to_dot, to_mermaid
from cordboard.ivr.draw.scene import returning, scene_of
from cordboard.ivr.model import Flow, Node, Place, Transition
from cordboard.ivr.reading import load_flow
from cordboard.ivr.topology import check_flow

EXAMPLES = Path(__file__).parents[3] / "examples"
MENU = Flow(
    id="menu",
    start="s",
    nodes=(
        Node("s", "start", place=Place("nodes.s")),
        Node("m", "menu", "Main menu", "Press one", 3, place=Place("nodes.m")),
        Node("e", "terminal", place=Place("nodes.e")),
    ),
    transitions=(
        Transition("s", "m", "true", "default", place=Place("connections[0]")),
        Transition("m", "e", "dtmf == '1'", place=Place("connections[1]")),
        Transition("m", "m", "no_input", place=Place("connections[2]")),
    ),
)


def test_a_flow_as_mermaid() -> None:
    assert to_mermaid(MENU).splitlines() == [
        "flowchart LR",
        '    n1(["s<br/>start"])',
        '    n2["Main menu<br/>m<br/>menu #183; 3 visits at most<br/>#8220;Press one#8221;"]',
        '    n3(["e<br/>terminal"])',
        "    n1 --> n2",
        '    n2 -->|"1"| n3',
        '    n2 -.->|"silence"| n2',
    ]


def test_a_flow_as_dot() -> None:
    lines = to_dot(MENU).splitlines()
    assert lines[0] == 'digraph "menu" {'
    assert '    n2 -> n3 [label="1"];' in lines
    assert '    n2 -> n2 [label="silence", style=dashed, constraint=false];' in lines
    assert lines[-1] == "}"


def test_findings_colour_what_they_are_about() -> None:
    findings = (
        Finding("ivr/x", "bad node", "nodes.m.prompt"),
        Finding("ivr/y", "odd way", "connections[1].when", severity=Severity.WARNING),
    )
    mermaid, dot = to_mermaid(MENU, findings), to_dot(MENU, findings)
    assert '"]:::error' in mermaid
    assert "    linkStyle 1 stroke:#c77700,stroke-width:2px" in mermaid
    assert 'n2 -> n3 [label="1", color="#c77700", penwidth=2.5];' in dot


@pytest.mark.parametrize(
    "hostile", ['"] --> x["', "end", "a|b", "</div><script>", '"];}\nx -> y', "\\", "\x1b[31m\u202e", "#quot;"]
)
def test_no_text_breaks_out_of_its_quotes(hostile: str) -> None:
    flow = replace(
        MENU,
        name=hostile,
        nodes=(Node(hostile, hostile, hostile, hostile), *MENU.nodes),
        transitions=(*MENU.transitions, Transition("m", hostile, hostile)),
    )
    mermaid, dot = to_mermaid(flow), to_dot(flow)
    assert len(mermaid.splitlines()) == 1 + 4 + 4
    assert len(dot.splitlines()) == 4 + 4 + 4 + 1
    assert all(re.fullmatch(r"    n\d+[\[(\-. ].*|flowchart LR", line) for line in mermaid.splitlines())
    assert all(len(re.findall(r'(?<!\\)(?:\\\\)*"', line)) % 2 == 0 for line in dot.splitlines())
    assert mermaid.replace("\n", "").isprintable()
    assert dot.replace("\n", "").isprintable()


def test_a_target_that_nobody_defined_is_drawn_as_an_error() -> None:
    scene = scene_of(replace(MENU, transitions=(*MENU.transitions, Transition("m", "nowhere", "no_match"))))
    assert (scene.boxes[-1].role, scene.boxes[-1].severity) == ("unknown", Severity.ERROR)


def test_a_circle_that_proves_a_finding_is_marked_and_the_way_to_it_is_not() -> None:
    scene = scene_of(MENU, (Finding("ivr/silent-loop", "goes round", proof=("s", "m", "m")),))
    assert [box.severity for box in scene.boxes] == [None, Severity.ERROR, None]
    assert [arrow.severity for arrow in scene.arrows] == [None, None, Severity.ERROR]
    assert scene.box_of == (1,)


def test_the_worse_of_two_findings_decides_the_colour() -> None:
    findings = [Finding("ivr/x", "a", "nodes.m", severity=severity) for severity in (Severity.ERROR, Severity.WARNING)]
    for order in (findings, findings[::-1]):
        assert scene_of(MENU, order).boxes[1].severity is Severity.ERROR


def test_every_error_in_the_broken_example_is_marked_where_it_is() -> None:
    flow = load_flow(EXAMPLES / "broken" / "broken_menu.yaml")
    findings = check_flow(flow, today=date(2026, 1, 1))
    scene = scene_of(flow, findings)
    marked = {box.id for box in scene.boxes if box.severity is Severity.ERROR}
    assert marked >= {"node_survey", "node_biling", "node_news", "node_weather"}
    assert "node_end" not in marked
    assert None not in scene.box_of


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.tuples(*[st.integers(0, n - 1)] * 2)))))
def test_without_the_arrows_that_lead_back_there_is_no_circle(case: tuple[int, list[tuple[int, int]]]) -> None:
    count, ends = case
    back = returning(count, ends, 0)
    ahead = {(a, b) for index, (a, b) in enumerate(ends) if index not in back}
    waiting = set(range(count))
    while ready := {box for box in waiting if not any(a in waiting and b == box for a, b in ahead)}:
        waiting -= ready
    assert not waiting
    assert all(ends[index] not in ahead for index in back)


def test_a_very_long_flow_needs_no_recursion() -> None:
    nodes = tuple(Node(f"n{number}") for number in range(20_000))
    ways = tuple(Transition(f"n{number}", f"n{number + 1}") for number in range(19_999))
    flow = Flow("long", "n0", nodes, (*ways, Transition("n19999", "n0")))
    assert to_mermaid(flow).count("-.->") == 1
    assert to_dot(flow).count("style=dashed") == 1
