"""Template text, parsed by Jinja's own parser and held to an allow-list before anything is evaluated.

Jinja's sandbox lets nearly every resource bomb through (`'a' * 10**9`), and its compiler folds constants, so that
merely validating a template runs them. Here only the parser is used. Allowed are names, field and item access,
literals, comparisons, `and`, `or`, `not`, conditional expressions, `~`, and the filters and tests of
`cordboard.chains.filters`. There are no calls, loops, arithmetic, macros or statements.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser

from cordboard.chains.filters import FILTERS, TESTS
from cordboard.errors import BindError
from cordboard.findings import near
from cordboard.outline import UNPRINTABLE

MAX_SOURCE = 8 * 1024
MAX_NODES = 400
MAX_DEPTH = 64
MAX_NESTING = 16
RESERVED_NAMES = frozenset({"params", "item", "item_index", "row", "run"})
WORDS = frozenset(
    {"true", "false", "none", "null", "True", "False", "None", "and", "or", "not", "in", "is", "if", "else"}
)

_ALLOWED = (
    nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.List, nodes.Dict, nodes.Pair, nodes.Compare,
    nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.CondExpr, nodes.Concat, nodes.Filter, nodes.Test,
)  # fmt: skip
_REASONS: tuple[tuple[type[nodes.Node], str], ...] = (
    (nodes.Call, "calls are not allowed in templates"),
    (nodes.Slice, "slices are not allowed in templates"),
    (nodes.BinExpr, "arithmetic is not allowed in templates; let a data action compute it"),
    (nodes.UnaryExpr, "arithmetic is not allowed in templates; let a data action compute it"),
    (nodes.Tuple, "tuples are not allowed in templates; write a list, `[a, b]`"),
)
_PIECE = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\}\}|[{}]|\{""", re.DOTALL)
_WORD = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|\w+|[^\w\s]""", re.DOTALL)
_OPENERS, _CLOSERS = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Template:
    """A checked template.

    Attributes:
        parts: literal text and expressions, in order.
        lone: whether it is one expression and nothing else, so that its value keeps its type.
    """

    parts: tuple[str | nodes.Expr, ...]
    lone: bool

    @property
    def expressions(self) -> tuple[nodes.Expr, ...]:
        """The expressions without the text between them."""
        return tuple(part for part in self.parts if isinstance(part, nodes.Expr))


@lru_cache(maxsize=4096)
def parse_template(text: str) -> Template:
    """Parses and checks the text of a template; nothing in it is evaluated.

    Raises:
        BindError: unbalanced braces, a statement or comment, a syntax error, anything outside the allow-list, or a
            limit (8 KiB of source, 400 nodes, 16 levels of brackets). The path is empty; the caller knows it.
    """
    if len(text) > MAX_SOURCE:
        raise BindError("", f"a template may have {MAX_SOURCE} characters at the most, this one has {len(text)}")
    parts = tuple(_parse_expression(piece) if is_code else piece for is_code, piece in _split(text))
    codes = [part for part in parts if not isinstance(part, str)]
    lone = len(codes) == 1 and all(not part.strip() for part in parts if isinstance(part, str))
    return Template(parts, lone)


def parse_lone(text: str) -> nodes.Expr:
    """The expression of a template that is one expression and nothing else.

    Raises:
        BindError: as `parse_template`, or there is text around the expression, or none in the text.
    """
    template = parse_template(text)
    if not template.lone:
        raise BindError("", "must be one `{{ expression }}` and nothing else")
    return template.expressions[0]


def is_template(text: str) -> bool:
    """Whether the text has anything to bind; text without braces stands for itself."""
    return "{{" in text or "{%" in text or "{#" in text


def _split(text: str) -> Iterator[tuple[bool, str]]:
    """Literal text (False) and sources of expressions (True), in order."""
    position = 0
    while (start := text.find("{{", position)) >= 0:
        yield from _literal(text[position:start])
        end = _end_of_expression(text, start + 2)
        yield True, text[start + 2 : end]
        position = end + 2
    yield from _literal(text[position:])


def _literal(text: str) -> Iterator[tuple[bool, str]]:
    for mark, name in (("{%", "statements"), ("{#", "comments")):
        if mark in text:
            raise BindError("", f"`{mark}`: {name} are not allowed, only `{{{{ expressions }}}}`")
    if text:
        yield False, text


def _end_of_expression(text: str, start: int) -> int:
    """Where the `}}` stands that closes an expression; braces of objects and quoted braces do not count."""
    depth = 0
    position = start
    while match := _PIECE.search(text, position):
        piece, position = match[0], match.end()
        if piece == "}}" and depth == 0:
            return match.start()
        if piece == "}}":
            depth, position = depth - 1, match.start() + 1
        elif piece in "{}":
            depth += 1 if piece == "{" else -1
    raise BindError("", "`{{` is never closed by `}}`; for the two characters themselves write `{{ '{{' }}`")


def _parse_expression(source: str) -> nodes.Expr:
    _check_effort(source)
    try:
        parser = Parser(_environment(), source, state="variable")
        expression = parser.parse_expression()
    except TemplateSyntaxError as error:
        raise BindError("", f"`{_shown(source)}` is not an expression: {error.message}") from None
    except (RecursionError, ValueError, OverflowError):
        raise BindError("", f"`{_shown(source)}` is nested too deeply or holds an impossible number") from None
    if not parser.stream.eos:
        raise BindError(
            "", f"`{_shown(source)}` is not one expression: unexpected `{_shown(str(parser.stream.current))}`"
        )
    _check_tree(expression)
    return expression


@lru_cache(maxsize=1)
def _environment() -> Environment:
    """Serves the parser only: nothing is ever compiled or rendered, so there is no output to escape."""
    return Environment(optimized=False, autoescape=False)  # noqa: S701


def _check_effort(source: str) -> None:
    """Refuses what would cost the parser much, by looking at words and brackets only."""
    if len(_WORD.findall(source)) > 3 * MAX_NODES:
        raise BindError("", f"an expression may have {MAX_NODES} parts at the most")
    depth = 0
    for char in source:
        depth += (char in _OPENERS) - (char in _CLOSERS)
        if depth > MAX_NESTING:
            raise BindError("", f"brackets nested deeper than {MAX_NESTING} levels")


def _check_tree(expression: nodes.Expr) -> None:
    todo: list[tuple[nodes.Node, int]] = [(expression, 1)]
    seen = 0
    while todo:
        node, depth = todo.pop()
        seen += 1
        if seen > MAX_NODES or depth > MAX_DEPTH:
            raise BindError("", f"an expression may have {MAX_NODES} parts in {MAX_DEPTH} levels at the most")
        _check_node(node)
        todo.extend((child, depth + 1) for child in node.iter_child_nodes())


def _check_node(node: nodes.Node) -> None:
    if not isinstance(node, _ALLOWED):
        reason = next((reason for kind, reason in _REASONS if isinstance(node, kind)), "")
        raise BindError("", reason or f"`{type(node).__name__}` is not allowed in templates")
    if isinstance(node, nodes.Const):
        _check_constant(node.value)
    elif isinstance(node, nodes.Neg) and not _is_number(node.node):
        raise BindError("", "`-` may only stand before a number")
    elif isinstance(node, nodes.Filter | nodes.Test):
        _check_operation(node)


def _check_constant(value: object) -> None:
    if isinstance(value, str) and UNPRINTABLE.search(value):
        raise BindError("", "a text in an expression holds a control character or half of a surrogate pair")
    if isinstance(value, int | float) and not (-1e308 <= value <= 1e308 and math.isfinite(value)):
        raise BindError("", "a number in an expression does not fit")


def _is_number(node: nodes.Node) -> bool:
    return isinstance(node, nodes.Const) and isinstance(node.value, int | float) and not isinstance(node.value, bool)


def _check_operation(node: nodes.Filter | nodes.Test) -> None:
    kind, table = ("filter", FILTERS) if isinstance(node, nodes.Filter) else ("test", TESTS)
    operation = table.get(node.name)
    if operation is None or (isinstance(node, nodes.Filter) and node.node is None):
        raise BindError(
            "", f"there is no {kind} `{_shown(node.name)}`; there are {', '.join(table)}", near(node.name, table)
        )
    if node.kwargs or node.dyn_args is not None or node.dyn_kwargs is not None:
        raise BindError("", f"the {kind} `{node.name}` takes its arguments by position")
    if not operation.fewest <= len(node.args) <= operation.most:
        raise BindError("", f"the {kind} `{node.name}` takes {operation.most} arguments at the most")


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:57]}..."
