"""The lines of a flow's file on which transitions stand, and how often those were taken."""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cordboard.ivr.model import Flow
from cordboard.ivr.suite import Coverage


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the flow's file on which transitions stand.

    Attributes:
        number: counted from 1.
        times: how often each of them was taken, in file order.
    """

    number: int
    times: tuple[int, ...]

    @property
    def taken(self) -> int:
        """How many of them were taken at least once."""
        return sum(1 for count in self.times if count)


def file_of(flow: Flow) -> str:
    """The flow's file by its shortest path, as coverage tools look for it; a relative path stays one."""
    return os.path.normpath(flow.file) if flow.file else ""


def lines_of(coverage: Coverage) -> tuple[Line, ...]:
    """The lines with transitions, from top to bottom; none where the flow was not read from a file."""
    found: dict[int, list[int]] = {}
    for way in coverage.transitions:
        if way.line is not None:
            found.setdefault(way.line, []).append(way.times)
    return tuple(Line(number, tuple(times)) for number, times in sorted(found.items()))


def branches_of(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines on which several transitions stand: such a line can be covered in part."""
    return (line for line in lines if len(line.times) > 1)
