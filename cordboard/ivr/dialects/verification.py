"""Whether a vendor stored what it was sent; stricter than meaning, because what is stored is what callers get.

What the vendor adds to an object is its own affair; a node or a connection that it adds is not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cordboard.jsontext import dump_json

#: Counted up by the vendor with every save.
_COUNTED = frozenset({"version"})
_LISTS = ("connections", "nodes")


def verify(sent: Mapping[str, Any], stored: Any) -> tuple[str, ...]:
    """Compares what was sent with what a read gives back.

    Args:
        sent: the body of the request, of either vendor.
        stored: the reply to a read, whatever it is.

    Returns:
        Every difference as a sentence; empty where everything that was sent is stored, once and unchanged, and no other
        node or connection stands beside it. The order of nodes and of connections is no difference.
    """
    if not isinstance(stored, Mapping):
        return ("the stored flow is no object",)
    return tuple(_differences(sent, stored))


def _differences(sent: Mapping[str, Any], stored: Mapping[str, Any]) -> Iterator[str]:
    plain = {name: value for name, value in sent.items() if name not in _LISTS and name not in _COUNTED}
    yield from _field_differences("the flow", plain, stored)
    for name in _LISTS:
        if name in sent:
            yield from _entry_differences(name.removesuffix("s"), sent[name], stored.get(name))


def _entry_differences(what: str, sent: Any, stored: Any) -> Iterator[str]:
    ours, theirs = _entries(sent), _entries(stored)
    if ours is None or theirs is None:
        yield f"the {'sent' if ours is None else 'stored'} flow has no {what}s"
    found, offered = _by_id(theirs or []), _by_id(ours or [])
    for name, entries in offered.items():
        if len(entries) > 1:
            yield f"{_called(what, name, entries[0])} was sent {len(entries)} times, so nobody can tell them apart"
        there = found.get(name, [])
        if not there:
            yield f"{_called(what, name, entries[0])} is missing"
        elif len(there) > 1:
            yield f"{_called(what, name, entries[0])} is stored {len(there)} times"
        for copy in there:
            yield from _copy_differences(_called(what, name, entries[0]), entries[0], copy)
    for name, entries in found.items():
        if name not in offered:
            yield from (f"{_called(what, name, entry)} is stored, and was not sent" for entry in entries)


def _entries(value: Any) -> list[tuple[str, Any]] | None:
    """Ids and entries of a list, or of an object that has them under their ids."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, list):
        return [(_id_of(entry), entry) for entry in value]
    return None


def _id_of(entry: Any) -> str:
    name = entry.get("id") if isinstance(entry, Mapping) else None
    return name if isinstance(name, str) else ""


def _by_id(entries: list[tuple[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, entry in entries:
        found.setdefault(name, []).append(entry)
    return found


def _called(what: str, name: str, entry: Any) -> str:
    called = f"{what} {name}" if name else f"a {what} without an id"
    if what == "connection" and isinstance(entry, Mapping):
        called += f" from {entry.get('source_node_id')} to {entry.get('target_node_id')}"
    return called


def _copy_differences(called: str, sent: Any, stored: Any) -> Iterator[str]:
    if isinstance(sent, Mapping) and isinstance(stored, Mapping):
        yield from _field_differences(called, sent, stored)
    else:
        yield f"{called} is stored as {_shown(stored)}"


def _field_differences(called: str, sent: Mapping[str, Any], stored: Mapping[str, Any]) -> Iterator[str]:
    for name, value in sent.items():
        if name not in stored:
            yield f"{called}: `{name}` is missing; it was sent as {_shown(value)}"
        elif not _holds(stored[name], value):
            yield f"{called}: `{name}` is {_shown(stored[name])}; it was sent as {_shown(value)}"


def _holds(stored: Any, sent: Any) -> bool:
    """Whether a stored value is the sent one; objects in it may have grown."""
    todo = [(stored, sent)]
    while todo:
        theirs, ours = todo.pop()
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            if not ours.keys() <= theirs.keys():
                return False
            todo.extend((theirs[name], value) for name, value in ours.items())
        elif isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
            if len(ours) != len(theirs):
                return False
            todo.extend(zip(theirs, ours, strict=True))
        elif type(ours) is not type(theirs) or ours != theirs:
            return False
    return True


def _shown(value: Any) -> str:
    text = dump_json(value)
    return text if len(text) <= 120 else f"{text[:100]}… ({len(text)} characters)"
