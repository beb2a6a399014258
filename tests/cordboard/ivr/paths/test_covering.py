"""Suites that are made: small, with names that stay, and with a reason for what no call takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cordboard.ivr.model import Transition
from cordboard.ivr.paths import generate, written
from cordboard.ivr.reading import load_flow
from cordboard.ivr.suite import Case, run_case
from cordboard.ivr.trace import compile_flow, keys

EXAMPLES = Path(__file__).parents[4] / "examples"
MENU = """
    start -> menu
    menu -> sales: dtmf == '1'
    menu -> support: dtmf == '2'
    menu -> sorry
    menu -> support: fallback
    sorry -> menu
    sales -> end
    support -> end
"""
THREE = {"menu": {"type": "menu", "max_visits": 3}}


@pytest.mark.parametrize("name", ["main_menu", "hospital_menu"])
@pytest.mark.parametrize("pairs", [False, True], ids=["transitions", "pairs"])
def test_the_suite_of_an_example_is_as_small_as_can_be(name, pairs) -> None:
    program = compile_flow(load_flow(EXAMPLES / f"{name}.yaml"))
    made = generate(program, pairs=pairs)
    assert len(made.cases) == made.lower_bound
    assert {run_case(program, case).status for case in made.cases} == {"passed"}
    again = generate(program, made.cases, pairs=pairs)
    assert (again.cases, again.before, again.lower_bound) == ((), made.takeable, 0)


def test_cases_are_named_by_what_they_do(compiled) -> None:
    names = sorted(case.name for case in generate(compiled(MENU, THREE)).cases)
    assert names == ["press 0 three times", "press 1", "press 2"]


def test_names_stay_when_the_flow_changes_elsewhere(compiled) -> None:
    before = {case.name for case in generate(compiled(MENU, THREE)).cases}
    changed = compiled(MENU + "    menu -> news: dtmf == '5'\n    news -> end\n", THREE)
    assert {case.name for case in generate(changed).cases} == before | {"press 5"}


def test_a_suite_is_completed_and_not_written_anew(compiled) -> None:
    program = compiled(MENU, THREE)
    made = generate(program, [Case("to sales, as always", (keys("1"),))])
    assert "press 1" not in {case.name for case in made.cases}
    assert (len(made.cases), made.lower_bound, made.before) == (2, 2, 3)


def test_a_name_that_is_taken_is_not_used_again(compiled) -> None:
    made = generate(compiled(MENU, THREE), [Case("press 2", (keys("1"),))])
    assert "press 2 (2)" in {case.name for case in made.cases}


def test_variables_and_outcomes_are_part_of_a_case(compiled) -> None:
    program = compiled(
        "start -> lookup\nlookup -> gold: tier == 'gold'\nlookup -> end: is_late\nlookup -> end\ngold -> end",
        {"lookup": {"type": "data_action"}},
    )
    made = generate(program)
    assert len(made.cases) == 3
    (gold,) = [case for case in made.cases if "gold" in (case.expect.path or ())]
    assert written(gold)["mocks"] == {"lookup": [{"tier": "gold"}]}
    assert gold.name == "do nothing, with lookup returns tier = 'gold'"


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        ("alone -> end", "no call gets to `alone`"),
        ("end -> start", "the call ends at `end`"),
        ("menu -> end: dtmf == '1' and dtmf == '2'", "its condition never holds"),
        ("menu -> end: dtmf == '1'", "the way to `sales` with `dtmf == '1'` takes everything"),
        ("menu -> end: visits > 3", "whenever it could be taken, another way out of `menu` is, or `menu` has given up"),
    ],
    ids=["unreached", "end", "impossible", "hidden", "never so often"],
)
def test_what_no_call_takes_is_listed_with_the_reason(compiled, way, reason) -> None:
    made = generate(compiled(f"{MENU}    {way}\n", THREE))
    (untaken,) = made.impossible
    assert (untaken.transitions[0].target, untaken.reason) == (way.partition(":")[0].split()[-1], reason)


def test_where_not_every_call_is_looked_at_nothing_is_called_impossible(compiled) -> None:
    made = generate(compiled(MENU + "    lost -> end\n", THREE), most_states=3)
    assert made.impossible == ()
    assert {untaken.reason for untaken in made.undecided} == {"not every call could be looked at"}


def test_a_large_flow_with_ways_back_is_covered_as_a_whole(compiled) -> None:
    """What lies too deep for the states that are looked at is looked for one by one."""
    lines, nodes = ["start -> m0"], {}
    for number in range(12):
        menu = f"m{number}"
        nodes[menu] = {"type": "menu", "max_visits": 3}
        lines += [f"{menu} -> agent: fallback", f"{menu} -> {menu}: no_input", f"{menu} -> m0: dtmf == '*'"]
        lines += [f"{menu} -> m{number + 1}: dtmf == '1'"] if number < 11 else []
        lines += [f"{menu} -> agent"]
    program = compiled("\n".join([*lines, "agent -> end"]), nodes)
    made = generate(program, most_states=1500)
    taken = {edge for case in made.cases for edge in run_case(program, case).trace.edges}  # type: ignore[union-attr]
    assert len(taken) == made.takeable == len(program.flow.transitions)
    assert len(made.cases) <= 1.3 * made.lower_bound


def test_a_second_default_is_hidden_by_the_first(drawn) -> None:
    flow = drawn(MENU, THREE)
    second = Transition("sorry", "end", type="default")
    made = generate(compile_flow(replace(flow, transitions=(*flow.transitions, second))))
    assert [untaken.reason for untaken in made.impossible] == ["the way to `menu` with `default` takes everything"]


def test_a_menu_that_is_left_before_it_gives_up_never_does(compiled) -> None:
    text = "start -> menu\nmenu -> end: visits > 1\nmenu -> menu\nmenu -> sales: fallback\nsales -> end"
    made = generate(compiled(text, THREE))
    reasons = {untaken.transitions[0].source: untaken.reason for untaken in made.impossible}
    assert reasons == {"menu": "no call gets to `menu` more than 3 times", "sales": "no call gets to `sales`"}
