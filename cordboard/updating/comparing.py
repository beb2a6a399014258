"""Whether a version of a flow is the one that was sent.

the version …                                         is
holds all that was sent, and nothing that it removed  ours
has all that was edited as it was before              somebody else's
holds the edit in part, and nothing as it was before  ours, stored otherwise than it was sent
is anything else                                      what nobody can tell
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from cordboard.ivr.canonical import BOOKKEEPING, STAMPS, verify
from cordboard.ivr.dialects.genesys import from_genesys
from cordboard.jsontext import dump_json
from cordboard.updating.proposing import saved_body

Whose = Literal["ours", "ours, altered", "theirs", "unclear"]
_Path = tuple[str, ...]
_WAYS = "transitionConditions"


def not_as_sent(replaced: Mapping[str, Any], sent: Mapping[str, Any], stored: Any) -> tuple[str, ...]:
    """What a read gives back otherwise than it was sent, as sentences; also what the edit removed and is still there.

    Args:
        replaced: the flow that was to be replaced.
        sent: the body of the save.
        stored: the reply to a read.
    """
    found = list(verify(sent, stored))
    if isinstance(stored, Mapping):
        before, after, now = places_of(replaced), places_of(sent), places_of(stored)
        left = sorted(path for path in before.keys() - after.keys() if path in now and not _is_inside_list(path))
        nodes = set(sent.get("nodes", {}))
        found += [f"`{'.'.join(path)}` was removed, and is still there" for path in left if _is_of(nodes, path)]
    return tuple(found)


def whose(replaced: Mapping[str, Any], sent: Mapping[str, Any], stored: Mapping[str, Any]) -> Whose:
    """Whose version follows the one that was replaced, by the table above."""
    if not not_as_sent(replaced, sent, stored):
        return "ours"
    before = places_of(saved_body(from_genesys(dict(replaced))))  # what would have been sent without the edit
    after, now = places_of(sent), places_of(stored)
    edited = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    held = {path for path in edited if after.get(path) == now.get(path)}
    as_it_was = {path for path in edited if before.get(path) == now.get(path)}
    if edited and as_it_was == edited:
        return "theirs"
    return "ours, altered" if held and not as_it_was else "unclear"


def places_of(body: Mapping[str, Any]) -> dict[_Path, str]:
    """Everything that a flow says, by where it stands, as JSON texts; ways out of a node by their condition."""
    found: dict[_Path, str] = {}
    todo: list[tuple[_Path, Any]] = [((), body)]
    while todo:
        path, value = todo.pop()
        if path and path[-1] == _WAYS and isinstance(value, list):
            found |= {(*path, *_called(way)): text for way, text in _counted(value)}
        elif isinstance(value, Mapping) and (value or not path):
            hidden = BOOKKEEPING | {"version"} if not path else STAMPS
            todo.extend(((*path, name), item) for name, item in value.items() if name not in hidden)
        else:
            found[path] = dump_json(value)
    return found


def _counted(ways: list[Any]) -> list[tuple[tuple[Any, int], str]]:
    seen: Counter[str] = Counter()
    found = []
    for way in ways:
        name = str(way.get("condition")) if isinstance(way, Mapping) else ""
        found.append(((name, seen[name]), dump_json(way)))
        seen[name] += 1
    return found


def _called(way: tuple[Any, int]) -> _Path:
    name, number = way
    return (name,) if number == 0 else (name, str(number))


def _is_inside_list(path: _Path) -> bool:
    return _WAYS in path  # the list is compared as a whole already


def _is_of(nodes: set[str], path: _Path) -> bool:
    """Whether it is about a node that stays; one that was removed and is stored is told as a node."""
    return len(path) < 2 or path[0] != "nodes" or path[1] in nodes
