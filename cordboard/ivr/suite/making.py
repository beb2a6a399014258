"""Cases out of their shape."""

from __future__ import annotations

from collections.abc import Iterator

from cordboard.ivr.model import Place
from cordboard.ivr.suite.model import Case, Expectation
from cordboard.ivr.suite.shape import WORDS, CaseShape, ExpectShape, SpeechShape
from cordboard.ivr.trace import Input, digits, keys, speech


def case_of(shape: CaseShape, place: Place) -> Case:
    """A case, from what is written in the file."""
    return Case(
        name=shape.name,
        inputs=tuple(_inputs(shape)),
        variables=shape.variables,
        mocks=shape.mocks,
        then=shape.then,
        max_loops=shape.max_loops,
        expect=_expectation(shape.expect),
        place=place,
    )


def _expectation(shape: ExpectShape) -> Expectation:
    return Expectation(
        path=None if shape.path is None else tuple(shape.path),
        visits=tuple(shape.visits),
        exit=shape.exit,
        variables=shape.variables,
        visited=tuple(shape.visited),
        never=tuple(shape.never),
        prompts=tuple(shape.prompts),
        inputs=shape.inputs,
        duration_max=None if shape.duration is None else shape.duration.max,
        end=shape.end,
    )


def _inputs(shape: CaseShape) -> Iterator[Input]:
    if isinstance(shape.dtmf, str):
        if shape.dtmf:
            yield digits(shape.dtmf)
        if shape.speech:
            yield speech(shape.speech)
        return
    for element in shape.dtmf:
        if isinstance(element, SpeechShape):
            yield speech(element.speech)
        else:
            yield Input(element) if element in WORDS else keys(element)  # type: ignore[arg-type]  # one of the words
