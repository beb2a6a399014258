"""Builds a document's value and the map of its lines from events, within bounds and without recursion."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from cordboard.errors import InvalidDocument
from cordboard.findings import Finding

MAX_DEPTH = 50
MAX_NODES = 50_000
MAX_JSON_NODES = 500_000  # programs write JSON, and they write long suites
MAX_FAULTS = 100
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def join_path(path: str, step: str | int) -> str:
    """One step further down a dotted path: a key or a list index."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    return f"{path}.{step}" if path else step


@dataclass(slots=True)
class _Frame:
    """An object or list that is still open."""

    container: Any
    path: str
    key: str | None = None


@dataclass(slots=True)
class Outline:
    """Builds the value and the map of lines from events, without recursion; `most` is how many values it takes."""

    file: str
    most: int = MAX_NODES
    value: Any = None
    lines: dict[str, int] = field(default_factory=dict)
    faults: list[Finding] = field(default_factory=list)
    stack: list[_Frame] = field(default_factory=list)
    nodes: int = 0

    def take(self, kind: str, value: Any, text: str, line: int) -> None:
        """Takes one event: `{`, `[`, `}` for the end of either, or `.` for a scalar."""
        if kind == "}":
            self.stack.pop()
            return
        self.nodes += 1
        if self.nodes > self.most:
            self.stop("size", f"holds more than {self.most} values", line)
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.container, dict) and frame.key is None:
            self._take_key(frame, kind, text, line)
        else:
            self._take_value(frame, kind, value, line)

    def fault(self, rule: str, message: str, line: int, hint: str = "") -> None:
        """Notes a fault and goes on.

        Raises:
            InvalidDocument: `MAX_FAULTS` are noted.
        """
        path = self._here()
        self.faults.append(Finding(f"document/{rule}", message, path, self.file, line, hint))
        if len(self.faults) >= MAX_FAULTS:
            raise InvalidDocument(tuple(self.faults))

    def stop(self, rule: str, message: str, line: int, hint: str = "") -> NoReturn:
        """Notes a fault that makes going on pointless.

        Raises:
            InvalidDocument: always, with every fault noted so far.
        """
        self.fault(rule, message, line, hint)
        raise InvalidDocument(tuple(self.faults))

    def _here(self) -> str:
        if not self.stack:
            return ""
        frame = self.stack[-1]
        return frame.path if frame.key is None else join_path(frame.path, frame.key)

    def _take_key(self, frame: _Frame, kind: str, text: str, line: int) -> None:
        if kind != ".":
            self.stop("key", "a key must be plain text, not an object or a list", line)
        self._check_text(text, line)
        frame.key = text
        path = join_path(frame.path, text)
        if text in frame.container:
            self.fault("duplicate-key", f"the key stands twice, first on line {self.lines[path]}", line)
        else:
            self.lines[path] = line

    def _take_value(self, frame: _Frame | None, kind: str, value: Any, line: int) -> None:
        if isinstance(value, str):
            self._check_text(value, line)
        path = self._attach(frame, value, line)
        if kind != ".":
            self.stack.append(_Frame(value, path))
            if len(self.stack) > MAX_DEPTH:
                self.stop("depth", f"is nested deeper than {MAX_DEPTH} levels", line)

    def _attach(self, frame: _Frame | None, value: Any, line: int) -> str:
        if frame is None:
            self.value = value
            path = ""
        elif frame.key is None:
            path = join_path(frame.path, len(frame.container))
            frame.container.append(value)
        else:
            path = join_path(frame.path, frame.key)
            frame.container[frame.key] = value
            frame.key = None
        self.lines.setdefault(path, line)
        return path

    def _check_text(self, text: str, line: int) -> None:
        if UNPRINTABLE.search(text):
            self.fault("control-character", "text holds a control character or half of a surrogate pair", line)
