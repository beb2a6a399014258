"""One form for what a flow means, and a comparison with what a vendor stored that is stricter than meaning."""

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.ivr.canonical import canonical, content_hash, same, verify
from cordboard.ivr.conditions import CallerInput, evaluate, parse
from cordboard.ivr.dialects.cxone import from_cxone, to_cxone
from cordboard.ivr.dialects.genesys import from_genesys
from cordboard.ivr.model import Flow, Limits, Node, Place, Suppression, Transition, TransitionType
from cordboard.ivr.reading import load_flow
from tests.thorough import count

EXAMPLES = Path(__file__).parents[3] / "examples"
MENU = Flow(
    id="menu",
    start="a",
    nodes=(Node("a", "start"), Node("b", "menu", prompt="Press one", max_visits=3), Node("c"), Node("d", "terminal")),
    transitions=(
        Transition("a", "b", "true", "default"),
        Transition("b", "c", "dtmf == '1'"),
        Transition("b", "d", "dtmf == '2'"),
        Transition("b", "d", "tier == 'gold'"),
        Transition("b", "b", "default", "default"),
        Transition("b", "d", "true", "fallback"),
        Transition("c", "d", "true", "default"),
    ),
    name="Menu",
)
ONE, TWO, GOLD, SORRY = 1, 2, 3, 4


def changed(index: int, **fields: Any) -> Flow:
    transitions = list(MENU.transitions)
    transitions[index] = replace(transitions[index], **fields)
    return replace(MENU, transitions=tuple(transitions))


def swapped(first: int, second: int) -> Flow:
    transitions = list(MENU.transitions)
    transitions[first], transitions[second] = transitions[second], transitions[first]
    return replace(MENU, transitions=tuple(transitions))


def with_menu(**fields: Any) -> Flow:
    return replace(MENU, nodes=tuple(replace(n, **fields) if n.id == "b" else n for n in MENU.nodes))


@pytest.mark.parametrize(
    "other",
    [
        replace(MENU, nodes=MENU.nodes[::-1]),
        replace(MENU, transitions=MENU.transitions[-1:] + MENU.transitions[1:-1] + MENU.transitions[:1]),
        swapped(ONE, TWO),
        swapped(SORRY, GOLD),
        changed(ONE, id="conn_1"),
        changed(ONE, place=Place("connections[7]", 12)),
        changed(ONE, extra={"color": "red", "x": 1, "label": None}),
        changed(ONE, condition='(dtmf=="1")'),
        changed(SORRY, condition="else"),
        changed(SORRY, condition="true"),
        with_menu(extra={"position": {"x": 1}, "layout": "top", "coordinates": [1, 2], "y": 4}),
        with_menu(place=Place("nodes.b", 3)),
        replace(MENU, file="menu.yaml", existing="keep", limits=Limits(1, 1), version=7, terminals=("d",)),
        replace(MENU, suppressions=(Suppression("ivr/unreachable", "kept for now", date(2030, 1, 1)),)),
        replace(MENU, extra={"updatedAt": "2026-01-01", "x": 3}),
    ],
    ids=[
        "nodes",
        "connections_of_other_nodes",
        "digits_that_exclude_each_other",
        "default_before_a_condition",
        "id",
        "place",
        "layout_of_a_connection",
        "spelling",
        "else",
        "default_with_true",
        "layout",
        "place_of_a_node",
        "what_only_our_checks_read",
        "suppressions",
        "bookkeeping",
    ],
)
def test_what_no_caller_meets_is_no_difference(other: Flow) -> None:
    assert canonical(other) == canonical(MENU)
    assert content_hash(other) == content_hash(MENU)
    assert same(other, MENU)


@pytest.mark.parametrize(
    "other",
    [
        replace(MENU, id="other"),
        replace(MENU, name="Other"),
        replace(MENU, start="b"),
        replace(MENU, platform="genesys"),
        replace(MENU, extra={"language": "de"}),
        replace(MENU, nodes=MENU.nodes[:3]),
        replace(MENU, nodes=(*MENU.nodes, Node("e"))),
        with_menu(type="decision"),
        with_menu(name="Menu"),
        with_menu(prompt="Press two"),
        with_menu(max_visits=4),
        with_menu(extra={"audio": "b7"}),
        replace(MENU, transitions=MENU.transitions[1:]),
        replace(MENU, transitions=(*MENU.transitions, Transition("c", "d", "true", "fallback"))),
        replace(MENU, transitions=(*MENU.transitions, MENU.transitions[ONE])),
        changed(ONE, target="d"),
        changed(ONE, condition="dtmf == '3'"),
        changed(ONE, condition="dtmf = '1'"),
        changed(ONE, type="fallback"),
        changed(ONE, extra={"label": "one"}),
        changed(ONE, extra={"type": "event"}),
        swapped(ONE, GOLD),
    ],
    ids=[
        "id",
        "name",
        "start",
        "platform",
        "unknown_field",
        "node_gone",
        "node_added",
        "type",
        "name_of_a_node",
        "prompt",
        "max_visits",
        "unknown_field_of_a_node",
        "connection_gone",
        "connection_added",
        "connection_twice",
        "target",
        "condition",
        "condition_that_is_none",
        "type_of_a_connection",
        "unknown_field_of_a_connection",
        "unknown_type",
        "order_of_conditions_that_may_both_hold",
    ],
)
def test_what_a_caller_may_meet_is_a_difference(other: Flow) -> None:
    assert content_hash(other) != content_hash(MENU)
    assert not same(other, MENU)


