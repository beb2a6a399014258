"""The rules of call flows: their ids, how bad it is to break one, and what each is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cordboard.findings import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that every call flow is held to.

    Attributes:
        id: stable id, such as `ivr/unreachable`.
        severity: how bad it is to break it; only errors stop a registration.
        title: the rule in a few words.
        help: why it is there, in one sentence.
        acceptable: whether a file can accept a finding by `suppress`; not where the vendor could not read the flow.
    """

    id: str
    severity: Severity
    title: str
    help: str
    acceptable: bool = True


def _error(name: str, title: str, reason: str, *, acceptable: bool = True) -> Rule:
    return Rule(f"ivr/{name}", Severity.ERROR, title, reason, acceptable)


def _warning(name: str, title: str, reason: str, *, acceptable: bool = True) -> Rule:
    return Rule(f"ivr/{name}", Severity.WARNING, title, reason, acceptable)


_ALL = (
    _error(
        "unknown-start",
        "The start is a node of the flow",
        "A call needs a node at which it begins.",
        acceptable=False,
    ),
    _error(
        "unknown-target",
        "Connections lead to nodes of the flow",
        "A caller who takes a connection to a node that is not there is lost.",
        acceptable=False,
    ),
    _error(
        "unknown-source",
        "Connections leave nodes of the flow",
        "No caller can ever take a connection from a node that is not there.",
        acceptable=False,
    ),
    _error(
        "duplicate-node",
        "Every node id stands once",
        "The vendor keeps one of two nodes with the same id, and nobody can say which.",
        acceptable=False,
    ),
    _error(
        "node-limit",
        "A node has no more ways out than the vendor takes",
        "The vendor refuses a node with more connections than its limit.",
        acceptable=False,
    ),
    _error(
        "batch-limit",
        "A flow has no more connections than the vendor takes at once",
        "The vendor refuses a batch with more connections than its limit.",
        acceptable=False,
    ),
    _error(
        "condition",
        "Conditions can be read",
        "The vendor refuses a flow with a condition that is none.",
        acceptable=False,
    ),
    _error(
        "node-prefix",
        "Node ids start with node_",
        "CXone refuses ids of nodes that start otherwise.",
        acceptable=False,
    ),
    _error(
        "two-starts",
        "Only the start has the type start",
        "CXone begins a call at a node of type start, and of two nobody can say at which.",
        acceptable=False,
    ),
    _error(
        "ambiguous",
        "A condition leads to one node",
        "Of two connections with the same condition only the first is ever taken.",
    ),
    _error("two-defaults", "A node has one default and one fallback", "Only the first of them is ever taken."),
    _error(
        "shadowed",
        "Every condition can come to its turn",
        "A connection that others always precede leads no caller anywhere.",
    ),
    _error("unreachable", "Every node can be reached from the start", "No caller ever gets to it."),
    _error("dead-end", "Every node leads on or ends the call", "A caller who gets there hears nothing any more."),
    _error("no-terminal", "A flow has an end", "Where no node ends the call, no caller is ever done."),
    _error(
        "no-exit",
        "An end can be reached from every node",
        "A caller in a group of nodes that nothing leaves can only hang up.",
    ),
    _error(
        "silent-loop",
        "No loop goes on without asking the caller",
        "A call that goes round without asking hangs until the vendor breaks it off.",
    ),
    _error("no-give-up", "A node that gives up has a way to go", "After its last visit the call would go nowhere."),
    _error(
        "missing-default",
        "On Genesys every node has a default",
        "Genesys refuses a node without (status 400).",
        acceptable=False,
    ),
    _warning("duplicate-transition", "Every connection stands once", "The second of two equal ones does nothing."),
    _warning("never-holds", "Every condition can hold", "What never holds leads nobody anywhere."),
    _warning(
        "misspelt-name",
        "Words for what callers do are spelled right",
        "A word that nobody assigns is a variable without a value, and the connection is never taken.",
    ),
    _error("text-comparison", "dtmf and speech are compared as text", "Text never equals a number and has no size."),
    _warning("terminal-ways", "No connection leaves an end", "The call is over there, so that it is never taken."),
    _warning(
        "unbounded-retry",
        "A menu is not repeated for ever",
        "A caller who never answers, such as a machine, would hold the line for ever.",
    ),
    _warning("unhandled-silence", "Silence is answered", "A caller who says nothing useful would be left in silence."),
    _warning(
        "unhandled-input", "Every answer is answered", "Who presses or says something else would be left in silence."
    ),
    _warning("open-decision", "A decision decides every case", "Where no condition holds, the call would go nowhere."),
    _warning(
        "unused-fallback",
        "A fallback can come to its turn",
        "Beside a default it is taken only where `max_visits` makes the node give up.",
    ),
    _warning(
        "suppression-expired",
        "Accepted findings are looked at again",
        "After its day an accepted finding counts again.",
        acceptable=False,
    ),
    _warning(
        "suppression-unused",
        "Only what is found is accepted",
        "What accepts nothing today would hide something tomorrow.",
        acceptable=False,
    ),
)

#: Every rule by its id.
RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for rule in _ALL})
