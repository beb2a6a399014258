"""What changed between two versions of a flow, as the person who reviews it reads it."""

import cProfile
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.ivr.canonical import canonical, content_hash
from cordboard.ivr.diff import Kind, as_json, differences, in_words
from cordboard.ivr.diff.renames import renamed
from cordboard.ivr.model import Flow, Node, Transition
from cordboard.ivr.reading import load_flow
from cordboard.jsontext import dump_json
from tests.thorough import count

EXAMPLES = Path(__file__).parents[3] / "examples"
MENU = Flow(
    id="menu",
    start="node_start_01",
    nodes=(
        Node("node_start_01", "start"),
        Node("node_menu_02", "menu", "Main menu", "One for sales, two for support", 3),
        Node("node_support_03", "queue", "Support"),
        Node("node_billing_04", "queue", "Billing"),
        Node("node_end_05", "terminal"),
    ),
    transitions=(
        Transition("node_start_01", "node_menu_02", "true", "default"),
        Transition("node_menu_02", "node_billing_04", "dtmf == '1'"),
        Transition("node_menu_02", "node_support_03", "dtmf == '2'"),
        Transition("node_menu_02", "node_menu_02", "no_input"),
        Transition("node_menu_02", "node_end_05", "tier == 'gold'"),
        Transition("node_menu_02", "node_menu_02", "default", "default"),
        Transition("node_menu_02", "node_support_03", "true", "fallback"),
        Transition("node_support_03", "node_end_05", "true", "default"),
        Transition("node_billing_04", "node_end_05", "true", "default"),
    ),
    name="Main line",
)
START, ONE, TWO, SILENCE, GOLD, ELSE, GIVING_UP = range(7)
BILLING, SUPPORT = "Billing (node_billing_04)", "Support (node_support_03)"


def way(index: int, **fields: Any) -> Flow:
    ways = list(MENU.transitions)
    ways[index] = replace(ways[index], **fields)
    return replace(MENU, transitions=tuple(ways))


def node(node_id: str, /, **fields: Any) -> Flow:
    return replace(MENU, nodes=tuple(replace(n, **fields) if n.id == node_id else n for n in MENU.nodes))


def plus(*ways: Transition, first: bool = False) -> Flow:
    return replace(MENU, transitions=(*ways, *MENU.transitions) if first else (*MENU.transitions, *ways))


def sentences(before: Flow | None, after: Flow) -> list[str]:
    return [difference.sentence for difference in differences(before, after)]


@pytest.mark.parametrize(
    ("after", "sentence"),
    [
        (way(TWO, target="node_billing_04"), f"at Main menu, 2 now leads to {BILLING}, it led to {SUPPORT}"),
        (
            way(SILENCE, target="node_end_05"),
            "at Main menu, silence now leads to node_end_05, it led to Main menu (node_menu_02)",
        ),
        (
            way(ELSE, target="node_end_05"),
            "at Main menu, anything else now leads to node_end_05, it led to Main menu (node_menu_02)",
        ),
        (
            way(GIVING_UP, target="node_end_05"),
            f"at Main menu, giving up now leads to node_end_05, it led to {SUPPORT}",
        ),
        (
            way(START, target="node_end_05"),
            "at node_start_01, every call now leads to node_end_05, it led to Main menu (node_menu_02)",
        ),
        (way(ONE, condition="dtmf == '3'"), f"at Main menu, {BILLING} is now reached by 3, it was by 1"),
        (
            way(ONE, condition="dtmf == '1' and language == 'de'"),
            f"at Main menu, 1 now leads to {BILLING} only when language == 'de'",
        ),
        (
            way(TWO, condition="dtmf == '2' or speech == 'support'"),
            f"at Main menu, {SUPPORT} is now reached by 2 or “support” said, it was by 2",
        ),
        (
            plus(Transition("node_menu_02", "node_menu_02", "no_match")),
            "at Main menu, something not understood is new: it leads to Main menu (node_menu_02); "
            "it is tried after tier == 'gold'",
        ),
        (
            replace(MENU, transitions=MENU.transitions[:TWO] + MENU.transitions[TWO + 1 :]),
            f"at Main menu, 2 is gone: it led to {SUPPORT}",
        ),
        (replace(MENU, nodes=(*MENU.nodes, Node("node_x", "decision"))), "node_x is new: decision"),
        (replace(MENU, nodes=MENU.nodes[:-1]), "node_end_05 is gone: terminal"),
        (
            node("node_menu_02", prompt="One for billing"),
            "Main menu now says “One for billing”, it said “One for sales, two for support”",
        ),
        (node("node_menu_02", max_visits=4), "Main menu now gives up after 4 visits, it did so after 3 visits"),
        (node("node_menu_02", max_visits=None), "Main menu never gives up now, it did so after 3 visits"),
        (node("node_menu_02", type="decision"), "Main menu is now of type decision, it was of type menu"),
        (node("node_menu_02", name="Menu"), "node_menu_02 is now called “Menu”, it was called “Main menu”"),
        (node("node_menu_02", extra={"audio": "b7"}), 'Main menu: `audio` is now "b7", it was not there'),
        (
            replace(MENU, start="node_menu_02"),
            "a call now begins at Main menu (node_menu_02), it began at node_start_01",
        ),
        (replace(MENU, name="Line"), "the flow is now called “Line”, it was called “Main line”"),
        (replace(MENU, extra={"language": "de"}), 'the flow: `language` is now "de", it was not there'),
        (renamed(MENU, {"node_end_05": "node_bye"}), "node_end_05 now has the id node_bye"),
        (
            renamed(MENU, {"node_menu_02": "node_main"}),
            "node_menu_02 now has the id node_main (Main menu)",
        ),
    ],
    ids=[
        "digit", "silence", "default", "fallback", "only_way", "other_digit", "narrower", "wider", "way_added",
        "way_gone", "node_added", "node_gone", "prompt", "limit", "no_limit", "type", "name", "vendor_field", "start",
        "flow_name", "flow_field", "id", "id_of_a_menu",
    ],
)  # fmt: skip
def test_one_change_is_one_sentence(after: Flow, sentence: str) -> None:
    assert sentences(MENU, after) == [sentence]


