"""Cuts the text of a condition into words, and says what is wrong where that cannot be done."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from cordboard.ivr.conditions.fault import ConditionError
from cordboard.ivr.conditions.tree import BUILT_IN_NAMES

OPERATORS = frozenset({"==", "!=", "<", "<=", ">", ">="})
WORDS = frozenset({"and", "or", "not", "true", "false", "default", "else"})
_NO_VALUES = frozenset({"null", "none", "nil", "undefined"})
_MAX_DIGITS = 15

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
    (?P<name>[^\W\d]\w*(?:\.\w+)*)
    | (?P<operator>[=!<>&|]+)
    | (?P<text>'[^']*'|"[^"]*")
    | (?P<number>-?\d[\w.]*)
    | (?P<bracket>[()])
    | (?P<end>\Z)
    | (?P<other>.)
    )""",
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
#: Control characters, halves of surrogate pairs, and characters that turn the direction of reading.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

_CURLY = "\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a\u2032\u2033\u00b4`"
_WRONG_OPERATORS: Mapping[str, str] = {
    "=": "==", "===": "==", "!==": "!=", "<>": "!=", "=!": "!=", "=>": ">=", "=<": "<=",
    "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not",
}  # fmt: skip
_WRONG_CHARACTERS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(_CURLY, ("is a typographic quote", "Write ' or \".")),
    **dict.fromkeys("\u00a0\u2007\u202f\u200b\ufeff", ("is a space that is no plain space", "Type the space again.")),
    **dict.fromkeys("+-*/%^", ("stands for arithmetic, which conditions do not have", "Compute it in the flow.")),
    **dict.fromkeys("{}$", ("is not used here", "Write the name of the variable alone.")),
    "≠": ("is not a comparison", "Write `!=`."),
    "≤": ("is not a comparison", "Write `<=`."),
    "≥": ("is not a comparison", "Write `>=`."),
    ",": ("is not used here", "Write one comparison for each value, joined by `or`."),
    "[": ("is not used here", "Write `customer.tier` for a part of a variable."),
    ";": ("is not used here", "Join conditions by `and` or `or`."),
}


class Token(NamedTuple):
    """A word: its kind (`name`, `operator`, `text`, `number`, `bracket`, `end`), and its column, from 1."""

    kind: str
    text: str
    column: int


def tokens_of(text: str) -> Iterator[Token]:
    """The words of a condition, with one of kind `end` as the last.

    Raises:
        ConditionError: at the first word that the language does not have.
    """
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        token = Token(kind, match[kind], match.start(kind) + 1)
        _check(token, text)
        yield token
        if kind == "end":
            return


def _check(token: Token, text: str) -> None:
    match token.kind:
        case "name":
            _check_name(token)
        case "operator":
            _check_operator(token)
        case "text":
            _check_text(token)
        case "number":
            _check_number(token)
        case "other":
            _refuse_character(token, text)


def _check_name(token: Token) -> None:
    name, lower = token.text, token.text.lower()
    if name in WORDS or name in BUILT_IN_NAMES:
        return
    if _NAME.fullmatch(name) is None:
        rule = "Names are made of the letters a to z, digits and underscores, with dots between the parts."
        raise ConditionError(f"`{_short(name)}` is not a name", token.column, rule)
    if lower in WORDS or lower in BUILT_IN_NAMES:
        raise ConditionError(f"`{name}` is not written in small letters", token.column, f"Write `{lower}`.")
    if lower in _NO_VALUES:
        hint = "A missing variable equals nothing: compare with the value that you expect."
        raise ConditionError(f"`{name}` is not a value", token.column, hint)


def _check_operator(token: Token) -> None:
    if token.text in OPERATORS:
        return
    right = _WRONG_OPERATORS.get(token.text)
    hint = f"Write `{right}`." if right else "There are `==`, `!=`, `<`, `<=`, `>`, `>=`, `and`, `or` and `not`."
    kind = "a word of conditions" if right in WORDS else "a comparison"
    raise ConditionError(f"`{_short(token.text)}` is not {kind}", token.column, hint)


def _check_text(token: Token) -> None:
    bad = _UNPRINTABLE.search(token.text)
    if bad:
        message = f"the text holds the unprintable character U+{ord(bad[0]):04X}"
        raise ConditionError(message, token.column + bad.start(), "Take it out.")
    if token.text[-2] == "\\":
        other = "double" if token.text[0] == "'" else "single"
        hint = f"Put a text that holds this quote into {other} quotes."
        raise ConditionError("a backslash does not protect a quote", token.column + len(token.text) - 2, hint)


def _check_number(token: Token) -> None:
    text, column = token.text, token.column
    if _NUMBER.fullmatch(text) is None:
        hint = "Numbers look like 5, -5 or 0.5; put everything else into quotes."
        raise ConditionError(f"`{_short(text)}` is not a number", column, hint)
    if sum(map(str.isdigit, text)) > _MAX_DIGITS:
        hint = "Put it into quotes where it is a text, such as a telephone number."
        raise ConditionError(f"a number has at most {_MAX_DIGITS} digits", column, hint)


def _refuse_character(token: Token, text: str) -> None:
    char, column = token.text, token.column
    if char in "'\"":
        raise ConditionError("the text that starts here is never closed", column, _closing(char, text[column:]))
    if _UNPRINTABLE.match(char):
        raise ConditionError(f"the unprintable character U+{ord(char):04X}", column, "Take it out.")
    reason, hint = _WRONG_CHARACTERS.get(char, ("is not used in conditions", ""))
    code = "" if char.isprintable() and not char.isspace() else f" (U+{ord(char):04X})"
    raise ConditionError(f"`{char}`{code} {reason}", column, hint)


def _closing(quote: str, rest: str) -> str:
    curly = next((char for char in rest if char in _CURLY), "")
    if curly:
        return f"`{curly}` is a typographic quote and closes nothing: write {quote} there."
    other = '"' if quote == "'" else "'"
    return f"It starts with {quote} and must end with {quote}, not {other}." if other in rest else f"Add {quote}."


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:37]}..."
