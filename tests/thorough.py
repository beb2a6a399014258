"""How much is tried: what differs in kind and some hundred random cases, or with `CORDBOARD_TEST_THOROUGH=1` all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

THOROUGH = os.environ.get("CORDBOARD_TEST_THOROUGH") == "1"
T = TypeVar("T")


def count(usual: int, thorough: int) -> int:
    """How many random cases are tried, or how large something is."""
    return thorough if THOROUGH else usual


def points(usual: Sequence[T], thorough: Sequence[T]) -> Sequence[T]:
    """The parameters that a test runs with: those that differ in kind, or every one."""
    return thorough if THOROUGH else usual
