"""What a condition is held against: one input of the caller, and the variables of the flow at that moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

#: What a variable can hold; None stands for a variable that is missing.
Value: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class CallerInput:
    """What the caller did at one visit of a node: exactly one of the four, or nothing where the node did not ask.

    Attributes:
        dtmf: the keys pressed, such as `1` or `4711#`.
        speech: what was said.
        no_input: the caller was silent.
        no_match: the caller did something that was not understood.
    """

    dtmf: str = ""
    speech: str = ""
    no_input: bool = False
    no_match: bool = False

    def __str__(self) -> str:
        if self.dtmf:
            return f"the caller presses {self.dtmf}"
        if self.speech:
            return f"the caller says {self.speech!r}"
        if self.no_input:
            return "the caller is silent"
        return "the caller is not understood" if self.no_match else "nothing is asked"


@dataclass(frozen=True, slots=True)
class Situation:
    """One moment of a call, given as an example.

    Attributes:
        caller: what the caller did.
        settings: variables and their values, by name; one that is not listed, or None, is missing.
        proven: whether the example was worked out; False where there are too many names to try, and it may not exist.
    """

    caller: CallerInput = CallerInput()
    settings: tuple[tuple[str, Value], ...] = ()
    proven: bool = True

    @property
    def variables(self) -> dict[str, Value]:
        """The variables as `evaluate` takes them."""
        return dict(self.settings)

    def __str__(self) -> str:
        values = ", ".join(f"{name} {_shown(value)}" for name, value in self.settings)
        if not values:
            return str(self.caller)
        return values if self.caller == CallerInput() else f"{self.caller}, with {values}"


@dataclass(frozen=True, slots=True)
class Cover:
    """What a list of conditions does with all that can happen, where the first that holds is taken.

    `default` is tried after all others, wherever it stands in the list. The tuples have one entry for each condition.

    Attributes:
        shadowed: None, or the index of the condition because of which this one is never taken although it can hold: the
            first that alone takes everything of it, or, where several together do, the last of them.
        witness: an example of when it is taken; None where it never is, or where none was found.
        impossible: whether it never holds, also without the others, such as `no_input and no_match`.
        gaps: examples of what no condition takes, one for each caller input, smallest first: keys, then longer numbers,
            speech, silence, a misunderstanding.
        exact: whether everything was tried. Where there are too many names for that, `shadowed` and `impossible` hold
            only what is proven, and `witness` and `gaps` only what was found; all that is said is still true.
    """

    shadowed: tuple[int | None, ...]
    witness: tuple[Situation | None, ...]
    impossible: tuple[bool, ...]
    gaps: tuple[Situation, ...]
    exact: bool = True

    @property
    def unmatched(self) -> tuple[CallerInput, ...]:
        """Caller inputs that no condition takes, under some variables; smallest first."""
        return tuple(gap.caller for gap in self.gaps)


def _shown(value: Value) -> str:
    if value is None:
        return "missing"
    return f"= {str(value).lower()}" if isinstance(value, bool) else f"= {value!r}"
