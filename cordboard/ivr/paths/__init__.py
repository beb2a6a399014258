"""Every call at once.

`prove` decides what is true of every call, and gives the shortest call that breaks it. `generate` makes a small suite
that takes every transition that can be taken. `behaviour_changes` says what is different for callers between two flows.

All three look at states of calls and go from one to the next by the single step that `simulate` is made of. At a node
that asks they try one input for each thing that the node can tell apart: no key more than it collects, something that
no condition names, silence, and what is not understood. What nobody knows beforehand may be anything that conditions
can tell apart; see `world`.
"""

from cordboard.ivr.paths.behaviour import Change, behaviour_changes
from cordboard.ivr.paths.covering import Generated, generate
from cordboard.ivr.paths.properties import Property, in_words, json_schema
from cordboard.ivr.paths.proving import Verdict, prove
from cordboard.ivr.paths.reading import Claims, load_claims, properties_of, read_claims
from cordboard.ivr.paths.telling import written
from cordboard.ivr.paths.untaken import Untaken
from cordboard.ivr.paths.world import Outcomes

__all__ = [
    "Change",
    "Claims",
    "Generated",
    "Outcomes",
    "Property",
    "Untaken",
    "Verdict",
    "behaviour_changes",
    "generate",
    "in_words",
    "json_schema",
    "load_claims",
    "properties_of",
    "prove",
    "read_claims",
    "written",
]