def test_a_file_and_what_the_vendor_makes_of_it_mean_the_same() -> None:
    for name in ("main_menu.yaml", "hospital_menu.yaml"):
        flow = load_flow(EXAMPLES / name)
        live = {**to_cxone(flow), "version": 3, "createdAt": "2026-01-01T00:00:00Z"}
        assert same(from_cxone(live), flow)


def test_a_flow_without_a_name_means_the_same_as_the_name_it_gets() -> None:
    unnamed = replace(MENU, name="", nodes=(Node("a", "start"),))
    assert same(from_cxone(to_cxone(unnamed)), unnamed)


def test_words_of_the_vendor_for_the_same_thing_are_no_difference() -> None:
    plain = {"id": "c1", "source_node_id": "a", "target_node_id": "b", "condition": "true", "type": "default"}
    other = {**plain, "condition": "default", "type": "conditional"}
    one, two = (from_cxone({"id": "f", "name": name, "connections": [c]}) for c, name in ((plain, ""), (other, None)))
    assert same(one, two)


def test_of_two_defaults_the_first_counts() -> None:
    def twice(*targets: str) -> Flow:
        return replace(MENU, transitions=tuple(Transition("c", target, "true", "default") for target in targets))

    assert not same(twice("b", "d"), twice("d", "b"))


def test_the_order_of_conditions_that_lead_to_the_same_node_is_no_difference() -> None:
    assert same(swapped(TWO, GOLD), MENU)


def test_conditions_that_cannot_be_parsed_keep_their_order() -> None:
    def menu(*conditions: str) -> Flow:
        return replace(MENU, transitions=tuple(Transition("b", text[-1], text) for text in conditions))

    assert not same(menu("dtmf = c", "tier === d"), menu("tier === d", "dtmf = c"))


def test_transitions_of_genesys_are_compared_like_those_of_cxone() -> None:
    def menu(*conditions: tuple[str, str]) -> Flow:
        transitions = [{"condition": condition, "destinationNodeId": target} for condition, target in conditions]
        return from_genesys({"id": "f", "nodes": {"a": {"id": "a", "transitionConditions": transitions}}})

    assert same(menu(("default", "c"), ("dtmf == '1'", "b")), menu(("dtmf == '1'", "b"), ("else", "c")))
    assert not same(menu(("no_input", "c"), ("open", "b")), menu(("open", "b"), ("no_input", "c")))


def test_very_many_ways_out_of_a_node_keep_their_order() -> None:
    many = tuple(Transition("b", "c", f"dtmf == '{number}'") for number in range(100))
    assert same(replace(MENU, transitions=many), replace(MENU, transitions=many))
    assert not same(replace(MENU, transitions=many), replace(MENU, transitions=many[::-1]))


CONDITIONS = [
    "dtmf == '1'",
    "dtmf == '2'",
    "dtmf != '1'",
    "no_input",
    "no_match",
    "speech == 'x'",
    "open",
    "not open",
    "true",
]
INPUTS = [
    CallerInput(dtmf="1"),
    CallerInput(dtmf="2"),
    CallerInput(dtmf="3"),
    CallerInput(speech="x"),
    CallerInput(speech="y"),
    CallerInput(no_input=True),
    CallerInput(no_match=True),
]
VARIABLES: list[dict[str, Any]] = [{"visits": 1}, {"visits": 1, "open": True}, {"visits": 1, "open": False}]
KINDS: list[TransitionType] = ["conditional", "default"]
ways_out = st.lists(
    st.builds(Transition, st.just("b"), st.sampled_from("cde"), st.sampled_from(CONDITIONS)), max_size=5
)


def routes(transitions: list[Transition]) -> list[str | None]:
    """Where each caller goes: what a flow does, told without its canonical form."""
    return [
        next((t.target for t in transitions if evaluate(parse(t.condition), caller, variables)), None)
        for caller in INPUTS
        for variables in VARIABLES
    ]


