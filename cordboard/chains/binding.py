"""Binds templates to values.

A text that is one `{{ expression }}` and nothing else becomes the value itself, any JSON value unchanged; text with
expressions in it becomes text; everything else stands for itself. What a value contains is data and is never read as a
template. An undefined name is an error that says where, and which names are spelled alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cordboard.chains.evaluation import evaluate
from cordboard.chains.filters import concat, is_true, text_of
from cordboard.chains.references import Reference, references
from cordboard.chains.template import Template, is_template, parse_lone, parse_template
from cordboard.errors import BindError
from cordboard.outline import join_path

MAX_BOUND = 8 * 1024 * 1024
"""Characters that one bound value may have as JSON, about; what a vendor's reply may have in bytes."""


def bind(template: Any, context: Mapping[str, Any], path: str = "") -> Any:
    """The template with every expression replaced by its value.

    Args:
        template: a JSON value; texts anywhere inside it may be templates, keys may not.
        context: `params`, the outputs of actions by their ids, and in a `for_each` also `item` and `item_index`.
        path: where the template stands, for error messages.

    Returns:
        A JSON value. It may share parts with the context and must not be changed.

    Raises:
        BindError: a name is undefined, an operation does not fit its values, or the result is too large.
    """
    bound = _bind(template, context, path)
    if not _fits(bound):
        raise BindError(path, f"the bound value is larger than {MAX_BOUND} characters")
    return bound


def bind_condition(text: str, context: Mapping[str, Any], path: str = "") -> bool:
    """The truth of a condition such as `{{ enrich.contacts | length > 0 }}`.

    Null, false, zero and whatever is empty are false. The texts `true` and `false` are refused: both would be true.

    Raises:
        BindError: as `bind`, or the text is not one expression.
    """
    try:
        return is_true(evaluate(parse_lone(text), context))
    except BindError as error:
        raise _at(path, error) from None


def names_in(text: str) -> tuple[Reference, ...]:
    """What a text refers to, in the order of reading; nothing for text without expressions.

    Raises:
        BindError: the text is not a valid template.
    """
    if not is_template(text):
        return ()
    return tuple(found for expression in parse_template(text).expressions for found in references(expression))


def _bind(template: Any, context: Mapping[str, Any], path: str) -> Any:
    if isinstance(template, str):
        return _bind_text(template, context, path) if is_template(template) else template
    if isinstance(template, dict):
        return {key: _bind(value, context, join_path(path, key)) for key, value in template.items()}
    if isinstance(template, list):
        return [_bind(value, context, join_path(path, index)) for index, value in enumerate(template)]
    return template


def _bind_text(text: str, context: Mapping[str, Any], path: str) -> Any:
    try:
        template = parse_template(text)
        if template.lone:
            return evaluate(template.expressions[0], context)
        return _render(template, context)
    except BindError as error:
        raise _at(path, error) from None


def _render(template: Template, context: Mapping[str, Any]) -> str:
    return concat([part if isinstance(part, str) else text_of(evaluate(part, context)) for part in template.parts])


def _at(path: str, error: BindError) -> BindError:
    return BindError(path, error.reason, error.near)


def _fits(value: Any) -> bool:
    """Whether a value stays within `MAX_BOUND`; stops counting as soon as it does not."""
    room = MAX_BOUND
    todo = [value]
    while todo and room >= 0:
        item = todo.pop()
        room -= 2
        if isinstance(item, str):
            room -= len(item)
        elif isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, dict):
            todo.extend(item)
            todo.extend(item.values())
    return room >= 0
