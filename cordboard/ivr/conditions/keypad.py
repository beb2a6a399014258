"""What callers can do: the keys they can press, and a list of inputs that stands for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from cordboard.ivr.conditions.situation import CallerInput

#: The keys of every telephone, in the order in which people expect them.
KEYS = "0123456789*#"
#: All tones there are: the fourth column is on few telephones, but a condition that asks for it can hold.
TONES = frozenset(KEYS + "ABCD")
SILENCE = CallerInput(no_input=True)
MISUNDERSTOOD = CallerInput(no_match=True)


def can_be_pressed(text: str) -> bool:
    """Whether a caller can press it."""
    return bool(text) and TONES.issuperset(text)


def keypad(pressed: Iterable[str]) -> frozenset[str]:
    """Each key of the telephone, what is given of which a caller can press, and one longer thing that is not given."""
    texts = frozenset(filter(can_be_pressed, pressed)).union(KEYS)
    return texts | {next(zeros for length in count(2) if (zeros := "0" * length) not in texts)}


def spoken(said: Iterable[str]) -> frozenset[str]:
    """What is given, and one text that is not given."""
    texts = frozenset(filter(None, said))
    return texts.union(others(texts, 1))


def others(texts: frozenset[str], number: int) -> list[str]:
    """New texts that are none of the given ones, in ascending order as long as there are fewer than nine."""
    names = (f"something else {index}" if index > 1 else "something else" for index in count(1))
    unused = (name for name in names if name not in texts)
    return [next(unused) for _ in range(number)]


def inputs_of(pressed: Iterable[str], said: Iterable[str]) -> tuple[CallerInput, ...]:
    """One caller input for each text, silence and a misunderstanding; keys first, shorter before longer."""
    return tuple(
        sorted(
            [
                *(CallerInput(dtmf=text) for text in pressed),
                *(CallerInput(speech=text) for text in said if text),
                SILENCE,
                MISUNDERSTOOD,
            ],
            key=rank,
        )
    )


def rank(caller: CallerInput) -> tuple[int, int, list[int], str]:
    """The place of an input among others: keys by length, then speech, silence, a misunderstanding."""
    kind = 0 if caller.dtmf else 1 if caller.speech else 2 if caller.no_input else 3
    return kind, len(caller.dtmf), [(KEYS + "ABCD").find(key) for key in caller.dtmf], caller.speech