@settings(max_examples=count(200, 400), deadline=None)
@given(ways_out, st.randoms(use_true_random=False))
def test_an_order_that_leads_a_caller_elsewhere_is_always_a_difference(
    ways: list[Transition], chance: random.Random
) -> None:
    other = chance.sample(ways, len(ways))
    if routes(ways) != routes(other):
        assert not same(replace(MENU, transitions=tuple(ways)), replace(MENU, transitions=tuple(other)))


def excludes(one: Transition, other: Transition) -> bool:
    """Whether no caller can take either of the two."""
    return not any(
        evaluate(parse(one.condition), caller, variables) and evaluate(parse(other.condition), caller, variables)
        for caller in INPUTS
        for variables in VARIABLES
    )


@settings(max_examples=count(200, 400), deadline=None)
@given(ways_out, st.lists(st.integers(0, 3), max_size=20))
def test_neighbours_that_exclude_each_other_may_change_places_any_number_of_times(
    ways: list[Transition], swaps: list[int]
) -> None:
    other = list(ways)
    for index in swaps:
        if index + 1 < len(other) and excludes(other[index], other[index + 1]):
            other[index : index + 2] = other[index + 1], other[index]
    assert same(replace(MENU, transitions=tuple(ways)), replace(MENU, transitions=tuple(other)))


def sent_body() -> dict[str, Any]:
    return to_cxone(load_flow(EXAMPLES / "hospital_menu.yaml"))


