"""What is true of every patch and of every merge, for random flows and random edits of them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cordboard.documents import parse_document
from cordboard.ivr.canonical import way
from cordboard.ivr.conditions import overlap, parse
from cordboard.ivr.dialects.genesys import from_genesys, to_genesys
from cordboard.ivr.merge import apply_patch, make_patch, merge, read_patch, written
from cordboard.ivr.model import Flow

Body = dict[str, Any]
Path = tuple[Any, ...]

NODES = ("start", "menu", "sales", "support", "queue", "end", "extra node")
#: Some of which may both hold, some not, some the same in another spelling, and one that nobody can read.
CONDITIONS = (
    "dtmf == '1'",
    'dtmf=="1"',
    "dtmf == '2'",
    "dtmf == '1' or dtmf == '2'",
    "vip",
    "no_input",
    "((",
    "default",
)
TEXTS = ("no", "00123", "1e3", "true", "null", "~", "", "- a: b", "Grüß Gott\n zwei ", "=", "x" * 130)
NUMBERS = (0, 1, 1.0, -0.5, 1e3, 1.5e-9, 2.5e200, True, False)
FIELDS = ("type", "name", "prompt", "max_visits", "set", "properties", "variables", "x", "vendor.field")

VALUES: tuple[Any, ...] = (
    *(None, *TEXTS, *NUMBERS),
    *([], {}, [1, None], ["no", {"a": None}], {"a": 1}, {"a": True}, {"a": None}, {"b": "1e3"}, {"a": {"b": []}}),
    *({"a": 1, "b": 2}, {"a": {"b": 1, "id": {}}}, {"id": "00123", "b": {"a": 1.5e-9}}, {"department": "sales"}),
)


def a_value(dice: Random) -> Any:
    return deepcopy(dice.choice(VALUES))  # an edit may change it in place


def a_way(dice: Random) -> Body:
    more = {dice.choice(("label", "meta")): a_value(dice)} if dice.random() < 0.2 else {}
    return {"condition": dice.choice(CONDITIONS), "destinationNodeId": dice.choice(NODES), **more}


def a_node(dice: Random, name: str) -> Body:
    fields = {field: a_value(dice) for field in dice.sample(FIELDS, dice.randint(0, 3))}
    ways = [a_way(dice) for _ in range(dice.randint(0, 5))]
    return {"id": name, **fields, "type": dice.choice(("menu", "prompt", "end")), "transitionConditions": ways}


def a_flow(dice: Random) -> Body:
    """A flow as Genesys writes it: two to seven nodes, with whatever faults."""
    names = dice.sample(NODES, dice.randint(2, 7))
    more = {dice.choice(("description", "settings")): a_value(dice)} if dice.random() < 0.5 else {}
    found = {name: a_node(dice, name) for name in names}
    return {"id": "f", "version": 12, "name": "Menu", "startNodeId": names[0], "nodes": found, **more}


def edited(dice: Random, body: Body, *, head: bool = True) -> Body:
    """The flow after up to four edits."""
    made = deepcopy(body)
    edits = (_set_field, _remove_field, _nested, _add_node, _remove_node, *(_change_ways,) * 5, _start)
    for edit in dice.choices((*edits, _head) if head else edits, k=dice.randint(0, 4)):
        edit(dice, made)
    return made


def _set_field(dice: Random, body: Body) -> None:
    _some(dice, body)[dice.choice(FIELDS)] = a_value(dice)


def _remove_field(dice: Random, body: Body) -> None:
    _some(dice, body).pop(dice.choice(FIELDS), None)


def _nested(dice: Random, body: Body) -> None:
    properties = _some(dice, body).setdefault("properties", {})
    if isinstance(properties, dict):
        properties[dice.choice(("a", "b", "audioResource"))] = a_value(dice)


def _add_node(dice: Random, body: Body) -> None:
    name = dice.choice(NODES)
    body["nodes"].setdefault(name, a_node(dice, name))


def _remove_node(dice: Random, body: Body) -> None:
    if len(body["nodes"]) > 1:
        del body["nodes"][dice.choice(sorted(body["nodes"]))]


def _change_ways(dice: Random, body: Body) -> None:
    out = _some(dice, body)["transitionConditions"]
    kind = dice.choice(("add", "add", "remove", "retarget", "move", "move", "detail"))
    if kind == "add" or not out:
        out.insert(dice.randint(0, len(out)), a_way(dice))
        return
    index = dice.randrange(len(out))
    if kind == "retarget":
        out[index]["destinationNodeId"] = dice.choice(NODES)
    elif kind == "detail":
        out[index]["label"] = a_value(dice)
    else:
        moved = out.pop(index)
        if kind == "move":
            out.insert(dice.randint(0, len(out)), moved)


def _start(dice: Random, body: Body) -> None:
    body["startNodeId"] = dice.choice(sorted(body["nodes"]))


def _head(dice: Random, body: Body) -> None:
    body[dice.choice(("name", "description", "settings"))] = a_value(dice)


def _some(dice: Random, body: Body) -> Body:
    found: Body = body["nodes"][dice.choice(sorted(body["nodes"])[:3])]  # so that edits meet
    return found


def edits_of_one_flow(seed: int) -> tuple[Flow, ...]:
    """A flow and two edits of it, sometimes as the other vendor keeps it: connections of all nodes in one list."""
    dice = Random(seed)
    base = a_flow(dice)
    flows = [from_genesys(deepcopy(body)) for body in (base, edited(dice, base), edited(dice, base))]
    key = dice.randint(-5, 5)
    return tuple(flow if key < 0 else _mixed(flow, key) for flow in flows)


def _mixed(flow: Flow, key: int) -> Flow:
    """The transitions of different nodes among each other, those of one node in their order."""
    turns = sorted(flow.transitions, key=lambda way: (len(way.target) * 7 + key) % 5)
    ways = {node.id: iter([way for way in flow.transitions if way.source == node.id]) for node in flow.nodes}
    return replace(flow, platform="cxone", transitions=tuple(next(ways[turn.source]) for turn in turns))


def two_versions(seed: int) -> tuple[Flow, Flow]:
    """A flow, and the same after edits that a patch can say."""
    dice = Random(seed)
    base = a_flow(dice)
    after = edited(dice, base, head=False)
    if after["startNodeId"] not in after["nodes"]:
        after["startNodeId"] = base["startNodeId"]
    return from_genesys(base), from_genesys(after)


three_flows = st.integers(0, 2**62).map(edits_of_one_flow)
old_and_new = st.integers(0, 2**62).map(two_versions)
texts = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=("Cc", "Cs", "Cn")), max_size=4)


# --- what an edit is, said a second time ---------------------------------------------------------------------------


def atoms(flow: Flow) -> dict[Path, str]:
    """Everything that a flow says, piece by piece: what can be edited on its own."""
    head = {"id": flow.id, "name": flow.name, "start": flow.start} | {f"extra {k}": v for k, v in flow.extra.items()}
    found = dict(_pieces(("",), head))
    for node in flow.nodes:
        says = {n: v for n in ("type", "name", "prompt", "max_visits") if (v := getattr(node, n)) not in ("", None)}
        says |= {"set": dict(node.set)} if node.set else {}
        found |= dict(_pieces((node.id,), says | {f"extra {k}": v for k, v in node.extra.items()}))
        for normal, group in itertools.groupby(sorted(keyed(flow, node.id).items()), lambda item: item[0][:2]):
            ways = [{"to": t.target} | {f"extra {k}": v for k, v in t.extra.items()} for _, t in group]
            found |= dict(_pieces((node.id, normal), ways[0] if len(ways) == 1 else ways))
    return found


def _pieces(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(value, dict):
        yield path, "an object"
        for name, inner in value.items():
            yield from _pieces((*path, name), inner)
    else:
        yield path, json.dumps(value, sort_keys=True)


def keyed(flow: Flow, node: str) -> dict[Path, Any]:
    """The ways out of a node by condition in its normal spelling, type and number."""
    found: dict[Path, Any] = {}
    for transition in flow.transitions:
        if transition.source == node:
            normal = way(transition)
            number = next(n for n in itertools.count() if (*normal, n) not in found)
            found[*normal, number] = transition
    return found


def same_flow(one: Flow | None, other: Flow) -> bool:
    assert one is not None
    return one == other and to_json(one) == to_json(other)


def to_json(flow: Flow) -> str:
    """What is sent, to the byte."""
    return json.dumps(to_genesys(replace(flow, platform="genesys")))


# --- merges -------------------------------------------------------------------------------------------------------


@given(three_flows)
@settings(deadline=None)
def test_no_edit_is_lost_and_none_is_made_up(flows: tuple[Flow, ...]) -> None:
    """What one side changed is as that side has it, what nobody changed is as before; what both did, they agree on."""
    merged = merge(*flows)
    if merged.flow is None:
        assert merged.conflicts
        return
    base, ours, theirs, found = map(atoms, (*flows, merged.flow))
    for path in base | ours | theirs | found:
        before, mine, other = (side.get(path) for side in (base, ours, theirs))
        assert mine == before or other in (before, mine), f"{path} is a conflict that nobody was shown"
        assert found.get(path) == (other if mine == before else mine), path


@given(three_flows)
@settings(deadline=None)
def test_every_disagreement_is_shown_at_its_place_and_nothing_else(flows: tuple[Flow, ...]) -> None:
    """A conflict is something that both sides changed, and not to the same; each such thing is one."""
    conflicts = merge(*flows).conflicts
    for conflict in conflicts:
        texts = {json.dumps(side, sort_keys=True) for side in (conflict.base, conflict.ours, conflict.theirs)}
        assert len(texts) == 3 or (conflict.field and None in (conflict.base, conflict.ours, conflict.theirs))
    base, ours, theirs = map(atoms, flows)
    shown = {(conflict.node, conflict.field) for conflict in conflicts}
    for path in base | ours | theirs:
        before, mine, other = (side.get(path) for side in (base, ours, theirs))
        if mine != before and other not in (before, mine):
            assert any(node == path[0] and _covers(field, path[1:]) for node, field in shown), (path, shown)


def _covers(field: str, path: Path) -> bool:
    """Whether a field of a conflict names a piece of a node, or something around it."""
    name = ""
    if field == "":
        return True
    for step in path:
        if isinstance(step, tuple):
            step = f"transitions[{step[0] if step[1] == 'conditional' else step[1]}]"  # noqa: PLW2901
        name = f"{name}.{step.removeprefix('extra ')}".removeprefix(".")
        if name == field:
            return True
    return False


@given(three_flows)
@settings(deadline=None)
def test_the_order_of_ways_is_decided_by_who_changed_it_or_shown(flows: tuple[Flow, ...]) -> None:
    """Held against all orders: one is right that says of each pair that may both hold what the one who knows says."""
    merged = merge(*flows)
    broken = {conflict.node for conflict in merged.conflicts if conflict.field != "order"}
    names = {node.id for node in flows[0].nodes}.intersection(*({node.id for node in flow.nodes} for flow in flows[1:]))
    for name in names - broken - {""}:
        sides = [list(keyed(flow, name)) for flow in flows]
        kept = [key for key in {*sides[1], *sides[2]} if all(key in side for side in sides) or key not in sides[0]]
        if len(kept) > 6:
            continue
        right = [order for order in itertools.permutations(kept) if _is_right(order, sides)]
        conflict = any(each.node == name and each.field == "order" for each in merged.conflicts)
        assert conflict == (not right), (name, sides)
        if merged.flow:
            assert tuple(keyed(merged.flow, name)) in right


def _is_right(order: tuple[Path, ...], sides: list[list[Path]]) -> bool:
    return all(
        _decided(one, other, sides) for one, other in itertools.combinations(order, 2) if _order_counts(one, other)
    )


def _decided(one: Path, other: Path, sides: list[list[Path]]) -> bool:
    """Whether exactly one answer is given, and it is that one comes first."""
    before, mine, theirs = (
        side.index(one) < side.index(other) if one in side and other in side else None for side in sides
    )
    if mine is None or theirs is None or mine == theirs:
        return (theirs if mine is None else mine) is True
    return before is not None and not before


def _order_counts(one: Path, other: Path) -> bool:
    if one[1] != other[1]:
        return False
    return one[1] != "conditional" or "((" in (one[0], other[0]) or overlap(parse(one[0]), parse(other[0])) is not None


@given(three_flows)
@settings(deadline=None)
def test_it_makes_no_difference_which_side_is_ours(flows: tuple[Flow, ...]) -> None:
    base, ours, theirs = flows
    one, other = merge(base, ours, theirs), merge(base, theirs, ours)
    assert [(c.node, c.field, c.base, c.ours, c.theirs) for c in one.conflicts] == [
        (c.node, c.field, c.base, c.theirs, c.ours) for c in other.conflicts
    ]
    assert (one.flow is None) == (other.flow is None)
    if one.flow and other.flow:
        sent = [to_genesys(replace(flow, platform="genesys")) for flow in (one.flow, other.flow)]
        assert json.dumps(sent[0], sort_keys=True) == json.dumps(sent[1], sort_keys=True)
        assert [node.id for node in one.flow.nodes] == [node.id for node in other.flow.nodes]
        assert one.flow.transitions == other.flow.transitions


@given(three_flows)
@settings(deadline=None)
def test_an_edit_joined_with_none_or_with_itself_is_that_edit(flows: tuple[Flow, ...]) -> None:
    base, ours, theirs = flows
    assert same_flow(merge(base, base, theirs).flow, theirs)
    assert same_flow(merge(base, ours, base).flow, ours)
    assert same_flow(merge(base, ours, ours).flow, ours)


# --- patches ------------------------------------------------------------------------------------------------------


@given(old_and_new)
@settings(deadline=None)
def test_a_patch_makes_the_new_flow_of_the_old_one(flows: tuple[Flow, Flow]) -> None:
    old, new = flows
    made = apply_patch(make_patch(old, new, base_version=12), old)
    assert json.dumps(to_genesys(made), sort_keys=True) == json.dumps(to_genesys(new), sort_keys=True)


@given(old_and_new, texts)
@settings(deadline=None)
def test_a_patch_that_was_written_is_read_back(flows: tuple[Flow, Flow], reason: str) -> None:
    """Texts such as `no` and `00123` stay texts, and numbers stay numbers."""
    old, new = flows
    patch = make_patch(old, new, base_version=12, reason=reason)
    again, findings = read_patch(parse_document(written(patch), "patch.yaml"))
    assert not [finding for finding in findings if finding.severity == "error"]
    assert again == patch
    assert again is not None
    assert json.dumps(to_genesys(apply_patch(again, old)), sort_keys=True) == json.dumps(
        to_genesys(new), sort_keys=True
    )
