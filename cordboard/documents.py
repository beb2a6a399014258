"""Documents as people write them: YAML or JSON, read defensively, every value with its line.

YAML is scanned as events before any object exists. Refused are anchors and aliases (a few hundred bytes of them unfold
into gigabytes), tags, a second document, duplicate and composite keys, control characters, and whatever is too large or
too deep. Only JSON's own literals get a type: `no`, `00123`, `+15551234567`, `1:30`, `2024-01-02` and `1e3` stay the
strings they look like.
"""

from __future__ import annotations

import json as jsonlib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from cordboard.errors import InvalidDocument, InvalidJson
from cordboard.findings import Finding
from cordboard.jsontext import parse_json
from cordboard.outline import MAX_DEPTH, MAX_JSON_NODES, MAX_NODES, Outline, join_path

__all__ = [
    "MAX_BYTES",
    "MAX_JSON_BYTES",
    "WHAT",
    "Document",
    "join_path",
    "parse_document",
    "read_document",
    "require_kind",
]

MAX_BYTES = 2 * 1024 * 1024
MAX_JSON_BYTES = 16 * 1024 * 1024

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LITERALS: Mapping[str, Any] = {"": None, "null": None, "true": True, "false": False}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?")
#: Possessive, so that a text of megabytes needs no memory of the ways back.
_JSON_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]|[^\s,:\[\]{}"]+')
#: Of anything that claims to be JSON: an open quote takes all the rest, so that it is looked through only once.
_JSON_VALUE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[^\s,:\[\]{}"]+')
#: What each kind of file is, and what takes it.
WHAT: Mapping[str, tuple[str, str]] = {
    "chain": ("a chain", "python -m flows run-chain"),
    "ivr-flow": ("a call flow", "python -m flows register-ivr"),
    "ivr-suite": ("a suite of calls", "python -m flows simulate-ivr"),
    "ivr-properties": ("a list of properties of a call flow", "cordboard prove"),
    "ivr-patch": ("a patch of a call flow", "python -m flows update-ivr"),
    "trigger": ("a trigger of workflow starts", "python -m flows trigger-workflows"),
    "sandbox": ("the definition of a sandbox", "cordboard sandbox --definition"),
    "faults": ("a list of a sandbox's faults", "cordboard sandbox --faults"),
}
_LAST_STEP = re.compile(r"(?:^|\.)[^.\[\]]*$|\[\d+\]$")


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file.

    Attributes:
        file: the file's name as the caller gave it.
        value: the content, a JSON value.
        lines: the 1-based line of every place, by dotted path such as `actions.enrich.inputs.id` or `contacts[0]`.
    """

    file: str
    value: Any
    lines: Mapping[str, int]

    def line(self, path: str) -> int | None:
        """The line of a place, or of its nearest ancestor that has one."""
        while path and path not in self.lines:
            shorter = _LAST_STEP.sub("", path)
            path = shorter if shorter != path else ""
        return self.lines.get(path)


def read_document(path: Path, *kinds: str) -> Document:
    """Reads a YAML file, or a JSON file where the name ends in `.json`.

    Args:
        path: the file.
        kinds: see `require_kind`; any where none is given.

    Raises:
        InvalidDocument: the file cannot be read, is of another kind, or `parse_document` refuses it.
    """
    json = path.suffix.lower() == ".json"
    try:
        with path.open("rb") as stream:
            data = stream.read(_most_bytes(json) + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _refusal("unreadable", f"cannot be read: {reason}", str(path), None) from None
    document = parse_document(data, str(path), json=json)
    if kinds:
        require_kind(document, *kinds)
    return document


def require_kind(document: Document, *kinds: str) -> None:
    """Refuses a document of another kind in one sentence: what it lacks to be of this kind helps nobody.

    Args:
        document: one that says no kind, or none that is known, is left to its reader.
        kinds: those of `WHAT` that are taken here.

    Raises:
        InvalidDocument: it says that it is something else.
    """
    said = document.value.get("kind") if isinstance(document.value, dict) else None
    if isinstance(said, str) and said in WHAT and said not in kinds:
        what, taker = WHAT[said]
        message = f"the file is {what}, and {' or '.join(WHAT[kind][0] for kind in kinds)} is needed here"
        line, hint = document.line("kind"), f"`{taker}` takes it."
        raise InvalidDocument((Finding("kind/other", message, "kind", document.file, line, hint),))


def parse_document(text: str | bytes, file: str, *, json: bool = False) -> Document:
    """Parses the text of a document.

    Args:
        text: the content; bytes must be UTF-8.
        file: the name to use in findings.
        json: whether it is JSON, and not YAML.

    Raises:
        InvalidDocument: with every fault that could be seen, each with its line.
    """
    content = _decode(text, file, _most_bytes(json))
    outline = Outline(file, MAX_JSON_NODES if json else MAX_NODES)
    if json:
        _check_json(content, file)
    for token in _json_events(content) if json else _yaml_events(content, outline):
        outline.take(*token)
    if outline.faults:
        raise InvalidDocument(tuple(outline.faults))
    return Document(file, outline.value, outline.lines)


def _most_bytes(json: bool) -> int:
    return MAX_JSON_BYTES if json else MAX_BYTES


def _decode(text: str | bytes, file: str, most: int) -> str:
    if len(text) > most:
        raise _refusal("size", f"is larger than {most} bytes", file, None)
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refusal("encoding", "is not UTF-8 text", file, line, "Save the file as UTF-8.") from None


def _refusal(rule: str, message: str, file: str, line: int | None, hint: str = "") -> InvalidDocument:
    return InvalidDocument((Finding(f"document/{rule}", message, file=file, line=line, hint=hint),))


_Event = tuple[str, Any, str, int]


def _yaml_events(text: str, outline: Outline) -> Iterator[_Event]:
    """The events of one YAML document; what is refused goes to the builder as a fault."""
    documents = 0
    try:
        events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        for event in events:
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    outline.stop("second-document", "a second document starts here", line, "Keep one document a file.")
            elif isinstance(event, yaml.CollectionEndEvent):
                yield "}", None, "", line
            elif isinstance(event, yaml.NodeEvent):
                yield _yaml_node(event, line, outline)
    except yaml.YAMLError as error:
        outline.stop("syntax", *_yaml_problem(error, text))
    if documents == 0:
        outline.stop("empty", "the file is empty", 1)


def _yaml_node(event: yaml.NodeEvent, line: int, outline: Outline) -> _Event:
    if event.anchor is not None:
        outline.fault("anchor", "anchors and aliases (`&`, `*`) are not allowed", line, "Write the value out.")
    if getattr(event, "tag", None) is not None:
        outline.fault("tag", "tags (`!`) are not allowed", line, "Quote the text where it starts with `!`.")
    if isinstance(event, yaml.MappingStartEvent):
        return "{", {}, "", line
    if isinstance(event, yaml.SequenceStartEvent):
        return "[", [], "", line
    text = getattr(event, "value", "")
    plain = getattr(event, "implicit", (False,))[0]
    return ".", _typed(text, line, outline) if plain else text, text, line


def _typed(text: str, line: int, outline: Outline) -> Any:
    """A plain scalar with the type that JSON would give it, or the text as it stands."""
    if text in _LITERALS:
        return _LITERALS[text]
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    if len(text) > 300:
        outline.fault("number", "a number of more than 300 digits", line, "Quote it where it is text.")
        return text
    number = float(text) if match[1] else int(text)
    return number if math.isfinite(number) else text


def _yaml_problem(error: yaml.YAMLError, text: str) -> tuple[str, int]:
    mark = getattr(error, "problem_mark", None)
    if isinstance(error, yaml.MarkedYAMLError) and mark is not None:
        return f"not YAML: {error.problem or error.context}", mark.line + 1
    position = getattr(error, "position", 0)
    return f"not YAML: {getattr(error, 'reason', 'unreadable text')}", text.count("\n", 0, position) + 1


def _check_json(text: str, file: str) -> None:
    if _holds_too_much(text):
        raise _refusal("size", f"holds more than {MAX_JSON_NODES} values", file, None)
    try:
        parse_json(text, max_bytes=MAX_JSON_BYTES, max_depth=MAX_DEPTH)
    except InvalidJson as error:
        place = re.search(r"line (\d+) column", str(error))
        raise _refusal("syntax", str(error), file, int(place[1]) if place else None) from None


def _holds_too_much(text: str) -> bool:
    """Whether there are too many values, keys among them; known before the first of millions of objects exists."""
    if sum(map(text.count, ",:[{")) < MAX_JSON_NODES:
        return False
    return sum(1 for _ in islice(_JSON_VALUE.finditer(text), MAX_JSON_NODES + 1)) > MAX_JSON_NODES


def _json_events(text: str) -> Iterator[_Event]:
    """The events of JSON text that is already known to be valid."""
    line, end = 1, 0
    for match in _JSON_TOKEN.finditer(text):
        line += text.count("\n", end, match.start())
        end = match.start()
        lexeme = match[0]
        if lexeme in "{[":
            yield lexeme, {} if lexeme == "{" else [], "", line
        elif lexeme in "}]":
            yield "}", None, "", line
        else:
            value = jsonlib.loads(lexeme)
            yield ".", value, str(value), line
