"""What changed about a node itself, or about fields that only the vendor understands, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cordboard.ivr.diff.difference import Difference, Kind
from cordboard.ivr.diff.matching import Ways
from cordboard.ivr.diff.wording import Names, excerpts, quoted, visible
from cordboard.jsontext import dump_json


def node_added(node: Mapping[str, Any], names: Names) -> Difference:
    """A node that was not there."""
    says = [
        visible(node["type"]) or "no type",
        f"says {_excerpt(node['prompt'])}" if node["prompt"] else "",
        f"gives up after {_visits(node['max_visits'])}" if node["max_visits"] else "",
        *(f"sets `{visible(name)}` to {_value(value)}" for name, value in sorted(node.get("set", {}).items())),
        *(f"`{visible(name)}` is {_value(value)}" for name, value in sorted(node["extra"].items())),
    ]
    sentence = f"{names.full(node['id'])} is new: {', '.join(word for word in says if word)}"
    return Difference(Kind.NODE_ADDED, node["id"], sentence, None, dict(node))


def node_gone(node: Mapping[str, Any], ways: Ways, names: Names) -> Difference:
    """A node that is there no more, and with it its ways out."""
    before = {**node, "ways": [way.as_json() for way in ways]}
    sentence = f"{names.full(node['id'])} is gone: {visible(node['type']) or 'no type'}"
    return Difference(Kind.NODE_GONE, node["id"], sentence, before, None)


def node_changed(before: Mapping[str, Any], after: Mapping[str, Any], names: Names) -> Iterator[Difference]:
    """What is other than before in the fields of a node."""
    node, called = after["id"], names.short(after["id"])
    for name in ("type", "name", "prompt", "max_visits"):
        if before[name] != after[name]:
            sentence = _field_sentence(name, before[name], after[name], visible(node) if name == "name" else called)
            yield Difference(Kind.NODE, node, sentence, {name: before[name]}, {name: after[name]})
    for sentence, old, new in _assignments_changed(before.get("set", {}), after.get("set", {})):
        yield Difference(Kind.NODE, node, f"{called} {sentence}", {"set": old}, {"set": new})
    for sentence, old, new in extra_changed(before["extra"], after["extra"]):
        yield Difference(Kind.NODE, node, f"{called}: {sentence}", old, new)


def _assignments_changed(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name in sorted(before.keys() | after.keys()):
        old, new = (dump_json(side[name]) if name in side else "" for side in (before, after))
        if old != new:
            was, now = map(visible, excerpts(old, new))
            says = f"now sets `{visible(name)}` to {now}" if new else f"no longer sets `{visible(name)}`"
            then = f"it set it to {was}" if old else "it did not set it"
            yield f"{says}, {then}", _only(name, before), _only(name, after)


def extra_changed(
    before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """For each field of a vendor that changed, the change in words, and the field before and after.

    Inside objects it is the innermost field that is told, by its path, such as `properties.audioResource.id`.
    """
    sides = _flat(before, after), _flat(after, before)
    for path in sorted(sides[0].keys() | sides[1].keys()):
        old, new = (dump_json(side[path]) if path in side else "" for side in sides)
        if old != new:
            was, now = (visible(text) or "not there" for text in excerpts(old, new))
            sentence = f"`{visible('.'.join(path))}` is now {now}, it was {was}"
            was_there, is_there = ({".".join(path): side[path]} if path in side else {} for side in sides)
            yield sentence, was_there, is_there


def _flat(fields: Mapping[str, Any], other: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """The fields by path, taken apart as far as both sides hold objects that say something."""
    found: dict[tuple[str, ...], Any] = {}
    todo: list[tuple[tuple[str, ...], Any, Any]] = [((), fields, other)]
    while todo:
        path, value, beside = todo.pop()
        if not path or (value and beside and isinstance(value, Mapping) and isinstance(beside, Mapping)):
            todo.extend(((*path, name), item, beside.get(name)) for name, item in value.items())
        else:
            found[path] = value
    return found


def _only(name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fields[name]} if name in fields else {}


def _field_sentence(name: str, old: Any, new: Any, called: str) -> str:
    if name == "max_visits":
        now = f"now gives up after {_visits(new)}" if new else "never gives up now"
        return f"{called} {now}, it {f'did so after {_visits(old)}' if old else 'never did'}"
    was, now = (quoted(text) if text else "nothing" for text in excerpts(old, new))
    if name == "prompt":
        return f"{called} now says {now}, it said {was}"
    if name == "name":
        return f"{called} is now called {now}, it was called {was}"
    return f"{called} is now of type {visible(new) or 'unknown'}, it was of type {visible(old) or 'unknown'}"


def _visits(count: int) -> str:
    return f"{count} visit{'' if count == 1 else 's'}"


def _excerpt(text: str) -> str:
    return quoted(excerpts(text, "")[0])


def _value(value: Any) -> str:
    return visible(excerpts(dump_json(value), "")[0])
