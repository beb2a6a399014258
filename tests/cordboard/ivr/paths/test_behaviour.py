"""What changes for callers between two flows, in sentences."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from cordboard.ivr.model import Flow, Node
from cordboard.ivr.paths import behaviour_changes
from cordboard.ivr.paths.observing import noticed_at
from cordboard.ivr.reading import load_flow
from cordboard.ivr.trace import HANGUP, NO_INPUT, NO_MATCH, Program, compile_flow, keys, simulate, speech
from tests.thorough import count

EXAMPLES = Path(__file__).parents[4] / "examples"
MENU = """
    start -> menu
    menu -> sales: dtmf == '1'
    menu -> second: dtmf == '2'
    menu -> sorry: no_input
    menu -> sorry
    menu -> operator: fallback
    sorry -> menu
    second -> billing: dtmf == '1'
    second -> sales: dtmf == '2'
    second -> operator
    sales -> end
    billing -> end
    operator -> end
"""
NODES = {
    "menu": {"type": "menu", "max_visits": 3, "prompt": "Sales or more?"},
    "second": {"type": "menu", "prompt": "Billing or sales?"},
    "sales": {"type": "queue", "name": "Sales"},
    "billing": {"type": "queue", "name": "Billing"},
    "operator": {"type": "queue", "name": "the Operator"},
}


@pytest.fixture
def changed(compiled):
    """The sentences about what changes when one line of the menu is another."""

    def told(before: str = "", after: str = "", nodes: dict[str, Any] | None = None) -> list[str]:
        assert before in MENU
        old, new = compiled(MENU, NODES), compiled(MENU.replace(before, after), {**NODES, **(nodes or {})})
        return [change.sentence for change in behaviour_changes(old, new)]

    return told


def test_the_same_flow_has_no_changes(changed) -> None:
    assert changed() == []


def test_one_key_that_leads_elsewhere_is_one_sentence(changed) -> None:
    found = changed("second -> billing: dtmf == '1'", "second -> sales: dtmf == '1'")
    assert found == ["pressing 2 then 1 reached Billing; it now reaches Sales"]


def test_fewer_tries_are_told_by_the_call_that_notices(changed) -> None:
    (found,) = changed("", "", {"menu": {**NODES["menu"], "max_visits": 2}})
    assert found.startswith("pressing 0, then pressing 0, 3 to 9, * or #")
    assert found.endswith('staying silent asked "Sales or more?"; it now reaches the Operator')


def test_silence_that_is_answered_otherwise_is_told(changed) -> None:
    found = changed("menu -> sorry: no_input", "menu -> end: no_input")
    assert found == ['staying silent asked "Sales or more?"; it now ends the call']


def test_another_place_at_the_end_of_all_tries_is_told(changed) -> None:
    (found,) = changed("menu -> operator: fallback", "menu -> end: fallback")
    assert found.startswith("pressing 0 twice, then pressing 0, 3 to 9, * or #")
    assert found.endswith("not being understood or staying silent reached the Operator; it now ends the call")


def test_another_menu_is_one_sentence_and_not_one_for_each_of_its_keys(changed) -> None:
    found = changed("menu -> second: dtmf == '2'", "menu -> sales: dtmf == '2'")
    assert found == ['pressing 2 asked "Billing or sales?"; it now reaches Sales']


def test_a_prompt_that_is_worded_otherwise_is_told_once(changed) -> None:
    found = changed("", "", {"menu": {**NODES["menu"], "prompt": "For sales press one."}})
    assert found == ['callers who heard "Sales or more?" now hear "For sales press one."']


def test_a_new_wording_hides_no_other_change(changed) -> None:
    words = {"menu": {**NODES["menu"], "prompt": "For sales press one."}}
    found = changed("second -> billing: dtmf == '1'", "second -> sales: dtmf == '1'", words)
    assert "pressing 2 then 1 reached Billing; it now reaches Sales" in found
    assert len(found) == 2


def test_a_place_with_another_name_is_another_place(changed) -> None:
    found = changed("", "", {"billing": {"type": "queue", "name": "Invoices"}})
    assert found == ["pressing 2 then 1 reached Billing; it now reaches Invoices"]


def test_a_dead_end_and_a_loop_are_told(changed) -> None:
    assert changed("billing -> end", "billing -> billing") == [
        "pressing 2 then 1 reached Billing; it now reaches Billing, then goes round for ever"
    ]
    (found,) = changed("second -> operator", "second -> operator: no_input")
    assert found.endswith("reached the Operator; it now leads nowhere")


def test_what_it_depends_on_is_told(compiled) -> None:
    old = compiled("start -> desk\ndesk -> sales: is_open\ndesk -> end\nsales -> end", NODES)
    new = compiled("start -> desk\ndesk -> billing: is_open\ndesk -> end\nbilling -> end\nsales -> end", NODES)
    (change,) = behaviour_changes(old, new)
    assert change.sentence == "every call reached Sales; it now reaches Billing (with is_open = true)"
    assert change.variables == {"is_open": True}


def test_what_an_action_returns_is_the_same_in_both(compiled) -> None:
    text = (
        "start -> lookup\nlookup -> sales: found\nlookup -> ask\nask -> lookup: dtmf == '1'\nask -> end\nsales -> end"
    )
    nodes = {**NODES, "lookup": {"type": "data_action"}, "ask": {"type": "menu", "prompt": "Again?"}}
    old = compiled(text, nodes)
    renamed = compiled(text.replace("lookup", "crm"), {**nodes, "crm": nodes["lookup"]})
    assert behaviour_changes(old, renamed) == ()
    other = text.replace("lookup: dtmf", "other: dtmf") + "\nother -> billing: found\nother -> end\nbilling -> end"
    second = compiled(other, {**nodes, "other": {"type": "data_action"}})
    found = [change.sentence for change in behaviour_changes(old, second)]
    assert len(found) == 1
    assert "pressing 1 reached Sales; it now reaches Billing" in found[0]


def test_no_more_changes_are_told_than_asked_for(compiled) -> None:
    old, new = compiled(MENU, NODES), compiled(MENU.replace("-> sales:", "-> billing:"), NODES)
    assert len(behaviour_changes(old, new)) == 2
    assert len(behaviour_changes(old, new, limit=1)) == 1


def test_where_not_every_call_is_compared_the_last_change_says_so(compiled) -> None:
    program = compiled(MENU, NODES)
    (change,) = behaviour_changes(program, program, most_pairs=2)
    assert change.kind == "unfinished"


@pytest.mark.parametrize("name", ["main_menu", "hospital_menu"])
def test_every_single_reroute_of_an_example_that_callers_notice_is_told(name) -> None:
    flow = load_flow(EXAMPLES / f"{name}.yaml")
    old = compile_flow(flow)
    for number, way in enumerate(flow.transitions):
        for target in flow.nodes:
            rerouted = (*flow.transitions[:number], replace(way, target=target.id), *flow.transitions[number + 1 :])
            new = compile_flow(replace(flow, transitions=rerouted))
            found = behaviour_changes(old, new)
            assert bool(found) == _differ(old, new), (way, target.id)
            for change in found:
                assert _heard(old, change.inputs, change.variables) != _heard(new, change.inputs, change.variables)


@pytest.mark.parametrize("batch", range(count(2, 4)))
def test_a_flow_with_other_ids_in_another_order_has_no_changes(batch, plainly) -> None:
    for seed in range(batch * 60, (batch + 1) * 60):
        flow = _with_names(plainly.flow_of(plainly.random_flow(seed)))
        assert behaviour_changes(compile_flow(flow), compile_flow(_shuffled(flow, seed))) == (), seed


@pytest.mark.parametrize("batch", range(count(2, 4)))
def test_a_random_reroute_is_told_exactly_if_some_caller_notices_it(batch, plainly) -> None:
    told = 0
    for seed in range(batch * 60, (batch + 1) * 60):
        flow = _with_names(plainly.flow_of(_without_actions(plainly.random_flow(seed))))
        rng = random.Random(seed)
        number = rng.randrange(len(flow.transitions)) if flow.transitions else None
        if number is None:
            continue
        way = replace(flow.transitions[number], target=rng.choice(flow.nodes).id)
        other = replace(flow, transitions=(*flow.transitions[:number], way, *flow.transitions[number + 1 :]))
        old, new = compile_flow(flow), compile_flow(_shuffled(other, seed))
        found = behaviour_changes(old, new)
        told += bool(found)
        for change in found:
            assert _heard(old, change.inputs, change.variables) != _heard(new, change.inputs, change.variables), seed
        assert found or not _differ(old, new), seed
    assert told > 10


def _with_names(flow: Flow) -> Flow:
    """The flow with prompts, and with names for its places."""
    nodes = tuple(replace(node, name=f"Name {node.id}", prompt=_prompt(node)) for node in flow.nodes)
    return replace(flow, nodes=nodes)


def _prompt(node: Node) -> str:
    return f"This is {node.id}." if node.type == "menu" or node.id == "b" else ""


def _without_actions(plain: Any) -> Any:
    for node in plain["nodes"].values():
        node["type"] = "prompt" if node["type"] == "lookup_action" else node["type"]
    return plain


def _shuffled(flow: Flow, seed: int) -> Flow:
    """The same flow with other ids, its nodes and the connections of different nodes in another order."""
    rng = random.Random(seed)
    ids = {node.id: f"n{number}" for number, node in enumerate(rng.sample(flow.nodes, len(flow.nodes)))}
    nodes = [replace(node, id=ids[node.id]) for node in rng.sample(flow.nodes, len(flow.nodes))]
    order = {node.id: place for place, node in enumerate(nodes)}
    ways = [replace(way, source=ids[way.source], target=ids[way.target]) for way in flow.transitions]
    ways.sort(key=lambda way: order[way.source])
    return replace(flow, start=ids[flow.start], nodes=tuple(nodes), transitions=tuple(ways))


def _heard(program: Program, inputs: Any, variables: Any) -> list[Any]:
    """What a caller notices of one call, by the usual engine."""
    trace = simulate(program, inputs, variables, then="stop")
    heard = [_noticed(program, name) for name in trace.path]
    if not trace.loops:
        return [*chain(*heard), trace.inputs_used, trace.end.kind]
    loop = trace.loops[0]  # as a long stream, which does not depend on where the round was noticed
    again = list(chain(*heard[loop.start : loop.start + len(loop.nodes)]))
    return [*[*chain(*heard[: loop.start]), *again * 60][:60], trace.inputs_used]


def _noticed(program: Program, name: str) -> list[Any]:
    return [(it.kind, it.text) for it in noticed_at(program.stations[program.index[name]])]


def _differ(old: Program, new: Program) -> bool:
    """Whether calls of three inputs at the most, some hundreds of them, are noticed to be different."""
    things = [keys("1"), keys("2"), keys("9"), keys("0"), keys("12"), speech("yes"), NO_INPUT, NO_MATCH]
    values = [{}, {"x": "gold"}, {"x": 1}, {"x": True}, {"y": "gold"}, {"desk_is_open": True}, {"x": 1, "y": 1}]
    assigned = {name for node in old.flow.nodes for name in node.set}  # these have no value when a call begins
    worlds = [value for value in values if not assigned & value.keys()]
    rng = random.Random(0)
    calls = [(), *((one,) for one in things), *(rng.choices(things, k=rng.choice([2, 3, 4])) for _ in range(60))]
    return any(
        _heard(old, (*call, HANGUP), world) != _heard(new, (*call, HANGUP), world) for call in calls for world in worlds
    )
