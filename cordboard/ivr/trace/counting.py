"""How often nodes have been reached, all in one number, so that states of a call are small and can be compared.

Only what can matter is counted. After three visits of a menu that gives up after two, every further visit is like the
one before it; a node of which no condition reads `visits` and that never gives up is not counted at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from cordboard.ivr.conditions import Comparison, Condition, Name, Number
from cordboard.ivr.conditions.tree import atoms_of, operands_of

_VISITS = Name("visits")
#: More visits than any call makes; for counts that are compared with a variable.
UNBOUNDED = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Counter:
    """The place of one count inside the number.

    Attributes:
        most: visits beyond which one more makes no difference.
        shift: the position of its lowest bit.
        mask: its bits, at position 0.
    """

    most: int
    shift: int = 0
    mask: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", (1 << self.most.bit_length()) - 1)

    def of(self, counts: int) -> int:
        """How often the node has been reached, up to `most`."""
        return (counts >> self.shift) & self.mask

    def up(self, counts: int) -> int:
        """All counts after one more visit; the same number where that makes no difference."""
        return counts + (1 << self.shift) if (counts >> self.shift) & self.mask < self.most else counts


def visits_that_matter(max_visits: int | None, conditions: Iterable[Condition]) -> int:
    """The number of visits of a node beyond which one more makes no difference; 0 where none makes any."""
    if max_visits is not None:
        return max_visits + 1
    return max((_last_difference(atom) for condition in conditions for atom in atoms_of(condition)), default=0)


def _last_difference(atom: Condition) -> int:
    if not isinstance(atom, Comparison) or _VISITS not in (atom.left, atom.right):
        return 0
    other = atom.right if atom.left == _VISITS else atom.left
    if isinstance(other, Number):
        return max(0, math.floor(other.value)) + 1
    return UNBOUNDED if isinstance(other, Name) and other != _VISITS else 0


def reads_visits(conditions: Iterable[Condition]) -> bool:
    """Whether the number of visits decides anything."""
    return any(_VISITS in operands_of(atom) for condition in conditions for atom in atoms_of(condition))
