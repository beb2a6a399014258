"""What a caller does in a simulated call, one thing after another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cordboard.errors import BadCall
from cordboard.ivr.conditions import CallerInput
from cordboard.ivr.conditions.keypad import TONES, can_be_pressed

InputKind = Literal["digits", "keys", "speech", "no_input", "no_match", "hangup"]

_SAYS = "speech "
_LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that a caller does; made by `digits`, `keys` and `speech`, or one of the constants below.

    Attributes:
        kind: `digits` are pressed in a row, and each node that asks takes as many as it collects; `keys` go to one node
            as a whole.
        text: the keys, or what is said.
        key: what the node that takes it hears, as one text; see `caller_of`.
    """

    kind: InputKind
    text: str = ""
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pressed = self.kind in {"digits", "keys"}
        object.__setattr__(self, "key", self.text if pressed else _SAYS + self.text if self.text else self.kind)

    def __str__(self) -> str:
        return self.kind if self.kind == "hangup" else heard_in_words(self.key)

    def as_json(self) -> str | dict[str, str]:
        """As a suite's list of inputs has it."""
        return self.text if self.kind in {"digits", "keys"} else {"speech": self.text} if self.text else self.kind


def digits(text: str) -> Input:
    """Keys that are pressed in a row: each node that asks takes as many of them as it collects.

    Raises:
        BadCall: a telephone has no such keys.
    """
    return Input("digits", _pressable(text))


def keys(text: str) -> Input:
    """Keys that are pressed at one node, which takes them as a whole.

    Raises:
        BadCall: a telephone has no such keys.
    """
    return Input("keys", _pressable(text))


def speech(text: str) -> Input:
    """What is said at one node.

    Raises:
        BadCall: nothing is said; that is `NO_INPUT`.
    """
    if not text:
        raise BadCall("nothing is said: write `no_input` for a caller who is silent")
    return Input("speech", text)


NO_INPUT = Input("no_input")
NO_MATCH = Input("no_match")
HANGUP = Input("hangup")


def caller_of(key: str) -> CallerInput:
    """What a condition is held against, for what a node hears; nothing at all for the empty text."""
    if key.startswith(_SAYS):
        return CallerInput(speech=key[len(_SAYS) :])
    if key in {"no_input", "no_match"}:
        return CallerInput(no_input=key == "no_input", no_match=key == "no_match")
    return CallerInput(dtmf=key)


def heard(caller: CallerInput) -> str:
    """What a node hears, as one text: the opposite of `caller_of`."""
    if caller.speech:
        return _SAYS + caller.speech
    return caller.dtmf or ("no_input" if caller.no_input else "no_match" if caller.no_match else "")


def input_of(caller: CallerInput) -> Input:
    """A caller's one input, as an input of a simulation."""
    if caller.dtmf or caller.speech:
        return keys(caller.dtmf) if caller.dtmf else speech(caller.speech)
    return NO_INPUT if caller.no_input else NO_MATCH


def heard_in_words(key: str) -> str:
    """What a node hears, in words: `1`, `"billing"`, `silence`."""
    words = {"no_input": "silence", "no_match": "what is not understood", "": "nothing"}
    if key.startswith(_SAYS):
        said = key[len(_SAYS) :]
        return f'"{said if len(said) <= _LONGEST_SHOWN else said[:_LONGEST_SHOWN] + "…"}"'
    return words.get(key) or (key if len(key) <= _LONGEST_SHOWN else f"{key[:_LONGEST_SHOWN]}…")


def _pressable(text: str) -> str:
    if not can_be_pressed(text):
        wrong = next((char for char in text if char not in TONES), "")
        what = f"no telephone has the key {wrong!r}" if wrong else "no key is pressed"
        raise BadCall(f"{what}: keys are 0 to 9, * and # (and A to D)")
    return text