def test_a_wider_condition_says_what_no_longer_counts() -> None:
    narrow = way(ONE, condition="dtmf == '1' and language == 'de'")
    assert sentences(narrow, MENU) == [f"at Main menu, 1 now leads to {BILLING} whether or not language == 'de'"]


def test_two_digits_that_change_places_are_two_sentences() -> None:
    ways = list(MENU.transitions)
    ways[ONE], ways[TWO] = (
        replace(ways[ONE], target=ways[TWO].target),
        replace(ways[TWO], target=ways[ONE].target),
    )
    assert sentences(MENU, replace(MENU, transitions=tuple(ways))) == [
        f"at Main menu, 1 now leads to {SUPPORT}, it led to {BILLING}",
        f"at Main menu, 2 now leads to {BILLING}, it led to {SUPPORT}",
    ]


def test_a_changed_order_is_told_where_both_conditions_can_hold() -> None:
    ways = list(MENU.transitions)
    ways[ONE], ways[GOLD] = ways[GOLD], ways[ONE]
    found = differences(MENU, replace(MENU, transitions=tuple(ways)))
    assert [difference.kind for difference in found] == [Kind.ORDER]
    assert found[0].sentence.startswith("at Main menu, tier == 'gold' is now tried before ")


def test_the_place_of_a_new_way_is_told_where_it_counts() -> None:
    vip = Transition("node_menu_02", "node_end_05", "vip")
    first, last = sentences(MENU, plus(vip, first=True)), sentences(MENU, plus(vip))
    assert len(first) == len(last) == 1
    assert "it is tried before 1" in first[0]
    assert "it is tried after 1" in last[0]


def test_a_reroute_that_gives_the_order_a_meaning_says_so() -> None:
    """Two ways to one node can stand in any order; as soon as one leads elsewhere, the first one wins."""
    same_target = way(GOLD, target="node_support_03")
    after = replace(
        same_target,
        transitions=tuple(
            replace(w, target="node_billing_04") if w.condition == "dtmf == '2'" else w for w in same_target.transitions
        ),
    )
    (sentence,) = sentences(same_target, after)
    assert sentence.endswith(f"it led to {SUPPORT}; it is tried before tier == 'gold'")


def test_a_new_flow_is_one_sentence_with_its_size() -> None:
    assert sentences(None, MENU) == ["registers Main line: 5 nodes, 9 connections"]


def test_a_node_that_goes_takes_its_ways_along() -> None:
    """What led to it is told, what led away from it is not."""
    after = replace(
        MENU,
        nodes=tuple(n for n in MENU.nodes if n.id != "node_billing_04"),
        transitions=tuple(w for w in MENU.transitions if "node_billing_04" not in {w.source, w.target}),
    )
    assert sentences(MENU, after) == [f"at Main menu, 1 is gone: it led to {BILLING}", f"{BILLING} is gone: queue"]


def test_a_rename_of_every_node_is_one_sentence_for_each() -> None:
    after = renamed(MENU, {n.id: n.id.replace("node_", "node_new_") for n in MENU.nodes})
    found = differences(MENU, after)
    assert [difference.kind for difference in found] == [Kind.NODE_RENAMED] * len(MENU.nodes)