def reordered(body: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The same in another order, with what a vendor adds."""

    def shuffled(entry: dict[str, Any]) -> dict[str, Any]:
        added = {"createdAt": chance.random(), "label": None} if chance.random() < 0.5 else {}
        return dict(chance.sample(list({**entry, **added}.items()), len(entry) + len(added)))

    lists = {name: chance.sample([shuffled(e) for e in body[name]], len(body[name])) for name in LISTS if name in body}
    return shuffled({**body, **lists})


LISTS = ("connections", "nodes")
Mutation = Callable[[dict[str, Any], random.Random], None]


def drop(body: dict[str, Any], chance: random.Random) -> None:
    entries = body[chance.choice(LISTS)]
    entries.pop(chance.randrange(len(entries)))


def add(body: dict[str, Any], chance: random.Random) -> None:
    entries = body[chance.choice(LISTS)]
    entries.insert(chance.randrange(len(entries) + 1), {**chance.choice(entries), "id": f"new_{chance.random()}"})


def rename(body: dict[str, Any], chance: random.Random) -> None:
    entry = chance.choice([body, *body["connections"], *body["nodes"]])
    entry["id"] += "_"


def reroute(body: dict[str, Any], chance: random.Random) -> None:
    connection = chance.choice(body["connections"])
    end = chance.choice(["source_node_id", "target_node_id"])
    connection[end] = chance.choice([node["id"] for node in body["nodes"] if node["id"] != connection[end]])


def duplicate(body: dict[str, Any], chance: random.Random) -> None:
    entries = body[chance.choice(LISTS)]
    entries.insert(chance.randrange(len(entries) + 1), dict(chance.choice(entries)))


def change_a_field(body: dict[str, Any], chance: random.Random) -> None:
    entry = chance.choice([*body["connections"], *body["nodes"]])
    name = chance.choice(sorted(entry))
    value = entry[name]
    entry[name] = chance.choice([None, f"{value} ", str(value).upper() + "!", [value], {"value": value}, True])


def drop_a_field(body: dict[str, Any], chance: random.Random) -> None:
    entry = chance.choice([body, *body["connections"], *body["nodes"]])
    del entry[chance.choice(sorted(entry))]


def swap_targets(body: dict[str, Any], chance: random.Random) -> None:
    one, other = chance.sample(body["connections"], 2)
    if one["target_node_id"] == other["target_node_id"]:
        one["condition"] += " "
    one["target_node_id"], other["target_node_id"] = other["target_node_id"], one["target_node_id"]


MUTATIONS: list[Mutation] = [drop, add, rename, reroute, duplicate, change_a_field, drop_a_field, swap_targets]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_whatever_the_vendor_stored_otherwise_is_found(mutation: Mutation) -> None:
    """A thousand stored copies in all, each with one thing changed, in another order and with additions."""
    sent = sent_body()
    for seed in range(1000 // len(MUTATIONS)):
        chance = random.Random(seed)
        stored = deepcopy(sent)
        mutation(stored, chance)
        assert verify(sent, reordered(stored, chance)), seed


def test_another_order_and_additions_are_no_false_alarm() -> None:
    sent = sent_body()
    for seed in range(1000):
        assert verify(sent, reordered(sent, random.Random(seed))) == ()


@pytest.mark.parametrize(
    "stored",
    [None, [], "ok", {}, {"connections": []}, {"connections": [], "nodes": []}, {"connections": None, "nodes": 5}],
    ids=["null", "list", "text", "empty", "no_connections", "empty_lists", "no_lists"],
)
@pytest.mark.parametrize("sent", [sent_body(), {**sent_body(), "connections": [], "nodes": []}], ids=["full", "bare"])
def test_an_answer_that_holds_nothing_is_found(sent: dict[str, Any], stored: Any) -> None:
    assert verify(sent, stored)


@pytest.mark.parametrize("junk", [None, "x", 5, [], {}, {"id": 5}, {"id": ["a"]}], ids=str)
def test_an_entry_that_is_none_is_found(junk: Any) -> None:
    sent = sent_body()
    assert len(verify(sent, {**sent, "connections": [*sent["connections"], junk]})) == 1


SMALL = {
    "id": "f",
    "connections": [{"id": "c1", "source_node_id": "a", "target_node_id": "b", "condition": "dtmf == '1'"}],
    "nodes": [{"id": "a", "max_visits": 1}, {"id": "b", "properties": {"audio": {"id": 7}, "voices": [1, 2]}}],
}
CONNECTION: dict[str, Any] = SMALL["connections"][0]  # type: ignore[assignment,index]


@pytest.mark.parametrize(
    ("stored", "sentences"),
    [
        ({**SMALL, "connections": []}, ["connection c1 from a to b is missing"]),
        ({**SMALL, "connections": [CONNECTION] * 2}, ["connection c1 from a to b is stored 2 times"]),
        (
            {**SMALL, "connections": [CONNECTION, {**CONNECTION, "id": "c2"}]},
            ["connection c2 from a to b is stored, and was not sent"],
        ),
        (
            {**SMALL, "connections": [{**CONNECTION, "target_node_id": "a"}]},
            ['connection c1 from a to b: `target_node_id` is "a"; it was sent as "b"'],
        ),
        (
            {**SMALL, "nodes": [{"id": "a"}, SMALL["nodes"][1]]},
            ["node a: `max_visits` is missing; it was sent as 1"],
        ),
        (
            {**SMALL, "nodes": [{"id": "a", "max_visits": True}, SMALL["nodes"][1]]},
            ["node a: `max_visits` is true; it was sent as 1"],
        ),
        (
            {**SMALL, "nodes": [SMALL["nodes"][0], {"id": "b", "properties": {"audio": {}, "voices": [1, 2]}}]},
            ['node b: `properties` is {"audio":{},"voices":[1,2]}; it was sent as {"audio":{"id":7},"voices":[1,2]}'],
        ),
        (
            {**SMALL, "nodes": [SMALL["nodes"][0], {"id": "b", "properties": {"audio": {"id": 7}, "voices": [1]}}]},
            [
                'node b: `properties` is {"audio":{"id":7},"voices":[1]}; '
                'it was sent as {"audio":{"id":7},"voices":[1,2]}'
            ],
        ),
        ({**SMALL, "id": "g"}, ['the flow: `id` is "g"; it was sent as "f"']),
        ({**SMALL, "nodes": 5}, ["the stored flow has no nodes", "node a is missing", "node b is missing"]),
    ],
    ids=["missing", "twice", "added", "rerouted", "field_gone", "another_type", "inside", "shorter", "flow", "no_list"],
)
def test_each_difference_is_one_plain_sentence(stored: dict[str, Any], sentences: list[str]) -> None:
    assert list(verify(SMALL, stored)) == sentences


def test_objects_that_grow_inside_a_field_are_no_difference() -> None:
    grown = {"id": "b", "properties": {"audio": {"id": 7, "uri": "/7"}, "voices": [1, 2], "new": 1}}
    assert verify(SMALL, {**SMALL, "nodes": [SMALL["nodes"][0], grown]}) == ()


def test_two_sent_connections_with_one_id_cannot_be_verified() -> None:
    body = {**SMALL, "connections": [CONNECTION] * 2}
    assert "sent 2 times" in verify(body, body)[0]


def test_the_version_that_the_vendor_counts_is_no_difference() -> None:
    assert verify({**SMALL, "version": 3}, {**SMALL, "version": 4}) == ()


def test_nodes_of_genesys_are_compared_by_their_ids_and_keep_the_order_of_their_transitions() -> None:
    ways = [{"condition": "open", "destinationNodeId": "b"}, {"condition": "true", "destinationNodeId": "c"}]
    nodes = {"a": {"id": "a", "transitionConditions": ways}, "b": {"id": "b", "transitionConditions": []}}
    sent = {"id": "f", "nodes": nodes}
    assert verify(sent, {"id": "f", "nodes": dict(reversed(nodes.items()))}) == ()
    stored = {"id": "f", "nodes": {**nodes, "a": {"id": "a", "transitionConditions": ways[::-1]}}}
    assert len(verify(sent, stored)) == 1
