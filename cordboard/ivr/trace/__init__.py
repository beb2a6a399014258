"""Calls that are made without a telephone: a call flow, what the caller does, and what comes of it.

A call begins at the start and goes from node to node:

    a call gets to …                    and then
    any node                            the visit counts; the node assigns what it `set`s, then what its action returns
    a node that ends calls              the call is `completed`
    one that gives up                   its fallback, else its default, is taken; nobody is asked (see `max_visits`)
    one that asks                       it takes one input, and the first way that fits: conditions, default, fallback
    any other                           the first way that fits, at once
    one of which no way fits            the call is over: `no_way_out`
    a state in which it was before      the call would go round for ever: `loop`

An input is what one node takes:

    input                               a node that asks takes …
    digits("4711")                      as many keys as the longest number that its conditions name, at least one; all
                                        that are left where it compares what is pressed in another way
    keys("47")                          all of them
    speech("billing")                   what is said
    NO_INPUT, NO_MATCH                  silence; something that is not understood
    HANGUP                              nothing: the call is `hung_up`. Only a node that asks notices it
    nothing is left                     silence (`then="silence"`); with `then="hangup"` the caller has gone, and with
                                        `then="stop"` nobody knows, which is `input_missing`

A loop is a state that comes back: the node, all variables, what actions will return, counts of visits as far as they
matter, and what the caller will still do. A menu that gives up after three tries is in no loop; one that can be
repeated for ever is, once the caller is silent. `max_loops` bounds what no such state ends: visits of a node that
counts or assigns while the caller does nothing new (`too_long`).

What a node hears is gone when it is left: only what is `set`, or what an action returns, is kept. Time is virtual:
45 ms at the start and at a node that asks, 55 ms at any other, none at the end.
"""

from cordboard.ivr.trace.compiling import compile_flow
from cordboard.ivr.trace.ending import End, EndKind, visible
from cordboard.ivr.trace.inputs import HANGUP, NO_INPUT, NO_MATCH, Input, digits, input_of, keys, speech
from cordboard.ivr.trace.loops import Loop, find_loop, loops_in
from cordboard.ivr.trace.program import Branch, Program, Station
from cordboard.ivr.trace.states import State, Variables, first_state, step, waits
from cordboard.ivr.trace.trace import Entry, Trace
from cordboard.ivr.trace.vendor import from_vendor
from cordboard.ivr.trace.walking import Outcomes, Then, simulate

__all__ = [
    "HANGUP",
    "NO_INPUT",
    "NO_MATCH",
    "Branch",
    "End",
    "EndKind",
    "Entry",
    "Input",
    "Loop",
    "Outcomes",
    "Program",
    "State",
    "Station",
    "Then",
    "Trace",
    "Variables",
    "compile_flow",
    "digits",
    "find_loop",
    "first_state",
    "from_vendor",
    "input_of",
    "keys",
    "loops_in",
    "simulate",
    "speech",
    "step",
    "visible",
    "waits",
]
