"""Masks every secret that a run of this process knows, in all that leaves it as a log line or a span.

Log handlers belong to the process, not to a run, and may be called in any thread: so they ask the redactors of all
runs that are alive.
"""

from __future__ import annotations

from threading import Lock
from typing import Any
from weakref import ref

from cordboard.redaction import Redactor


class _Alive:
    """The redactors of all runs; whoever reads does so without a lock, of a tuple that never changes."""

    def __init__(self) -> None:
        self.all: tuple[ref[Redactor], ...] = ()
        self._lock = Lock()

    def add(self, redactor: Redactor) -> None:
        with self._lock:
            self.all = (*(each for each in self.all if each() is not None), ref(redactor))


_ALIVE = _Alive()


def masking(redactor: Redactor) -> Redactor:
    """Masks what this redactor knows from now on, and what it learns later, for as long as anybody holds it."""
    _ALIVE.add(redactor)
    return redactor


def masked(text: str) -> str:
    """The text without the secrets of the runs of this process."""
    for each in _ALIVE.all:
        if redactor := each():
            text = redactor.text(text)
    return text


def masked_value(value: Any) -> Any:
    """A JSON value without them."""
    for each in _ALIVE.all:
        if redactor := each():
            value = redactor.value(value)
    return value
