"""Reads the text of a condition.

    condition   = "default" | "else" | either
    either      = both { "or" both }
    both        = single { "and" single }
    single      = "not" single | "(" either ")" | operand comparison operand | name | "true" | "false"
    operand     = text | number | name | "true" | "false"
    comparison  = "==" | "!=" | "<" | "<=" | ">" | ">="

A literal on the left changes sides (`'1' == dtmf` is read as `dtmf == '1'`), and brackets that change nothing are not
kept, so that conditions which mean the same more often look the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import cast

from cordboard.ivr.conditions.fault import ConditionError
from cordboard.ivr.conditions.printing import show
from cordboard.ivr.conditions.tokens import OPERATORS, WORDS, Token, tokens_of
from cordboard.ivr.conditions.tree import (
    Boolean,
    Comparison,
    Condition,
    Constant,
    Default,
    IsTrue,
    Name,
    Not,
    Number,
    Operand,
    Operator,
    Text,
    all_of,
    any_of,
)

MAX_LENGTH = 1000
MAX_NESTING = 50

_SMALLER = "Split it over several nodes, or compute a variable."
_DEFAULTS = frozenset({"default", "else"})
_MIRRORED: Mapping[Operator, Operator] = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_VERBS: Mapping[str, str] = {
    **dict.fromkeys(("is", "equals", "eq", "equal", "are"), "Write `==`."),
    **dict.fromkeys(("isnt", "ne", "differs"), "Write `!=`."),
    **dict.fromkeys(("in", "contains", "matches", "like"), "Write one comparison for each value, joined by `or`."),
    **dict.fromkeys(("xor", "then", "if", "when", "unless"), "Conditions have only `and`, `or` and `not`."),
}


@lru_cache(maxsize=65536)
def parse(text: str) -> Condition:
    """Reads a condition such as `dtmf == '1'` or `speech == "billing" and not customer.vip`.

    Raises:
        ConditionError: the text is no condition; with the column, and how to mend it. Also where it is longer than
            1,000 characters, as it stands or in its canonical form, or nested deeper than 50 levels.
    """
    _check_length(len(text), "the condition has", MAX_LENGTH + 1)
    condition = _Reader(tokens_of(text)).condition()
    if len(text) > MAX_LENGTH // 2:  # spaces can double it, and the canonical form must be readable again
        _check_length(len(show(condition)), "written out with single spaces, the condition has", 1)
    return condition


def _check_length(length: int, subject: str, column: int) -> None:
    if length > MAX_LENGTH:
        message = f"{subject} {length} characters, {MAX_LENGTH} are allowed"
        raise ConditionError(message, column, _SMALLER)


class _Reader:
    """Reads words one after another; the recursion is as deep as the nesting, which is bounded."""

    __slots__ = ("_depth", "_rest", "_token")

    def __init__(self, tokens: Iterator[Token]) -> None:
        self._rest = tokens
        self._token = next(tokens)
        self._depth = 0

    def condition(self) -> Condition:
        if self._token.kind == "end":
            raise ConditionError("the condition is empty", 1, "Write `true`, `default` or a comparison.")
        found = self._default() if self._token.text in _DEFAULTS else self._either()
        if self._token.kind != "end":
            raise self._unexpected_after()
        return found

    def _take(self) -> Token:
        token = self._token
        if token.kind != "end":
            self._token = next(self._rest)
        return token

    def _sees(self, word: str) -> bool:
        return self._token.text == word and self._token.kind in {"name", "bracket"}

    def _default(self) -> Condition:
        word = self._take()
        if self._token.kind != "end":
            raise _not_alone(word)
        return Default()

    def _either(self) -> Condition:
        return any_of(self._joined("or", self._both))

    def _both(self) -> Condition:
        return all_of(self._joined("and", self._single))

    def _joined(self, word: str, read: Callable[[], Condition]) -> list[Condition]:
        parts = [read()]
        while self._sees(word):
            self._take()
            parts.append(read())
        return parts

    def _single(self) -> Condition:
        if self._sees("not"):
            return self._negation()
        return self._bracketed() if self._sees("(") else self._comparison()

    def _negation(self) -> Condition:
        word = self._take()
        if self._sees("("):
            return Not(self._bracketed())  # one level, so that `not a == b` and `not (a == b)` are equally deep
        self._deeper(word)
        found = Not(self._single())
        self._depth -= 1
        return found

    def _bracketed(self) -> Condition:
        opening = self._take()
        self._deeper(opening)
        found = self._either()
        if not self._sees(")"):
            raise self._not_closed(opening)
        self._take()
        self._depth -= 1
        return found

    def _deeper(self, token: Token) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise ConditionError(f"nested deeper than {MAX_NESTING} levels", token.column, _SMALLER)

    def _comparison(self) -> Condition:
        start = self._token
        left = self._operand()
        if self._token.kind != "operator":
            return _alone(left, start)
        operator = cast("Operator", self._take().text)
        right = self._operand()
        if self._token.kind == "operator":
            hint = "Write two comparisons, joined by `and`."
            raise ConditionError("a comparison has two sides, this one goes on", self._token.column, hint)
        return _compared(operator, left, right)

    def _operand(self) -> Operand:
        token = self._token
        if token.kind == "text":
            found: Operand = Text(token.text[1:-1])
        elif token.kind == "number":
            found = _number(token.text)
        elif token.kind == "name" and token.text in {"true", "false"}:
            found = Boolean(token.text == "true")
        elif token.kind == "name" and token.text not in WORDS:
            found = Name(token.text)
        else:
            raise _no_value(token)
        self._take()
        return found

    def _not_closed(self, opening: Token) -> ConditionError:
        if self._token.kind == "end":
            return ConditionError("the bracket that opens here is never closed", opening.column, "Add `)`.")
        return self._unexpected_after()

    def _unexpected_after(self) -> ConditionError:
        token = self._token
        if token.text == ")":
            return ConditionError("the bracket that closes here was never opened", token.column, "Take it out.")
        if token.kind == "operator":
            return ConditionError(f"`{token.text}` has no value on its left", token.column, "Only values are compared.")
        if token.text in _DEFAULTS:
            return _not_alone(token)
        hint = _VERBS.get(token.text.lower(), "Join conditions by `and` or `or`; put texts into quotes.")
        return ConditionError(f"`{_short(token.text)}` is not expected here", token.column, hint)


def _number(text: str) -> Number:
    value = float(text) if "." in text else int(text)
    return Number(int(value) if value == int(value) else value)


def _compared(operator: Operator, left: Operand, right: Operand) -> Condition:
    if isinstance(right, Name) and not isinstance(left, Name):
        return Comparison(_MIRRORED[operator], right, left)
    return Comparison(operator, left, right)


def _alone(operand: Operand, token: Token) -> Condition:
    if isinstance(operand, Name):
        return IsTrue(operand)
    if isinstance(operand, Boolean):
        return Constant(operand.value)
    kind = "text" if isinstance(operand, Text) else "number"
    raise ConditionError(f"a {kind} alone is no condition", token.column, "Compare it: `dtmf == '1'`.")


def _not_alone(word: Token) -> ConditionError:
    hint = "Take the rest out, or write `true`; where it is a text, put it into quotes."
    return ConditionError(f"`{word.text}` stands alone or not at all", word.column, hint)


def _no_value(token: Token) -> ConditionError:
    if token.kind == "end":
        return ConditionError("the condition ends where a value is expected", token.column, "Write what is missing.")
    if token.text in _DEFAULTS:
        return _not_alone(token)
    hint = f"Put it into quotes where it is a text: '{token.text}'." if token.text in WORDS else ""
    if token.text in OPERATORS:
        hint = "A comparison has a value on each side: `dtmf == '1'`."
    return ConditionError(f"`{token.text}` stands where a value is expected", token.column, hint)


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