def test_a_renamed_node_with_another_prompt_is_two_sentences() -> None:
    after = renamed(node("node_billing_04", type="prompt", prompt="Hold"), {"node_support_03": "node_help"})
    assert [difference.kind for difference in differences(MENU, after)] == [Kind.NODE_RENAMED, Kind.NODE, Kind.NODE]


def test_twins_are_not_taken_for_one_another() -> None:
    """Of two nodes that are alike nobody can say which became which, so both are told as gone and new."""
    twins = (Node("node_a", "queue"), Node("node_b", "queue"))
    before = replace(MENU, nodes=(*MENU.nodes, *twins))
    after = replace(MENU, nodes=(*MENU.nodes, *(replace(twin, id=f"{twin.id}_x") for twin in twins)))
    kinds = [difference.kind for difference in differences(before, after)]
    assert sorted(kinds) == [Kind.NODE_ADDED] * 2 + [Kind.NODE_GONE] * 2


def test_a_change_at_the_end_of_a_long_prompt_can_be_seen() -> None:
    prompt = "Please listen to all of this. " * 20
    before, after = (node("node_menu_02", prompt=f"{prompt}press {digit}.") for digit in ("one", "two"))
    (sentence,) = sentences(before, after)
    assert "press one." in sentence
    assert "press two." in sentence
    assert len(sentence) < 300


def test_what_cannot_be_printed_is_shown_as_an_escape() -> None:
    (sentence,) = sentences(MENU, node("node_menu_02", prompt="\x1b[31mred\u202eder\n"))
    assert sentence.isprintable()
    assert "\\x1b[31mred\\u202eder\\n" in sentence


def test_a_vendor_field_that_is_gone_is_told() -> None:
    with_audio = node("node_menu_02", extra={"audio": "b7"})
    assert sentences(with_audio, MENU) == ['Main menu: `audio` is now not there, it was "b7"']


def test_other_details_of_a_connection_are_told() -> None:
    assert sentences(MENU, way(ONE, extra={"label": "x"})) == [
        f'at Main menu, the connection for 1 to {BILLING} has other details, now {{"label":"x"}}, before {{}}'
    ]


@pytest.mark.parametrize("change", ["rerouted", "renamed"])
def test_the_work_grows_in_proportion_to_the_flow(change: str) -> None:
    """Counted in calls of functions, so that a busy machine makes no difference."""
    small, large = (calls_for(*grown(size, change)) for size in (150, 600))
    assert large < 4.4 * small


def grown(size: int, change: str) -> tuple[Flow, Flow]:
    nodes = tuple(Node(f"n{number}", "menu") for number in range(size))
    ways = [
        Transition(f"n{n}", f"n{(n * 7 + key) % size}", f"dtmf == '{key}'") for n in range(size) for key in range(3)
    ]
    flow = Flow("f", "n0", nodes, tuple(ways))
    if change == "renamed":
        return flow, renamed(flow, {n.id: f"{n.id}_x" for n in nodes})
    return flow, replace(flow, transitions=tuple(replace(w, target="n1") for w in ways))


def calls_for(before: Flow, after: Flow) -> int:
    profile = cProfile.Profile()
    profile.runcall(differences, before, after)
    return sum(entry.callcount for entry in profile.getstats())


def test_the_list_as_text_marks_what_is_new_and_what_is_gone() -> None:
    after = replace(MENU, nodes=(*MENU.nodes[:-1], Node("node_x", "decision")), name="Line")
    assert [line[0] for line in in_words(differences(MENU, after)).splitlines()] == ["~", "+", "-"]
    assert in_words(()) == "no difference\n"


def test_the_list_as_json_is_json() -> None:
    (value,) = as_json(differences(MENU, way(TWO, target="node_billing_04")))
    assert dump_json(value)
    assert value["kind"] == "rerouted"
    assert (value["before"]["to"], value["after"]["to"]) == ("node_support_03", "node_billing_04")


@pytest.mark.parametrize("name", ["main_menu", "hospital_menu"])
def test_every_digit_of_an_example_rerouted_is_exactly_one_sentence(name: str) -> None:
    flow = load_flow(EXAMPLES / f"{name}.yaml")
    for index, old in enumerate(flow.transitions):
        target = next(n.id for n in flow.nodes if n.id not in {old.source, old.target})
        ways = [*flow.transitions[:index], replace(old, target=target), *flow.transitions[index + 1 :]]
        found = differences(flow, replace(flow, transitions=tuple(ways)))
        assert [difference.kind for difference in found] == [Kind.REROUTED], old


