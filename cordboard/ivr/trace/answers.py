"""Which way a node takes for each thing that it can hear, worked out before the first call.

That can be done where nothing but the caller decides, and where only whole texts are compared: then everything that no
condition names has the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cordboard.ivr.conditions import CallerInput, Comparison, Condition, Name, Operand, Text, evaluate, reads
from cordboard.ivr.conditions.keypad import can_be_pressed
from cordboard.ivr.conditions.tree import CALLER_NAMES, Atom, atoms_of
from cordboard.ivr.trace.inputs import heard

_DTMF, _SPEECH = Name("dtmf"), Name("speech")
#: No condition is long enough to name it.
_LONG = 1001
_EQUALITY = frozenset({"==", "!="})


def answers_of(conditions: Sequence[Condition]) -> dict[str, int | None] | None:
    """The number of the condition that is taken for each thing that can be heard; None where more decides.

    Under `digits` and `speech` stands the answer for what is not listed, under the empty text the one of a node that
    does not ask.
    """
    atoms = [atom for condition in conditions for atom in atoms_of(condition)]
    if not all(reads(condition) <= CALLER_NAMES for condition in conditions) or not all(map(_is_finite, atoms)):
        return None
    listed = {heard(caller): caller for caller in _listed(atoms)}
    callers: Mapping[str, CallerInput] = {**listed, **_OTHERS}
    return {key: _first(conditions, caller) for key, caller in callers.items()}


_OTHERS: Mapping[str, CallerInput] = {
    "": CallerInput(),
    "no_input": CallerInput(no_input=True),
    "no_match": CallerInput(no_match=True),
    "digits": CallerInput(dtmf="0" * _LONG),
    "speech": CallerInput(speech="-" * _LONG),
}


def _first(conditions: Sequence[Condition], caller: CallerInput) -> int | None:
    return next((number for number, condition in enumerate(conditions) if evaluate(condition, caller, {})), None)


def _listed(atoms: Sequence[Atom]) -> Iterator[CallerInput]:
    for name, text in _texts(atoms):
        if name == _DTMF and can_be_pressed(text):
            yield CallerInput(dtmf=text)
        elif name == _SPEECH and text:
            yield CallerInput(speech=text)


def _texts(atoms: Sequence[Atom]) -> Iterator[tuple[Operand, str]]:
    for atom in atoms:
        if isinstance(atom, Comparison):
            for name, other in ((atom.left, atom.right), (atom.right, atom.left)):
                if isinstance(other, Text):
                    yield name, other.value


def _is_finite(atom: Atom) -> bool:
    if not isinstance(atom, Comparison):
        return True
    names = [side for side in (atom.left, atom.right) if isinstance(side, Name)]
    return len(names) < 2 and (not names or atom.operator in _EQUALITY)


def collects_of(conditions: Sequence[Condition]) -> int | None:
    """How many keys of a row a node takes: those of the longest number that it names, at least one.

    None stands for all that are left: it compares what is pressed in another way, and may want a whole number.
    """
    longest = 1
    for condition in conditions:
        for atom in atoms_of(condition):
            if isinstance(atom, Comparison) and _DTMF in (atom.left, atom.right):
                other = atom.right if atom.left == _DTMF else atom.left
                if atom.operator == "==" and isinstance(other, Text):
                    longest = max(longest, len(other.value))
                elif isinstance(other, Text | Name):
                    return None
    return longest
