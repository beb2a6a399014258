"""The language of conditions: `dtmf == '1'`, `speech == 'billing' and not customer.vip`, `default`.

Its names are `dtmf` (the keys pressed), `speech` (what was said), `no_input` (silence), `no_match` (what was said or
pressed is not understood), `visits` (how often the node has been reached, from 1); each other name is a variable of the
flow. One visit of a node sees one input of the caller: keys, speech, silence or a misunderstanding.
"""

from cordboard.ivr.conditions.covering import cover, overlap
from cordboard.ivr.conditions.evaluation import evaluate
from cordboard.ivr.conditions.fault import ConditionError
from cordboard.ivr.conditions.parsing import MAX_LENGTH, MAX_NESTING, parse
from cordboard.ivr.conditions.printing import show
from cordboard.ivr.conditions.situation import CallerInput, Cover, Situation, Value
from cordboard.ivr.conditions.tree import (
    And,
    Boolean,
    Comparison,
    Condition,
    Constant,
    Default,
    IsTrue,
    Name,
    Not,
    Number,
    Operand,
    Or,
    Text,
    reads,
    reads_caller,
)

__all__ = [
    "MAX_LENGTH",
    "MAX_NESTING",
    "And",
    "Boolean",
    "CallerInput",
    "Comparison",
    "Condition",
    "ConditionError",
    "Constant",
    "Cover",
    "Default",
    "IsTrue",
    "Name",
    "Not",
    "Number",
    "Operand",
    "Or",
    "Situation",
    "Text",
    "Value",
    "cover",
    "evaluate",
    "overlap",
    "parse",
    "reads",
    "reads_caller",
    "show",
]