@pytest.mark.parametrize("seed", range(5))
def test_a_flow_moved_about_on_the_canvas_is_no_difference(seed: int) -> None:
    flow = load_flow(EXAMPLES / "hospital_menu.yaml")
    moved = moved_about(flow, random.Random(seed))
    assert moved != flow
    assert differences(flow, moved) == ()


def test_nodes_with_very_many_ways_out_are_compared_by_their_order() -> None:
    ways = [Transition("node_menu_02", "node_end_05", f"dtmf == '{number}'") for number in range(100, 180)]
    before, after = (replace(MENU, transitions=tuple(part)) for part in (ways, [ways[-1], *ways[:-1]]))
    assert content_hash(before) != content_hash(after)
    assert [difference.kind for difference in differences(before, after)] == [Kind.ORDER]


def moved_about(flow: Flow, chance: random.Random) -> Flow:
    """The same flow as a canvas saves it after everything was dragged elsewhere."""
    nodes = [replace(n, extra={**n.extra, "x": chance.random(), "y": chance.random()}) for n in flow.nodes]
    queues: dict[str, list[Transition]] = {}
    for transition in flow.transitions:
        queues.setdefault(transition.source, []).append(replace(transition, id=f"conn_{chance.random()}"))
    ways = []
    while queues:
        source = chance.choice(sorted(queues))
        ways.append(queues[source].pop(0))
        queues = {name: queue for name, queue in queues.items() if queue}
    chance.shuffle(nodes)
    return replace(flow, nodes=tuple(nodes), transitions=tuple(ways), file="elsewhere.yaml")


IDS = st.sampled_from(["a", "b", "c", "d"])
CONDITIONS = st.sampled_from(
    ["dtmf == '1'", "dtmf=='1'", "dtmf == '2'", "dtmf == '1' and vip", "vip", "no_input", "true", "default", "dtmf = 1"]
)
NODES = st.builds(
    Node,
    IDS,
    st.sampled_from(["menu", "queue"]),
    st.sampled_from(["", "Menu"]),
    st.sampled_from(["", "Hello"]),
    st.sampled_from([None, 2]),
    st.sampled_from([{}, {"x": 1}, {"audio": 1}, {"audio": True}]),
)
WAYS = st.builds(
    Transition,
    IDS,
    IDS,
    CONDITIONS,
    st.sampled_from(["conditional", "conditional", "conditional", "default", "fallback"]),
    st.sampled_from(["", "conn_1"]),
    st.sampled_from([{}, {}, {"label": "x"}]),
)
FLOWS = st.builds(
    Flow,
    st.just("f"),
    IDS,
    st.lists(NODES, max_size=4).map(tuple),
    st.lists(WAYS, max_size=7).map(tuple),
    st.sampled_from(["", "F"]),
)


@st.composite
def edited(draw: st.DrawFn) -> tuple[Flow, Flow]:
    """A flow, and one that is like it or nearly so."""
    flow = draw(FLOWS)
    ways = draw(st.permutations(flow.transitions))
    nodes = draw(st.permutations(flow.nodes))
    if ways and draw(st.booleans()):
        ways[0] = draw(WAYS)
    if nodes and draw(st.booleans()):
        nodes[0] = draw(NODES)
    return flow, replace(flow, nodes=tuple(nodes), transitions=tuple(ways))


@settings(max_examples=count(150, 400), deadline=None, derandomize=True)
@given(st.one_of(edited(), st.tuples(FLOWS, FLOWS)))
def test_there_is_a_difference_if_and_only_if_the_hashes_differ(pair: tuple[Flow, Flow]) -> None:
    before, after = pair
    assert (differences(before, after) == ()) == (content_hash(before) == content_hash(after))


@settings(max_examples=count(100, 200), deadline=None, derandomize=True)
@given(edited(), st.data())
def test_different_edits_are_never_told_alike(pair: tuple[Flow, Flow], data: st.DataObject) -> None:
    """From the older flow and what is told about the newer one, the newer one follows."""
    before, one = pair
    other = replace(one, transitions=tuple(data.draw(st.permutations(one.transitions))))
    if content_hash(one) != content_hash(other):
        assert as_json(differences(before, one)) != as_json(differences(before, other))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(FLOWS, st.randoms(use_true_random=False))
def test_layout_and_order_of_other_nodes_are_never_a_difference(flow: Flow, chance: random.Random) -> None:
    assert differences(flow, moved_about(flow, chance)) == ()
    assert canonical(flow) == canonical(moved_about(flow, chance))


@settings(max_examples=count(100, 200), deadline=None, derandomize=True)
@given(FLOWS, FLOWS)
def test_every_difference_is_one_printable_line(before: Flow, after: Flow) -> None:
    for difference in differences(before, after):
        assert difference.sentence.isprintable()
        assert difference.before != difference.after or dump_json(difference.before) != dump_json(difference.after)
