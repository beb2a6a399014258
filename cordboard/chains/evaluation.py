"""Evaluates checked expressions over JSON values: items only, never attributes of Python objects, no surprises.

A name that is not there gives a `Missing`, which may be asked about (`is defined`, `default`) and travels through
further access; any other use of it is an error that says what was missing. Equality is JSON's: `true` is not `1`. Order
exists between two numbers and between two texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from jinja2 import nodes

from cordboard.chains.filters import FILTERS, TESTS, concat, is_true, kind_of, text_of
from cordboard.chains.references import NULL
from cordboard.errors import BindError
from cordboard.findings import near

Scope = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Missing:
    """What an expression gives where there is nothing: why, and the names that were there instead."""

    reason: str
    near: tuple[str, ...] = ()


def evaluate(node: nodes.Node, scope: Scope) -> Any:
    """The value of an expression.

    Raises:
        BindError: something is missing, or an operation does not fit its values. The path is empty.
    """
    value = _value(node, scope)
    if isinstance(value, Missing):
        raise BindError("", value.reason, value.near)
    return value


def spell(node: nodes.Node) -> str:
    """An access expression as its author wrote it, such as `enrich.contacts[0].id`."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{spell(node.node)}.{node.attr}"
    if isinstance(node, nodes.Getitem):
        return f"{spell(node.node)}[{spell(node.arg)}]"
    if isinstance(node, nodes.Const):
        return repr(node.value)
    if isinstance(node, nodes.Filter) and node.node is not None:
        return f"{spell(node.node)} | {node.name}"
    return "(…)"


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values: numbers by value, everything else only within its own type."""
    if kind_of(left) != kind_of(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    return bool(left == right)


def _value(node: nodes.Node, scope: Scope) -> Any:
    return _EVALUATORS[type(node)](node, scope)


def _name(node: nodes.Name, scope: Scope) -> Any:
    if node.name in scope:
        return scope[node.name]
    if node.name == NULL:
        return None
    return Missing(f"`{node.name}` is not defined here", near(node.name, scope))


def _getattr(node: nodes.Getattr, scope: Scope) -> Any:
    return _item(node, _value(node.node, scope), node.attr)


def _getitem(node: nodes.Getitem, scope: Scope) -> Any:
    owner = _value(node.node, scope)
    return owner if isinstance(owner, Missing) else _item(node, owner, evaluate(node.arg, scope))


def _item(node: nodes.Getattr | nodes.Getitem, owner: Any, key: Any) -> Any:
    """An entry of an object or a list; nothing else has entries."""
    if isinstance(owner, Missing):
        return owner
    if isinstance(owner, dict) and isinstance(key, str):
        return owner[key] if key in owner else _no_field(node, owner, key)
    if isinstance(owner, list) and isinstance(key, int) and not isinstance(key, bool):
        if -len(owner) <= key < len(owner):
            return owner[key]
        return Missing(f"`{spell(node)}` is not there: the list has {len(owner)} entries")
    return Missing(f"`{spell(node)}` is not there: `{spell(node.node)}` is {_with_article(owner)}")


def _no_field(node: nodes.Getattr | nodes.Getitem, owner: dict[str, Any], key: str) -> Missing:
    return Missing(f"`{spell(node)}` is not there: `{spell(node.node)}` has no field of that name", near(key, owner))


def _with_article(value: Any) -> str:
    kind = kind_of(value)
    return {"text": "text", "null": "null", "object": "an object"}.get(kind, f"a {kind}")


def _const(node: nodes.Const, _scope: Scope) -> Any:
    return node.value


def _list(node: nodes.List, scope: Scope) -> list[Any]:
    return [evaluate(item, scope) for item in node.items]


def _dict(node: nodes.Dict, scope: Scope) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for pair in node.items:
        key = evaluate(pair.key, scope)
        if not isinstance(key, str):
            raise BindError("", f"a key of an object must be text, not {_with_article(key)}")
        made[key] = evaluate(pair.value, scope)
    return made


def _and(node: nodes.And, scope: Scope) -> Any:
    left = evaluate(node.left, scope)
    return _value(node.right, scope) if is_true(left) else left


def _or(node: nodes.Or, scope: Scope) -> Any:
    left = evaluate(node.left, scope)
    return left if is_true(left) else _value(node.right, scope)


def _not(node: nodes.Not, scope: Scope) -> bool:
    return not is_true(evaluate(node.node, scope))


def _neg(node: nodes.Neg, scope: Scope) -> Any:
    return -evaluate(node.node, scope)


def _condition(node: nodes.CondExpr, scope: Scope) -> Any:
    if is_true(evaluate(node.test, scope)):
        return _value(node.expr1, scope)
    if node.expr2 is None:
        return Missing("the condition is not met and there is no `else`")
    return _value(node.expr2, scope)


def _concat(node: nodes.Concat, scope: Scope) -> str:
    return concat([text_of(evaluate(part, scope)) for part in node.nodes])


def _compare(node: nodes.Compare, scope: Scope) -> bool:
    left = evaluate(node.expr, scope)
    for operand in node.ops:
        right = evaluate(operand.expr, scope)
        if not _COMPARISONS[operand.op](left, right):
            return False
        left = right
    return True


def _order(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def function(left: Any, right: Any) -> bool:
        kinds = kind_of(left), kind_of(right)
        if kinds not in {("number", "number"), ("text", "text")}:
            raise BindError("", f"{_with_article(left)} and {_with_article(right)} have no order")
        return compare(left, right)

    return function


def _contains(item: Any, container: Any) -> bool:
    if isinstance(container, list):
        return any(same(item, entry) for entry in container)
    if isinstance(container, dict | str) and isinstance(item, str):
        return item in container
    raise BindError("", f"`in` cannot look for {_with_article(item)} in {_with_article(container)}")


def _filter(node: nodes.Filter, scope: Scope) -> Any:
    assert node.node is not None  # the parser's check refuses filter blocks
    value = _value(node.node, scope)
    if node.name == "default":
        return evaluate(node.args[0], scope) if isinstance(value, Missing) else value
    if isinstance(value, Missing):
        return value
    arguments = [evaluate(argument, scope) for argument in node.args]
    try:
        return FILTERS[node.name].function(value, *arguments)
    except LookupError as error:
        return Missing(f"`{spell(node.node)}` {error.args[0]}")


def _test(node: nodes.Test, scope: Scope) -> bool:
    if node.name in {"defined", "undefined"}:
        return isinstance(_value(node.node, scope), Missing) is (node.name == "undefined")
    return bool(TESTS[node.name].function(evaluate(node.node, scope)))


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = MappingProxyType(
    {
        "eq": same,
        "ne": lambda left, right: not same(left, right),
        "lt": _order(lambda left, right: left < right),
        "lteq": _order(lambda left, right: left <= right),
        "gt": _order(lambda left, right: left > right),
        "gteq": _order(lambda left, right: left >= right),
        "in": _contains,
        "notin": lambda item, container: not _contains(item, container),
    }
)
_EVALUATORS: Mapping[type[nodes.Node], Callable[[Any, Scope], Any]] = MappingProxyType(
    {
        nodes.Name: _name,
        nodes.Getattr: _getattr,
        nodes.Getitem: _getitem,
        nodes.Const: _const,
        nodes.List: _list,
        nodes.Dict: _dict,
        nodes.And: _and,
        nodes.Or: _or,
        nodes.Not: _not,
        nodes.Neg: _neg,
        nodes.CondExpr: _condition,
        nodes.Concat: _concat,
        nodes.Compare: _compare,
        nodes.Filter: _filter,
        nodes.Test: _test,
    }
)
