"""The error of a condition that cannot be read."""

from __future__ import annotations

from cordboard.errors import Ours


class ConditionError(Ours):
    """A condition cannot be read.

    Attributes:
        message: what is wrong, in one sentence.
        column: where it is wrong, counted from 1; one past the end where something is missing there.
        hint: how to mend it; empty where the message says it all.
    """

    def __init__(self, message: str, column: int, hint: str = "") -> None:
        super().__init__(message, column, hint)
        self.message, self.column, self.hint = message, column, hint

    def __str__(self) -> str:
        hint = f" {self.hint}" if self.hint else ""
        return f"column {self.column}: {self.message}.{hint}"
